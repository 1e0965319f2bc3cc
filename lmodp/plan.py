"""The plan of a private run: sampling rate, steps, clip norm, sensitivity and noise in one object.

The sampler, the clipper, the noise and the certificate all receive the same
`Plan`, so they cannot use different rates or clip norms. After a run, `verify_run`
compares what ran with the plan, field by field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from lmodp.errors import given, require
from lmodp.mechanisms import DEFAULT, Noise, Releases, Schedule
from lmodp.mechanisms.noise import whole
from lmodp.vocabulary import ADJACENCY, CLIPPINGS, PRIVACY_UNIT

_WRITE = "Write Releases(correlation=...), Releases(step=...), Releases(clip=...) or Releases(schedule=...)."
BUILT = {"adjacency": ADJACENCY, "privacy_unit": PRIVACY_UNIT}  # the one value that has an accountant and an engine


class Phase(NamedTuple):
    """Steps that are alike: factor of the noise relative to the sensitivity, sampling rate, and their number."""

    noise: float
    sampling_rate: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sequence of noisy sums of clipped per-example gradients.

    Each of the ``steps`` steps does the following:

    1. It samples every example independently with probability ``sampling_rate``.
    2. It sums the gradients of the sampled examples, each of L2 norm at most ``clip_norm``.
    3. It adds ``noise_scale`` times an independent draw of ``noise`` to every coordinate.
    4. It divides the noisy *sum* by the constant ``expected_batch_size``.

    ``releases`` may change what a step releases and how the steps hang together (`lmodp.mechanisms.releases`).

    Args:
        noise: law of the noise in one coordinate; None for no noise.
        sampling_rate: q in (0, 1], probability per example and step.
        steps: T >= 1, number of noisy sums released.
        delta: in (0, 1), or None for a run without a privacy statement.
        clip_norm: C > 0, L2 bound on one example's gradient; ``inf`` only when
            ``clipping`` is "none".
        clipping: "flat" (min(1, C/norm)), "automatic" (C/(norm + 0.01), Bu et
            al. 2022; the result's norm is below C) or "none".
        noise_scale: factor that multiplies the noise; None means ``clip_norm``, as
            in the suite's own engine. The public experiment code of LMO-DP does not
            scale its noise: there it is 1.0.
        dataset_size: N, number of training examples; None if only the rate
            matters (as for ``lmodp account``).
        adjacency, privacy_unit: what the accountants assume; other values are not supported.
        releases: what a step releases, and how the steps hang together.

    Raises:
        InvalidValue: a field is outside the range stated above.
    """

    noise: Noise | None
    sampling_rate: float
    steps: int
    delta: float | None = None
    clip_norm: float = 1.0
    clipping: str = "flat"
    noise_scale: float | None = None
    dataset_size: int | None = None
    adjacency: str = ADJACENCY
    privacy_unit: str = PRIVACY_UNIT
    releases: Releases = DEFAULT

    def __post_init__(self) -> None:
        self._require(isinstance(self.releases, Releases), "releases", "must be a Releases of lmodp.mechanisms", _WRITE)
        law = self.noise is None or isinstance(self.noise, Noise)
        self._require(law, "noise", "must be a noise law", 'Write Gaussian(std=1.0), or load_noise("lmo-0.3").')
        valid = 0 < self.sampling_rate <= 1
        self._require(valid, "sampling_rate", "must be in (0, 1]", "It is expected_batch_size / dataset_size.")
        whole("steps", self.steps)
        remedy = "Choose a value below 1 / dataset_size, for example 1e-10."
        self._require(self.delta is None or 0 < self.delta < 1, "delta", "must be in (0, 1)", remedy)
        self._require(self.dataset_size is None or self.dataset_size >= 1, "dataset_size", "must be at least 1")
        self._require_sound_clipping()
        for name, only in BUILT.items():
            self._require(getattr(self, name) == only, name, f"must be {only!r}; nothing else is built")
        largest = max(phase.sampling_rate for phase in self.phases)
        rule = f"reaches {largest:.4g} within the run by its releases, must be at most 1"
        self._require(largest <= 1, "sampling_rate", rule, "Use fewer bands or smaller batches.")

    def _require_sound_clipping(self) -> None:
        clips = self.clipping != "none"
        self._require(self.clipping in CLIPPINGS, "clipping", f"must be one of {', '.join(CLIPPINGS)}")
        self._require(self.clip_norm > 0, "clip_norm", "must be above 0")
        finite = math.isfinite(self.clip_norm)
        self._require(finite or not clips, "clip_norm", "must be finite if gradients are clipped")
        rule = "does not bound the sensitivity, so noise gives no privacy"
        self._require(clips or self.noise is None, "clipping", rule, "Use clipping 'flat'.")
        plain = self.noise_scale is None or self.releases == DEFAULT
        self._require(plain, "noise_scale", "must be left out with releases other than the default")
        remedy = "Leave it out to scale the noise by clip_norm."
        self._require(self.noise_scale is None or self.noise_scale > 0, "noise_scale", "must be above 0", remedy)

    def _require(self, condition: bool, name: str, rule: str, remedy: str = "") -> None:
        require(condition, name, getattr(self, name), rule, remedy)

    @classmethod
    def for_batches(cls, *, expected_batch_size: float, dataset_size: int, **fields: Any) -> Plan:
        """Return the plan whose rate is ``expected_batch_size / dataset_size``."""
        require(
            0 < expected_batch_size <= dataset_size,
            "expected_batch_size",
            expected_batch_size,
            f"must be above 0 and at most the {dataset_size} training examples (rate q = B/N <= 1)",
            "Lower expected_batch_size.",
        )
        return cls(sampling_rate=expected_batch_size / dataset_size, dataset_size=dataset_size, **fields)

    @property
    def private(self) -> bool:
        """Whether noise is added; without noise there is no privacy statement."""
        return self.noise is not None

    @property
    def given_noise(self) -> Noise:
        """``noise``, for a reader that needs one; a plan without noise is refused."""
        return given(self.noise, "noise", "is needed for a privacy statement")

    @property
    def given_delta(self) -> float:
        """``delta``, for a reader that needs one; a plan without delta is refused."""
        return given(self.delta, "delta", "is needed for a privacy statement", "Set plan.delta.")

    @property
    def expected_batch_size(self) -> float:
        """B = qN, the public constant that divides every noisy sum."""
        return self.sampling_rate * given(self.dataset_size, "dataset_size", "is needed for the batch size")

    @property
    def effective_noise_scale(self) -> float:
        """The factor that multiplies the noise: the sensitivity of what a step releases, unless stated."""
        return self.clip_norm * self.releases.sensitivity if self.noise_scale is None else self.noise_scale

    @property
    def relative_sensitivity(self) -> float:
        """Sensitivity of the sum divided by the factor of the noise: 1 for the suite's engine."""
        return 1.0 if self.noise_scale is None else self.clip_norm / self.noise_scale

    @property
    def relative_gradient(self) -> float:
        """Length of a clipped gradient divided by the factor of the noise: less where a step releases more beside."""
        return self.clip_norm / self.effective_noise_scale

    @property
    def sampler(self) -> str:
        """How batches are drawn."""
        return self.releases.correlation.sampler

    @property
    def releases_per_step(self) -> int:
        """Noisy vectors that a step releases."""
        return self.releases.per_step

    @property
    def noise_schedule(self) -> str:
        """ "constant" where noise, clip norm and rate are those of the plan at every step."""
        return "constant" if self.releases.schedule == Schedule() else "scheduled"

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What the accountants compose: sampled releases of sensitivity 1, those that are alike together.

        With b bands, T steps at rate q are ceil(T/b) releases at rate b q (`lmodp.mechanisms.releases.Banded`).
        """
        bands, schedule = self.releases.correlation.bands, self.releases.schedule
        if schedule == Schedule():
            return (Phase(1.0, bands * self.sampling_rate, -(-self.steps // bands)),)
        counted: dict[tuple[float, float], int] = {}
        for first, end in pairwise([*(start for start in schedule.starts if start < self.steps), self.steps]):
            alike = schedule.at("noise", first), self.sampling_rate * schedule.at("batch", first)
            counted[alike] = counted.get(alike, 0) + end - first
        return tuple(Phase(*alike, number) for alike, number in counted.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values (infinite clip norm as null)."""
        return {
            "noise": None if self.noise is None else self.noise.to_dict(),
            "sampling_rate": self.sampling_rate,
            "steps": self.steps,
            "delta": self.delta,
            "clip_norm": self.clip_norm if math.isfinite(self.clip_norm) else None,
            "clipping": self.clipping,
            "noise_scale": self.noise_scale,
            "dataset_size": self.dataset_size,
            "adjacency": self.adjacency,
            "sampler": self.sampler,
            "privacy_unit": self.privacy_unit,
            "releases_per_step": self.releases_per_step,
            "noise_schedule": self.noise_schedule,
            **({} if self.releases == DEFAULT else {"releases": self.releases.to_dict()}),
        }
