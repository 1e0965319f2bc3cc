"""From the records of a cell to its row: every score, and why one is missing."""

from types import SimpleNamespace

import pandas as pd
import pytest

from lmodp.data.cards import DATASETS
from lmodp.grid.cells import Cell
from lmodp.grid.sections import Compare
from lmodp.mechanisms import Moments, Releases
from lmodp.reporting.results.best import OF_METHOD
from lmodp.reporting.results.collect_results import collect_results
from tests.lines import write_lines

NO_JAVA = "needs Java, which is not installed"
SCORES = {"bleu": 40.0, "nist": 4.0, "meteor": None, "perplexity": 9.0}


class Grid(SimpleNamespace):
    """One cell of three runs on made-up venues; the last run diverged."""

    def __init__(self):
        spec = SimpleNamespace(
            experiment="sentences",
            method="gaussian",
            calibration="verified",
            epsilon=3.0,
            delta=1e-5,
            setting=None,
            dataset="venues",
            card=DATASETS["venues"],
            trainable="full",
        )
        cell = Cell(
            id="c",
            spec=spec,
            repetitions=3,
            runs=("r0", "r1", "r2"),
            mechanism="m",
            dataset="d",
            model="w",
            tokens="t",
            activations=None,
            skip=None,
        )
        method = SimpleNamespace(title="Gaussian", reference="nowhere", private=True, noise_of=None)
        vars(method).update(dict.fromkeys(OF_METHOD))
        super().__init__(
            cells={"c": cell},
            methods={"gaussian": method},
            mechanisms={},
            active=[cell],
            trained=(),
            config=SimpleNamespace(grid="g", title="", keep_records=False, compare=Compare()),
        )


CHOSEN = {"plan": {}, "tuning": {"chosen": {"learning_rate": 0.002, "clip_norm": 0.5}}}


def collect(root):
    return collect_results(Grid(), root, runs_file=root / "runs.parquet", curves_file=root / "curves.parquet")


@pytest.fixture
def collected(tmp_path):
    done, lost = {"status": "done", "reason": None}, {"status": "diverged", "reason": "not finite"}
    scored = [
        {**done, **SCORES, "bleu": bleu, "examples": 100, "reasons": {"meteor": NO_JAVA}} for bleu in (40.0, 43.0)
    ]
    evaluations = [{"step": 2, "bleu": 11.0, "perplexity": 20.0, "loss": 3.0}]
    runs = {
        "finetune_model": [{**done, "evaluations": evaluations}, done, lost],
        "evaluate_model": [*scored, lost],
        "verify_run": [done, done, lost],
    }
    for stage, items in runs.items():
        lines = [{**item, "run": f"r{number}"} for number, item in enumerate(items)]
        write_lines(tmp_path, "c", stage, lines, **(CHOSEN if stage == "finetune_model" else {}))
    cell = collect(tmp_path)["cells"][0]
    return cell, pd.read_parquet(tmp_path / "runs.parquet"), pd.read_parquet(tmp_path / "curves.parquet")


def test_a_cell_has_every_score_of_its_task(collected):
    cell = collected[0]
    assert cell["metric"] == "perplexity"
    assert list(cell["scores"]) == ["perplexity", "bleu", "nist", "meteor", "rouge_l", "cider"]
    assert (cell["scores"]["bleu"]["mean"], cell["scores"]["bleu"]["values"]) == (41.5, [40.0, 43.0])
    assert cell["scores"]["meteor"] == {
        "mean": None,
        "spread": None,
        "lowest": None,
        "highest": None,
        "values": [],
        "reason": NO_JAVA,
    }
    assert cell["scores"]["perplexity"]["mean"] == 9.0
    assert (cell["runs_done"], cell["runs_reason"], cell["examples"]) == (2, "not finite", 100)


def test_a_cell_tells_what_its_runs_were_trained_with_unless_they_solve_for_the_weights(collected, tmp_path):
    assert (collected[0]["learning_rate"], collected[0]["clip_norm"]) == (0.002, 0.5)
    solved = {**CHOSEN, "plan": {"releases": Releases(step=Moments()).to_dict()}}
    write_lines(tmp_path, "c", "finetune_model", [{"run": f"r{number}"} for number in range(3)], **solved)
    (cell,) = collect(tmp_path)["cells"]
    assert cell["learning_rate"] is cell["clip_norm"] is None


def test_runs_and_curves_have_them_too(collected):
    _, runs, curves = collected
    assert runs.bleu.tolist()[:2] == [40.0, 43.0] and runs.bleu.isna().tolist() == [False, False, True]
    assert runs.accuracy.isna().all() and runs.meteor.isna().all()
    assert runs.missing_scores[0] == f"meteor: {NO_JAVA}" and runs.status.tolist() == ["done", "done", "diverged"]
    assert {(row.quantity, row.value) for row in curves.itertuples()} == {("bleu", 11.0), ("perplexity", 20.0)}
