"""The stage compare_published: published numbers beside the suite's own.

The table has every row of ``config/published.tsv``. An epsilon is always recomputed, with the data-set sizes of the
published accounting. A score is compared only if model, data set, method and target are the same; otherwise the place
is empty and a note gives the reason.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lmodp.accounting.claimed.lmo_dp import claimed_run, claimed_step, classic_factor
from lmodp.data.cards import DATASETS
from lmodp.errors import DamagedFile
from lmodp.mechanisms import PUBLISHED
from lmodp.models.cards import MODELS
from lmodp.reporting.formats import NOTHING, as_written, plain_list
from lmodp.reporting.results.metrics import METRICS
from lmodp.reporting.tables.reach import PLANS, reach_page
from lmodp.reporting.tables.render import Notes, Page, Table, write_table

FIELDS = tuple("name kind dataset model method metric epsilon_step epsilon delta published digits source note".split())
TITLES = {  # of the kinds of numbers
    "claimed_run": "ε of the whole run, from the computed ε of one step",
    "published_epsilon_run": "ε of the whole run, from the published ε of one step",
    "claimed_run_batch_16": "ε of the whole run on E2E, accounted with a batch of 16",
    "classic_noise_multiplier": "Noise multiplier of the Gaussian in the published comparison",
    "utility": "Scores",
    "hours": "Hours",
}
PAPER = "make reproduce CONFIG=config/paper.yaml"
EVALUATED_EVERY_STEP = "arXiv 2405.18776"


def read_published(path: Path) -> list[dict[str, str]]:
    """Return the rows of the file of published numbers, as texts.

    Raises:
        DamagedFile: the columns are not `FIELDS`, or a row's kind is unknown.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    wrong = [row["name"] for row in rows if tuple(row) != FIELDS or row["kind"] not in TITLES]
    if not rows or wrong:
        raise DamagedFile(
            f"published = {str(path)!r}: rows {wrong} break the columns {', '.join(FIELDS)} or the kinds "
            f"{', '.join(TITLES)}."
        )
    return rows


def compare_published(
    results: Mapping[str, Any], published: list[dict[str, str]], curves: Path, folder: Path
) -> dict[str, Any]:
    """Write the table of published against reproduced numbers into a folder and return its rows.

    ``curves.parquet`` has the maximum over evaluations.
    """
    results, best = as_written(results), _best_along_the_way(pd.read_parquet(curves))
    rows = [{**row, **_reproduce(row, results, best)} for row in published]
    frame = pd.DataFrame(rows, columns=[*FIELDS, "reproduced", "maximum", "difference", "reason"])
    write_table("published", published_pages(results, rows), frame, folder, title="Published against reproduced")
    return {"rows": rows}


def _reproduce(
    row: Mapping[str, str], results: Mapping[str, Any], best: Mapping[tuple[str, str], float]
) -> dict[str, Any]:
    """Return the suite's number for a row, or why there is none."""
    found: dict[str, Any] = {"reproduced": None, "maximum": None, "difference": None, "reason": ""}
    if row["kind"] == "hours":
        return {**found, "reason": "hours depend on the machine; they are not compared"}
    if row["kind"] != "utility":
        value = _epsilon(row)
        return {**found, "reproduced": value, "difference": value - float(row["published"])}
    cell, reason = _find_cell(row, results)
    if cell is None:
        return {**found, "reason": reason}
    scale = METRICS[row["metric"]].factor
    value, maximum = scale * cell["scores"][row["metric"]]["mean"], best.get((cell["cell"], row["metric"]))
    at_best = scale * maximum if maximum is not None and row["source"] == EVALUATED_EVERY_STEP else None
    found |= {"reproduced": value, "maximum": at_best}
    if not row["published"]:
        return {**found, "reason": "the published value is not available"}
    return {**found, "difference": (value if at_best is None else at_best) - float(row["published"])}


def _epsilon(row: Mapping[str, str]) -> float:
    """Recompute a published epsilon, or the Gaussian's noise multiplier, along the published route."""
    step, delta = float(row["epsilon_step"]), float(row["delta"])
    if row["kind"] == "classic_noise_multiplier":
        return classic_factor(delta) / step
    card, (batch, steps) = DATASETS[row["dataset"]], PLANS[row["dataset"]]
    if row["kind"] == "claimed_run_batch_16":
        batch = 16
    if row["kind"] == "claimed_run":
        step = claimed_step(PUBLISHED[f"lmo-{row['epsilon_step']}"].noise, delta=1e-10).epsilon
    return claimed_run(step, sampling_rate=batch / (card.published_size or card.train_size), steps=steps, delta=delta)


def _find_cell(row: Mapping[str, str], results: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The finished cell of the same model, data, method and target, with all parameters trained.

    An adapter method trains its own part.
    """
    wanted = (row["dataset"], row["model"], "full")
    parts = ("dataset_name", "model_name", "trainable")
    same = [name for name, facts in results["experiments"].items() if tuple(map(facts.get, parts)) == wanted]
    if not same:
        return None, f"this grid has no run that trains all parameters of {row['model']} on {row['dataset']}"
    cells = [cell for cell in results["cells"] if cell["experiment"] in same and cell["method"] == row["method"]]
    none = {"mean": None, "reason": "not a score of this data set"}
    scores = [(cell, cell["scores"].get(row["metric"], none)) for cell in cells if _same_target(row, cell)]
    cell = next((cell for cell, score in scores if score["mean"] is not None), None)
    reasons = (score["reason"] for _, score in scores if score["reason"])
    return cell, "" if cell else next(reasons, "this grid has no finished cell of this method at this target")


def _same_target(row: Mapping[str, str], cell: Mapping[str, Any]) -> bool:
    """Whether the targets agree: epsilon of one step (claimed cells), of the run (verified cells), or no privacy."""
    if row["epsilon_step"]:
        return cell["calibration"] == "claimed" and cell["epsilon"] == float(row["epsilon_step"])
    if not row["epsilon"]:
        return cell["calibration"] is None
    return cell["calibration"] == "verified" and cell["epsilon"] == float(row["epsilon"])


def _best_along_the_way(curves: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return, by cell and metric, the mean over runs of the highest score at any evaluation."""
    measured = curves[curves.quantity.isin(METRICS)]
    best = measured.groupby(["cell", "quantity", "run"]).value.max().groupby(["cell", "quantity"]).mean()
    found: dict[Any, float] = best.to_dict()
    return found


def published_pages(results: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[Page]:
    """Return how far the evidence reaches, one table per kind of number that can be compared, and what cannot."""
    compared = [row for row in rows if row["reproduced"] is not None]
    tables = [(kind, [row for row in compared if row["kind"] == kind]) for kind in TITLES]
    return [*reach_page(results, rows), *(_page(kind, of_it) for kind, of_it in tables if of_it), _not_reproduced(rows)]


def _not_reproduced(rows: list[dict[str, Any]]) -> Page:
    """Say which published scores have no counterpart, and which command computes one."""
    scores = [row for row in rows if row["kind"] == "utility"]
    without = [row for row in scores if row["reproduced"] is None]
    hours = sum(row["kind"] == "hours" for row in rows)
    names = dict.fromkeys(MODELS[row["model"]].title if row["model"] in MODELS else row["model"] for row in without)
    text = f"{len(scores) - len(without)} of {len(scores)} published scores have a counterpart in this grid."
    if without:
        text += (
            f" Not reproduced: those of {plain_list(list(names))}. Their weights come from a model hub, and training "
            f"them needs a GPU. If you have both, this runs the published grid: {PAPER}. It includes Llama-2-7B, for "
            "which no number was published."
        )
    if hours:
        text += f" {hours} published hours of training are not compared: hours depend on the machine."
    return Page("What was not reproduced", f"{text} All rows, each with its reason, are in published.csv.", [])


def _page(kind: str, rows: list[dict[str, Any]]) -> Page:
    notes = Notes()
    heads = ("what", "ε, step", "ε, run", "δ", "published", "reproduced", "difference", "source")
    if kind == "utility":
        caption = (
            "Accuracy in percent, or the named metric. Reproduced: mean over seeds after the last step. Some published "
            "figures show the maximum over evaluations on the validation split; then the same maximum is in brackets, "
            "and the difference uses it. Model and data are the same on both sides."
        )
    else:
        accounting = "the data-set sizes, batches and steps of the published accounting"
        caption = f"Recomputed by the published formulas, with {accounting}."
    return Page(TITLES[kind], caption, [Table("", heads, [_texts(row, notes) for row in rows])], notes)


def _texts(row: Mapping[str, Any], notes: Notes) -> tuple[str, ...]:
    what = ", ".join(part for part in (row["method"], row["model"], row["dataset"]) if part)
    metric = "" if row["metric"] in {"accuracy", "epsilon", "noise_multiplier", "hours"} else f", {row['metric']}"
    reason = f" {notes.mark(row['reason'])}" if row["reason"] else ""
    remark = f" {notes.mark(row['note'])}" if row["note"] else ""
    digits = int(row["digits"] or 2)
    reproduced = NOTHING + reason if row["reproduced"] is None else f"{row['reproduced']:.{digits + 1}f}"
    if row["maximum"] is not None:
        reproduced += f" [{row['maximum']:.{digits + 1}f}]"
    difference = NOTHING + reason if row["difference"] is None else f"{row['difference']:+.{digits + 1}f}"
    return (
        f"{what}{metric}",
        row["epsilon_step"] or NOTHING,
        row["epsilon"] or NOTHING,
        row["delta"] or NOTHING,
        (row["published"] or f"{NOTHING}{reason}") + remark,
        reproduced,
        difference,
        row["source"],
    )
