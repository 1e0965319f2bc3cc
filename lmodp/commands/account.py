"""``lmodp account``: what is epsilon? Every accountant's answer for one noise and one plan."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmodp.commands.arguments import add_noise, add_run, describe_run, new_file, read_plan
from lmodp.commands.printing import interval, number, show, step_and_run, table
from lmodp.errors import Unsupported

if TYPE_CHECKING:
    from lmodp.accounting.checks import Run
    from lmodp.plan import Plan


def configure(parser: argparse.ArgumentParser) -> None:
    add_noise(parser)
    add_run(parser)
    parser.add_argument("--dimension", type=int, help="number of released coordinates (default: many)")
    parser.add_argument("--full", action="store_true", help="the narrowest interval, in up to a minute")
    written = "with --full: write what `lmodp recheck` verifies (.npz)"
    parser.add_argument("--certificate", type=new_file, metavar="FILE", help=written)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    plan = read_plan(args)
    from lmodp.accounting import account_mechanism
    from lmodp.mechanisms import PUBLISHED

    # A published epsilon of one step is for the point as it is, at sensitivity 1.
    as_published = args.relative_sensitivity == 1 and args.noise_multiplier is None
    setting = PUBLISHED.get(args.noise) if as_published else None
    certificate = account_mechanism(
        plan,
        published_epsilon_step=setting.published_epsilon_step if setting else None,
        dimension=args.dimension,
        full=args.full,
    )
    if args.certificate:
        _write(args.certificate, plan, certificate["verified"], args.dimension)
    show(certificate, as_json=args.json, text=_text)
    return 0


def _write(path: Path, plan: Plan, verified: dict[str, Any], dimension: int | None) -> None:
    from lmodp.accounting.domination.files import write_certificate
    from lmodp.accounting.domination.recursion import over_steps
    from lmodp.accounting.verified import verified_run
    from lmodp.mechanisms import mixture_of

    route = verified["route"]
    refused = f"certificate = {str(path)!r}: the upper end is by the route {route!r}"
    if route not in ("domination", "recursion"):
        remedy = "Add --full." if verified["answer"] != "full" else "Its own accountant is the evidence."
        raise Unsupported(f"{refused}. Only the domination and the recursion, for mixtures, have a file. {remedy}")
    noise, followed = plan.given_noise.scaled(1 / plan.relative_sensitivity), None
    run: Run = {"sampling_rate": plan.sampling_rate, "steps": plan.steps, "delta": plan.given_delta}
    if route == "recursion":  # both are kept from the answer
        ceiling = verified_run(noise, dimension=dimension, full=True, **run).upper
        _, followed = over_steps(mixture_of(noise), ceiling=ceiling, **run)
        if len(followed["removal_variances"]) < plan.steps - 1:
            raise Unsupported(f"{refused} in blocks of steps. Only one block has a certificate.")
    write_certificate(path, noise, run=run, epsilon=verified["upper"], followed=followed)


def _text(certificate: dict[str, Any]) -> str:
    parts = ("claimed", "paper_bound", "verified", "noise")
    claimed, paper_bound, verified, noise = (certificate[part] for part in parts)
    bound = paper_bound["reason"] or f"one number, order {paper_bound['order']}"
    rows = [
        ("claimed", *step_and_run(claimed), _claimed_note(claimed)),
        ("paper's bound", *step_and_run(paper_bound), bound),
        ("pure scalar", number(certificate["pure_scalar"]["epsilon_step"]), "", "one release of one number, delta = 0"),
        ("verified", "", interval(verified), _verified_note(verified, certificate["plan"], noise["law"])),
    ]
    sensitivity = certificate["plan"]["relative_sensitivity"]
    sizes = ("noise_multiplier", "mean_abs", "sigma_effective")
    facts = {key: noise[key] and noise[key] / sensitivity for key in sizes} | {"efficiency": noise["efficiency"]}
    lines = "\n".join(f"  {key:20s} {number(value)}" for key, value in facts.items())
    answers = table(("epsilon", "one step", "whole run", ""), rows)
    return f"{describe_run(certificate['plan'])}\n\n{answers}\n\nnoise, over the clip norm\n{lines}"


def _claimed_note(claimed: dict[str, Any]) -> str:
    if claimed["status"] != "ok":
        return claimed["reason"]
    inside = claimed["order_in_domain"] in (True, None)
    outside = "" if inside else f"; order {claimed['order']} is outside the MGF's domain"
    published = claimed["published_epsilon_run"]
    note = "" if published is None else f"; from the published epsilon of one step {number(published)}"
    return f"as published{note}{outside}"


def _verified_note(verified: dict[str, Any], plan: dict[str, Any], law: dict[str, Any]) -> str:
    if verified["status"] != "ok":
        return verified["reason"]
    numbers = plan["dimension"] or law.get("dimension")
    what = "the whole gradient" if numbers is None else "one number" if numbers == 1 else f"{numbers:,} numbers"
    note = f"{what}; like a Gaussian of noise multiplier {number(verified['sigma_effective'])}"
    return note if verified["answer"] == "full" else f"{note}; quick, --full is narrower"
