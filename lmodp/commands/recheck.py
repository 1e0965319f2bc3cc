"""``lmodp recheck``: verify a certificate by code of its own, without solving anything."""

import argparse
import math
from pathlib import Path

from lmodp.commands.arguments import describe_run
from lmodp.errors import DamagedFile, LmodpError
from lmodp.reporting.formats import at_most

# Between two accountants of the same Gaussian; between two recursions, whose sticks are not bounded by the same cells.
_TOLERANCE = {"the accounting library": 1e-3, "the checker": 1e-4}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("certificate", type=Path, help="what `lmodp account --full --certificate FILE` has written")


def run(args: argparse.Namespace) -> int:
    from lmodp.accounting.domination.files import read_certificate
    from lmodp.accounting.domination.recheck import recheck, recheck_recursion
    from lmodp.accounting.gaussian import gaussian_pld_epsilon
    from lmodp.mechanisms import mixture_of

    statement, noise, arrays = read_certificate(args.certificate)
    try:
        plan = {name: statement[name] for name in ("sampling_rate", "steps", "delta")}
        if "smooth" in arrays:
            epsilon, other = recheck_recursion(mixture_of(noise), arrays, *plan.values()), "the checker"
            print(f"{plan['steps']} steps hold, one after the other.")
        else:
            sigma, other = 1 / math.sqrt(recheck(mixture_of(noise), arrays)), "the accounting library"
            epsilon = gaussian_pld_epsilon(noise_multiplier=sigma, interval=statement["epsilon"] / 5000, **plan)
            held = f"{arrays['table'].size:,} entries hold"
            print(f"{held}: one step is at most a Gaussian of noise multiplier {sigma:.6g}.")
    except LmodpError:
        raise
    except (LookupError, TypeError, ValueError) as error:  # arrays that are missing or do not fit each other
        raise DamagedFile(f"certificate = {str(args.certificate)!r}: is not complete ({error}).") from error
    stated, tolerance = statement["epsilon"], _TOLERANCE[other]
    if not epsilon <= stated * (1 + tolerance):
        raise DamagedFile(f"certificate: states epsilon {stated!r}, {other} finds {epsilon!r}")
    beyond = f", which is above the statement by less than the tolerance, {tolerance:g}" if epsilon > stated else ""
    print(f"epsilon is stated as {at_most(stated, 6)}: {describe_run(plan)}")
    print(f"{other} finds at most {at_most(epsilon, 6)}{beyond}.")
    return 0
