"""How far the evidence reaches: the published headline beside what holds, and what this grid says of its model."""

from collections.abc import Mapping, Sequence
from typing import Any

from lmodp.data.cards import DATASETS
from lmodp.models.cards import MODELS
from lmodp.reporting.captions import lower_end_coordinates
from lmodp.reporting.formats import at_least, interval, number, plain_list
from lmodp.reporting.results.against import title_of
from lmodp.reporting.tables.render import Page

# What the published accounting was computed with: batch and steps (arXiv 2405.18776 and its public code). Its numbers
# of examples are on the data sets' cards.
PLANS = {"sst2": (2048, 192), "qnli": (2048, 306), "mnli": (2048, 1146), "qqp": (2048, 1062), "e2e": (1024, 410)}
HEADLINE, BESIDE = "headline-lmo-sst2", "headline-gaussian-sst2"  # rows of config/published.tsv
NEAR = (0.3, 0.6)  # ε of other authors' Gaussian results that are named: the headline's, to twice that

Row = Mapping[str, Any]


def reach_page(results: Mapping[str, Any], rows: Sequence[Row]) -> list[Page]:
    """Return one paragraph, if the published headline is among the rows of the table of published numbers."""
    named = {row["name"]: row for row in rows}
    if HEADLINE not in named or BESIDE not in named:
        return []
    headline, beside = named[HEADLINE], named[BESIDE]
    told = [_published(headline, beside), *_what_holds(results, headline), *_others(rows, headline)]
    return [Page("How far this evidence reaches", " ".join([*told, *_what_it_says(results, headline)]), [])]


def _published(headline: Row, beside: Row) -> str:
    data, model = DATASETS[headline["dataset"]].title, MODELS[headline["model"]].title
    gaussian = f"{beside['published']} %" if beside["published"] else beside["note"].split(";")[0]
    note = headline["note"].split(";")[0]
    return (
        f"Published is {headline['published']} % {headline['metric']} on {data} with {model} ({note}), beside "
        f"{gaussian} for the Gaussian ({headline['source']})."
    )


def _what_holds(results: Mapping[str, Any], headline: Row) -> list[str]:
    """What the headline's formula gives and what is verified, for its noise and for the Gaussian beside it."""
    asked, standard = (_mechanism(results, headline, results["compare"][part]) for part in ("asked", "standard"))
    if asked is None or asked["claimed_run"] is None:
        return ["This grid has no certificate of that point."]
    told = [
        f"By its own formula that point, ε = {headline['epsilon_step']} for one step, has ε = "
        f"{number(asked['claimed_run'], 3)} for the whole run; verified is "
        f"{interval(asked['verified_lower'], asked['verified_upper'])}."
    ]
    if standard is not None and standard["verified_upper"] is not None and asked["verified_lower"] is not None:
        ratio = asked["verified_lower"] / standard["verified_upper"]
        told.append(
            f"The {title_of(results, 'standard')} beside it has the noise multiplier "
            f"{number(standard['noise_multiplier'], 3)} of the classic formula for one release, set to the ε of one "
            f"step. Verified of its whole run is {interval(standard['verified_lower'], standard['verified_upper'])}"
            + (f": it was held to {at_least(ratio, 2)} times less ε." if ratio > 1 else ".")
        )
    return told


def _mechanism(results: Mapping[str, Any], headline: Row, method: str) -> Row | None:
    """The mechanism of a method at the headline's claim, under the published plan."""
    target = (method, "claimed", float(headline["epsilon_step"]), float(headline["delta"]), None)
    wanted = (*target, DATASETS[headline["dataset"]].train_size, *PLANS[headline["dataset"]])
    names = "method calibration epsilon delta setting dataset_size expected_batch_size steps".split()
    found = results["mechanisms"].values()
    return next((item for item in found if tuple(item[name] for name in names) == wanted), None)


def _others(rows: Sequence[Row], headline: Row) -> list[str]:
    """What other authors report for plain Gaussian noise on the same data at a like ε."""
    wanted = ("utility", headline["dataset"], headline["metric"], "gaussian")
    alike = [row for row in rows if (row["kind"], row["dataset"], row["metric"], row["method"]) == wanted]
    others = [row for row in alike if row["published"] and row["source"] != headline["source"]]
    found = []
    for row in others:
        if not row["epsilon_step"] and NEAR[0] <= float(row["epsilon"] or "inf") <= NEAR[1]:
            source = f"{MODELS[row['model']].title}, {row['source']}{'; ' + row['note'] if row['note'] else ''}"
            found.append(f"{row['published']} % at ε = {row['epsilon']} ({source})")
    if not found:
        return []
    low, high = (f"{end:g}" for end in NEAR)
    return [f"For plain Gaussian noise at ε from {low} to {high}, other authors report {plain_list(found)}."]


def _what_it_says(results: Mapping[str, Any], headline: Row) -> list[str]:
    model = MODELS[headline["model"]]
    size = f" ({model.parameters / 1e6:.0f} million parameters)" if model.parameters else ""
    told = [
        "What this grid says of noise and of ε rests on the numbers of examples, the batch and the steps alone. Upper "
        "ends hold for every model, lower ends for every model with at least "
        f"{lower_end_coordinates(results['mechanisms'].values()):,} trained parameters, {model.title}{size} included."
    ]
    ran = {cell["experiment"] for cell in results["cells"] if cell["runs_done"]}
    wanted = (headline["model"], headline["dataset"])
    known = [facts for name, facts in results["experiments"].items() if name in ran]
    trained = [facts["title"] for facts in known if (facts["model_name"], facts["dataset_name"]) == wanted]
    if trained:
        return [*told, f"Scores of {model.title} are in the tables: {plain_list(trained)}."]
    names = plain_list(list(dict.fromkeys(facts["model"] for facts in results["experiments"].values())))
    return [
        *told,
        f"What it says of {headline['metric']} holds for the models that it trains ({names}). No run trains "
        f"{model.title}: how many points the difference in noise costs there is not known from these records.",
    ]
