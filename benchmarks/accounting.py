"""What a certificate costs, in units of what importing the libraries costs.

    python benchmarks/accounting.py [--repeats N]

Three ratios, each the median over the repeats, in processor time, so that a busy machine and a slow one give nearly
the same: `lmodp account` in a fresh process; the same question again in one process, where the noise's Renyi curve is
kept; and a noise that this process has not seen. The unit is a fresh process that imports numpy, scipy and
dp_accounting, which every certificate needs.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import lmodp
from lmodp.mechanisms import Noise

QUESTION = {"sampling_rate": 0.0304, "steps": 192, "delta": 1e-10}
COMMAND = "-m lmodp.cli account --noise lmo-0.3 --sampling-rate 0.0304 --steps 192 --delta 1e-10".split()
LIBRARIES = "import numpy, scipy.special, scipy.optimize, scipy.integrate, dp_accounting"


def main() -> None:
    """Measure and print the three ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    law = lmodp.load_noise("lmo-0.3")
    account(law)  # imports, and the curve of this noise
    unit = median(repeats, lambda _: process("-c", LIBRARIES))
    new = [law.scaled(1 + 1e-4 * number) for number in range(1, repeats + 1)]
    rows = {
        "lmodp account, fresh process": median(repeats, lambda _: process(*COMMAND)),
        "account, a noise that is new": median(repeats, lambda number: inside(lambda: account(new[number]))),
        "account, the noise was seen before": median(repeats, lambda _: inside(lambda: account(law))),
    }
    print(f"importing the libraries: 1 (here {unit:.2f} s of processor time)")
    for name, seconds in rows.items():
        print(f"{name}: {seconds / unit:.2g}")


def account(noise: Noise) -> None:
    """Ask for every answer about one noise."""
    lmodp.account(lmodp.Plan(noise=noise, **QUESTION))


def median(repeats: int, measure: Callable[[int], float]) -> float:
    """Return the median of what is measured for the numbers 0 ... repeats - 1."""
    return statistics.median(measure(number) for number in range(repeats))


def process(*arguments: str) -> float:
    """Return the processor time of a fresh Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def inside(work: Callable[[], None]) -> float:
    """Return the processor time of something done in this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
