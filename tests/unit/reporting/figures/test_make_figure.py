"""Figures: drawn from records, the same bytes twice, nothing of the day or the machine in them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lmodp.records.record import make_record, write_json
from lmodp.reporting.figures import comparison, demonstration, style, training
from lmodp.reporting.figures import make_figure as make_figure_module
from lmodp.reporting.figures.catalogue import FIGURES
from lmodp.reporting.figures.comparison import main_cells
from lmodp.reporting.figures.make_figure import MODULES, make_figure
from lmodp.reporting.figures.style import LOOKS, MORE_LOOKS, looks
from lmodp.reporting.results.best import tasks
from tests.unit.reporting.fabricated import fabricated_results


@pytest.fixture
def sources(tmp_path, curves):
    rows = [
        {"noise": noise, "numbers": numbers, "releases": releases, "delta": delta, "noise_multiplier": needed}
        for noise, needed in (("gaussian", 5.0), ("laplace", 4.0), ("lmo", 6.0), ("spherical", 3.0))
        for numbers in (1, None)
        for releases in (1, 16)
        for delta in (0.0, 1e-10)
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


def texts(panel):
    return [text.get_text() for text in panel.texts]


def points(panel, marker):
    """Where a method's marks are, hollow ones first."""
    lines = [line for line in panel.get_lines() if line.get_marker() == marker]
    lines.sort(key=lambda line: line.get_markerfacecolor() != "white")
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines]


def test_the_main_figure_answers_the_three_questions_from_the_cells(results):
    noise, claims, scores = MODULES["comparison"].draw(results, {}).axes
    marker = looks(results["methods"])["lmo_dp"].marker
    assert [y for _, y in points(noise, marker)] == pytest.approx([13.031 / 8.3, 2.1195 / 1.35])
    assert any("√2" in text for text in texts(noise)) and "Gaussian" in texts(noise)
    # The claim (hollow) and the verified upper end (full) of one run, at one height and joined by a line.
    found = points(claims, marker)
    assert [x for x, _ in found] == pytest.approx([0.1564, 1.345, 0.5953, 19.2])
    assert [y for _, y in found] == pytest.approx([64.1, 73.1, 64.1, 73.1])
    joined = [tuple(line.get_xdata()) for line in claims.get_lines() if len(line.get_xdata()) == 2]
    assert (0.1564, 0.5953) in joined and (0.5636, 0.5953) in joined
    assert [y for _, y in points(scores, marker)] == pytest.approx([67.86, 72.36])
    assert {line.get_marker() for line in scores.get_lines()} >= {marker, "o"} and len(points(scores, "s")) == 0
    assert any(text.startswith("non-private 74.1") for text in texts(scores))
    assert any("majority class 50.7" in text for text in texts(scores))


@pytest.mark.parametrize(
    ("marks", "place"),
    [
        ([], ("left", "bottom")),
        ([(0.5, 74.2), (0.9, 74.2)], ("left", "bottom")),
        ([(0.1, 74.2), (0.5, 74.2)], ("right", "bottom")),
        ([(0.1, 74.3), (0.9, 74.3)], ("left", "top")),
        ([(0.1, 74.3), (0.9, 74.3), (0.1, 73.9)], ("right", "top")),
    ],
)
def test_the_name_of_a_line_stands_where_it_covers_no_marks(results, marks, place):
    """Non-private training has 74.1; left to right, then above (its bottom on the line) before below."""
    _, panel = plt.subplots(figsize=(3, 3))
    panel.set_xlim(0, 1)
    for point in [(0.1, 72), (0.9, 76), *marks]:
        panel.plot(*point, "o")
    comparison.share_scores([panel], results, next(iter(results["experiments"])))
    (name,) = [text for text in panel.texts if text.get_text().startswith("non-private")]
    assert (name.get_horizontalalignment(), name.get_verticalalignment()) == place


def test_no_line_joins_points_of_different_settings(results):
    for panel in MODULES["comparison"].draw(results, {}).axes[1:]:
        for line in panel.get_lines():
            assert len(set(line.get_ydata())) == 1, "only a claim and its verified interval are joined"


def test_cells_with_few_seeds_are_demonstrations(results):
    """Two seeds: nothing in the main figure but the noise, which needs no seeds."""
    for cell in results["cells"]:
        for score in cell["scores"].values():
            score["values"] = score["values"][:2]
    noise, claims, scores = MODULES["comparison"].draw(results, {}).axes
    assert noise.axison and not (claims.axison or scores.axison)
    assert "enough seeds" in texts(claims)[0] and "enough seeds" in texts(scores)[0]
    figure = MODULES["demonstration"].draw(results, {})
    assert [panel.get_title() for panel in figure.axes if panel.axison] == [
        "classification head on frozen\nMiniLM",
        "classification head on frozen\nMiniLM",
        "last encoder layer and head of\nMiniLM",
        "last encoder layer and head of\nMiniLM",
        "GPT-2 on made-up venues",
    ]


def test_the_caption_of_demonstrations_counts_those_at_chance(results):
    assert "at chance" not in demonstration.caption(results)
    shown = [cell for _, _, cells in demonstration._panels(results) for cell in cells]
    shown[0]["scores"]["accuracy"]["mean"] = 0.5
    assert f"few steps, and 1 of {len(shown)} lies at chance." in demonstration.caption(results)


@pytest.mark.parametrize(("steps", "points"), [(100, 100), (192, 96), (800, 100)])
def test_a_long_curve_is_drawn_as_means_over_equally_many_steps(steps, points):
    rows = pd.DataFrame([(f"r{run}", step, step + 10.0 * run) for run in range(2) for step in range(1, steps + 1)])
    rows.columns = ["run", "step", "value"]
    found = training._fewer_points(rows)
    assert found.step.nunique() == points and found.groupby("step").size().eq(2).all()
    assert found.value.sub(found.step).isin([0.0, 10.0]).all()  # each run for itself, at the middle of its steps


def test_every_scored_cell_is_in_one_of_the_three_figures(results):
    shown = {cell["cell"] for _, _, cells in demonstration._panels(results) for cell in cells}
    others = {x["cell"] for cells in (main_cells(results), *tasks(results).values()) for x in cells}
    assert others and not shown & others
    shown |= others
    scored = [x["cell"] for x in results["cells"] if x["calibration"] and x["scores"][x["metric"]]["mean"] is not None]
    assert sorted(shown) == sorted(scored)


def test_a_score_far_below_the_compared_methods_is_written_at_the_edge(results):
    """Else one poor method would press all others into a line."""
    cells = [cell for cells in tasks(results).values() for cell in cells]
    poor = next(cell for cell in cells if cell["method"] == "laplace" and cell["epsilon"] == 0.3)
    usual = MODULES["choice"].draw(results, {}).axes[0].get_ylim()
    poor["scores"]["accuracy"]["mean"] = 0.2
    panel = MODULES["choice"].draw(results, {}).axes[0]
    assert "Laplace\n20.0 ↓" in texts(panel)
    assert panel.get_ylim() == pytest.approx(usual, rel=0.02)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0.3\nGaussian", "3\nGaussian"]


def test_a_grid_without_scores_has_figures_that_say_so(results):
    for cell in results["cells"]:
        cell["noise_multiplier"] = None
        cell["scores"] = {name: {**score, "mean": None, "values": []} for name, score in cell["scores"].items()}
    for name in ("comparison", "choice", "demonstration"):
        figure = MODULES[name].draw(results, {})
        assert not any(panel.axison for panel in figure.axes) and texts(figure.axes[0])


def test_methods_differ_in_colour_marker_and_dash(results):
    found = looks(results["methods"])
    assert "nonprivate" not in found and len(found) == 4
    assert len({look.colour for look in LOOKS}) == len(LOOKS)
    every = LOOKS + MORE_LOOKS
    for part in ("marker", "dash"):
        assert len({str(getattr(look, part)) for look in every}) == len(every)
    many = looks({f"m{number}": {"private": True} for number in range(128)}).values()
    assert len({(look.colour, look.marker) for look in many}) == len({(x.colour, str(x.dash)) for x in many}) == 128


def test_coordinates_are_written_to_hundredths_and_nothing_else_is_touched():
    svg = '<path d="M 1.2345678 -0.5 L 3e-05 10.129999z" id="p1.2345"/><text x="1.23456">0.98765</text>'
    assert (
        style._hundredths(svg) == '<path d="M 1.23 -0.5 L 3e-05 10.12z" id="p1.2345"/><text x="1.23456">0.98765</text>'
    )


def test_a_figure_of_a_large_grid_shows_some_targets_with_all_their_methods(monkeypatch):
    whole = fabricated_results()
    assert make_figure_module.fewer(whole) is whole
    monkeypatch.setattr(make_figure_module, "MOST_CELLS", 20)
    some = make_figure_module.fewer(whole)
    targets = {(cell["experiment"], cell["calibration"], cell["epsilon"]) for cell in some["cells"]}
    assert 0 < len(some["cells"]) < len(whole["cells"])
    assert {(name, None, None) for name in whole["experiments"]} <= targets, "what all others are seen beside"
    assert some["cells"] == [
        cell for cell in whole["cells"] if (cell["experiment"], cell["calibration"], cell["epsilon"]) in targets
    ]
    assert {cell["mechanism"] for cell in some["cells"] if cell["status"] == "done"} <= set(some["mechanisms"])
