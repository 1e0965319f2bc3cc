"""``lmodp check``: check the records of a results folder."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lmodp.commands.arguments import add_grid, add_methods_folder, config_of, read_grid, results_folder
from lmodp.errors import DamagedFile, MissingFile
from lmodp.methods.discovery import law_files, method_files
from lmodp.records.places import TIMING
from lmodp.records.record import read_record
from lmodp.records.reuse import Judge

if TYPE_CHECKING:
    from lmodp.grid.config import Config

MOST_LINES = 16  # at most so many faults are printed


def configure(parser: argparse.ArgumentParser) -> None:
    add_grid(parser)
    add_methods_folder(parser)
    parser.add_argument("--present-code", action="store_true", help="records of earlier code are faults in any case")
    again = "compute every certificate, table and figure again, without training; it takes minutes"
    parser.add_argument("--recompute", action="store_true", help=again)


def run(arguments: argparse.Namespace) -> int:
    """Print the faults; the exit status is 1 if there is one."""
    grid = read_grid(arguments)
    root = results_folder(grid)
    records = _records(root)
    methods_folder = arguments.methods_folder or (config_of(grid).methods_folder if grid.is_file() else None)
    judge = Judge(
        root=root,
        method_files=method_files(methods_folder),
        law_files=law_files(methods_folder),
        any_code=True,
        outside={str(path): path for path in Path("claims").glob("*.yaml")},
        is_needed=_is_kept_in_git,
    )
    faults = {path: reason for path in records if (reason := judge.why_outdated(path))}
    earlier = [path for path in records if path not in faults and judge.made_by_other_code(read_record(path))]
    lines = [f"{path.relative_to(root)}: {reason}" for path, reason in faults.items()]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} more"]
    kept = not arguments.present_code and _keeps_records(root)
    lines.append(f"{len(records)} records, {'all valid' if not faults else f'{len(faults)} with a fault'}")
    if earlier:
        verdict = "which keep_records allows" if kept else "which this grid does not allow"
        lines.append(f"{len(earlier)} of them were made by earlier code, {verdict}")
    print("\n".join(lines), flush=True)
    wrong = _recompute(config_of(grid), root, judge) if arguments.recompute else 0
    return 1 if faults or wrong or (earlier and not kept) else 0


def _recompute(config: Config, root: Path, judge: Judge) -> int:
    """Compute again what needs no training, print what differs, and return how much does."""
    from lmodp.pipeline.recompute import recompute_certificates, remake_reports

    certificates = [(path.relative_to(root).as_posix(), why) for path, why in recompute_certificates(root, judge)]
    shown = [(name, why) for name, why in remake_reports(config, root)]
    for what, found in (("certificates", certificates), ("tables, figures and pages", shown)):
        wrong = [f"{name}: {why}" for name, why in found if why]
        verdict = f"{len(wrong)} differ" if wrong else "all agree"
        print(*wrong[:MOST_LINES], f"{len(found)} {what} computed again, {verdict}", sep="\n", flush=True)
    return sum(1 for _, why in [*certificates, *shown] if why)


def _records(root: Path) -> list[Path]:
    found = sorted(path for pattern in ("*.json", "*.jsonl") for path in root.rglob(pattern))
    records = [path for path in found if path.name != TIMING]
    if not records:
        rule = "holds no records" if root.is_dir() else "does not exist"
        remedy = "Give a grid's results folder, for example results/quick."
        raise MissingFile(f"folder = {str(root)!r}: {rule}. {remedy}")
    return records


def _keeps_records(root: Path) -> bool:
    """Whether the grid keeps records of earlier code, according to its ``results.json``."""
    try:
        return bool(read_record(root / "tables" / "results.json").get("keep_records"))
    except (MissingFile, DamagedFile):
        return False


def _is_kept_in_git(path: Path) -> bool:
    """Whether git does not ignore a file; ignored files, such as the report, can be made again."""
    command = ["git", "-C", str(path.parent), "check-ignore", "-q", path.name]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0
