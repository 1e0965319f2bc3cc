"""Any noise and any run has an interval, or is refused, or has none with a reason; and no work without end."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lmodp.accounting import account_mechanism, verified_run
from lmodp.accounting.pld import convolution
from lmodp.accounting.rdp import supremum
from lmodp.errors import LmodpError
from lmodp.mechanisms import Gaussian, Laplace, load_noise, noise_from_dict
from lmodp.plan import Plan

LMO = load_noise("lmo-0.3").to_dict()
GAUSS = {"family": "gaussian", "std": 1.0}


def account(noise=LMO, *, sampling_rate=0.03, steps=10, delta=1e-10, sensitivity=1.0, dimension=None):
    """Return the certificate, or None where it is refused."""
    try:
        plan = Plan(
            noise=noise_from_dict(noise),
            sampling_rate=sampling_rate,
            steps=steps,
            delta=delta,
            clip_norm=sensitivity,
            noise_scale=1.0,
        )
        return account_mechanism(plan, dimension=dimension)
    except LmodpError as error:
        assert " = " in str(error) or "Use " in str(error)
        return None


def has_an_answer(certificate):
    """The interval's ends are in order, and what is missing has a reason."""
    if certificate is None:
        return
    found = certificate["verified"]
    lower, upper = found["lower"], found["upper"]
    assert lower is not None and 0 <= lower
    if upper is None:
        assert found["status"] in ("infinite", "unsupported") and found["reason"]
    else:
        assert lower <= upper and found["status"] == "ok"
        assert lower > 0 or upper == 0 or found["reason"]
    for section in ("claimed", "paper_bound", "pure_scalar", "noise"):
        assert certificate[section]["status"] == "ok" or certificate[section]["reason"], section


@dataclass
class Work:
    """What an account did: values of Renyi moments, and the lengths of transforms."""

    moments: int = 0
    lengths: list = field(default_factory=lambda: [0])


@pytest.fixture(scope="module")
def work():
    done, patch = Work(), pytest.MonkeyPatch()
    bound, transform = supremum.ratio_bound, convolution.rfft

    def counted_bound(noise, nodes, *, order, v0, v1):
        done.moments += len(order)
        return bound(noise, nodes, order=order, v0=v0, v1=v1)

    def counted_transform(values):
        done.lengths.append(len(values))
        return transform(values)

    patch.setattr(supremum, "ratio_bound", counted_bound)
    patch.setattr(convolution, "rfft", counted_transform)
    yield done
    patch.undo()


def bounded(work, before):
    assert work.moments - before <= 300_000
    assert max(work.lengths) <= 2**22


@pytest.mark.parametrize(
    "case",
    [
        {"delta": 5e-324},
        {"sampling_rate": 1e-320},
        {"sampling_rate": 1e-15, "steps": 10**18},
        {"steps": 10**23},
        {"steps": 10**9},
        {"delta": 1 - 1e-12},
        {"sensitivity": 1e300},
        {"sensitivity": 1e-300},
        {"noise": {"family": "gaussian", "std": 1.2}, "sampling_rate": 3e-15, "steps": 10**14, "delta": 2e-260},
        {"noise": {"family": "gaussian", "std": 1e12}},
        {"noise": {"family": "gaussian", "std": 1e-80}},
        {"noise": {"family": "laplace", "scale": 1e-80}},
        {"noise": {"family": "laplace", "scale": 1e80}},
        {"noise": {"family": "laplace", "scale": 1e6}, "dimension": 7},
        {
            "noise": {"family": "laplace_mixture", "rate": {"exponential": {"weight": 1.0, "rate": 8e19}}},
            **{"sampling_rate": 1.0, "steps": 8 * 10**19, "delta": 1e-323, "dimension": 1},
        },
        {"noise": {"family": "laplace", "scale": 1e-12}, "sampling_rate": 1e-30, "dimension": 1},
        {"noise": {"family": "laplace_mixture", "rate": {"gamma": {"weight": 1, "shape": 1e18, "scale": 1e-18}}}},
        {"noise": {"family": "laplace_mixture", "rate": {"gamma": {"weight": 1, "shape": 1e-3, "scale": 1}}}},
        {
            "noise": {
                "family": "laplace_mixture",
                "rate": {
                    "gamma": {"weight": 1, "shape": 1e-3, "scale": 1},
                    "exponential": {"weight": 1e-6, "rate": 1},
                },
            }
        },
        {
            "noise": {
                "family": "laplace_mixture",
                "rate": {"truncated_normal": {"weight": 1, "mean": 1, "std": 1e-25, "low": 0}},
            }
        },
    ],
    ids=str,
)
def test_named_far_ends_have_an_answer(case, work):
    before = work.moments
    has_an_answer(account(**case))
    bounded(work, before)


def numbers():
    """Numbers of every size that a double has, most of them moderate."""
    sizes = st.one_of(st.floats(-3, 3), st.floats(-12, 12), st.floats(-310, 308))
    return sizes.map(lambda exponent: 10.0**exponent)


PARTS = {
    "gamma": ("weight", "shape", "scale"),
    "exponential": ("weight", "rate"),
    "uniform": ("weight", "high"),
}


@st.composite
def noises(draw):
    family = draw(st.sampled_from(["gaussian", "laplace", "laplace_mixture"]))
    if family != "laplace_mixture":
        return {"family": family, {"gaussian": "std", "laplace": "scale"}[family]: draw(numbers())}
    kinds = draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3, unique=True))
    rate = {kind: {name: draw(numbers()) for name in PARTS[kind]} for kind in kinds}
    if "uniform" in rate:
        rate["uniform"]["low"] = draw(st.just(0.0) | st.floats(0, 1)) * rate["uniform"]["high"]
    return {"family": family, "rate": rate}


@given(
    noise=noises(),
    sampling_rate=st.just(1.0) | st.floats(-323, 0).map(lambda exponent: 10.0**exponent).filter(lambda q: q > 0),
    steps=st.floats(0, 23).map(lambda exponent: int(10**exponent)),
    delta=st.floats(-323, -1e-9).map(lambda exponent: 10.0**exponent).filter(lambda delta: delta > 0),
    sensitivity=st.just(1.0) | numbers(),
    dimension=st.sampled_from([None, None, None, 1]),
)
@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_noise_and_any_run_have_an_answer(work, **case):
    before = work.moments
    has_an_answer(account(**case))
    bounded(work, before)


def test_the_limit_at_tiny_epsilon_is_that_of_a_fine_lattice():
    """A lattice of losses coarser than epsilon gave 1.2e-4, three times too much."""
    for rate, steps, delta, limit in ((3.9e-6, 172, 2.3e-9, 3.737e-5), (1e-4, 10, 1e-8, 2.627e-4)):
        found = verified_run(load_noise("lmo-0.3"), sampling_rate=rate, steps=steps, delta=delta)
        assert found.gaussian_limit == pytest.approx(limit, rel=2e-4)
        assert found.lower < found.gaussian_limit


def test_a_million_sampled_steps_of_a_gaussian_have_a_lower_end():
    """By moments of the log ratio the exact value is about 0.459: the central limit, and its first correction."""
    found = verified_run(Gaussian(std=1.0), sampling_rate=1e-4, steps=10**6, delta=1e-5)
    assert 0.457 < found.lower <= found.gaussian_limit < 0.461
    few = verified_run(Gaussian(std=1.0), sampling_rate=1e-4, steps=10**5, delta=1e-5)
    assert 0 < few.lower < found.lower


def test_more_steps_and_weaker_noise_than_doubles_resolve_keep_the_lower_end_of_less():
    many, more = (verified_run(Laplace(scale=20), sampling_rate=0.1, steps=t, delta=1e-6) for t in (2**22, 10**12))
    assert 0 < many.lower == more.lower < many.upper < more.upper
    weak, weaker = (verified_run(Laplace(scale=b), sampling_rate=0.1, steps=5, delta=1e-6) for b in (1e-3, 1e-40))
    assert 0 < weak.lower == weaker.lower < weak.upper < weaker.upper


def test_a_run_that_hardly_ever_uses_the_example_has_epsilon_0():
    found = verified_run(Laplace(scale=1e-3), sampling_rate=1e-9, steps=100, delta=1.1e-7)
    assert (found.lower, found.upper) == (0, 0)


def test_an_empty_interval_is_an_error_whatever_route_gave_it():
    from dataclasses import replace

    found = verified_run(Laplace(scale=20), sampling_rate=0.1, steps=5, delta=1e-6)
    with pytest.raises(ArithmeticError, match="empty"):
        replace(found, lower=found.upper * 1.001)
    assert math.isfinite(found.upper)


@pytest.mark.parametrize("rate", [1.0, 0.1])
@pytest.mark.parametrize("delta", [1e-15, 1e-20, 1e-100, 1e-323])
def test_no_lower_end_is_above_the_largest_loss(rate, delta):
    """Rounding puts some mass into the cell above the largest loss, log 4 here; it counted with 1.395 at tiny delta."""
    noise = noise_from_dict({"family": "laplace_mixture", "rate": {"exponential": {"weight": 1.0, "rate": 1.0}}})
    found = verified_run(noise, sampling_rate=rate, steps=1, delta=delta, dimension=1)
    assert found.lower <= math.log1p(rate * (4 - 1)) and found.lower <= found.upper
