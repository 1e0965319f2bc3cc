"""The stage report: one page that a reader understands without the code.

The page is one file: it contains its figures and styles and needs no server.
Everything on it comes from records. It shows measured times, so two runs of one
spec may give different pages; the same holds only for the cost table.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lmodp.records.record import read_record, write_bytes
from lmodp.reporting.formats import as_written
from lmodp.reporting.page.answer import answer
from lmodp.reporting.results.provenance import cell_provenance
from lmodp.reporting.tables.compare_published import published_pages
from lmodp.reporting.tables.comparison import comparison_pages
from lmodp.reporting.tables.make_table import status_pages
from lmodp.reporting.tables.measure_cost import cost_pages
from lmodp.reporting.tables.privacy import privacy_pages
from lmodp.reporting.tables.render import Bold, Page

# Title of a part, the figures that open it.
PARTS = {
    "utility": ("Utility at equal claimed and at equal verified ε", ("choice", "demonstration", "training")),
    "published": ("Published against reproduced", ()),
    "privacy": ("What is ε? Every answer for every mechanism", ("privacy", "audit", "noises", "wins", "search")),
    "cost": ("Cost", ()),
    "status": ("Status", ()),
}


def report(results: Mapping[str, Any], *, root: Path, figures: Sequence[str], html: Path) -> dict[str, Any]:
    """Write the page with the figures that exist and return the answer's paragraphs."""
    results, sentences = as_written(results), answer(results)
    cost = as_written(read_record(root / "tables" / "cost.json")["rows"])
    timed = {row["cell"]: row for row in cost if row["seconds_a_run"] is not None}
    page = render(
        title=results["title"] or results["grid"],
        grid=results["grid"],
        answer=sentences,
        main=_figure(root, "comparison"),
        parts=_parts(results, root, figures, cost),
        provenance=[_provenance(cell, root, timed.get(cell["cell"])) for cell in results["cells"]],
    )
    write_bytes(html, page.encode())
    return {"answer": sentences}


def render(**content: Any) -> str:
    """Return a page of the report's form, with its styles and its filter box; the template names its content."""
    script = _asset("report.js")
    script_hash = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment().get_template("report.html")
    return template.render(**content, style=_asset("report.css"), script=script, script_hash=script_hash)


def _parts(
    results: Mapping[str, Any], root: Path, figures: Sequence[str], cost: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    pages: dict[str, list[Page]] = {
        "utility": comparison_pages(results),
        "privacy": privacy_pages(results),
        "published": published_pages(results, read_record(root / "tables" / "published.json")["rows"]),
        "cost": cost_pages(results, cost),
        "status": status_pages(results),
    }
    found = []
    for name, (title, opening) in PARTS.items():
        drawn = [_figure(root, item) for item in opening if item in figures]
        found.append({"id": name, "title": title, "pages": pages[name], "figures": drawn})
    return found


def _environment() -> Environment:
    def bold(text: str) -> Markup:
        return Markup("<strong>{}</strong>").format(str(text)) if isinstance(text, Bold) else escape(text)

    pages = PackageLoader("lmodp.reporting", "page")
    environment = Environment(
        loader=pages, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["bold"] = bold
    return environment


def _asset(name: str) -> Markup:
    return Markup(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _figure(root: Path, name: str) -> dict[str, Any]:
    """A figure as an image of the page: a browser runs no script of an image, whoever made the file."""
    record = read_record(root / "figures" / f"{name}.json")
    drawing = b64encode((root / "figures" / f"{name}.svg").read_bytes()).decode()
    source = f"data:image/svg+xml;base64,{drawing}"
    return {"title": record["title"], "caption": record["caption"], "source": source}


def _provenance(cell: Mapping[str, Any], root: Path, timing: Mapping[str, Any] | None) -> dict[str, Any]:
    facts = as_written(cell_provenance(cell, root))
    if timing:
        names = ("seconds_a_run", "seconds_a_step", "peak_memory_bytes", "device", "threads", "runs")
        facts["time"] = {name: timing[name] for name in names}
    return {"cell": cell["cell"], "status": cell["status"], "text": json.dumps(facts, indent=1, ensure_ascii=False)}
