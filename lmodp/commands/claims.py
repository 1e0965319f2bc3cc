"""``lmodp claims``: write a claim file, check claims, show what was found."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmodp.commands.printing import interval, table
from lmodp.errors import InvalidValue, LmodpError, MissingFile, require
from lmodp.pipeline.console import near, typed

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).parents[1] / "claims" / "template.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True, metavar="new|check|show")
    new = what.add_parser("new", help="start a claim file from the template")
    new.add_argument("name", help="<paper>-<row>, for example my_paper-sst2; the file is claims/<paper>-<row>.yaml")
    check = what.add_parser("check", help="compute interval and verdict; at most 2 minutes a claim")
    check.add_argument("claims", nargs="+", metavar="FILE|all", help="claim files or ids; all: each one in claims/")
    show = what.add_parser("show", help="print what was found: the board, or one claim")
    show.add_argument("claim", nargs="?", help="id of the claim (default: all in one table)")
    show.add_argument("--json", action="store_true", help="print the record")


def run(arguments: argparse.Namespace) -> int:
    return {"new": _new, "check": _check, "show": _show}[arguments.what](arguments)


def _new(arguments: argparse.Namespace) -> int:
    from lmodp.claims.schema import FOLDER

    known = re.fullmatch(r"[a-z][a-z0-9_]*-\w[\w-]*", arguments.name, re.ASCII)
    rule = "must be <paper>-<row> in letters, digits, underscores and hyphens, with the paper in lower-case letters"
    require(known is not None, "name", arguments.name, rule, "For example my_paper-sst2-eps3.")
    path = FOLDER / f"{arguments.name}.yaml"
    if not FOLDER.is_dir():
        raise MissingFile(f"folder = {str(FOLDER)!r}: does not exist. Work in a checkout of the suite.")
    if path.exists():
        raise InvalidValue(f"name = {arguments.name!r}: is already used. Choose another name.")
    text = TEMPLATE.read_text(encoding="utf-8").replace("PAPER", arguments.name.partition("-")[0])
    path.write_text(text, encoding="utf-8")
    print(f"wrote {near(path)}\n1. Fill it in: claims/README.md explains every key.")
    print(f"2. Check it: {typed('lmodp')} claims check {near(path)}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    import logging
    import os

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in one order: the same bytes on any number of cores

    from lmodp.claims.board import claim_page, write_board
    from lmodp.claims.desk import checked, claim_files, find_claim, has_record, kept_records

    logging.getLogger("absl").setLevel(logging.ERROR)  # the library tells of orders that it leaves out
    every = arguments.claims == ["all"]
    require(every or "all" not in arguments.claims, "claims", arguments.claims, "name all, or some", "Leave one out.")
    paths, faulty = claim_files() if every else arguments.claims, []
    for given in paths:
        start = time.monotonic()
        try:
            path = find_claim(str(given))
            record = checked(path)
        except LmodpError as error:
            if len(paths) == 1:
                raise
            faulty.append(str(given))
            print(error, file=sys.stderr, flush=True)
            continue
        name = path.stem if has_record(path) else str(path.resolve())
        seconds = f" ({time.monotonic() - start:.0f} s)"
        print(claim_page(name, record) if len(paths) == 1 else _line(path.stem, record) + seconds, flush=True)
    if faulty:
        print(f"not checked: {', '.join(faulty)}{'. The board is left as it was' * every}", file=sys.stderr)
    elif every:
        print("wrote", ", ".join(str(path) for path in write_board(kept_records())[:2]), "and a page for each claim")
    return 2 if faulty else 0


def _show(arguments: argparse.Namespace) -> int:
    from lmodp.claims.board import claim_page
    from lmodp.claims.desk import changed_since, claim_files, find_claim, kept_record

    one = find_claim(arguments.claim).stem if arguments.claim else ""
    names = [one] if one else [path.stem for path in claim_files()]
    found = {name: kept_record(name) for name in names}
    if one and not found[one]:
        raise MissingFile(f"claim = {one!r}: is not checked yet. Type: {typed('lmodp')} claims check {one}")
    stale = {name: changed_since(name, record) for name, record in found.items() if record}
    if arguments.json:
        print(json.dumps(found[one] if one else found, indent=1, ensure_ascii=False))
    elif (record := found.get(one)) is not None:
        print(claim_page(one, record))
    else:
        rows = [row for name, record in found.items() for row in _rows(name, record, stale.get(name, ""))]
        print(table(("claim", "claimed", "proven interval", "verdict"), rows))
    for what in sorted({what for what in stale.values() if what}):
        old = [name for name, found in stale.items() if found == what]
        which, command = (one, one) if one else (f"{len(old)} of {len(names)} claims", "all")
        told = f"{which}: {what} has changed since the check. Type: {typed('lmodp')} claims check {command}"
        print(told, file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _rows(name: str, record: Mapping[str, Any] | None, stale: str) -> list[tuple[str, ...]]:
    if record is None:
        return [(name, "-", "-", "not checked yet")]
    note = f" ({stale} has changed since)" if stale else ""
    return [
        (name, f"{item['epsilon']:g}", interval(item) if item["routes"] else "-", item["verdict"] + note)
        for item in record["readings"]
    ]


def _line(name: str, record: Mapping[str, Any]) -> str:
    ends = " | ".join(f"{claimed} [{proven}]" for _, claimed, proven, _ in _rows(name, record, ""))
    return f"{name:40s} {ends}  {record['verdict']}"
