"""``lmodp recheck``: verify a domination certificate by code of its own, without solving anything."""

import argparse
import math
from pathlib import Path

from lmodp.commands.arguments import describe_run
from lmodp.errors import DamagedFile
from lmodp.reporting.formats import at_most

_TOLERANCE = 1e-3  # between two accountants of the same Gaussian


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("certificate", type=Path, help="what `lmodp account --full --certificate FILE` has written")


def run(args: argparse.Namespace) -> int:
    from lmodp.accounting.domination.files import read_certificate
    from lmodp.accounting.domination.recheck import recheck
    from lmodp.accounting.gaussian import gaussian_pld_epsilon
    from lmodp.mechanisms import mixture_of

    statement, noise, arrays = read_certificate(args.certificate)
    sigma = 1 / math.sqrt(recheck(mixture_of(noise), arrays))
    plan = {name: statement[name] for name in ("sampling_rate", "steps", "delta")}
    epsilon = gaussian_pld_epsilon(noise_multiplier=sigma, interval=statement["epsilon"] / 5000, **plan)
    if not epsilon <= statement["epsilon"] * (1 + _TOLERANCE):
        raise DamagedFile(f"certificate: states epsilon {statement['epsilon']!r}, the library finds {epsilon!r}")
    print(f"{arrays['table'].size:,} entries hold: one step is at most a Gaussian of noise multiplier {sigma:.6g}.")
    stated = f"epsilon {at_most(statement['epsilon'], 6)} (by the accounting library: {epsilon:.6g})"
    print(f"{stated}: {describe_run(plan)}")
    return 0
