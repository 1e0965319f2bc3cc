"""The page is one file, asks nothing of anyone, and shows every cell."""

import re

import pytest

from lmodp.records.record import make_record, read_record, write_json
from lmodp.reporting.figures.make_figure import make_figure
from lmodp.reporting.page.report import report
from lmodp.reporting.tables.compare_published import compare_published, read_published
from lmodp.reporting.tables.measure_cost import measure_cost
from tests.workflow.conftest import ROOT


@pytest.fixture
def page(folder, results, curves):
    tables = folder / "tables"
    write_json(tables / "cost.json", make_record("measure_cost", measure_cost(results, folder, tables), code="0"))
    published = compare_published(results, read_published(ROOT / "config/published.tsv")[-40:], curves, tables)
    write_json(tables / "published.json", make_record("compare_published", published, code="0"))
    for name in ("comparison", "privacy"):
        made = make_figure(name, results, {}, svg=folder / f"figures/{name}.svg", pdf=folder / f"figures/{name}.pdf")
        write_json(folder / f"figures/{name}.json", make_record("make_figure", made, code="0"))
    report(
        read_record(tables / "results.json"),
        root=folder,
        figures=["comparison", "privacy"],
        html=folder / "report.html",
    )
    return (folder / "report.html").read_text()


def test_the_page(page, results, folder):
    for cell in results["cells"]:
        assert f'<details id="{cell["cell"]}">' in page
    requests = re.findall(r'(?:src|href|action)="(?!#|data:)([^"]*)"', page)
    assert requests == [], "nothing outside the page"
    assert "url(http" not in page and "@import" not in page and "fetch(" not in page
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)
    assert str(folder) not in page
    assert 'id="filter"' in page and '<form class="filter" role="search" hidden>' in page, "shown by the script"
    assert page.count('<img src="data:image/svg+xml;base64,') == 2 and 'name="viewport"' in page
