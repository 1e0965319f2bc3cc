"""``lmodp check``: verify the records of a results folder."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from lmodp.errors import DamagedFile, MissingFile
from lmodp.methods.discovery import method_files
from lmodp.records.record import read_record, sha256_file
from lmodp.records.reuse import STAGES, why_outdated


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, help="a grid's results folder, for example results/quick")
    parser.add_argument("--methods-folder", help="a further folder of methods, as in the configuration")
    parser.add_argument(
        "--any-code",
        action="store_true",
        help="records made by other versions of the code hold too, as under keep_records",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print every record that does not hold; the exit status is 1 if there is one."""
    root = arguments.folder
    if not root.is_dir():
        raise MissingFile(
            f"folder = {str(root)!r}: is not there. Give a grid's results folder, for example results/quick."
        )
    judge = partial(
        why_outdated,
        root=root,
        method_files=method_files(arguments.methods_folder),
        any_code=arguments.any_code,
        seen={},
    )
    records = [path for path in sorted(root.rglob("*.json")) if path.name != "timing.json"]
    faults = []
    for path in records:
        reason = _check_run(path, root) if path.parent.parent.name == "runs" else judge(path)
        if reason:
            faults.append(f"{path.relative_to(root)}: {reason}")
    print("\n".join([*faults, f"{len(records)} records, {len(faults)} that do not hold"]))
    return 1 if faults or not records else 0


def _check_run(path: Path, root: Path) -> str | None:
    """A run's records are written within its cell's stage, which judges the code."""
    try:
        record = read_record(path)
    except (DamagedFile, MissingFile) as error:
        return str(error)
    if record["kind"] not in STAGES:
        return f"written by an unknown stage {record['kind']!r}"
    wrong = [
        name
        for name, known in record["inputs"].items()
        if not (root / name).is_file() or sha256_file(root / name) != known
    ]
    return f"{', '.join(wrong)} is missing or has changed since" if wrong else None
