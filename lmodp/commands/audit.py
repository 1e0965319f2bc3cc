"""``lmodp audit``: a lower bound on a mechanism's epsilon, from samples."""

from __future__ import annotations

import argparse
import json

from lmodp.mechanisms import load_noise
from lmodp.plan import Plan


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--noise", required=True, help="JSON file, or a published name such as lmo-0.3 or lmo-0.3-as_drawn"
    )
    parser.add_argument("--sampling-rate", type=float, required=True, help="q, probability of an example per step")
    parser.add_argument("--steps", type=int, required=True, help="T, number of released noisy sums")
    parser.add_argument(
        "--delta",
        type=float,
        required=True,
        help="delta of the privacy statement; the audit tests at a larger one if the samples cannot resolve it",
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=1_000_000,
        help="number of transcripts, half with and half without the canary (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--relative-sensitivity",
        type=float,
        default=1.0,
        help="clip norm divided by the factor that multiplies the noise (default %(default)s)",
    )
    parser.add_argument(
        "--coordinates",
        type=int,
        help="M, number of coordinates over which the worst-case gradient is spread (default 16)",
    )
    parser.add_argument(
        "--draw",
        choices=("law", "coordinates"),
        help="'coordinates': the device's sampler draws every coordinate (default where --coordinates is "
        "given); 'law': the law of the log-likelihood ratio is drawn, which is much faster (default otherwise)",
    )
    parser.add_argument("--confidence", type=float, default=0.95, help="confidence of the bound (default %(default)s)")
    parser.add_argument("--claim-noise", help="the noise that the claim was computed for, if it differs from --noise")


def run(arguments: argparse.Namespace) -> int:
    """Print the audit as JSON."""
    from lmodp.stages.audit_mechanism import COORDINATES, audit  # imports torch

    sensitivity = arguments.relative_sensitivity
    plan = Plan(
        noise=load_noise(arguments.noise),
        sampling_rate=arguments.sampling_rate,
        steps=arguments.steps,
        delta=arguments.delta,
        clip_norm=sensitivity,
        noise_scale=1.0,
    )
    found = audit(
        plan,
        trials=arguments.trials,
        seed=arguments.seed,
        confidence=arguments.confidence,
        coordinates=arguments.coordinates or COORDINATES,
        draw=arguments.draw or ("coordinates" if arguments.coordinates else "law"),
        claim_noise=load_noise(arguments.claim_noise) if arguments.claim_noise else None,
    )
    print(json.dumps(found, indent=1))
    return 0
