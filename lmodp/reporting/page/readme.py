"""The README's results block, and the copies of its figure and table, from records."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.errors import DamagedFile
from lmodp.records.record import read_record, write_bytes
from lmodp.reporting.figures.catalogue import FIGURES
from lmodp.reporting.formats import as_written
from lmodp.reporting.page.answer import PROOF, PROOF_HEADING, answer
from lmodp.reporting.tables.comparison import comparison_pages
from lmodp.reporting.tables.render import markdown, to_markdown


def write_readme(*, results_folder: Path, readme: Path, copies: Path) -> list[Path]:
    """Write a grid's block between its markers, and copies of its figure and table into a folder.

    The markers of the grid ``quick`` are the lines ``<!-- results:quick:begin -->`` and ``<!-- results:quick:end -->``.

    Raises:
        DamagedFile: the readme lacks the markers.
    """
    results = read_record(results_folder / "tables" / "results.json")
    grid, text = results["grid"], readme.read_text(encoding="utf-8")
    begin, end = f"<!-- results:{grid}:begin -->", f"<!-- results:{grid}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise DamagedFile(
            f"readme = {str(readme)!r}: must hold the lines {begin} and {end} once, in this order. Put them back."
        )
    figure, table = copies / f"{grid}.svg", copies / f"{grid}.md"
    copies.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(results_folder / "figures" / "comparison.svg", figure)
    shown = as_written(results)
    write_bytes(table, to_markdown(comparison_pages(shown), title=shown["title"] or shown["grid"]).encode())
    block = _block(results, _link(figure, readme), _link(table, readme))
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    write_bytes(readme, pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text).encode())
    return [readme, figure, table]


def _block(results: Mapping[str, Any], figure: str, table: str) -> str:
    anchor = PROOF_HEADING.lower().replace(" ", "-")
    sentences = "\n".join(
        f"{number}. {markdown(sentence).replace(f'proof: {PROOF}', f'[proof]({PROOF}#{anchor})')}"
        for number, sentence in enumerate(answer(results), 1)
    )
    title = markdown(as_written(results["title"] or results["grid"]))
    return (
        f"![{FIGURES['comparison']}]({figure})\n\n"
        f"{sentences}\n\n"
        f"From the records of the grid `{results['grid']}` ({title}). All tables: [{table}]({table})."
    )


def _link(path: Path, readme: Path) -> str:
    return path.resolve().relative_to(readme.resolve().parent).as_posix()
