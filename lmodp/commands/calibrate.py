"""``lmodp calibrate``: compute a noise that reaches a privacy target, as a file for ``lmodp account``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lmodp.accounting import scale_to_target
from lmodp.accounting.calibration import ACCOUNTANTS, SCOPES
from lmodp.mechanisms import Noise, load_noise

DEFAULT_SHAPE = "lmo-0.3"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--family", required=True, choices=("gaussian", "laplace", "laplace_mixture"))
    parser.add_argument(
        "--shape",
        default=DEFAULT_SHAPE,
        metavar="FILE|NAME",
        help=f"the laplace_mixture whose shape is kept; only its scale is computed (default {DEFAULT_SHAPE})",
    )
    parser.add_argument("--epsilon", type=float, required=True, metavar="E")
    parser.add_argument("--delta", type=float, required=True, metavar="D")
    parser.add_argument("--accountant", required=True, choices=ACCOUNTANTS)
    parser.add_argument("--sampling-rate", type=float, required=True, metavar="Q")
    parser.add_argument("--steps", type=int, required=True, metavar="T")
    parser.add_argument("--relative-sensitivity", type=float, default=1.0, metavar="S")
    parser.add_argument("--dimension", type=int, metavar="N", help="number of released coordinates (default: many)")
    parser.add_argument(
        "--scope",
        choices=SCOPES,
        help="whether epsilon is of one step or of the run (default: step for claimed, else run)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the noise to this file instead of printing it"
    )
    parser.add_argument("--json", action="store_true", help="no effect: the output is always JSON")


def run(args: argparse.Namespace) -> int:
    """Print or write the calibrated noise."""
    noise = scale_to_target(
        _shape(args),
        accountant=args.accountant,
        epsilon=args.epsilon,
        delta=args.delta,
        sampling_rate=args.sampling_rate,
        steps=args.steps,
        relative_sensitivity=args.relative_sensitivity,
        dimension=args.dimension,
        scope=args.scope,
    )
    text = json.dumps(noise.to_dict(), indent=2, allow_nan=False)
    if args.output is None:
        print(text)
    else:
        args.output.write_text(text + "\n", encoding="utf-8")
    return 0


def _shape(args: argparse.Namespace) -> Noise | str:
    return load_noise(args.shape) if args.family == "laplace_mixture" else args.family
