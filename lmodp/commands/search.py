"""``lmodp search``: find the best noise of a search space, and its epsilon under every accountant."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lmodp.commands.arguments import add_run, new_file, read_run
from lmodp.commands.printing import interval, number, show, step_and_run, table
from lmodp.vocabulary import ACCOUNTANTS, OBJECTIVES

if TYPE_CHECKING:
    from lmodp.search.grid_search import SearchResult


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--space", default="published", metavar="published|FILE")
    below = "only noises with an epsilon below this qualify"
    parser.add_argument("--epsilon", type=float, required=True, metavar="E", help=below)
    scopes = "claimed and paper_bound: epsilon of one step; verified: epsilon of the whole run"
    parser.add_argument("--accountant", required=True, choices=ACCOUNTANTS, help=scopes)
    parser.add_argument("--objective", required=True, choices=OBJECTIVES)
    parser.add_argument("--gamma", type=float, default=0.9, metavar="G", help="usefulness is P(|noise| <= G)")
    add_run(parser, optional=True)
    parser.add_argument("--trace", type=new_file, metavar="FILE", help="write every point to this parquet file")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    run = read_run(args)
    from lmodp.accounting import account_mechanism
    from lmodp.plan import Plan
    from lmodp.search.grid_search import find_noise, write_trace

    asked = {name: getattr(args, name) for name in ("accountant", "objective", "epsilon", "gamma")}
    found = find_noise(args.space, **asked, **run)
    if args.trace:
        write_trace(found.trace, args.trace)
    show(_answer(found, account_mechanism(Plan(noise=found.noise, **run))), as_json=args.json, text=_text)
    return 0


def _answer(found: SearchResult, certificate: dict[str, Any]) -> dict[str, Any]:
    names = ("epsilon", "value", "point", "qualifying", "valid", "points")
    accounts = {key: certificate[key] for key in ("claimed", "paper_bound", "pure_scalar", "verified")}
    return {"noise": found.noise.to_dict(), **{name: getattr(found, name) for name in names}, "accounts": accounts}


def _text(answer: dict[str, Any]) -> str:
    accounts = answer["accounts"]
    rows = [
        ("claimed", *step_and_run(accounts["claimed"])),
        ("paper's bound", *step_and_run(accounts["paper_bound"])),
        ("pure scalar", number(accounts["pure_scalar"]["epsilon_step"]), ""),
        ("verified", "", interval(accounts["verified"])),
    ]
    parts = "\n".join(f"  {key}: {values}" for key, values in answer["noise"]["rate"].items())
    return (
        f"{answer['qualifying']} of {answer['points']} points qualify; the best is number {answer['point']}\n{parts}\n"
        f"objective {number(answer['value'])}\n\n{table(('epsilon', 'one step', 'whole run'), rows)}"
    )
