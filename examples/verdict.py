"""Ask what a published noise really spends, and read the answer.

    python examples/verdict.py lmo-0.3

The argument is a published point (a wrong name lists them) or a noise file of your own.
"""

import sys

import lmodp
from lmodp.reporting.formats import interval


def main(name, *, dataset_size=67349, batch_size=2048, steps=192, delta=1e-10):
    """Print every answer to "what is epsilon?" and the verdict on the claim; return the verdict."""
    noise = lmodp.load_noise(name)
    plan = lmodp.Plan(noise=noise, sampling_rate=batch_size / dataset_size, steps=steps, delta=delta)
    answers = lmodp.account(plan)

    # 1. What the authors' public code says of the whole run, faults included. Nothing may rest on it.
    claimed = answers["claimed"]["epsilon_run"]
    print(f"claimed: {claimed:.4g}" if claimed else f"claimed: nothing ({answers['claimed']['reason']})")

    # 2. What is proven: the true epsilon of the whole run lies in this interval. The upper end may be stated.
    lower, upper = answers["verified"]["lower"], answers["verified"]["upper"]
    print(f"verified: {interval(lower, upper)}")  # both ends rounded outwards

    # 3. The verdict. A claim below the lower end is false, however the noise is accounted for.
    if claimed is None:
        verdict = "no claim"
    elif claimed < lower:
        verdict = f"broken: the claim is too small by a factor of at least {lower / claimed:.2g}"
    elif claimed >= upper:
        verdict = "holds"
    else:
        verdict = "open: the claim lies inside the proven interval"
    print(f"verdict: {verdict}")

    # 4. How much noise there is: its standard deviation, and that of the Gaussian that hides as much.
    spread, gaussian = answers["noise"]["noise_multiplier"], answers["verified"]["sigma_effective"]
    print(f"noise: {spread:.3g} clip norms, of which {gaussian:.3g} hide as a Gaussian does")
    return verdict


if __name__ == "__main__":
    main(sys.argv[1])
