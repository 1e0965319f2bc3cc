"""Figures: drawn from records, the same bytes twice, nothing of the day or the machine in them."""

import numpy as np
import pandas as pd
import pytest

from lmodp.records.record import make_record, write_json
from lmodp.reporting.figures import style
from lmodp.reporting.figures.catalogue import FIGURES
from lmodp.reporting.figures.make_figure import MODULES, make_figure
from lmodp.reporting.figures.style import LOOKS, MORE_LOOKS, looks


@pytest.fixture
def sources(tmp_path, curves):
    rows = [
        {"family": family, "steps": steps, "epsilon": epsilon, "dimension": dimension, "noise_ratio": ratio}
        for family in ("laplace", "lmo-0.3")
        for steps in (1, 16)
        for epsilon in (0.1, 1.0)
        for dimension, ratio in ((1, 0.3), (None, None))
    ]
    write_json(tmp_path / "wins.json", make_record("map_wins", {"rows": rows}, code="0"))
    search = {"spec": {"epsilon": 0.3, "delta": 1e-10, "accountant": "claimed"}, "point": 0}
    write_json(tmp_path / "search.json", make_record("search_noise", search, code="0"))
    steps = {
        "step_claimed": [0.29, 1.0, np.inf],
        "step_paper_bound": [np.inf, 1.5, 2.0],
        "step_verified": [1.3, 2.0, 9.0],
    }
    pd.DataFrame({**steps, "std": [7.0, 2.0, 1.0]}).to_parquet(tmp_path / "landscape.parquet")
    counts = {"points": 3, "qualifying": [{"epsilon": 0.3, "claimed": 1, "paper_bound": 0, "verified": 0}]}
    write_json(tmp_path / "landscape.json", make_record("map_space", counts, code="0"))
    return {
        "curves": [curves],
        "wins": [tmp_path / "wins.json"],
        "searches": [tmp_path / "search.json"],
        "landscape": [tmp_path / "landscape.json"],
    }


def test_every_figure_has_a_module_and_a_title():
    assert list(FIGURES) == list(MODULES)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_bytes_twice_and_no_date(name, results, sources, tmp_path):
    made = [
        make_figure(name, results, sources, svg=tmp_path / f"{turn}.svg", pdf=tmp_path / f"{turn}.pdf")
        for turn in range(2)
    ]
    assert made[0] == made[1] and made[0]["caption"]
    for form in ("svg", "pdf"):
        assert (tmp_path / f"0.{form}").read_bytes() == (tmp_path / f"1.{form}").read_bytes()
    svg = (tmp_path / "0.svg").read_text()
    assert "<dc:date>" not in svg and "nan" not in svg.lower().replace("</", "")
    assert b"CreationDate" not in (tmp_path / "0.pdf").read_bytes()


def test_no_panel_of_the_comparison_is_empty(results):
    figure = MODULES["comparison"].draw(results, {})
    panels = figure.axes
    assert [panel.get_ylabel() for panel in panels[::2]] == [
        "accuracy on test, %",
        "accuracy on test, %",
        "BLEU on test",
    ]
    assert all(len(panel.get_lines()) >= 6 for panel in panels)
    # Nothing of the last experiment is set to a claim: its left panel has the claims of what is set to verified ones.
    assert all(line.get_markerfacecolor() == "white" for line in panels[4].get_lines() if line.get_marker() != "None")
    for cell in results["cells"]:
        cell["claimed_run"] = None if cell["experiment"] == "sentences" else cell["claimed_run"]
    figure = MODULES["comparison"].draw(results, {})
    assert "no cell has" in figure.axes[4].texts[0].get_text() and not figure.axes[4].axison


def test_methods_differ_in_colour_marker_and_dash(results):
    found = looks(results["methods"])
    assert "nonprivate" not in found and len(found) == 4
    assert len({look.colour for look in LOOKS}) == len(LOOKS)
    every = LOOKS + MORE_LOOKS
    for part in ("marker", "dash"):
        assert len({str(getattr(look, part)) for look in every}) == len(every)


def test_coordinates_are_written_to_hundredths_and_nothing_else_is_touched():
    svg = '<path d="M 1.2345678 -0.5 L 3e-05 10.129999z" id="p1.2345"/><text x="1.23456">0.98765</text>'
    assert (
        style._hundredths(svg) == '<path d="M 1.23 -0.5 L 3e-05 10.12z" id="p1.2345"/><text x="1.23456">0.98765</text>'
    )
