"""Published numbers: every epsilon comes out to its printed digits; scores only where model and data are the same."""

import pytest

from lmodp.errors import DamagedFile
from lmodp.reporting.tables.compare_published import FIELDS, compare_published, published_pages, read_published
from tests.workflow.conftest import ROOT


@pytest.fixture(scope="module")
def published():
    return read_published(ROOT / "config/published.tsv")


@pytest.fixture
def rows(published, results, curves, tmp_path):
    results["experiments"]["head"] |= {"dataset_name": "mnli", "model_name": "roberta_base", "trainable": "full"}
    return compare_published(results, published, curves, tmp_path)["rows"]


def test_every_row_appears_with_a_source_and_a_number_or_a_reason(rows, published):
    assert [row["name"] for row in rows] == [row["name"] for row in published] and len(
        {row["name"] for row in rows}
    ) == len(rows)
    assert all(row["source"] and (row["reproduced"] is not None or row["reason"]) for row in rows)


def test_every_published_epsilon_comes_out_to_its_digits(rows):
    found = [row for row in rows if row["kind"] not in {"utility", "hours"}]
    assert len(found) == 52
    for row in found:
        # One further unit of the last digit: the source prints some rounded and some cut off.
        assert abs(row["difference"]) <= 1.001 * 10 ** -int(row["digits"]), row["name"]


def test_a_score_is_compared_only_for_the_same_model_and_data(rows):
    named = {row["name"]: row for row in rows}
    same = named["nonprivate-roberta_base-mnli"]
    assert same["reproduced"] == pytest.approx(74.1) and same["difference"] == pytest.approx(74.1 - 87.6)
    other = named["nonprivate-roberta_large-mnli"]
    assert (
        other["reproduced"] is None and "no run that trains all parameters of roberta_large on mnli" in other["reason"]
    )
    assert "not compared" in named["hours-bert_base-qqp-0.14-lmo_dp"]["reason"]


def test_the_maximum_over_evaluations_is_taken_where_the_figure_did(results, curves, tmp_path, published):
    results["experiments"]["head"] |= {"dataset_name": "sst2", "model_name": "roberta_large", "trainable": "full"}
    headline = {
        **next(row for row in published if row["name"] == "headline-gaussian-sst2"),
        "epsilon_step": "3",
        "published": "50",
    }
    row = compare_published(results, [headline], curves, tmp_path)["rows"][0]
    assert row["maximum"] == pytest.approx(100 * (0.5 + 0.30 + 0.01))
    assert row["difference"] == pytest.approx(row["maximum"] - 50) and row["reproduced"] == pytest.approx(71.0)


@pytest.fixture
def e2e_rows(results, curves, tmp_path, published):
    """The sentences' experiment as GPT-2 on E2E, at the target of Li et al."""
    results["experiments"]["sentences"] |= {"dataset_name": "e2e", "model_name": "gpt2"}
    return {row["name"]: row for row in compare_published(results, published, curves, tmp_path)["rows"]}


def test_a_row_is_compared_in_the_metric_it_names(e2e_rows):
    assert e2e_rows["e2e-full-3-bleu"]["reproduced"] == pytest.approx(60 * 0.727, abs=0.1)
    assert e2e_rows["e2e-full-3-nist"]["reproduced"] == pytest.approx(6 * 0.727, abs=0.01)
    assert e2e_rows["e2e-full-nonprivate-bleu"]["difference"] == pytest.approx(43.98 - 69.463)
    meteor = e2e_rows["e2e-full-3-meteor"]
    assert meteor["reproduced"] is None and meteor["reason"] == "needs Java, which is not installed"


def test_another_part_or_target_is_no_reproduction(e2e_rows):
    assert e2e_rows["e2e-lora-3-bleu"]["reproduced"] is None and e2e_rows["e2e-full-8-bleu"]["reproduced"] is None


def test_an_epsilon_of_the_run_is_not_that_of_a_step(results, curves, tmp_path, published):
    results["experiments"]["head"] |= {"dataset_name": "sst2", "model_name": "roberta_large", "trainable": "full"}
    row = next(
        row
        for row in published
        if (row["dataset"], row["model"], row["method"], row["epsilon"]) == ("sst2", "roberta_large", "gaussian", "3")
    )
    found = compare_published(results, [row], curves, tmp_path)["rows"][0]
    verified = next(cell for cell in results["cells"] if cell["cell"].startswith("head-gaussian-verified-e3-"))
    assert found["reproduced"] == pytest.approx(100 * verified["scores"]["accuracy"]["mean"])


def test_a_file_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "published.tsv"
    path.write_text("name\tkind\nx\tutility\n")
    with pytest.raises(DamagedFile, match="break the columns name, kind"):
        read_published(path)
    path.write_text("\t".join(FIELDS) + "\n" + "\t".join(["x", "rumour", *[""] * (len(FIELDS) - 2)]) + "\n")
    with pytest.raises(DamagedFile, match=r"\['x'\]"):
        read_published(path)


def test_what_was_not_reproduced_is_said_with_the_command(rows):
    page = published_pages(rows)[0]
    assert (
        "RoBERTa-large" in page.caption
        and "GPT-2" in page.caption
        and "make reproduce CONFIG=config/paper.yaml" in page.caption
    )
    assert not page.tables
    found = [{**row, "reproduced": 1.0, "reason": ""} for row in rows]
    assert "Not reproduced" not in published_pages(found)[0].caption
