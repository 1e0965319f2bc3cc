"""The main tables: seven columns, one table per question and target.

If a number is missing, a numbered note under the tables gives the reason; the reason of a whole row stands once, at its
verdict. All other answers to "what is ε?" are in the privacy table and in ``comparison.csv``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmodp.reporting.captions import experiment_caption
from lmodp.reporting.formats import NOTHING, interval, number
from lmodp.reporting.results import against
from lmodp.reporting.results.against import Beside, Cell, score_verdict, title_of
from lmodp.reporting.results.metrics import (
    AT_CHANCE,
    FEWEST_SEEDS,
    METRICS,
    NO_SCORE,
    Metric,
    at_chance,
    metrics_in,
    reference_cell,
)
from lmodp.reporting.results.paired import best_cells
from lmodp.reporting.tables.render import Bold, Notes, Page, Table

QUESTIONS = {
    "claimed": ("At equal claimed ε of one step, as published", "verdict on the claim"),
    "verified": ("At equal verified ε of the whole run", "verdict on the score"),
}
SKETCHY = f"fewer than {FEWEST_SEEDS} seeds: no interval, and no difference is claimed"


@dataclass(frozen=True)
class Section:
    """The cells of one experiment that share a table."""

    calibration: str
    title: str
    cells: list[Cell]


def sections(results: Mapping[str, Any], experiment: str) -> list[Section]:
    """Return an experiment's private cells by question and target; the methods' own points come last."""
    found = []
    for calibration, (question, _) in QUESTIONS.items():
        for (delta, epsilon), cells in against.targets(results, experiment, calibration).items():
            found.append(Section(calibration, f"{question}: ε = {epsilon:g}, δ = {delta:g}", cells))
        asked = [cell for cell in results["cells"] if cell["setting"] is not None and cell["experiment"] == experiment]
        if own := [cell for cell in asked if cell["calibration"] == calibration]:
            found.append(Section(calibration, "Points that a method's authors published, each at its own claim", own))
    return found


def comparison_pages(results: Mapping[str, Any]) -> list[Page]:
    """Return the comparison: one page per experiment, one table per question and target."""
    best, beside = best_cells(results["cells"], results["comparisons"]), Beside.of(results)
    return [_page(results, name, best, beside) for name in results["experiments"]]


def _page(results: Mapping[str, Any], name: str, best: set[str], beside: Beside) -> Page:
    notes = Notes()
    before = (*references(results, name, notes), *_pooled(results, name))
    tables = [_table(section, results, notes, best, beside) for section in sections(results, name)]
    if len(metrics_in(results, name)) > 1:
        tables.append(_all_scores(results, name, notes))
    return Page(results["experiments"][name]["title"], experiment_caption(results, name), tables, notes, before)


def _pooled(results: Mapping[str, Any], name: str) -> list[str]:
    """The pooled contrast of each question, with its verdict."""
    found, pair = [], f"{title_of(results, 'asked')} minus {title_of(results, 'standard')}"
    for calibration in QUESTIONS:
        item = against.contrast_of(results, name, calibration)
        if item is not None and item["difference"] is not None:
            verdict = "" if item["lower"] is None else f": {score_verdict(item)}"
            found.append(
                f"{pair} at equal {calibration} ε, mean over ε = {against.epsilons(item['epsilons'])}: "
                f"{against.contrast_words(results, item)}{verdict}"
            )
    return found


def _table(section: Section, results: Mapping[str, Any], notes: Notes, best: set[str], beside: Beside) -> Table:
    metric = METRICS[section.cells[0]["metric"]]
    heads = (
        "method",
        f"{metric.head()} ± 95 % (seeds)",
        f"difference from {title_of(results, 'standard')}, {metric.unit} [95 %]",
        f"noise, × {title_of(results, 'standard')}",
        "claimed ε, run",
        "verified ε, run [lower, upper]",
        QUESTIONS[section.calibration][1],
    )
    rows = [_row(cell, results, notes, cell["cell"] in best, beside) for cell in section.cells]
    values = [_values(cell, beside) for cell in section.cells]
    return Table(section.title, heads, rows, values, [cell["cell"] for cell in section.cells])


def _row(cell: Cell, results: Mapping[str, Any], notes: Notes, best: bool, beside: Beside) -> tuple[str, ...]:
    score = scores(cell, results, [METRICS[cell["metric"]]], notes)[cell["metric"]]
    ratio, claimed = beside.ratios.get(cell["cell"]), cell["claimed_run"]
    difference = beside.differences.get(cell["cell"])
    no_claim = cell["claimed_reason"] or "the published formula has no answer"
    standard = title_of(results, "standard")
    other = f"the noise is of another form than the {standard}'s" if cell["cell"] in beside.standards else None
    no_ratio = cell["noise_reason"] or other or f"no {standard} at this target"
    return (
        cell["method_title"],
        # Under equal claims rows are not equally private, so that none is the best.
        Bold(score) if best and cell["calibration"] == "verified" else score,
        _difference(cell, difference, results, notes),
        _or_note(None if ratio is None else number(ratio, 3), no_ratio, cell, notes),
        _or_note(None if claimed is None else number(claimed, 3), no_claim, cell, notes),
        verified(cell, notes),
        _verdict(cell, difference, results, notes),
    )


def _values(cell: Cell, beside: Beside) -> tuple[Any, ...]:
    """The values by which the places of a row are sorted."""
    item = beside.differences.get(cell["cell"]) or {"difference": None}
    mean, ratio = cell["scores"][cell["metric"]]["mean"], beside.ratios.get(cell["cell"])
    return (None, mean, item["difference"], ratio, cell["claimed_run"], cell["verified_upper"], None)


def references(results: Mapping[str, Any], experiment: str, notes: Notes) -> list[str]:
    """Return the reference scores: of the majority class, of a prompt without training, and of non-private training."""
    majority, plain = results["experiments"][experiment]["majority_accuracy"], reference_cell(results, experiment)
    accuracy = METRICS["accuracy"]
    found = [] if majority is None else [f"majority class: {accuracy.title} {accuracy.text(majority)}{accuracy.sign}"]
    if (prompt := reference_cell(results, experiment, trained=False)) is not None:
        found.append(f"{prompt['method_title']}: {_reference(prompt, results, experiment, notes)}")
    if plain is None:
        return [*found, f"non-private: {NOTHING} (not among its methods)"]
    return [*found, f"non-private: {_reference(plain, results, experiment, notes)}"]


def _reference(cell: Cell, results: Mapping[str, Any], experiment: str, notes: Notes) -> str:
    if cell["status"] != "done":
        return f"{NOTHING} ({cell['status']}: {cell['reason']})"
    texts = scores(cell, results, metrics_in(results, experiment), notes)
    return ", ".join(f"{METRICS[name].title} {text}{METRICS[name].sign}" for name, text in texts.items())


def scores(cell: Cell, results: Mapping[str, Any], metrics: Sequence[Metric], notes: Notes) -> dict[str, str]:
    """Return a cell's scores as texts, by metric."""
    found = {}
    for metric in metrics:
        score = cell["scores"][metric.name]
        reason = score["reason"] or (None if score["values"] else cell["reason"] or NO_SCORE)
        failed = notes.mark(AT_CHANCE) if metric.name == "accuracy" and at_chance(results, cell) else ""
        found[metric.name] = " ".join(filter(None, (metric.mean_and_reach(score), _note(reason, cell, notes), failed)))
    return found


def _all_scores(results: Mapping[str, Any], experiment: str, notes: Notes) -> Table:
    """All metrics of an experiment that has several."""
    metrics = metrics_in(results, experiment)
    cells = [cell for section in sections(results, experiment) for cell in section.cells]
    rows = [
        (
            cell["method_title"],
            f"{cell['epsilon']:g} {cell['calibration']}",
            *scores(cell, results, metrics, notes).values(),
        )
        for cell in cells
    ]
    values = [(None, cell["epsilon"], *(cell["scores"][metric.name]["mean"] for metric in metrics)) for cell in cells]
    heads = ("method", "target ε", *(metric.head() for metric in metrics))
    return Table("All scores", heads, rows, values, [cell["cell"] for cell in cells])


def verified(cell: Cell, notes: Notes) -> str:
    """Return a cell's verified interval, with a note if it has no upper end."""
    text = interval(cell["verified_lower"], cell["verified_upper"])
    reason = cell["verified_reason"] or cell["reason"] or "has no finite value"
    return text if cell["verified_upper"] is not None else f"{text} {_note(reason, cell, notes)}".rstrip()


def _note(reason: str | None, cell: Cell, notes: Notes) -> str:
    """The mark of a reason; nothing if the verdict of the row gives the same reason."""
    return "" if reason == cell["reason"] else notes.mark(reason)


def _or_note(text: str | None, reason: str, cell: Cell, notes: Notes) -> str:
    return text or f"{NOTHING} {_note(cell['reason'] or reason, cell, notes)}".rstrip()


def _difference(cell: Cell, item: Mapping[str, Any] | None, results: Mapping[str, Any], notes: Notes) -> str:
    """The paired difference from the standard at the same target."""
    if cell["method"] == results["compare"]["standard"]:
        return NOTHING
    if item is None or item["difference"] is None:
        return _or_note(None, f"no run of {title_of(results, 'standard')} to compare with", cell, notes)
    metric = METRICS[cell["metric"]]
    text = metric.difference(item["difference"])
    if item["lower"] is None or item["upper"] is None:
        return f"{text} {notes.mark(SKETCHY)}"
    return f"{text} [{metric.lower_end(item['lower'])}, {metric.upper_end(item['upper'])}]"


def _verdict(cell: Cell, item: Mapping[str, Any] | None, results: Mapping[str, Any], notes: Notes) -> str:
    """The verdict that the row's table asks for; the status of a cell that is not done."""
    if cell["status"] != "done":
        return f"{cell['status']} {notes.mark(cell['reason'])}".rstrip()
    if cell["calibration"] == "claimed":
        words = against.claim_verdict(cell)
    elif cell["method"] == results["compare"]["standard"]:
        words = NOTHING
    else:
        words = score_verdict(item)
    if cell["runs_done"] == cell["repetitions"]:
        return words
    missing = notes.mark(cell["runs_reason"] or "not every run has a score")
    return f"{words}; {cell['runs_done']} of {cell['repetitions']} runs {missing}"
