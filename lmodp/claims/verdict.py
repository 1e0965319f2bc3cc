"""The verdict on a claim: about formulas and code, never about people.

=========================================  ==================================================================
``holds``                                  claimed >= proven upper end, with a noise scale that is printed or
                                           that the cited code yields
``does not hold``                          claimed < proven lower end
``open``                                   claimed lies within the proven interval, or readings differ
``not differentially private as coded``    a finding about the code of which no accountant can make up for
``holds only for Poisson sampling``        code that shuffles its batches and accounts for them as Poisson samples
``unsupported``                            what is missing is said
=========================================  ==================================================================
"""

from typing import NamedTuple

from lmodp.claims.routes import Route
from lmodp.reporting.formats import at_least, at_most

HOLDS, BROKEN, OPEN = "holds", "does not hold", "open"
NOT_DP, POISSON_ONLY = "not differentially private as coded", "holds only for Poisson sampling"
UNSUPPORTED = "unsupported"
VERDICTS = (HOLDS, BROKEN, OPEN, NOT_DP, POISSON_ONLY, UNSUPPORTED)
# Findings about the code that make it private for nobody.
FATAL = {
    "public_seed": "the noise comes from a public seed, so it can be subtracted",
    "one_draw_for_all_coordinates": "one draw of the noise serves all coordinates, so differences show the data",
    "batch_clipped": "the batch is clipped instead of its examples, so one example's share has no bound",
    "releases_not_composed": "releases are made that the accountant does not compose",
}
AS_MANY = "if both data sets have the same number of batches in an epoch"  # or the upper end is not proven


class Verdict(NamedTuple):
    """A verdict and its reason in one sentence."""

    verdict: str
    reason: str


def judged(claimed: float, routes: list[Route], *, rounded_to: float | None = None) -> Verdict:
    """Return the verdict on a claimed epsilon from the routes to it.

    Args:
        claimed: epsilon.
        routes: the proven ones decide; none may contradict another.
        rounded_to: unit of the claim's last digit, where it is a rounded result: half of it is allowed for.
    """
    (lower, upper), most = ends(routes), claimed + (rounded_to or 0.0) / 2
    rounding = "" if claimed == most else f"; the claim is rounded and allows {most:.6g}"
    if word := contradiction(routes):
        return Verdict(UNSUPPORTED, word)
    if upper is not None and most >= upper:
        return Verdict(HOLDS, f"epsilon is proven to be at most {at_most(upper, 6)}{rounding}")
    if lower is None or most >= lower:
        return Verdict(OPEN, f"the claimed epsilon lies within the proven interval{rounding}")
    return Verdict(BROKEN, f"epsilon is proven to be at least {at_least(lower, 6)}{rounding}")


def judged_shuffled(
    claimed: float, routes: list[Route], poisson: list[Route], *, rounded_to: float | None = None
) -> Verdict:
    """Return the verdict on shuffled batches, and what it would be for Poisson samples if they are accounted so.

    Args:
        claimed, rounded_to: as in `judged`.
        routes: to the epsilon of shuffled batches.
        poisson: to the epsilon that Poisson samples would have; empty if nobody accounts for them so.
    """
    found = judged(claimed, routes, rounded_to=rounded_to)
    if found.verdict in (HOLDS, UNSUPPORTED):
        return Verdict(HOLDS, f"{found.reason}, {AS_MANY}") if found.verdict == HOLDS else found
    lower, upper = (at_least(ends(routes)[0], 6), at_most(ends(routes)[1], 6))
    word = "the claim does not hold" if found.verdict == BROKEN else "whether the claim holds is not known"
    known = f"for shuffled batches {word}: epsilon is at least {lower} if the order is uniform, and at most {upper} "
    known += AS_MANY
    assumed = judged(claimed, poisson, rounded_to=rounded_to) if poisson else found
    if assumed.verdict == HOLDS:
        return Verdict(POISSON_ONLY, f"for Poisson samples {assumed.reason}; {known}")
    return Verdict(found.verdict, known)


def ends(routes: list[Route]) -> tuple[float | None, float | None]:
    """Return the largest proven lower end and the smallest proven upper end; None where there is none."""
    lower = [route.lower for route in routes if route.proven and route.lower is not None]
    upper = [route.upper for route in routes if route.proven and route.upper is not None]
    return max(lower, default=None), min(upper, default=None)


def contradiction(routes: list[Route]) -> str:
    """Return in which way two routes contradict each other; empty if none do."""
    for above in routes:
        for below in routes:
            if above.upper is not None and below.lower is not None and below.lower > above.upper:
                return f"the routes contradict each other: {below.name} finds at least {below.lower:.6g}, " + (
                    f"{above.name} at most {above.upper:.6g}"
                )
    return ""


def common(verdicts: dict[str, Verdict]) -> Verdict:
    """Return the verdict on a claim from those of its readings by name."""
    found = list(verdicts.values())
    if len({item.verdict for item in found}) == 1:
        return found[0] if len(found) == 1 else Verdict(found[0].verdict, f"under each of {len(found)} readings")
    told = "; ".join(f"{name}: {item.verdict}" for name, item in verdicts.items())
    return Verdict(OPEN, f"the verdict depends on the reading. {told}")
