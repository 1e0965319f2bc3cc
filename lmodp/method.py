"""What a method is: one file in ``baselines/``, one row of the tables.

A method turns a privacy target into a mechanism and says how it is trained. The
contract, with everything a plug-in may state, is ``baselines/README.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmodp.mechanisms import Noise


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a mechanism is asked to reach.

    Args:
        calibration: "claimed" (the epsilon of one step, as the method's authors
            compute it) or "verified" (the upper bound of the whole run).
        epsilon, delta: the target.
        sampling_rate, steps: q and T of the run.
        search: record of `search_noise` for this target, where the method asks
            for one by ``needs_search``.
    """

    calibration: str
    epsilon: float
    delta: float
    sampling_rate: float
    steps: int
    search: Mapping[str, Any] | None = None

    def calibrate(self, noise: Noise | str) -> Noise:
        """Return a noise that reaches this target, on the private side.

        Args:
            noise: a shape, which is multiplied by the smallest sufficient factor,
                or the name of a family with one parameter: "gaussian", "laplace".

        Raises:
            Unsupported: the accountant has no answer for it.
        """
        from lmodp.accounting import calibrate_noise  # slow to import, and not needed to list methods

        return calibrate_noise(
            noise,
            accountant=self.calibration,
            epsilon=self.epsilon,
            delta=self.delta,
            sampling_rate=self.sampling_rate,
            steps=self.steps,
        )


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """What a method answers.

    Args:
        noise: law of the noise in one coordinate relative to the clip norm; None
            for no noise.
        nominal_step_epsilon: the per-step epsilon that the method's name for the
            setting says, where it differs from the computed one.
        claim_noise: the law that the published claim was computed for, where the
            noise that is added has another.
        note: one sentence for the record: where the parameters come from.
    """

    noise: Noise | None
    nominal_step_epsilon: float | None = None
    claim_noise: Noise | None = None
    note: str = ""


class Method:
    """Base class of methods; subclasses state facts as class attributes.

    Attributes:
        name: key in the configuration; also the file's name.
        title: for tables and figures.
        reference: where the method was published.
        calibrations: the targets it understands; () for a method without privacy.
        clipping: "flat", "automatic" or "none".
        needs_search: whether `mechanism` wants the record of the offline search.
    """

    name: str
    title: str
    reference: str
    calibrations: tuple[str, ...] = ("claimed", "verified")
    clipping: str = "flat"
    needs_search: bool = False

    def skip(self, spec: Mapping[str, Any]) -> str | None:
        """Return why this method has no answer for a cell, or None if it has.

        Args:
            spec: the cell's resolved spec (see ``lmodp.grid``).
        """
        if spec["calibration"] is not None and spec["calibration"] not in self.calibrations:
            return f"{self.title} is not defined under calibration {spec['calibration']!r}"
        return None

    def mechanism(self, target: Target) -> Mechanism:
        """Return the mechanism that reaches the target on the private side.

        Raises:
            Unsupported: there is none; the reason appears in the tables.
        """
        raise TypeError(f"{type(self).__name__} defines no mechanism()")

    @property
    def private(self) -> bool:
        """Whether the method makes a privacy statement at all."""
        return bool(self.calibrations)
