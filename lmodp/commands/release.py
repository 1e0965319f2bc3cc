"""``lmodp release``: release a few numbers once, with the noise that needs least and its certificate."""

import argparse
import json
import math

from lmodp.commands.printing import interval
from lmodp.errors import require


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--value", type=float, required=True, nargs="+", metavar="V", help="the numbers to release")
    moved = "L2 norm by which one example can move them"
    parser.add_argument("--sensitivity", type=float, required=True, metavar="S", help=moved)
    parser.add_argument("--epsilon", type=float, required=True, metavar="E", help="epsilon of all releases together")
    parser.add_argument("--delta", type=float, default=0.0, metavar="D", help="delta (default 0: pure epsilon)")
    parser.add_argument("--releases", type=int, default=1, metavar="T", help="releases of this kind in all (default 1)")
    parser.add_argument("--json", action="store_true", help="print the release and its certificate as JSON")


def run(args: argparse.Namespace) -> int:
    for name in ("sensitivity", "epsilon"):
        require(0 < getattr(args, name) < math.inf, name, getattr(args, name), "must be finite and above 0")
    require(0 <= args.delta < 1, "delta", args.delta, "must be in [0, 1)")
    require(args.releases >= 1, "releases", args.releases, "must be a whole number of at least 1")
    require(all(map(math.isfinite, args.value)), "value", args.value, "must be finite")
    from lmodp.search.few_numbers import release

    names = ("sensitivity", "epsilon", "delta", "releases")
    found = release(args.value, **{name: getattr(args, name) for name in names})
    if args.json:
        print(json.dumps(found, indent=2, allow_nan=False))
        return 0
    certificate = found["certificate"]
    print("released:", " ".join(f"{value:.10g}" for value in found["released"]))
    print(f"noise: {found['noise']['family']}, standard deviation {found['noise_std']:.6g} in each number")
    for family, std in found["others"].items():
        print(f"  {family} noise would need {'no finite amount' if std is None else f'{std:.6g}'}")
    print(
        f"proven: epsilon {interval(certificate)} at delta = {certificate['delta']:g} "
        f"for {args.releases} such releases (route: {certificate['route']}); a release cannot be taken back"
    )
    return 0
