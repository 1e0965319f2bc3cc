"""``lmodp account``: what is epsilon? Every accountant's answer for one noise and one plan."""

from __future__ import annotations

import argparse
from typing import Any

from lmodp.accounting import account_mechanism
from lmodp.commands.printing import number, show, table
from lmodp.mechanisms import PUBLISHED, load_noise
from lmodp.plan import Plan


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--noise",
        required=True,
        metavar="FILE|NAME",
        help="JSON file, or the name of a published point such as lmo-0.3",
    )
    parser.add_argument(
        "--relative-sensitivity",
        type=float,
        default=1.0,
        metavar="S",
        help="clip norm divided by the factor that multiplies the noise (default 1: that factor is the clip norm)",
    )
    parser.add_argument(
        "--sampling-rate", type=float, required=True, metavar="Q", help="probability of an example per step"
    )
    parser.add_argument("--steps", type=int, required=True, metavar="T", help="number of steps")
    parser.add_argument("--delta", type=float, required=True, metavar="D", help="delta of the privacy statement")
    parser.add_argument("--dimension", type=int, metavar="N", help="number of released coordinates (default: many)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the certificate."""
    plan = Plan(
        noise=load_noise(args.noise),
        sampling_rate=args.sampling_rate,
        steps=args.steps,
        delta=args.delta,
        clip_norm=args.relative_sensitivity,
        noise_scale=1.0,
    )
    # A published epsilon of one step is for sensitivity 1.
    setting = PUBLISHED.get(args.noise) if args.relative_sensitivity == 1 else None
    certificate = account_mechanism(
        plan, published_epsilon_step=setting.published_epsilon_step if setting else None, dimension=args.dimension
    )
    show(certificate, as_json=args.json, text=_text)
    return 0


def _text(certificate: dict[str, Any]) -> str:
    claimed, paper_bound, verified, noise = (
        certificate[key] for key in ("claimed", "paper_bound", "verified", "noise")
    )
    rows = [
        ("claimed", number(claimed["epsilon_step"]), number(claimed["epsilon_run"]), _claimed_note(claimed)),
        (
            "paper's bound",
            number(paper_bound["epsilon_step"]),
            number(paper_bound["epsilon_run"]),
            _paper_bound_note(paper_bound),
        ),
        ("pure scalar", number(certificate["pure_scalar"]["epsilon_step"]), "", "one release of one number, delta = 0"),
        (
            "verified",
            "",
            f"{number(verified['lower'])} to {number(verified['upper'])}",
            _verified_note(verified),
        ),
    ]
    facts = "\n".join(
        f"  {key:20s} {number(noise[key])}" for key in ("noise_multiplier", "mean_abs", "sigma_effective", "efficiency")
    )
    return f"{table(('epsilon', 'one step', 'whole run', ''), rows)}\n\nnoise\n{facts}"


def _claimed_note(claimed: dict[str, Any]) -> str:
    if claimed["status"] != "ok":
        return claimed["reason"]
    outside = (
        "" if claimed["order_in_domain"] in (True, None) else f"; order {claimed['order']} is outside the MGF's domain"
    )
    published = claimed["published_epsilon_run"]
    note = "" if published is None else f"; from the published epsilon of one step {number(published)}"
    return f"as published{note}{outside}"


def _paper_bound_note(paper_bound: dict[str, Any]) -> str:
    return paper_bound["reason"] or f"one number, order {paper_bound['order']}"


def _verified_note(verified: dict[str, Any]) -> str:
    if verified["status"] != "ok":
        return verified["reason"]
    return f"the whole gradient; like a Gaussian of noise multiplier {number(verified['sigma_effective'])}"
