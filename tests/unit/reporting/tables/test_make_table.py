"""Tables: no blank without a reason, bold only beyond doubt, three forms of one content."""

import re

import pandas as pd
import pytest

from lmodp.reporting.captions import experiment_caption
from lmodp.reporting.tables.comparison import comparison_pages
from lmodp.reporting.tables.make_table import TABLES, make_table, status_pages
from lmodp.reporting.tables.privacy import privacy_pages
from lmodp.reporting.tables.render import Page, Table, tex, to_latex, to_markdown
from lmodp.reporting.tables.terminal import WIDTH, comparison_text


def compared(results, first, second, lower, upper):
    """Add both directions of a comparison to the results."""
    a, b = (next(cell for cell in results["cells"] if cell["cell"].startswith(name)) for name in (first, second))
    facts = {"seeds": 10, "confidence": 0.95, "separated": None if lower is None else lower > 0 or upper < 0}
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


def test_every_score_of_generated_sentences_is_a_column_or_has_its_reason(results, tmp_path):
    page = comparison_pages(results)[2]
    table = page.tables[0]
    columns = [
        table.heads.index(head)
        for head in ("BLEU", "NIST", "METEOR", "ROUGE-L", "CIDEr", "perplexity (lower is better)")
    ]
    gaussian = [table.rows[0][column] for column in columns]
    assert gaussian == ["40.9", "4.09", "– (1)", "– (1)", "– (1)", "4.40"]
    assert page.notes.texts[0] == "needs Java, which is not installed"
    assert "difference from Gaussian, BLEU [95 %]" in table.heads and table.values[0][columns[0]] == pytest.approx(
        40.92
    )
    assert page.before == (
        "non-private: BLEU 44.0, NIST 4.40, METEOR – (1), ROUGE-L – (1), CIDEr – (1), perplexity 4.09",
    )
    assert (
        "sentences for 200 distinct records; perplexity over 800 examples" in page.caption
        and "one seed" in page.caption
    )
    make_table(results, tmp_path)
    row = pd.read_csv(tmp_path / "comparison.csv").query("experiment == 'sentences' and method == 'gaussian'").iloc[0]
    assert (row.metric, row.bleu, row.nonprivate) == ("bleu", pytest.approx(40.92), pytest.approx(43.98))
    assert (
        pd.isna(row.accuracy)
        and pd.isna(row.meteor)
        and "no METEOR, ROUGE-L or CIDEr: needs Java" in row.missing_scores
    )
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
    table = comparison_pages(results)[0].tables[0]
    place = table.heads.index("accuracy, %")
    assert table.heads[place + 1] == "F1, %" and table.rows[0][place : place + 2] == ("61.0", "55.5")


def test_only_the_standards_own_difference_and_unfinished_rows_have_bare_dashes(results):
    for page in comparison_pages(results):
        for table in page.tables:
            status = table.heads.index("status")
            unfinished = [row for row in table.rows if row[status].startswith(("skipped", "failed", "pending"))]
            assert all(row[0] == "Gaussian" for row in table.rows if "–" in row and row not in unfinished)
            assert all("".join(row).count("(") == 1 + row[0].count("(") for row in unfinished), "one note for a row"


def test_people_see_target_score_difference_verified_interval_and_status(results):
    table = comparison_pages(results)[0].tables[0]
    paired = "difference from Gaussian, points [95 %]"
    assert table.heads == ("method", "target ε", "accuracy, %", paired, "verified ε, run [lower, upper]", "status")
    assert table.title == "Noise at equal claimed ε of one step (as published), δ = 1e-10"
    results["cells"][1]["delta"] = 1e-5
    table = comparison_pages(results)[0].tables[0]
    assert table.heads[2] == "δ" and {row[2] for row in table.rows} == {"1e-10", "1e-05"} and "δ" not in table.title


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


@pytest.mark.parametrize(("lower", "bold"), [(0.01, True), (-0.001, False), (None, False)])
def test_bold_only_where_the_interval_excludes_zero(results, lower, bold):
    keep = ("head-lmo_dp-verified-e0.3", "head-gaussian-verified-e0.3")
    results["cells"] = [cell for cell in results["cells"] if cell["cell"].startswith(keep)]
    compared(results, *keep, lower, None if lower is None else 0.03)
    text = "".join(str(row) for page in comparison_pages(results) for table in page.tables for row in table.rows)
    assert ("**" in text) is bold


def test_no_bold_without_a_comparison_with_every_rival(results):
    compared(results, "head-lmo_dp-verified-e0.3", "head-gaussian-verified-e0.3", 0.01, 0.03)
    page = comparison_pages(results)[0]  # laplace is a rival at the same target and was not compared
    assert "**" not in str(page.tables)


def test_the_terminal_table_fits(results):
    text = comparison_text(results)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "BLEU  NIST  METEOR  ROUGE-L  CIDEr" in text and "(lower is better)" in text
    skipped = [line.split() for line in text.splitlines() if "skipped" in line]
    assert len(skipped) == 8 and all(line[:3] == ["LMO-DP", "as", "drawn"] for line in skipped)
    assert all(line[3].startswith("(") and "".join(line).count("(") == 1 for line in skipped)
    assert "scalar" in text
    for cell in results["cells"]:
        cell["method_title"] += ", with a title that takes room"
    text = comparison_text(results)
    assert max(map(len, text.splitlines())) <= WIDTH and "scalar" not in text and "verified ε, run" in text


def test_latex_escapes_and_bold():
    assert tex("50 % & a_b ≤ ε") == r"50 \% \& a\_b $\le$ $\varepsilon$"
    assert tex("**1 ± 2**") == r"\textbf{1 $\pm$ 2}"
    page = Page("t", "c", [Table("", ("a", "b"), [("x", "y")])])
    assert r"x & y \\" in to_latex([page]) and "| x | y |" in to_markdown([page], title="T")


def test_the_caption_names_rates_of_their_own(results):
    name = next(iter(results["experiments"]))
    assert "adam at 0.003. " in experiment_caption(results, name)
    results["experiments"][name]["learning_rates"] = {"nonprivate": 5e-4}
    assert "adam at 0.003 (non-private: 0.0005). " in experiment_caption(results, name)
