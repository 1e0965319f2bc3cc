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


def test_what_was_not_reproduced_is_one_line_with_the_command(rows, results):
    pages = published_pages(results, rows)
    told = pages[-1].caption
    assert "RoBERTa-large" in told and "GPT-2" in told and "make reproduce CONFIG=config/paper.yaml" in told
    assert "64 published hours of training are not compared" in told and not pages[-1].tables
    shown = [row for page in pages for table in page.tables for row in table.rows]
    assert len(shown) == sum(row["reproduced"] is not None for row in rows) and all(row[5] != "–" for row in shown)
    assert pages[1].title.startswith("ε of the whole run"), "the ε that can be compared come first"
    found = [{**row, "reproduced": 1.0, "difference": 0.0} for row in rows if row["kind"] != "hours"]
    assert "Not reproduced" not in published_pages(results, found)[-1].caption


def test_how_far_the_evidence_reaches(rows, results):
    """The headline stands beside what its formula gives and what is verified, from the mechanisms at hand."""
    told = published_pages(results, rows)[0].caption
    assert "Published is 92.20 % accuracy on SST-2 with RoBERTa-large" in told and "beside about 50 %" in told
    assert "no certificate of that point" in told and "87.16 % at ε = 0.5384" in told and "90.6 % at ε = 0.5 " in told
    assert "50.25" not in told, "its ε is 0.2"
    assert "No run trains RoBERTa-large" in told and "355 million" in told
    plan = {"epsilon": 0.7, "dataset_size": 67349, "expected_batch_size": 2048.0, "steps": 192}
    for name, facts in (
        ("lmo_dp-claimed-e0.3", {"claimed_run": 0.2581, "verified_lower": 2.0315, "verified_upper": 2.193}),
        ("gaussian-claimed-e0.3", {"verified_lower": 0.2471, "verified_upper": 0.2603, "noise_multiplier": 9.741}),
    ):
        results["mechanisms"][f"{name}-3d2c1b0a"] |= {**plan, **facts}
    told = published_pages(results, rows)[0].caption
    assert "ε = 0.7 for one step, has ε = 0.258 for the whole run; verified is [2.03, 2.2]" in told
    assert "noise multiplier 9.74" in told and "[0.247, 0.261]: it was held to 7.8 times less ε" in told
    results["mechanisms"]["gaussian-claimed-e0.3-3d2c1b0a"]["verified_upper"] = 3.0
    assert "times less" not in published_pages(results, rows)[0].caption


def test_a_grid_that_trains_the_headlines_model_says_so(rows, results):
    results["experiments"]["head"] |= {"dataset_name": "sst2", "model_name": "roberta_large"}
    told = published_pages(results, rows)[0].caption
    assert "Scores of RoBERTa-large are in the tables: classification head" in told and "No run trains" not in told
    assert published_pages(results, [row for row in rows if "headline" not in row["name"]])[0].title != (
        "How far this evidence reaches"
    )
