"""The stage audit_training: one run of a cell, trained once more with canaries.

A bound from one run lies well below the truth (half of it is good); a bound of 0 refutes nothing and supports nothing.
``fit`` is the sharper witness of a run's conduct: it compares the released sums with the certified law, from both
sides, so that too much noise is found too. `lmodp.records.fields` explains every field of the audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lmodp.accounting.at_delta import accounts_at
from lmodp.auditing.likelihood import CanaryScore
from lmodp.auditing.one_run import Guesses, bound_from_run, plan_guesses
from lmodp.auditing.transcripts import (
    STATISTICS,
    Reference,
    fit_to_reference,
    participations,
    reference_scores,
    score_releases,
)
from lmodp.errors import given
from lmodp.mechanisms import Banded, Gaussian, Noise, noise_from_dict, released
from lmodp.plan import Plan
from lmodp.records.places import cell_path
from lmodp.records.record import read_runs
from lmodp.seeds import derive_seed
from lmodp.specs import CellSpec
from lmodp.stages.audit_mechanism import CONFIDENCE, verdict
from lmodp.stages.cell_runs import CellRuns, Task
from lmodp.stages.finetune_model import after_noise_of, seeds_of, settings_of
from lmodp.stages.tuning import training_examples
from lmodp.training import PoissonSampler, train
from lmodp.training.probes import CanaryExamples, CanaryModel, ReleaseRecorder, canary_loss
from lmodp.training.randomness import stream_key
from lmodp.training.settings import AfterNoise

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.methods.contract import Method


def draw_coins(canaries: int, seed: int) -> np.ndarray:
    """Return fair independent coins, (canaries,) of bool."""
    return np.random.Generator(np.random.Philox(seed)).random(canaries) < 0.5


@dataclass(frozen=True, kw_only=True)
class RunJudge:
    """Judges runs of one plan; what does not depend on a run's outcome is computed once.

    Args:
        canaries: m.
        seed: of the reference draws.
        claim_noise, own_claim: see `lmodp.accounting.at_delta.accounts_at`.
        steps: releases that are looked at; None for all of the plan's.
    """

    plan: Plan
    canaries: int
    confidence: float = CONFIDENCE
    seed: int = 0
    claim_noise: Noise | None = None
    own_claim: Mapping[str, Any] | None = None
    steps: int | None = None

    @property
    def delta(self) -> float:
        """Delta of the bound: 0.01/m, or the plan's where that is larger.

        The bound pays up to 2 m delta of its error; at 0.01/m that is little, and epsilon,
        with which it is compared, is smaller there than at the certificate's delta.
        """
        return max(self.plan.given_delta, 0.01 / self.canaries)

    @cached_property
    def score(self) -> CanaryScore:
        """Score of a canary with one coordinate of its own."""
        return CanaryScore(
            noise=self.plan.given_noise,
            relative_sensitivity=self.plan.relative_gradient,
            coordinates=1,
            sampling_rate=self.plan.phases[0].sampling_rate,
        )

    @cached_property
    def reference(self) -> Reference:
        """Scores of the mechanism as certified."""
        return reference_scores(self.score, steps=self.steps or self.plan.phases[0].steps, seed=self.seed)

    @cached_property
    def guesses(self) -> list[Guesses]:
        """How many coins each statistic guesses; fixed before any run is seen."""
        known, error = self.reference, (1 - self.confidence) / len(STATISTICS)
        best = plan_guesses(known.included, known.excluded, canaries=self.canaries, delta=self.delta, error=error)
        few = Guesses(included=self.canaries // 10, excluded=0)
        return [best, few, few]

    @cached_property
    def accounts(self) -> dict[str, Any]:
        """Each accountant's epsilon at the delta of the bound."""
        return accounts_at(self.plan, self.delta, claim_noise=self.claim_noise, own_claim=self.own_claim)

    def judge(self, released: np.ndarray, coins: np.ndarray) -> dict[str, Any]:
        """Return the audit of one run from its sums (T, m) in the canaries' directions, in the noise's units."""
        scores = score_releases(released, self.score)
        bound = bound_from_run(coins, scores, guesses=self.guesses, delta=self.delta, confidence=self.confidence)
        return {
            "scope": "run",
            "epsilon_lower": bound.epsilon_lower,
            "confidence": self.confidence,
            **verdict(bound.epsilon_lower, self.accounts),
            "canaries": self.canaries,
            "guesses": bound.guesses,
            "correct": bound.correct,
            "statistic": STATISTICS[bound.statistic],
            "delta": self.plan.delta,
            "delta_tested": self.delta,
            **self.accounts,
            "fit": fit_to_reference(coins, scores[:, 0], self.reference),
        }


def audit_training(
    cell: Cell, runs: CellRuns, *, noise_record: Mapping[str, Any], method: Method, canaries: int, confidence: float
) -> dict[str, Any]:
    """Train the first repetition of a cell with canaries and return the content of its ``audit.json``.

    Seeds, rate, steps and noise are those of the run without canaries; the data are longer by the canaries, so the
    constant divisor is larger by q times their number.
    """
    finetune, _ = runs.trained()
    if cell.spec.randomness == "entropy":
        reason = "the audited run is one more release of the same data, which the certificate does not count"
        return {"audit": None, "status": "skipped", "reason": reason}
    if finetune["status"] != "done":
        return {"audit": None, "status": finetune["status"], "reason": finetune["reason"]}
    _, evaluated = read_runs(cell_path(runs.root, cell.id, "evaluate_model"))
    spec = cell.spec.tuned(finetune["tuning"]["chosen"])
    coins = draw_coins(canaries, derive_seed(spec.base_seed, "sampling", audit="coins", cell=cell.id))
    plan = spec.plan(**released(noise_record))
    plan = replace(plan, dataset_size=spec.dataset_size + len(coins))
    if unlike := not_audited(plan):
        return {"audit": None, "status": "skipped", "reason": unlike}
    torch.set_num_threads(spec.threads)
    seeds = seeds_of(cell.spec, 0)
    sums, scores = _train(spec, runs.task, plan, coins, seeds, after_noise_of(method))
    sums = shown(sums, plan, seeds["sampling"])
    claim = noise_from_dict(noise_record["claim_noise"]) if noise_record["claim_noise"] else None
    judge = RunJudge(
        plan=plan,
        canaries=len(coins),
        confidence=confidence,
        claim_noise=claim,
        own_claim=noise_record["claim"],
        seed=derive_seed(spec.base_seed, "sampling", audit="reference", cell=cell.id),
        steps=len(sums),
    )
    utility = _utility(scores, evaluated[0])
    return {"audit": {**judge.judge(sums, coins), "run": cell.runs[0], "utility": utility}}


def not_audited(plan: Plan) -> str | None:
    """Return why one run with canaries cannot be judged under a plan, or None."""
    bands = plan.releases.correlation.bands
    if plan.releases.step.dimension is not None:
        return "all canaries of a run would share the few numbers that a step releases"
    if plan.releases.step.forward_passes or (plan.noise is not None and not plan.noise.independent):
        return "canaries are weights of their own, and what a step releases, or its noise, has no place for more"
    if len(plan.phases) > 1:
        return "canaries are scored for steps that are alike"
    if bands > 1 and not isinstance(plan.noise, Gaussian):
        return "with banded noise that is not Gaussian the rows of a participation have no known sum"
    if plan.steps < 2 * bands - 1:
        return f"{plan.steps} steps hold no whole participation of {bands} bands for every group"
    return None


def shown(released: np.ndarray, plan: Plan, seed: int) -> np.ndarray:
    """Return what a run's releases show of each participation of each canary: with independent noise, each step."""
    correlation = plan.releases.correlation
    if not isinstance(correlation, Banded):
        return released
    groups = given(PoissonSampler(plan=plan, key=stream_key(seed, randomness="seeded")).groups, "groups", "are drawn")
    return participations(released, correlation.coefficients, groups[-released.shape[1] :])


def _utility(scores: Mapping[str, Any], without: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The numbers that both scorings have."""
    names = [name for name, value in scores.items() if isinstance(value, (int, float)) and name in without]
    return {
        "with_canaries": {name: scores[name] for name in names},
        "without_canaries": {name: without[name] for name in names},
    }


def _train(
    spec: CellSpec, task: Task, plan: Plan, coins: np.ndarray, seeds: Mapping[str, int], after: AfterNoise | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return what the run released and its scores."""
    _, running, _ = task.model(seeds["head_init"])
    model = CanaryModel(running, len(coins))
    recorder = ReleaseRecorder(model)
    train(
        model,
        plan=plan,
        examples=CanaryExamples(training_examples(spec, task), coins),
        loss=canary_loss(task.loss, clip_norm=plan.clip_norm),
        settings=settings_of(spec),
        seeds=seeds,
        hooks=[recorder],
        after_noise=after,
    )
    return recorder.released, task.score(running)
