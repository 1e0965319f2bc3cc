"""How wide the verified interval is, against its marks, and the figure of Gamma in docs/verified_bounds.md.

    python benchmarks/certificates.py [--figure docs/assets/gamma.svg]

The table goes to benchmarks/results/certificates.md.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from dp_accounting import dp_event
from dp_accounting.rdp import rdp_privacy_accountant

from lmodp.accounting import verified_run
from lmodp.accounting.checks import Run
from lmodp.accounting.domination.budget import dominate
from lmodp.accounting.gaussian import gaussian_pld_epsilon
from lmodp.accounting.verified import narrowed
from lmodp.mechanisms import Gaussian, load_noise, mixture_of

SST2: Run = {"sampling_rate": 2048 / 67349, "steps": 192, "delta": 1e-10}
CASES: dict[str, tuple[str | float, Run, float]] = {  # noise, or the standard deviation of a Gaussian; run; mark
    **{f"{name} on the SST-2 plan": (name, SST2, mark) for name, mark in (("lmo-0.3", 0.01), ("lmo-0.7", 0.025))},
    **{f"lmo-{name} on the SST-2 plan": (f"lmo-{name}", SST2, 0.01) for name in (2, 3, 5)},
    **{f"lmo-{name} as drawn": (f"lmo-{name}-as_drawn", SST2, 0.01) for name in ("0.3", "0.7", "2", "3")},
    "q 1e-4, T 10": ("lmo-0.3", {"sampling_rate": 1e-4, "steps": 10, "delta": 1e-8}, 0.1),
    "q 3.9e-6, T 172": ("lmo-0.3", {"sampling_rate": 3.9e-6, "steps": 172, "delta": 2.3e-9}, 0.1),
    "q 1e-6, T 100,000": ("lmo-0.3", {"sampling_rate": 1e-6, "steps": 100_000, "delta": 1e-12}, 0.1),
    "q 8.8e-5, T 2": ("lmo-0.3", {"sampling_rate": 8.8e-5, "steps": 2, "delta": 2.1e-7}, 0.15),
    "Gaussian of std 4.536": (4.536, SST2, 0.001),
    "Gaussian of std 0.5814": (0.5814, SST2, 0.001),
}
ROOT = Path(__file__).parents[1]
HEAD = """# How wide a verified interval is

Made by `make bench-accounting`. Width is upper over lower end, less 1, with its mark. Beside it stands the accounting
library on the Gaussian of the same effective standard deviation, by Rényi orders and by privacy losses: for noise of
another law these are no bounds. Seconds are processor time of the full answer, for a noise that was not seen before or
only in an earlier row.

| case | quick | full | route | width, mark | library: Rényi | library: losses | seconds |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
SHOWN = ("lmo-3", "lmo-2", "lmo-0.3-as_drawn", "lmo-0.7", "lmo-0.3")


def main() -> None:
    """Write the table, or the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, metavar="FILE", help="write this figure instead of the table")
    arguments = parser.parse_args()
    if arguments.figure:
        draw(arguments.figure)
        return
    lines = [HEAD]
    for case, (noise, run, mark) in CASES.items():
        lines.append(row(case, noise, run, mark))
        print(lines[-1], flush=True)
    (ROOT / "benchmarks/results/certificates.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def row(case: str, source: str | float, run: Run, mark: float) -> str:
    """Return a line of the table."""
    noise = Gaussian(std=source) if isinstance(source, float) else load_noise(source)
    quick = verified_run(noise, **run)
    started = time.process_time()
    full = narrowed(verified_run(noise, full=True, **run), noise, **run)
    seconds = time.process_time() - started
    width = full.upper / full.lower - 1
    cells: list[Any] = [
        case,
        f"{quick.lower:.5g} to {quick.upper:.5g}",
        f"{full.lower:.5g} to {full.upper:.5g}",
        full.route,
        f"{width:.2%}, {mark:.1%} {'met' if width <= mark else 'missed'}",
        f"{library_rdp(noise.sigma_effective, run):.5g}",
        f"{gaussian_pld_epsilon(noise_multiplier=noise.sigma_effective, interval=full.upper / 5000, **run):.5g}",
        f"{seconds:.1f}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def library_rdp(sigma: float, run: Run) -> float:
    """Return the accounting library's epsilon by Renyi orders for a sampled Gaussian."""
    accountant = rdp_privacy_accountant.RdpAccountant()
    step = dp_event.PoissonSampledDpEvent(run["sampling_rate"], dp_event.GaussianDpEvent(sigma))
    accountant.compose(step, run["steps"])
    return float(accountant.get_epsilon(run["delta"]))


def draw(path: Path) -> None:
    """Draw Gamma over what its limit would be, against the squared norm of the gradient."""
    from lmodp.reporting.figures.style import LOOKS, log_axis, plt, style

    budgets = np.geomspace(0.01, 1, 150)
    with style():
        figure, panel = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
        for name, look in zip(SHOWN, LOOKS, strict=False):
            noise = mixture_of(load_noise(name))
            found = dominate(noise)
            ratio = [found.at(budget) / (noise.fisher_information * budget) for budget in budgets]
            label = f"{name} (√I = {math.sqrt(noise.fisher_information):.2f})"
            panel.plot(budgets, ratio, color=look.colour, linestyle=look.dash, label=label)
        panel.set(xscale="log", xlabel="squared norm of the gradient, s", ylabel="Γ(s) / (I s)")
        log_axis(panel.xaxis)
        panel.legend()
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
