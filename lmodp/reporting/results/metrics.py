"""The scores of each task, their order, and how each is written; no other module decides this.

The first metric of a task is its *main* one ("leading" in the code): figures draw it,
sentences quote it, differences are computed in it. Tables show all metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit
from scipy.stats import binom

from lmodp.data.cards import DatasetCard
from lmodp.reporting.formats import NOTHING, plain_list

NO_SCORE = "no run of this cell has this score"
AT_CHANCE = (
    "at chance: not above the score of always naming the commonest class by more than the sampling error of the scored "
    "examples. It says that training failed here, not how good the noise is"
)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a score is written.

    Args:
        name, title: in the records, and in text.
        decimals: shown digits after the point.
        share: whether it is kept as a share of 1 and shown in percent.
        unit: of a difference, for example ``points``.
        lower_is_better: true only for perplexity.
    """

    name: str
    title: str
    decimals: int
    share: bool = False
    unit: str = ""
    lower_is_better: bool = False

    @property
    def factor(self) -> float:
        """What a kept value is multiplied by to be shown."""
        return 100.0 if self.share else 1.0

    @property
    def sign(self) -> str:
        """`` %`` behind a share."""
        return " %" if self.share else ""

    def head(self, where: str = "", *, unit: bool = True) -> str:
        """Return the head of a column or an axis: ``accuracy on test, %``, ``perplexity (lower is better)``."""
        direction = " (lower is better)" if self.lower_is_better else ""
        return f"{self.title}{where}{', %' if self.share and unit else ''}{direction}"

    def text(self, value: float | None) -> str:
        """Return a value as it is shown, without its sign."""
        return NOTHING if value is None else f"{self.factor * value:.{self.decimals}f}"

    def difference(self, value: float, decimals: int | None = None) -> str:
        """Return a difference, signed, to the nearest; a zero is printed without a minus sign."""
        return self._signed(value, decimals, ROUND_HALF_UP)

    def lower_end(self, value: float, decimals: int | None = None) -> str:
        """Return the lower end of a difference's interval, rounded downwards."""
        return self._signed(value, decimals, ROUND_FLOOR)

    def upper_end(self, value: float, decimals: int | None = None) -> str:
        """Return the upper end of a difference's interval, rounded upwards."""
        return self._signed(value, decimals, ROUND_CEILING)

    def _signed(self, value: float, decimals: int | None, rounding: str) -> str:
        """Show up to two more digits if the value would round to zero.

        An interval that ends at -0.02 excludes 0, and the reader must see that.
        """
        fewest = self.decimals if decimals is None else decimals
        exact = Decimal(repr(round(self.factor * value, 9)))  # a percentage of 1.31 is not 1.3100000000000003
        for places in range(fewest, fewest + 3):
            rounded = exact.quantize(Decimal(1).scaleb(-places), rounding)
            if rounded:
                return f"{rounded:+}"
        return f"{0:+.{fewest}f}"

    def mean_and_reach(self, score: Mapping[str, Any]) -> str:
        """Return ``mean ± half of its interval``; with too few seeds the mean alone."""
        text, half = self.text(score["mean"]), reach(score)
        return text if half is None else f"{text} ± {self.upper_end(half).lstrip('+')}"


FEWEST_SEEDS = 5  # for an interval
CONFIDENCE = 0.95  # of every interval of a score or a difference


def reach(score: Mapping[str, Any]) -> float | None:
    """Return half the width of Student's 95 % interval of a mean over seeds; None with too few seeds."""
    runs = len(score["values"])
    if runs < FEWEST_SEEDS or score["spread"] is None:
        return None
    return float(stdtrit(runs - 1, (1 + CONFIDENCE) / 2)) * score["spread"] / sqrt(runs)


def at_chance(results: Mapping[str, Any], cell: Mapping[str, Any]) -> bool | None:
    """Return whether a cell's mean accuracy could be that of always naming the commonest class; None without one.

    It could up to the 97.5 % point of the binomial law of the number of right answers, if each of the scored examples
    is answered rightly with the share of the commonest class.
    """
    share = results["experiments"][cell["experiment"]]["majority_accuracy"]
    mean, count = cell["scores"].get("accuracy", {"mean": None})["mean"], cell["examples"]
    if share is None or mean is None or not count:
        return None
    return bool(mean * count <= binom.ppf((1 + CONFIDENCE) / 2, count, share))


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="accuracy", title="accuracy", decimals=1, share=True, unit="points"),
        Metric(name="f1", title="F1", decimals=1, share=True, unit="points"),
        Metric(name="bleu", title="BLEU", decimals=1, unit="BLEU"),
        Metric(name="nist", title="NIST", decimals=2, unit="NIST"),
        Metric(name="meteor", title="METEOR", decimals=3, unit="METEOR"),
        Metric(name="rouge_l", title="ROUGE-L", decimals=1, unit="ROUGE-L"),
        Metric(name="cider", title="CIDEr", decimals=2, unit="CIDEr"),
        Metric(name="perplexity", title="perplexity", decimals=2, unit="perplexity", lower_is_better=True),
    )
}
_OF_TASK = {
    "classification": ("accuracy",),
    "table_to_text": ("perplexity", "bleu", "nist", "meteor", "rouge_l", "cider"),
}


def metrics_of(card: DatasetCard) -> tuple[str, ...]:
    """Return the metrics of a data set's experiments, the main one first."""
    return (*_OF_TASK[card.task], *(("f1",) if card.f1 else ()))


def summarise(name: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mean, spread, range and values of one metric over a cell's finished runs, and why there is no mean."""
    done = [run for run in runs if run["status"] == "done"]
    values = [run[name] for run in done if run.get(name) is not None]
    reason = next((run["reasons"][name] for run in done if name in run.get("reasons", {})), NO_SCORE if done else None)
    return {
        "mean": fmean(values) if values else None,
        "spread": stdev(values) if len(values) > 1 else None,
        "lowest": min(values, default=None),
        "highest": max(values, default=None),
        "values": values,
        "reason": None if len(values) == len(done) else reason,
    }


def metrics_in(results: Mapping[str, Any], experiment: str) -> list[Metric]:
    """Return an experiment's metrics, the main one first."""
    return [METRICS[name] for name in results["experiments"][experiment]["metrics"]]


def leading_metric(results: Mapping[str, Any], experiment: str) -> Metric:
    """Return an experiment's main metric, the one of its figures and sentences."""
    return metrics_in(results, experiment)[0]


def leading_score(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a cell's score in its experiment's main metric: mean, spread, range, values and reason."""
    return cell["scores"][cell["metric"]]


def reference_cell(results: Mapping[str, Any], experiment: str, *, trained: bool = True) -> Mapping[str, Any] | None:
    """Return the experiment's, or else its task's, cell of training without privacy, or the one that trains nothing."""
    cells = [cell for cell in results["cells"] if cell["calibration"] is None]
    of_kind = [cell for cell in cells if (cell["verified_upper"] != 0) is trained]
    places = (experiment, results["experiments"][experiment]["task"])
    return next((cell for place in places for cell in of_kind if cell["experiment"] == place), None)


def missing_scores(cell: Mapping[str, Any]) -> str:
    """Return which scores of a cell are missing, and why; metrics with the same reason are listed together."""
    by_reason: dict[str, list[str]] = {}
    for name, score in cell["scores"].items():
        if score["reason"]:
            by_reason.setdefault(score["reason"], []).append(METRICS[name].title)
    return "; ".join(f"no {plain_list(names, 'or')}: {reason}" for reason, names in by_reason.items())
