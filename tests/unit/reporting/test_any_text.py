"""Free text of a user or of a record from elsewhere: drawn as it is written, and no markup in any renderer."""

import copy
import itertools
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from lmodp.records.record import make_record, read_record, write_json
from lmodp.reporting.figures.make_figure import MODULES, make_figure
from lmodp.reporting.figures.style import style
from lmodp.reporting.formats import as_written
from lmodp.reporting.page.answer import answer
from lmodp.reporting.page.readme import write_readme
from lmodp.reporting.page.report import report
from lmodp.reporting.results.difference import compare_results
from lmodp.reporting.tables.make_table import make_table
from lmodp.reporting.tables.measure_cost import measure_cost
from lmodp.reporting.tables.render import Bold, markdown
from lmodp.reporting.tables.terminal import comparison_text

ODD = (
    "from 5 $ to \\foo 10 $",
    "x $\\baz$ {}",
    "a\x0bb\x07",
    "half \ud800 a pair",
    "a title\n",
    "two\r\nlines",
    "a | b",
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>",
    "]]>--><!-- &amp; ${7*7} {{ 7*7 }}",
    "_underscore_ **bold** `code` [a](javascript:alert(1))",
    "turned \u202e around",
    "日本 ε",
)


def with_odd_texts(results):
    """The results with another odd text in every place that a user, a method or an exception fills."""
    texts = itertools.cycle(ODD)
    results["title"] = next(texts)
    for item in (*results["methods"].values(), *results["experiments"].values()):
        item["title"] = next(texts)
    for cell in results["cells"]:
        cell["method_title"] = next(texts)
        for name in ("reason", "runs_reason", "verified_reason", "noise_reason", "claimed_reason"):
            cell[name] = cell[name] and next(texts)
        for score in cell["scores"].values():
            score["reason"] = score["reason"] and next(texts)
    for item in results["mechanisms"].values():
        item |= {"note": next(texts), "paper_bound_reason": next(texts), "setting": next(texts)}
    for facts in results["experiments"].values():
        facts |= {"dataset": next(texts), "model": next(texts)}
    return results


@pytest.mark.parametrize("name", ["comparison", "demonstration", "privacy", "noises", "training", "audit"])
def test_figures_draw_it(name, results, curves, tmp_path):
    odd = with_odd_texts(results)
    svg, pdf = tmp_path / "f.svg", tmp_path / "f.pdf"
    if name != "comparison":  # of the others the drawing only: writing files is the same code, and slow
        with style():
            MODULES[name].draw(as_written(odd), {"curves": [curves]}).draw_without_rendering()
        return
    odd["methods"]["gaussian"]["title"] = "日本 5 $x$"
    made = make_figure(name, odd, {"curves": [curves]}, svg=svg, pdf=pdf)
    ElementTree.fromstring(svg.read_text())
    assert "Oblique" not in svg.read_text(), "a dollar sets no mathematics"
    assert "lacks 日 (U+65E5) and 本 (U+672C)" in made["caption"]


@pytest.fixture
def extreme(results):
    """The results with an epsilon of 0, of almost nothing or of 1e300 in every place that has one."""
    values = itertools.cycle((0.0, 5e-324, 1e300, 1e-300))
    for item in (*results["cells"], *results["mechanisms"].values()):
        for key in ("claimed_run", "verified_lower", "verified_upper", "audited_lower", "noise_multiplier", "epsilon"):
            item[key] = item[key] if item.get(key) is None else next(values)
    return results


@pytest.mark.parametrize("name", ["comparison", "demonstration", "privacy", "noises", "audit"])
def test_figures_draw_any_epsilon(name, extreme):
    with style():
        MODULES[name].draw(extreme, {}).draw_without_rendering()
    if name in ("demonstration", "privacy"):
        assert "at the end of the axis" in MODULES[name].caption(extreme)


def test_tables_and_sentences_show_any_epsilon(extreme, tmp_path):
    make_table(extreme, tmp_path)
    assert len(answer(extreme)) == 3 and comparison_text(extreme)


def test_no_table_row_breaks(results, tmp_path):
    make_table(with_odd_texts(results), tmp_path)
    for path in tmp_path.glob("*.md"):
        widths = None
        for line in path.read_text().split("\n"):
            columns = len(re.findall(r"(?<!\\)\|", line))
            if not line.startswith("| "):
                assert columns == 0, line
                widths = None
            else:
                assert line.endswith(" |") and widths in (None, columns), line
                widths = columns
        assert "<" not in path.read_text().replace("\\<", "")
    assert r"\$" in (tmp_path / "status.tex").read_text()


def test_markdown_shows_what_is_written():
    assert markdown("a | b <c> 5 $ _x_ a_b **d** `e` [f](g) &lt; & \\") == (
        r"a \| b \<c> 5 \$ \_x\_ a_b \*\*d\*\* \`e\` [f]\(g) \&lt; & \\"
    )
    assert markdown(Bold("a_b")) == "**a_b**"


def test_the_terminal_gets_no_control_character(results):
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e]", comparison_text(with_odd_texts(results))
    )


def test_a_difference_is_told_without_control_characters(results):
    odd = with_odd_texts(copy.deepcopy(results))
    for cell in odd["cells"]:
        cell["status"] = "failed"
        cell["reason"] = ODD[2]
    told = " ".join(item["text"] for item in compare_results(results, odd))
    assert "\\x07" in told and not re.search("[\x00-\x1f]", told)


class Elements(HTMLParser):
    """Every element of a page with the names of its attributes, and all text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, tuple(sorted(name for name, _ in attributes))))

    def handle_data(self, data):
        self.text.append(data)


def page_of(results, root):
    write_json(root / "tables/cost.json", make_record("measure_cost", measure_cost(results, root, root), code="0"))
    write_json(root / "tables/published.json", make_record("compare_published", {"rows": []}, code="0"))
    figure = {"figure": "comparison", "title": ODD[7], "caption": ODD[8]}
    write_json(root / "figures/comparison.json", make_record("make_figure", figure, code="0"))
    (root / "figures/comparison.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    )
    report(results, root=root, figures=["comparison"], html=root / "report.html")
    return Elements((root / "report.html").read_text())


def test_no_markup_of_a_record_reaches_the_page(results, tmp_path):
    odd = page_of(with_odd_texts(results), tmp_path)
    assert [tag for tag, _ in odd.found].count("script") == 1
    assert not [names for _, names in odd.found if any(name.startswith("on") for name in names)]
    assert [names for tag, names in odd.found if tag == "img"] == [("alt", "src")]
    shown = "".join(odd.text)
    assert all(as_written(text) in shown for text in ODD)
    assert {tag for tag, _ in odd.found} == {tag for tag, _ in page_of(with_harmless_texts(results), tmp_path).found}


def with_harmless_texts(results):
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return "harmless" if value in ODD else value

    return plain(results)


def test_the_readme_shows_the_title_as_it_is(results, folder, tmp_path):
    results["title"] = ODD[7]
    content = {name: value for name, value in results.items() if name != "status"}
    write_json(folder / "tables/results.json", make_record("collect_results", content, code="0"))
    (folder / "figures").mkdir()
    (folder / "figures/comparison.svg").write_text("<svg/>")
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results:made_up:begin -->\n<!-- results:made_up:end -->\n")
    write_readme(results_folder=folder, readme=readme, copies=tmp_path / "docs/readme")
    assert r"(\<script>alert(1)\</script>" in readme.read_text()


@pytest.mark.parametrize("text", ODD)
def test_a_record_holds_any_text(text, tmp_path):
    write_json(tmp_path / "r.json", make_record("report", {"answer": [text]}, code="0"))
    assert read_record(tmp_path / "r.json")["answer"] == [text]
