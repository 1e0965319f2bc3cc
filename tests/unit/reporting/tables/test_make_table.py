"""Tables: no blank without a reason, bold only beyond doubt, three forms of one content."""

import re

import pandas as pd
import pytest

from lmodp.reporting.captions import experiment_caption
from lmodp.reporting.results.against import claim_verdict, targets
from lmodp.reporting.results.metrics import AT_CHANCE
from lmodp.reporting.tables.comparison import comparison_pages
from lmodp.reporting.tables.make_table import TABLES, make_table, status_pages
from lmodp.reporting.tables.privacy import privacy_pages
from lmodp.reporting.tables.render import Bold, Page, Table, tex, to_latex, to_markdown
from lmodp.reporting.tables.terminal import WIDTH, comparison_text


def compared(results, first, second, lower, upper):
    """Add both directions of a comparison to the results."""
    a, b = (next(cell for cell in results["cells"] if cell["cell"].startswith(name)) for name in (first, second))
    facts = {"experiment": a["experiment"], "seeds": 10, "confidence": 0.95, "comparisons": 6}
    ends = [
        (a, b, 0.02, lower, upper),
        (b, a, -0.02, None if upper is None else -upper, None if lower is None else -lower),
    ]
    results["comparisons"] += [
        {
            **facts,
            "cell": x["cell"],
            "against_cell": y["cell"],
            "method": x["method"],
            "against": y["method"],
            "difference": d,
            "lower": low,
            "upper": high,
        }
        for x, y, d, low, high in ends
    ]


def test_a_place_without_a_number_has_a_reason_under_the_table(results):
    for page in [*comparison_pages(results), *privacy_pages(results)]:
        places = [text for table in page.tables for row in table.rows for text in row]
        marks = [int(number) for text in places for number in re.findall(r"\((\d+)\)", text)]
        assert all(text and (not text.startswith("–") or text == "–" or "(" in text) for text in places)
        assert set(marks) == set(range(1, len(page.notes.texts) + 1))
        assert all(page.notes.texts)


def test_what_a_step_releases_stands_under_the_privacy_table_where_it_is_no_noisy_sum(results):
    private = next(item for item in results["mechanisms"].values() if item["calibration"] is not None)
    assert not any("loss differences" in text for page in privacy_pages(results) for text in page.notes.texts)
    private["releases"] = {"step": {"kind": "differences", "directions": 3, "smoothing": 1e-3}}
    noted = [text for page in privacy_pages(results) for text in page.notes.texts if "loss differences" in text]
    assert noted == ["a step releases 3 sums of loss differences"]


def test_every_score_of_generated_sentences_is_a_column_or_has_its_reason(results, tmp_path):
    page = comparison_pages(results)[2]
    assert (
        page.tables[0].rows[0][1] == "4.40" and page.tables[0].heads[1] == "perplexity (lower is better) ± 95 % (seeds)"
    )
    table = page.tables[-1]
    heads = ("method", "target ε", "perplexity (lower is better)", "BLEU", "NIST", "METEOR", "ROUGE-L", "CIDEr")
    assert table.title == "All scores" and table.heads == heads
    assert table.rows[0][2:] == ("4.40", "40.9", "4.09", "– (1)", "– (1)", "– (1)")
    assert page.notes.texts[0] == "needs Java, which is not installed"
    assert table.values[0][3] == pytest.approx(40.92)
    assert page.before == (
        "non-private: perplexity 4.09, BLEU 44.0, NIST 4.40, METEOR – (1), ROUGE-L – (1), CIDEr – (1)",
    )
    assert "sentences for 200 distinct records; perplexity over 800 examples" in page.caption
    assert "one seed" in page.caption
    make_table(results, tmp_path)
    row = pd.read_csv(tmp_path / "comparison.csv").query("experiment == 'sentences' and method == 'gaussian'").iloc[0]
    assert (row.metric, row.bleu, row.nonprivate) == ("perplexity", pytest.approx(40.92), pytest.approx(4.09, abs=0.01))
    assert pd.isna(row.accuracy) and pd.isna(row.meteor)
    assert "no METEOR, ROUGE-L or CIDEr: needs Java" in row.missing_scores
    status = (tmp_path / "status.md").read_text()
    assert (
        "| sentences-gaussian-verified-e0.3-0a1b2c3d | done | 1 of 1 | no METEOR, ROUGE-L or CIDEr: needs Java, "
        "which is not installed |"
    ) in status


def test_f1_stands_beside_accuracy(results):
    for facts in results["experiments"].values():
        facts["metrics"] = ["accuracy", "f1"]
    score = {"mean": 0.61, "spread": None, "values": [0.61], "reason": None}
    results["cells"] = [
        {**cell, "metric": "accuracy", "scores": {"accuracy": score, "f1": {**score, "mean": 0.555}}}
        for cell in results["cells"]
    ]
    table = comparison_pages(results)[0].tables[-1]
    assert table.heads[2:] == ("accuracy, %", "F1, %") and table.rows[0][2:] == ("61.0", "55.5")


def test_a_skipped_row_says_its_reason_once(results):
    for page in comparison_pages(results):
        for table in page.tables[: -1 if page.tables[-1].title == "All scores" else None]:
            unfinished = [row for row in table.rows if row[6].startswith(("skipped", "failed", "pending"))]
            assert all(row[0] == "Gaussian" for row in table.rows if "–" in row and row not in unfinished)
            assert all("".join(row).count("(") == 1 + row[0].count("(") for row in unfinished), "one note for a row"
        assert len(page.notes.texts) == len(set(page.notes.texts))


def test_people_see_seven_columns_one_table_per_question_and_target(results):
    tables = comparison_pages(results)[0].tables
    assert [table.title for table in tables] == [
        f"{question}: ε = {epsilon}, δ = 1e-10"
        for question in ("At equal claimed ε of one step, as published", "At equal verified ε of the whole run")
        for epsilon in ("0.3", "3")
    ]
    heads = ("method", "accuracy, % ± 95 % (seeds)", "difference from Gaussian, points [95 %]", "noise, × Gaussian")
    heads += ("claimed ε, run", "verified ε, run [lower, upper]")
    assert tables[0].heads == (*heads, "verdict on the claim") and tables[2].heads == (*heads, "verdict on the score")
    by_name = {row[0]: row for row in tables[0].rows}
    assert by_name["LMO-DP"][1:] == (
        "64.1 ± 0.5",
        "– (1)",
        "0.313",
        "0.156",
        "[0.563, 0.596]",
        "does not hold, × 3.6",
    )
    assert by_name["Gaussian"][3:] == ("1", "0.157", "[0.101, 0.107]", "holds")
    assert {row[0]: row[3] for row in tables[2].rows} == {
        "Gaussian": "1",
        "Laplace": "1.42",
        "LMO-DP": "1.57",
        "LMO-DP as drawn": "–",
    }


def test_every_column_is_the_number_of_the_record(results):
    """The values that sort a column, against the cells themselves."""
    compared(results, "head-lmo_dp-verified-e0.3", "head-gaussian-verified-e0.3", -0.01, 0.03)
    for table in comparison_pages(results)[0].tables:
        cells = [next(cell for cell in results["cells"] if cell["cell"] == link) for link in table.links]
        multiplier = {cell["method"]: cell["noise_multiplier"] for cell in cells}
        for cell, values in zip(cells, table.values, strict=True):
            mean, difference, ratio, claimed, upper = values[1:6]
            assert (mean, claimed) == (cell["scores"]["accuracy"]["mean"], cell["claimed_run"])
            assert upper == cell["verified_upper"]
            assert difference == (0.02 if cell["cell"].startswith("head-lmo_dp-verified-e0.3") else None) or (
                cell["method"] == "gaussian"
            )
            known = cell["noise_multiplier"] and multiplier["gaussian"]
            assert ratio == (cell["noise_multiplier"] / multiplier["gaussian"] if known else None)


@pytest.mark.parametrize(
    ("claimed", "lower", "upper", "verdict"),
    [
        (0.1, 0.2, 0.3, "does not hold, × 2"),
        (0.1, 0.2999, None, "does not hold, × 2.9"),
        (0.2, 0.2, 0.3, "open"),
        (0.25, None, None, "open"),
        (0.3, 0.2, 0.3, "holds"),
        (0.3, 0.2, None, "open"),
        (None, 0.2, 0.3, "no claim"),
        (0.0, 0.2, 0.3, "does not hold"),
    ],
)
def test_the_verdict_on_a_claim(claimed, lower, upper, verdict):
    assert claim_verdict({"claimed_run": claimed, "verified_lower": lower, "verified_upper": upper}) == verdict


@pytest.mark.parametrize(
    ("lower", "upper", "verdict"),
    [
        (-0.01, 0.03, "no difference shown"),
        (0.01, 0.03, "higher"),
        (-0.03, -0.01, "lower"),
        (None, None, "too few seeds"),
    ],
)
def test_the_verdict_on_a_score_follows_the_adjusted_interval(results, lower, upper, verdict):
    compared(results, "head-lmo_dp-verified-e0.3", "head-gaussian-verified-e0.3", lower, upper)
    page = comparison_pages(results)[0]
    row = next(row for row in page.tables[2].rows if row[0] == "LMO-DP")
    assert row[6] == verdict and ("adjusted for the up to 6 comparisons" in page.caption) is (lower is not None)
    assert re.sub(r"\(\d\)", "(n)", row[2]) == (
        "+2.0 (n)" if lower is None else f"+2.0 [{100 * lower:+.1f}, {100 * upper:+.1f}]"
    )


def test_the_pooled_contrast_stands_above_the_tables_with_its_verdict(results):
    claimed, verified = comparison_pages(results)[0].before[2:]
    assert claimed.endswith("+2.90 points [+1.10, +4.70] (95 %, 10 seeds, 2,000 examples): higher")
    assert verified == (
        "LMO-DP minus Gaussian at equal verified ε, mean over ε = 0.3 and 3: -1.14 points [-1.31, +0.03] (95 %, 10 "
        "seeds, 2,000 examples): no difference shown"
    )
    assert comparison_pages(results)[1].before[2].endswith("-1.00 points (2 seeds)")


def test_scores_at_chance_are_marked_wherever_they_stand(results, tmp_path):
    cells = {cell["cell"].removesuffix("-0a1b2c3d"): cell for cell in results["cells"]}
    failed = cells["head-gaussian-verified-e0.3"]
    failed["scores"]["accuracy"]["mean"] = 0.505
    page = comparison_pages(results)[0]
    marks = [place for table in page.tables for row in table.rows for place in row if place.startswith("50.5")]
    number = page.notes.texts.index(AT_CHANCE) + 1
    assert len(marks) == 1 and marks[0].endswith(f" ({number})")
    assert "examples; at chance: Gaussian at ε = 0.3)" in page.before[3] and "at chance" not in page.before[2]
    make_table(results, tmp_path)
    frame = pd.read_csv(tmp_path / "comparison.csv").set_index("cell")["at_chance"]
    assert list(frame[frame == True].index) == [failed["cell"]]  # noqa: E712 - the column has empty places
    assert frame[frame.index.str.startswith("sentences")].isna().all()


def test_every_cell_is_in_the_status_table_and_the_csv(results, tmp_path):
    make_table(results, tmp_path)
    assert len(status_pages(results)[0].tables[0].rows) == len(results["cells"])
    for name in TABLES:
        frame = pd.read_csv(tmp_path / f"{name}.csv")
        assert len(frame) == len(results["mechanisms" if name == "privacy" else "cells"])
        assert (tmp_path / f"{name}.md").read_text().startswith("# ")
        assert r"\toprule" in (tmp_path / f"{name}.tex").read_text()


def test_tables_come_out_the_same_twice(results, tmp_path):
    for folder in ("first", "second"):
        make_table(results, tmp_path / folder)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def bold_places(results):
    return [
        text
        for page in comparison_pages(results)
        for table in page.tables
        for row in table.rows
        for text in row
        if isinstance(text, Bold)
    ]


@pytest.mark.parametrize(
    ("calibration", "lower", "bold"),
    [
        ("verified", 0.01, True),
        ("verified", -0.001, False),
        ("verified", None, False),
        ("claimed", 0.01, False),
    ],
)
def test_bold_only_where_the_interval_excludes_zero_at_the_same_verified_target(results, calibration, lower, bold):
    keep = (f"head-lmo_dp-{calibration}-e0.3", f"head-gaussian-{calibration}-e0.3")
    results["cells"] = [cell for cell in results["cells"] if cell["cell"].startswith(keep)]
    compared(results, *keep, lower, None if lower is None else 0.03)
    assert bool(bold_places(results)) is bold


def test_no_bold_without_a_comparison_with_every_rival(results):
    compared(results, "head-lmo_dp-verified-e0.3", "head-gaussian-verified-e0.3", 0.01, 0.03)
    assert not bold_places(results)  # laplace is a rival at the same target and was not compared


def test_the_terminal_table_fits(results):
    text = comparison_text(results)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "BLEU  NIST  METEOR  ROUGE-L  CIDEr" in text
    skipped = [line.split() for line in text.splitlines() if "skipped" in line]
    assert len(skipped) == 6 and all(line[:3] == ["LMO-DP", "as", "drawn"] for line in skipped)
    for cell in results["cells"]:
        cell["method_title"] += ", with a title that takes room"
    text = comparison_text(results)
    assert max(map(len, text.splitlines())) <= WIDTH and "that takes room" in text


def test_latex_escapes_and_bold():
    assert tex("50 % & a_b ≤ ε") == r"50 \% \& a\_b $\le$ $\varepsilon$"
    assert tex(Bold("1 ± 2")) == r"\textbf{1 $\pm$ 2}" and tex("**1**") == "**1**"
    page = Page("t", "c", [Table("", ("a", "b"), [("x", "y")])])
    assert r"x & y \\" in to_latex([page]) and "| x | y |" in to_markdown([page], title="T")


def test_the_caption_names_rates_of_their_own(results):
    name = next(iter(results["experiments"]))
    assert "adam at 0.003. " in experiment_caption(results, name)
    results["experiments"][name]["learning_rates"] = {"nonprivate": 5e-4}
    assert "adam at 0.003 (non-private: 0.0005). " in experiment_caption(results, name)


def test_the_caption_says_which_rates_were_tried_and_what_epsilon_leaves_out(results):
    name = next(iter(results["experiments"]))
    results["experiments"][name] |= {"searched": {"learning_rate": [1e-3, 3e-3]}, "held_out": 500}
    done = sum(cell["experiment"] == name and cell["status"] == "done" for cell in results["cells"])
    text = experiment_caption(results, name)
    assert (
        ", clip norm 1, adam, learning rate one of 0.001 or 0.003 (chosen for each method and ε by 500 training "
        f"examples that no run trains on; {done} of {done} took the largest rate; neither ε nor the intervals count "
        "this choice). Score"
    ) in text and "adam at" not in text
    results["experiments"][name]["searched"] = {"learning_rate": [3e-3, 1e-2]}
    assert "took the largest" not in experiment_caption(results, name)
    for cell in results["cells"]:  # a method that solves for the weights has neither
        cell |= {"learning_rate": None, "clip_norm": None}
    assert "adam" not in experiment_caption(results, name) and "clip norm" not in experiment_caption(results, name)


def test_the_caption_says_whose_standard_an_experiment_is_compared_with(results):
    first, other = list(results["experiments"])[:2]
    results["experiments"][other]["task"] = first
    assert "Compared with" not in experiment_caption(results, other)
    of_it = (other, "gaussian")
    results["cells"] = [cell for cell in results["cells"] if (cell["experiment"], cell["method"]) != of_it]
    title = results["experiments"][first]["title"]
    assert f" Compared with the Gaussian of “{title}”, at the same ε." in experiment_caption(results, other)


def test_a_missing_ratio_of_noises_says_why(results):
    name = next(iter(results["experiments"]))
    (_, laplace, *_) = targets(results, name, "verified")[1e-10, 0.3]
    results["mechanisms"][laplace["mechanism"]]["releases"] = {"step": {"kind": "loss_difference"}}
    told = comparison_pages(results)[0].notes.texts
    assert "the noise is of another form than the Gaussian's" in told and "no Gaussian at this target" not in told
