"""``lmodp calibrate``: compute a noise that reaches a privacy target, as a file for ``lmodp account``."""

import argparse
import json

from lmodp.commands.arguments import FAMILIES, add_methods_folder, add_run, describe_run, load_law, new_file, read_run
from lmodp.errors import require
from lmodp.vocabulary import ACCOUNTANTS, SCOPES

SHAPED = "laplace_mixture"
SHAPE = "lmo-0.3"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", required=True, choices=(*FAMILIES, SHAPED))
    shape = f"the law whose shape is kept; only its scale is computed (default {SHAPE})"
    parser.add_argument("--shape", metavar="NAME|FILE", help=shape)
    add_methods_folder(parser)
    parser.add_argument("--epsilon", type=float, required=True, metavar="E", help="epsilon to reach")
    parser.add_argument("--accountant", required=True, choices=ACCOUNTANTS)
    add_run(parser)
    parser.add_argument("--dimension", type=int, help="number of released coordinates (default: many)")
    scope = "whether epsilon is of one step or of the run (default: step for claimed, else run)"
    parser.add_argument("--scope", choices=SCOPES, help=scope)
    parser.add_argument("--full", action="store_true", help="verified: the narrowest bound, in up to a minute")
    parser.add_argument("--output", type=new_file, metavar="FILE", help="write the noise to a file, do not print it")
    parser.add_argument("--json", action="store_true", help="no effect: the noise is always JSON")


def run(args: argparse.Namespace) -> int:
    run = read_run(args)
    require(args.epsilon > 0, "epsilon", args.epsilon, "must be above 0")
    from lmodp.accounting import scale_to_target

    names = ("accountant", "epsilon", "relative_sensitivity", "dimension", "scope", "full")
    rule = f"goes with --family {SHAPED} alone"
    require(args.shape is None or args.family == SHAPED, "shape", args.shape, rule, "Leave it out, or change --family.")
    law = load_law(args, args.shape or SHAPE) if args.family == SHAPED else args.family
    noise = scale_to_target(law, **{name: getattr(args, name) for name in names}, **run)
    text = json.dumps(noise.to_dict(), indent=2, allow_nan=False)
    if args.output is None:
        print(text)
        return 0
    args.output.write_text(text + "\n", encoding="utf-8")
    multiplier = noise.std / args.relative_sensitivity
    scope = args.scope or ("step" if args.accountant == "claimed" else "run")
    print(
        f"wrote {args.output}: {noise.family} noise of noise multiplier {multiplier:.6g}\n"
        f"its {args.accountant} epsilon of the {scope} is at most {args.epsilon:g} ({describe_run(run)})"
    )
    return 0
