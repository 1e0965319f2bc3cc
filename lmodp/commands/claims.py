"""``lmodp claims``: write a claim file, check claims, show what was found."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmodp.commands.printing import interval
from lmodp.errors import InvalidValue, MissingFile, require
from lmodp.pipeline.console import near, typed

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).parents[1] / "claims" / "template.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    what = parser.add_subparsers(dest="what", required=True, metavar="new|check|show")
    new = what.add_parser("new", help="start a claim file from the template")
    new.add_argument("name", help="<paper>-<row>, for example my_paper-sst2; the file is claims/<paper>-<row>.yaml")
    check = what.add_parser("check", help="compute interval and verdict; at most 2 minutes a claim")
    check.add_argument("claims", nargs="+", metavar="FILE|all", help="claim files or ids; all: each one in claims/")
    show = what.add_parser("show", help="print what was found: the board, or one claim")
    show.add_argument("claim", nargs="?", help="id of the claim (default: all in one table)")
    show.add_argument("--json", action="store_true", help="print the record")


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for."""
    return {"new": _new, "check": _check, "show": _show}[arguments.what](arguments)


def _new(arguments: argparse.Namespace) -> int:
    from lmodp.claims.schema import FOLDER

    paper, hyphen, row = arguments.name.partition("-")
    known = paper.isidentifier() and paper.islower() and bool(hyphen and row)
    rule = "must be <paper>-<row>, with the paper in lower-case letters, digits and underscores"
    require(known, "name", arguments.name, rule, "For example my_paper-sst2-eps3.")
    path = FOLDER / f"{arguments.name}.yaml"
    if not FOLDER.is_dir():
        raise MissingFile(f"folder = {str(FOLDER)!r}: does not exist. Work in a checkout of the suite.")
    if path.exists():
        raise InvalidValue(f"name = {arguments.name!r}: is already used. Choose another name.")
    path.write_text(TEMPLATE.read_text(encoding="utf-8").replace("PAPER", paper), encoding="utf-8")
    print(f"wrote {near(path)}\n1. Fill it in: claims/README.md explains every key.")
    print(f"2. Check it: {typed('lmodp')} claims check {near(path)}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    import logging

    from lmodp.claims.board import claim_page, write_board
    from lmodp.claims.desk import checked, claim_files, find_claim, kept_records

    logging.getLogger("absl").setLevel(logging.ERROR)  # the library tells of orders that it leaves out
    every = arguments.claims == ["all"]
    paths = claim_files() if every else [find_claim(name) for name in arguments.claims]
    for path in paths:
        start = time.monotonic()
        record = checked(path)
        text = _row(path.stem, record) if len(paths) > 1 else claim_page(path.stem, record)
        print(text, f"({time.monotonic() - start:.0f} s)", flush=True)
    if every:
        print("wrote", ", ".join(str(path) for path in write_board(kept_records())[:2]), "and a page for each claim")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from lmodp.claims.board import claim_page
    from lmodp.claims.desk import find_claim, kept_record, kept_records

    name = find_claim(arguments.claim).stem if arguments.claim else ""
    found = kept_record(name) if name else kept_records()
    if arguments.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print(claim_page(name, found) if name else "\n".join(_row(*item) for item in found.items()))
    return 0


def _row(name: str, record: Mapping[str, Any]) -> str:
    ends = " | ".join(f"{item['epsilon']:g} [{interval(item)}]" for item in record["readings"])
    return f"{name:40s} {ends}  {record['verdict']}"
