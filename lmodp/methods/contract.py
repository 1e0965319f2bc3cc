"""What a method is: one file in ``baselines/``, one row of the tables.

A method turns a privacy target into a mechanism and says how the model is trained.
``baselines/README.md`` is the contract: it lists everything that a method may
define. This module and the methods import nothing slow, because the workflow loads
all methods each time it is parsed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lmodp.errors import FOREIGN_ERRORS, describe_error, given, one_line
from lmodp.methods.engine import NO_RELEASE
from lmodp.vocabulary import CALIBRATIONS, OWN_ENGINE

if TYPE_CHECKING:
    import torch

    from lmodp.mechanisms import Noise, Releases
    from lmodp.methods.engine import Engine
    from lmodp.plan import Plan
    from lmodp.specs import CellSpec, MechanismSpec
    from lmodp.training import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Target:
    """The privacy target that a mechanism must reach.

    Args:
        calibration: "claimed" (as the method's authors compute it) or "verified"
            (the upper bound of the whole run).
        epsilon, delta: the target.
        sampling_rate, steps: q and T of the run.
        search: record of `search_noise` for this target, if the method sets
            ``needs_search``.
        dimension: number of trained parameters, if the method sets
            ``needs_dimension``.
        setting: name of the published point, if the target is one of the method's
            own ``published_points``.
        calibrated: what `calibrate` has answered, and for which releases.
    """

    calibration: str
    epsilon: float
    delta: float
    sampling_rate: float
    steps: int
    search: Mapping[str, Any] | None = None
    dimension: int | None = None
    setting: str | None = None
    calibrated: list[tuple[Noise, Releases | None]] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of(cls, spec: MechanismSpec, *, search: Mapping[str, Any] | None, dimension: int | None) -> Target | None:
        """Return the target of a mechanism; None for a method without privacy."""
        if spec.calibration is None or spec.epsilon is None or spec.delta is None:
            return None
        names = ("calibration", "epsilon", "delta", "sampling_rate", "steps", "setting")
        return cls(search=search, dimension=dimension, **{name: getattr(spec, name) for name in names})

    @property
    def given_dimension(self) -> int:
        """``dimension``, for a method that sets ``needs_dimension``."""
        return given(self.dimension, "dimension", "is needed", "Set needs_dimension = True in the method.")

    def calibrate(self, noise: Noise | str, releases: Releases | None = None) -> Noise:
        """Return a noise that reaches this target; rounding is to the private side.

        Under "claimed" the target is the epsilon of one step, by the published formula
        for the family. Under "verified" it is the upper bound for the whole run by Renyi divergences; a law
        without such a bound is held to what a Gaussian within it has exactly, and the record says so.

        Args:
            noise: a shape, which is multiplied by the smallest sufficient factor, or a name: "gaussian", "laplace"
                or a published point such as "lmo-0.3".
            releases: those of the mechanism's answer, if it states any; only under "verified".

        Raises:
            Unsupported: the accountant has no answer for it.
        """
        from lmodp.accounting import scale_to_plan, scale_to_target  # slow to import, and not needed to list methods
        from lmodp.plan import Plan

        run: Any = {"sampling_rate": self.sampling_rate, "steps": self.steps}
        asked: Any = {"epsilon": self.epsilon, "delta": self.delta}
        if releases is not None:
            found = scale_to_plan(noise, Plan(noise=None, releases=releases, **run), **asked)
        else:
            found = scale_to_target(noise, accountant=self.calibration, **asked, **run)
        self.calibrated.append((found, releases))
        return found


_VERIFIED = "its published claim is a verified epsilon of the whole run: see calibration 'verified'"
# Quarter decades down to what 10^11 trials would resolve.
CLAIM_DELTAS = tuple(10 ** (-k / 4) for k in range(2, 21))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim about the whole run by the method's own formula.

    It replaces LMO-DP's published formula in the certificate's ``claimed`` section.
    The suite shows a claim, but never relies on it.

    Args:
        epsilon: of the whole run; None if the formula has no answer.
        formula: name of the formula, in a few words for the tables.
        published_epsilon_run: the epsilon that was published for this point, if any.
        reason: why ``epsilon`` is None.
        epsilon_at: pairs (delta, epsilon) of the same formula at other deltas, only finite ones. Audits test
            at larger deltas than the target's and compare with these (`CLAIM_DELTAS` are enough). Without
            them an audit reports that it cannot compare.
    """

    epsilon: float | None
    formula: str
    published_epsilon_run: float | None = None
    reason: str = ""
    epsilon_at: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """The answer of a method: its noise and its claim.

    Args:
        noise: law of the noise in one coordinate, relative to the sensitivity of what a step releases (the
            clip norm, unless ``releases`` adds to it); None for no noise.
        releases: what a step releases and how the steps hang together (`lmodp.mechanisms.releases`); None for one
            independent noisy sum of clipped gradients a step.
        published_epsilon_step: the epsilon of one step that was published for this point, if it
            differs from the computed one.
        claim_noise: the law that the published claim was computed for, if it differs
            from that of the added noise.
        claim: a claim by another formula than that of LMO-DP's public code.
        note: one sentence for the record: where the parameters come from.
        details: further JSON values for the record.
    """

    noise: Noise | None
    releases: Releases | None = None
    published_epsilon_step: float | None = None
    claim_noise: Noise | None = None
    claim: Claim | None = None
    note: str = ""
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class PublishedPoint:
    """A method's own target, which runs in addition to the grid's targets.

    Args:
        setting: its name, unique within the method; it reaches the method as
            ``Target.setting``.
        epsilon: as published.
        delta: as published; None means the first delta of the grid.
        calibration: "claimed" or "verified".
    """

    setting: str
    epsilon: float
    delta: float | None = None
    calibration: str = "claimed"


class Method:
    """Base class of methods; subclasses state facts as class attributes, which the contract lists."""

    name: str
    title: str
    reference: str
    calibrations: tuple[str, ...] = ("claimed", "verified")
    not_under: Mapping[str, str] = {}
    tasks: tuple[str, ...] | None = None
    architectures: tuple[str, ...] | None = None
    requires: Mapping[str, str] = {}
    clipping: str = "flat"
    trainable: str | Mapping[str, Any] | None = None
    after_noise: str | None = None
    forward_passes: int | None = None
    engine: str = OWN_ENGINE
    mechanism_of: str | None = None
    noise_of: str | None = None
    needs_search: bool = False
    needs_dimension: bool = False

    def skip(self, spec: CellSpec) -> str | None:
        """Return why this method cannot compute a cell, or None if it can.

        The attributes are checked before; this is for all other reasons.
        """
        return None

    def mechanism(self, target: Target) -> Mechanism:
        """Return the mechanism that reaches the target; round to the private side.

        A method without privacy defines none.

        Raises:
            Unsupported: there is no such mechanism; the tables show the reason.
        """
        raise TypeError(f"{type(self).__name__} defines no mechanism()")

    def published_points(self, *, dataset: str, dataset_size: int) -> Sequence[PublishedPoint]:
        """Return the method's own targets for a data set."""
        return ()

    def build_optimizer(
        self, parameters: list[torch.nn.Parameter], settings: TrainingSettings, plan: Plan
    ) -> torch.optim.Optimizer:
        """Return the optimiser, or filter, named by ``after_noise``; gradients come noisy and divided.

        Learning rates are set by the suite before every step.
        """
        raise TypeError(f"{type(self).__name__} states after_noise and defines no build_optimizer()")

    def load_engine(self) -> Engine:
        """Return the engine named by ``engine``, if it is not the suite's own."""
        raise TypeError(f"{type(self).__name__} states engine {self.engine!r} and defines no load_engine()")

    @property
    def private(self) -> bool:
        """Whether the method makes a privacy statement."""
        return bool(self.calibrations)


class BrokenMethod(Method):
    """Replaces a method that cannot be used, so that its cells appear in the tables with the reason.

    Args:
        name: the method's name, or the name of its file.
        status: "import error", "not a method", "duplicate name" or which function raised.
        reason: what is wrong and what to do.
    """

    def __init__(self, name: str, *, status: str, reason: str):
        self.name = self.title = name
        self.reference = ""
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class LeftOut:
    """Why a cell is not computed: ``status`` "skipped" (the method has no answer) or "failed" (it is broken)."""

    status: str
    reason: str


def why_left_out(method: Method, spec: CellSpec, *, task: str, architecture: str) -> LeftOut | None:
    """Return why a method's cell is not computed, or None.

    Args:
        method: the method, or its `BrokenMethod`.
        spec: the cell's resolved spec.
        task, architecture: of the cell's data set and model.
    """
    if isinstance(method, BrokenMethod):
        return LeftOut("failed", f"{method.status}: {method.reason}")
    reason = missing_package(method) or _outside_axes(method, spec.calibration, task, architecture)
    if reason is None and method.engine != OWN_ENGINE and spec.randomness == "entropy":
        reason = NO_RELEASE
    if reason:
        return LeftOut("skipped", reason)
    try:
        reason = method.skip(spec)
    except FOREIGN_ERRORS as error:
        return LeftOut("failed", f"skip() of {method.name!r} raised {describe_error(error)}")
    if reason and not isinstance(reason, str):
        return LeftOut("failed", f"skip() of {method.name!r} returned {reason!r}, must return a reason or None")
    return LeftOut("skipped", one_line(reason)) if reason else None


def points_of(method: Method, datasets: Mapping[str, int]) -> tuple[Method, dict[str, Sequence[PublishedPoint]]]:
    """Return a method and its own points on every data set; a `BrokenMethod` if it raises.

    Args:
        method: the method.
        datasets: number of training examples by data set.
    """
    try:
        found: dict[str, Sequence[PublishedPoint]] = {
            name: tuple(method.published_points(dataset=name, dataset_size=size)) for name, size in datasets.items()
        }
        faults = [fault for points in found.values() if (fault := _fault_of_points(points))]
    except FOREIGN_ERRORS as error:
        return BrokenMethod(method.name, status="published_points() raised", reason=describe_error(error)), {}
    if faults:
        return BrokenMethod(method.name, status="not a method", reason=f"published_points() returned {faults[0]}"), {}
    return method, found


def _fault_of_points(points: Sequence[Any]) -> str | None:
    for point in points:
        if not isinstance(point, PublishedPoint):
            return f"{point!r}, must return PublishedPoint(setting=..., epsilon=...)"
        if not (isinstance(point.setting, str) and point.calibration in CALIBRATIONS):
            return f"{point!r}: setting must be a text, calibration one of {', '.join(CALIBRATIONS)}"
        if not 0 < point.epsilon < math.inf or not (point.delta is None or 0 < point.delta < 1):
            return f"{point!r}: epsilon must be above 0 and finite, delta in (0, 1) or None"
    settings = [point.setting for point in points]
    return f"settings {settings}, must be unique" if len(set(settings)) < len(settings) else None


def missing_package(method: Method) -> str | None:
    """Return which optional package a method lacks, with its install line, or None."""
    for package, install in method.requires.items():
        if not _installed(package):
            return f"missing package: {package} is not installed. Install it: {install}"
    return None


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except FOREIGN_ERRORS:  # a module of a package that is not installed, or that cannot be imported
        return False


def _outside_axes(method: Method, calibration: str | None, task: str, architecture: str) -> str | None:
    if calibration is not None and calibration not in method.calibrations:
        other = calibration == "claimed" and "verified" in method.calibrations
        default = _VERIFIED if other else f"{method.title} is not defined under calibration {calibration!r}"
        return method.not_under.get(calibration, default)
    for axis, value, known in (("task", task, method.tasks), ("architecture", architecture, method.architectures)):
        if known is not None and value not in known:
            return f"{method.title} is not defined for {axis} {value!r} (for {', '.join(known)})"
    return None
