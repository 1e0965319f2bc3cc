"""Every field of every record, declared once: its type, its meaning, and what it may give away.

A field is named by its path: ``audit.trials``; ``*`` stands for any key of an object and for any entry of a
list. An object without declared parts is declared elsewhere, and its meaning says where. Records are checked
against these declarations when they are written (an undeclared field is a defect) and when they are read (a field
of another type is damage). The documentation's tables of fields are made from them.

Each field has a mark:

- *public*: follows from the configuration, from public data or from the certified release alone;
- *private*: a key or a seed of the noise, or a statistic of its draws; with it the noise can be subtracted;
- *data-dependent*: computed from the training or evaluation examples, and covered by no certificate.

With ``randomness: entropy`` only public fields are written (`lmodp.records.field_checks.public_part`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Mark = Literal["public", "private", "data-dependent"]
PRIVATE: Mark = "private"
DATA: Mark = "data-dependent"

TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "count": (int,),
    "flag": (bool,),
    "object": (dict,),
    "list": (list,),
    "any": (str, int, float, bool, dict, list, type(None)),
}


class Field(NamedTuple):
    """A field: type (one of `TYPES`; with ``?`` it may be null), one line of meaning, and mark."""

    type: str
    meaning: str
    mark: Mark = "public"


Fields = Mapping[str, Field]

EVERY_RECORD: Fields = {
    "schema_version": Field("count", "version of the meaning of the fields"),
    "stage": Field("text", "the stage that wrote the record"),
    "sha256": Field("text", "SHA-256 of the record's content, created_by left out"),
    "created_by": Field("object", "who made it; outside the hash"),
    "created_by.code": Field("text", "fingerprint of the package files that the stage uses"),
    "created_by.versions": Field(
        "object", "versions of lmodp, of Python and of the packages that can change the result"
    ),
    "created_by.sha256": Field("text", "eight digits of a hash over the other facts of created_by"),
    "inputs": Field("object", "content hash of every record, and SHA-256 of every file, that it was computed from"),
    "status": Field("text", "done, skipped, failed or diverged"),
    "reason": Field("text?", "why, for every status but done"),
    "retry": Field("flag", "the cause of the failure may go away, so the next start tries again"),
    "spec": Field("object", "what was asked for, see lmodp.specs"),
    "files": Field("object", "SHA-256 of every file that was written with the record"),
}
RUNS: Fields = {
    "runs": Field("list", "the runs, one line each below this one"),
    "runs.*": Field("object", "one run"),
    "runs.*.run": Field("text", "id of the run"),
    "runs.*.status": Field("text", "done, skipped, failed or diverged"),
    "runs.*.reason": Field("text?", "why, for every status but done"),
    "runs.*.sha256": Field("text", "hash of the run's line"),
}
EVERY_LINE: Fields = {
    "run": Field("text", "id of the run"),
    "repetition": Field("count", "number of the repetition, from 0"),
    "status": Field("text", "done, skipped, failed or diverged"),
    "reason": Field("text?", "why, for every status but done"),
    "retry": Field("flag", "the cause of the failure may go away, so the next start tries again"),
    "sha256": Field("text", "hash of the line's content, created_by left out"),
}
RELEASES = Field("object", "what a step releases, where it is not a noisy sum; see lmodp.mechanisms.releases")
NOISE = "law of the noise relative to the clip norm, see lmodp.mechanisms; null for a method without privacy"
VERIFIED: Fields = {
    "scope": Field("text", "step or run"),
    "lower": Field("number", "epsilon is at least this; an estimate of the numerical error is taken off"),
    "upper": Field("number?", "epsilon is at most this; an estimate of the numerical error is added"),
    "upper_rdp": Field("number?", "the upper end by Renyi orders alone"),
    "order": Field("number?", "the Renyi order that gave it; null for another route"),
    "route": Field("text", "which valid bound gave the upper end"),
    "answer": Field("text", "quick, or full: every route was tried"),
    "left_out": Field("text", "routes that were not tried or refused the noise, and why"),
    "gaussian_limit": Field("number?", "epsilon in the limit of many coordinates; an estimate, no bound"),
    "sigma_effective": Field("number", "standard deviation of the Gaussian that hides as much in many dimensions"),
    "worst_shift": Field("number?", "size of one coordinate's shift that the upper end is largest at"),
    "mu": Field("number?", "of Gaussian differential privacy in the limit of many coordinates"),
    "zcdp": Field("number?", "rho of zero-concentrated differential privacy of the run"),
    "status": Field("text", "ok, or unsupported with the reason"),
    "reason": Field("text", "why, for every status but ok"),
}
AUDIT: Fields = {
    "scope": Field("text", "step or run"),
    "epsilon_lower": Field("number", "epsilon at delta_tested is at least this"),
    "confidence": Field("number", "probability of at least which it holds"),
    "refutes_claimed": Field("flag?", "epsilon_lower lies above the claim; null where nothing is claimed"),
    "refutes_paper_bound": Field("flag?", "epsilon_lower lies above the paper's bound"),
    "consistent_with_verified": Field("flag?", "epsilon_lower lies below the verified upper end"),
    "delta": Field("number", "of the certificate"),
    "delta_tested": Field("number", "delta of epsilon_lower and of the three epsilon beside it"),
    "claimed": Field("number?", "claimed epsilon of the run at delta_tested"),
    "claimed_note": Field("text?", "whose claim that is; why it is null, where it is"),
    "paper_bound": Field("number?", "the paper's bound of the run at delta_tested"),
    "verified": Field("object?", "verified interval of the run at delta_tested"),
}
DATASET: Fields = {
    "title": Field("text", "name of the data set"),
    "task": Field("text", "classification or table_to_text"),
    "licence": Field("text", "of the data"),
    "notes": Field("list", "what a reader must know of the data"),
    "evaluation_split": Field("text", "the split that is scored"),
    "labels": Field("list?", "names of the classes"),
    "sizes": Field("object", "examples of each split; N, the size of the training split, is public"),
    "label_counts": Field("object", "examples of each class by split", DATA),
    "records": Field("object", "distinct records and their references by split", DATA),
    "refused": Field("object", "rows that were left out, by reason", DATA),
    "one_class": Field("object", "the class of every split that holds one class only; scores say little there", DATA),
    "evaluation_in_training": Field(
        "count", "examples of the scored split that the training split holds as well", DATA
    ),
    "rows_sha256": Field("object", "hash of the rows of each split, by which two machines compare their data", DATA),
}


def _under(name: str, fields: Fields) -> dict[str, Field]:
    return {f"{name}.{path}": field for path, field in fields.items()}


RECORDS: dict[str, Fields] = {
    "search_noise": {
        "noise": Field("object?", "the law that was found"),
        "epsilon": Field("number?", "of the found law, by the accountant of the search"),
        "value": Field("number?", "of the objective at the found law"),
        "point": Field("count?", "number of the found point in the space"),
        "qualifying": Field("count", "points whose epsilon is at most the target"),
        "valid": Field("count", "points that the accountant can judge"),
        "points": Field("count", "points of the space"),
    },
    "calibrate_noise": {
        "epsilon_scope": Field("text?", "what the target epsilon is of: step or run"),
        "noise": Field("object?", NOISE),
        "releases": RELEASES,
        "claim_noise": Field("object?", "the law that the claim was computed for, where it is another one"),
        "published_epsilon_step": Field("number?", "published epsilon of one step"),
        "claim": Field("object?", "the claim of the method's own publication"),
        "claim.epsilon": Field("number", "claimed epsilon of the run"),
        "claim.formula": Field("text", "how the publication computes it"),
        "claim.published_epsilon_run": Field("number?", "as printed in the publication"),
        "claim.reason": Field("text", "why nothing is claimed"),
        "claim.epsilon_at": Field("list", "claimed epsilon at other delta, as pairs"),
        "clipping": Field("text", "flat, automatic or none"),
        "note": Field("text", "how the noise was chosen"),
        "details": Field("object", "numbers of the method's choice, named by the method's file"),
        "dimension": Field("count?", "coordinates of a release, where the method needs to know"),
    },
    "certify_mechanism": {
        "epsilon_scope": Field("text?", "what the target epsilon is of: step or run"),
        "rests_on": Field("text", "the number of training examples that the answers are for"),
        "noise": Field("object?", NOISE),
        "releases": RELEASES,
        "certificate": Field("object?", "the answers; null where there is nothing to certify"),
        "certificate.plan": Field("object", "what is certified, see lmodp.plan"),
        "certificate.claimed": Field("object", "first answer: the published formula as published"),
        "certificate.claimed.epsilon_step": Field("number?", "claimed epsilon of one step"),
        "certificate.claimed.epsilon_run": Field("number?", "claimed epsilon of the run"),
        "certificate.claimed.order": Field("number?", "the Renyi order that gave it"),
        "certificate.claimed.order_in_domain": Field("flag?", "whether the published bound exists at this order"),
        "certificate.claimed.sigma_classic": Field("number?", "sigma of the classic Gaussian formula"),
        "certificate.claimed.published_epsilon_step": Field("number?", "published epsilon of one step"),
        "certificate.claimed.published_epsilon_run": Field("number?", "published epsilon of the run"),
        "certificate.claimed.formula": Field("text", "how the publication computes it"),
        "certificate.claimed.status": Field("text", "ok, or unsupported with the reason"),
        "certificate.claimed.reason": Field("text", "why, for every status but ok"),
        "certificate.paper_bound": Field("object", "second answer: the published formula where it means something"),
        "certificate.paper_bound.epsilon_step": Field("number?", "of one step and one released number"),
        "certificate.paper_bound.epsilon_run": Field("number?", "of the run"),
        "certificate.paper_bound.order": Field("number?", "the Renyi order of epsilon_step"),
        "certificate.paper_bound.order_run": Field("number?", "the Renyi order of epsilon_run"),
        "certificate.paper_bound.status": Field("text", "ok, or unsupported with the reason"),
        "certificate.paper_bound.reason": Field("text", "why, for every status but ok"),
        "certificate.pure_scalar": Field("object", "pure epsilon of one released number"),
        "certificate.pure_scalar.epsilon_step": Field("number?", "of one step"),
        "certificate.pure_scalar.status": Field("text", "ok, or unsupported with the reason"),
        "certificate.pure_scalar.reason": Field("text", "why, for every status but ok"),
        "certificate.verified": Field("object", "third answer: the interval for the mechanism as it is used"),
        **_under("certificate.verified", VERIFIED),
        "certificate.at_1e-5": Field("object", "the verified interval at the customary delta"),
        "certificate.at_1e-5.delta": Field("number", "that delta"),
        "certificate.at_1e-5.verified": Field("object", "the interval there"),
        **_under("certificate.at_1e-5.verified", VERIFIED),
        "certificate.noise": Field("object", "scale, mean and tail of the law, see lmodp.accounting.certificate"),
        "certificate.numerical_error": Field("text", "how rounding and truncation are accounted for"),
    },
    "audit_mechanism": {
        "audit": Field("object?", "fourth answer; null where there is nothing to audit"),
        **_under("audit", AUDIT),
        "audit.trials": Field("count", "transcripts, half of them with the canary"),
        "audit.seed": Field("count", "of the transcripts; no data are drawn with it"),
        "audit.draw": Field("text", "how transcripts are drawn"),
        "audit.coordinates": Field("count", "coordinates that the canary's gradient is spread over"),
        "audit.law": Field("text", "how sums over coordinates are drawn"),
        "audit.delta_note": Field("text?", "why delta_tested is not delta, where it is not"),
        "audit.refutes_claimed_at_delta": Field("flag?", "the claim at the certificate's delta is refuted as well"),
        "audit.at_delta": Field("object", "the other answers at the certificate's delta"),
        "audit.sampling_rate": Field("number", "q"),
        "audit.steps": Field("count", "T"),
        "audit.relative_sensitivity": Field("number", "length of the canary's gradient over the clip norm"),
        "audit.adjacency": Field("text", "which data sets are neighbours"),
        "audit.sampler_assumed": Field("text", "how batches are drawn"),
        "audit.test": Field("object", "the test that gave the bound: statistic, threshold, hits, false hits"),
        "audit.curve": Field("object", "errors of all tests, and what each epsilon allows"),
        "audit.sampler": Field("object?", "the same with noise drawn by the sampler of training; null for a vector's"),
    },
    "prepare_dataset": DATASET,
    "prepare_model": {
        "title": Field("text", "name of the model"),
        "architecture": Field("text", "family, see lmodp.models.architectures"),
        "stands_for": Field("text?", "the published model that it takes the place of"),
        "licence": Field("text", "of the weights"),
        "notes": Field("list", "what a reader must know of the model"),
        "parameters": Field("count", "of the whole model"),
        "layers": Field("count", "blocks"),
        "hidden_size": Field("count", "width"),
        "weights_sha256": Field("text", "hash of the weights"),
        "pretraining": Field("object?", "how a small model was pretrained here, on public text"),
    },
    "tokenize_dataset": {
        "pad_token_id": Field("count?", "token that fills up a batch"),
        "vocabulary": Field("count", "tokens that the tokenizer knows"),
        "splits": Field("object", "what each split became"),
        "splits.*": Field("object", "one split"),
        "splits.*.examples": Field("count", "examples"),
        "splits.*.tokens": Field("count", "tokens in all", DATA),
        "splits.*.longest": Field("count", "tokens of the longest example", DATA),
        "splits.*.mean_length": Field("number", "tokens of the mean example", DATA),
        "splits.*.truncated": Field("count", "examples that were cut", DATA),
        "splits.*.without_target": Field("count", "examples that were cut before their target", DATA),
    },
    "cache_activations": {
        "frozen_layers": Field("count", "blocks whose outputs are kept"),
        "pooled": Field("flag", "whether one vector per example is kept, instead of one per token"),
        "splits": Field("object", "name, shape and bytes of each split's tensor"),
    },
    "finetune_model": {
        **RUNS,
        "epsilon_scope": Field("text?", "what the target epsilon is of: step or run"),
        "randomness": Field("text", "seeded (a benchmark, which protects nobody) or entropy (a release)"),
        "plan": Field("object?", "rate, steps, clip norm and noise of the runs, see lmodp.plan"),
        "released": Field("object?", "what a step releases"),
        "released.per_step": Field("count", "noisy vectors in a step"),
        "released.dimension": Field("count?", "numbers in such a vector"),
        "released.noise_schedule": Field("text", "whether noise and clip norm stay the same"),
        "device": Field("text?", "cpu or cuda"),
        "tuning": Field("object?", "how learning rate and clip norm were chosen"),
        "tuning.chosen": Field("object", "the chosen pair"),
        "tuning.budget": Field("count", "pairs that were tried"),
        "tuning.criterion": Field("text", "what was compared"),
        "tuning.trials": Field("list", "each pair with its validation loss", DATA),
        "tuning.privacy_cost": Field("text", "what the certificate says of the choice"),
        "trained": Field("object?", "names and numbers of the trained parameters"),
    },
    "evaluate_model": RUNS,
    "verify_run": RUNS,
    "audit_training": {
        "audit": Field("object?", "fourth answer, from one run with canaries", DATA),
        **_under("audit", {name: field._replace(mark=DATA) for name, field in AUDIT.items()}),
        "audit.canaries": Field("count", "made-up examples, each in the data with probability 1/2", DATA),
        "audit.guesses": Field("count", "coins that were guessed", DATA),
        "audit.correct": Field("count", "coins that were guessed right", DATA),
        "audit.statistic": Field("text", "the statistic that gave the bound", DATA),
        "audit.fit": Field("object", "p-values of the released sums against the certified law", DATA),
        "audit.run": Field("text", "id of the repetition", DATA),
        "audit.utility": Field("object", "scores with canaries and without", DATA),
    },
    "collect_results": {
        "grid": Field("text", "name of the grid"),
        "title": Field("text", "of the grid"),
        "keep_records": Field("flag", "whether records of earlier code count"),
        "compare": Field("object", "the two methods that the report compares"),
        "methods": Field("object", "title, source and kind of each method"),
        "experiments": Field("object", "data, model and settings of each experiment"),
        "mechanisms": Field("object", "the four answers of each mechanism"),
        "cells": Field("list", "one row of the tables each"),
        "comparisons": Field("list", "paired differences between methods at one target, adjusted for their number"),
        "contrasts": Field("list", "the pooled difference of the two compared methods, by experiment and calibration"),
        "seen": Field("object?", "in results/published-*: the range of each score on several processors"),
    },
    "make_table": {"tables": Field("object", "rows and columns of each table")},
    "compare_published": {"rows": Field("list", "published numbers beside the suite's own")},
    "measure_cost": {"rows": Field("list", "time and memory of each method")},
    "map_wins": {
        "epsilon": Field("number", "of all rows"),
        "rows": Field("list", "noise that a release needs, by noise, numbers, releases and delta"),
    },
    "map_space": {
        "points": Field("count", "points of the searched space"),
        "qualifying": Field("list", "points below each epsilon, by accountant"),
    },
    "make_figure": {
        "figure": Field("text", "name of the figure"),
        "title": Field("text", "of the figure"),
        "caption": Field("text", "below the figure"),
    },
    "report": {
        "answer": Field("list", "the page's first paragraphs"),
    },
    "check_claim": {
        "verdict": Field("text", "see lmodp.claims.verdict"),
        "because": Field("text", "the verdict's reason"),
        "review": Field("text", "who looked at it"),
        "readings": Field("list", "the claim's possible readings, usually one"),
        "readings.*": Field("object", "one reading, with verdict and because as above"),
        "readings.*.epsilon": Field("number", "as claimed"),
        "readings.*.delta": Field("number?", "as claimed"),
        "readings.*.settings": Field("object?", "what the accountants were given; the least and the largest noise"),
        "readings.*.lower": Field("number?", "epsilon is proven to be at least this"),
        "readings.*.upper": Field("number?", "epsilon is proven to be at most this"),
        "readings.*.routes": Field("list", "what each route finds, see lmodp.claims.routes"),
        "readings.*.as_poisson": Field("list", "the same for Poisson samples, where batches are shuffled"),
        **dict.fromkeys(
            ("readings.*.name", "readings.*.verdict", "readings.*.because"), Field("text", "of the reading")
        ),
    },
}
LINES: dict[str, Fields] = {
    "finetune_model": {
        "created_by": Field("object", "fingerprint of the code that trained the run; outside the hash"),
        "seeds": Field("object", "of initial weights, sampling, dropout and noise", PRIVATE),
        "steps": Field("count", "T, counted"),
        "sampling_rate": Field("number", "q"),
        "dataset_size": Field("count", "N"),
        "sampler": Field("text", "how batches are drawn"),
        "adjacency": Field("text", "which data sets are neighbours"),
        "expected_batch_size": Field("number", "qN"),
        "divisor": Field("number", "of the noisy sum"),
        "clip_norm": Field("number?", "C; null without clipping"),
        "clipping": Field("text", "flat, automatic or none"),
        "noise": Field("object?", NOISE),
        "releases": RELEASES,
        "after_noise": Field("text", "what the method does with the noisy gradient, where it brings its own optimiser"),
        "noise_scale": Field("number?", "factor of the relative noise"),
        "noise_measured": Field("object?", "statistics of the noise that was drawn", PRIVATE),
        "released_law": Field("object?", "another engine's sums of zero gradients against the certified law", PRIVATE),
        "trainable_parameters": Field("count", "numbers in a release"),
        "settings": Field("object", "of the optimizer, see lmodp.training.settings"),
        "batches": Field("object", "counts and sums of the batch sizes drawn", DATA),
        "clipped_examples": Field("count?", "examples whose gradient was shortened, over all steps", DATA),
        "clipped_share": Field("number?", "mean share of the drawn examples whose gradient was shortened", DATA),
        "mean_training_loss": Field("number?", "over all steps, before noise", DATA),
        "per_step": Field("object?", "batch sizes, clipped examples and losses of each step; first repetition", DATA),
        "non_finite": Field("object", "examples without a finite gradient, by step", DATA),
        "evaluations": Field("list", "scores along the way", DATA),
        "weights_sha256": Field("text", "hash of the trained weights, which are the release"),
    },
    "evaluate_model": {
        "examples": Field("count", "scored examples", DATA),
        "accuracy": Field("number?", "share of right answers", DATA),
        "loss": Field("number?", "mean loss", DATA),
        "correct": Field("text", "which answers were right, one bit per example", DATA),
        "perplexity": Field("number?", "of the targets", DATA),
        "target_tokens": Field("count", "tokens of the targets", DATA),
        "losses": Field("text", "summed loss and target tokens of each example, pairs of float32", DATA),
        **{name: Field("number?", f"{name.upper()} of the outputs", DATA) for name in ("bleu", "nist", "meteor")},
        **{name: Field("number?", f"{name.upper()} of the outputs", DATA) for name in ("rouge_l", "cider")},
        "reasons": Field("object", "why a metric is null", DATA),
        "settings": Field("object", "of the metrics", DATA),
        "outputs_sha256": Field("text", "hash of all outputs", DATA),
        "decoding": Field("object", "settings of beam search"),
        "samples": Field("list", "the first outputs beside their records and references", DATA),
    },
    "verify_run": {
        "conforms": Field("flag?", "what ran is what was certified"),
        "checks": Field("list", "all comparisons"),
        "checks.*": Field("object", "one comparison"),
        "checks.*.name": Field("text", "what was compared"),
        "checks.*.certified": Field("any", "value or range that the certificate asks for"),
        "checks.*.ran": Field("any", "what the run counted or measured", DATA),
        "checks.*.agrees": Field("flag", "whether they agree"),
    },
}


def fields_of(stage: str, *, line: bool = False) -> Fields:
    """Return the declared fields of a stage's record, or of the lines of its runs, by path."""
    return {**EVERY_LINE, **LINES[stage]} if line else {**EVERY_RECORD, **RECORDS[stage]}
