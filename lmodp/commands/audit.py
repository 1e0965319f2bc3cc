"""``lmodp audit``: a lower bound on a mechanism's epsilon, from samples."""

import argparse
from collections.abc import Mapping
from typing import Any

from lmodp.commands.arguments import add_noise, add_run, describe_run, read_noise, read_plan
from lmodp.commands.printing import interval, number, show, table
from lmodp.reporting.formats import at_least


def configure(parser: argparse.ArgumentParser) -> None:
    add_noise(parser)
    add_run(parser)
    trials = (
        "number of transcripts, half with and half without the canary (default %(default)s); if they cannot resolve "
        "delta, the audit tests at a larger one"
    )
    draw = (
        "'coordinates': the device's sampler draws every coordinate (default where --coordinates is given); "
        "'law': the law of the log-likelihood ratio is drawn, which is much faster (default otherwise)"
    )
    spread = "M, number of coordinates over which the worst-case gradient is spread (default 16)"
    claimed = "the noise that the claim was computed for, if it differs from --noise"
    parser.add_argument("--trials", type=int, default=1_000_000, help=trials)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coordinates", type=int, help=spread)
    parser.add_argument("--draw", choices=("law", "coordinates"), help=draw)
    parser.add_argument("--confidence", type=float, default=0.95, help="confidence of the bound (default %(default)s)")
    parser.add_argument("--claim-noise", metavar="NAME|FILE", help=claimed)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    plan = read_plan(args)
    claim_noise = read_noise(args, args.claim_noise) if args.claim_noise else None
    from lmodp.stages.audit_mechanism import COORDINATES, audit

    found = audit(
        plan,
        trials=args.trials,
        seed=args.seed,
        confidence=args.confidence,
        coordinates=COORDINATES if args.coordinates is None else args.coordinates,
        draw=args.draw or ("law" if args.coordinates is None else "coordinates"),
        claim_noise=claim_noise,
    )
    show(found, as_json=args.json, text=_text)
    return 0


def _text(found: dict[str, Any]) -> str:
    tested, asked = found, found["at_delta"]
    head = ("epsilon of the run", f"delta {found['delta_tested']:.3g}", f"delta {found['delta']:g}")
    rows = [
        ("claimed", number(tested["claimed"]), number(asked["claimed"])),
        ("paper's bound", number(tested["paper_bound"]), number(asked["paper_bound"])),
        ("verified", interval(tested["verified"]), interval(asked["verified"])),
        ("audited, at least", at_least(found["epsilon_lower"], 6), ""),
    ]
    drawn = f"{found['trials']:,} transcripts, confidence {found['confidence']:g}; {found['delta_note']}"
    return f"{describe_run(found)}\n\n{table(head, rows)}\n\n{drawn}\n\n" + "\n".join(_verdicts(found))


def _verdicts(found: Mapping[str, Any]) -> list[str]:
    """Say of every stated epsilon whether the bound refutes it."""
    at_delta = found["refutes_claimed_at_delta"]
    stated = {"the claim": found["refutes_claimed"] or at_delta, "the paper's bound": found["refutes_paper_bound"]}
    said = {True: "REFUTED by the samples", False: "not refuted by these samples", None: "nothing is stated"}
    lines = [f"{name + ':':21s}{said[verdict]}" for name, verdict in stated.items()]
    sound = "the samples agree with it" if found["consistent_with_verified"] else "REFUTED: report this as a fault"
    return [*lines, f"{'verified interval:':21s}{sound}"]
