"""What a certificate costs, in units of what importing the libraries costs.

    python benchmarks/accounting.py [--repeats N]

Each ratio is the median over the repeats, in processor time, so that a busy machine and a slow one give nearly the
same. First `lmodp account` in a fresh process; then, in one process, a noise that it has not seen, the same noise again
(its Renyi curve is kept), a search of the published space, an optimised noise, and a million trials of a mechanism's
audit. The unit is a fresh process that imports numpy, scipy and dp_accounting, which every certificate needs.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import lmodp
from lmodp.mechanisms import Noise
from lmodp.search import find_noise, optimise_noise
from lmodp.stages.audit_mechanism import Sampling, scores_of_mechanism

QUESTION = {"sampling_rate": 0.0304, "steps": 192, "delta": 1e-10}
COMMAND = "-m lmodp.cli account --noise lmo-0.3 --sampling-rate 0.0304 --steps 192 --delta 1e-10".split()
LIBRARIES = "import numpy, scipy.special, scipy.optimize, scipy.integrate, dp_accounting"


def main() -> None:
    """Measure and print the ratios."""
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
        "search of the published space": median(repeats, lambda _: inside(search)),
        "an optimised noise": median(repeats, lambda number: inside(lambda: optimise(1 + 0.1 * number))),
        "a million trials of an audit": median(repeats, lambda number: inside(lambda: audit(law, number))),
    }
    print(f"importing the libraries: 1 (here {unit:.2f} s of processor time)")
    for name, seconds in rows.items():
        print(f"{name}: {seconds / unit:.2g}")


def account(noise: Noise) -> None:
    """Ask for every answer about one noise."""
    lmodp.account(lmodp.Plan(noise=noise, **QUESTION))


def search() -> None:
    """Search the published space under the claimed accountant."""
    find_noise("published", accountant="claimed", objective="epsilon", epsilon=0.3, delta=QUESTION["delta"])


def optimise(epsilon: float) -> None:
    """Look for the noise of least variance for the question's run."""
    optimise_noise(epsilon=epsilon, **QUESTION)


def audit(noise: Noise, seed: int) -> None:
    """Draw the scores of a mechanism's audit."""
    scores_of_mechanism(lmodp.Plan(noise=noise, **QUESTION), Sampling(trials=1_000_000, seed=seed))


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
