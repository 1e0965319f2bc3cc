"""summary, readme, show and diff on fabricated results."""

import json

import pytest
import yaml

from lmodp.cli import main
from lmodp.records.record import make_record, read_record, sealed, write_json
from tests.unit.reporting.fabricated import fabricated_results
from tests.workflow.conftest import ROOT


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "results" / "smoke"
    content = {name: value for name, value in fabricated_results().items() if name != "status"}
    write_json(root / "tables/results.json", make_record("collect_results", content, code="0"))
    write_json(root / "report.json", make_record("report", {}, code="0"))
    (root / "figures").mkdir()
    (root / "figures/comparison.svg").write_text("<svg/>")
    return root


def test_summary_fits_a_terminal_and_names_the_places(folder, tmp_path, capsys):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results_root": str(tmp_path / "results")}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(values))
    assert main(["summary", "--configfile", str(tmp_path / "grid.yaml")]) == 0
    told = capsys.readouterr().out
    assert told.startswith("At equal verified ε, proven for the whole run"), "what the grid found comes first"
    tables = told.partition("\n\n")[2].partition("\nfigures  ")[0]
    assert max(map(len, tables.splitlines())) <= 120
    assert str(folder / "figures") in told and "report.html" not in told, "only what exists is named"
    (folder / "report.html").touch()
    assert main(["summary", str(folder)]) == 0
    assert capsys.readouterr().out == told.replace("a cell", f"report   {folder / 'report.html'}\na cell")
    (folder / "tables/results.json").unlink()
    assert main(["summary", "--configfile", str(tmp_path / "grid.yaml")]) == 2
    assert "Run the grid first" in capsys.readouterr().err
    assert main(["summary", str(tmp_path)]) == 2
    assert f"There is no grid config/{tmp_path.name}.yaml that fills" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["summary", "readme"])
def test_results_of_another_form_are_refused_with_what_to_do(folder, capsys, command):
    path = folder / "tables/results.json"
    write_json(path, sealed({name: value for name, value in read_record(path).items() if name != "form"}))
    assert main([command, str(folder)]) == 2
    told = capsys.readouterr().err
    assert "another version of the suite" in told and "make report CONFIG=config/smoke.yaml" in told
    assert main(["diff", str(folder), str(folder)]) == 0  # it needs the cells alone


def test_every_command_takes_a_results_folder_and_a_configuration_alike(folder, tmp_path, monkeypatch, capsys):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results_root": "results"}
    (tmp_path / "config").mkdir()
    (tmp_path / "config/smoke.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)

    def told(*arguments):
        return main(list(arguments)), capsys.readouterr().out

    plan = ("--rate", "1e12")
    for command, options in [
        ("summary", ()),
        ("show", ()),
        ("check", ()),
        ("diff", ("results/smoke",)),
        ("plan", plan),
    ]:
        by_folder = told(command, "results/smoke", *options)
        assert by_folder == told(command, "config/smoke.yaml", *options), command
        assert by_folder[0] in (0, 1) and by_folder[1]
    assert main(["show", "config/smok.yaml"]) == 2
    assert "is neither a results folder nor a configuration. Did you mean" in capsys.readouterr().err
    assert main(["plan", str(tmp_path)]) == 2
    assert "is the results folder of no grid: config/" in capsys.readouterr().err


def test_readme_replaces_only_its_block(folder, tmp_path, capsys):
    readme = tmp_path / "README.md"
    arguments = ["readme", str(folder), "--readme", str(readme), "--copies", str(tmp_path / "docs/readme")]
    readme.write_text(
        "above\n<!-- results:made_up:begin -->\nSTALE\n<!-- results:made_up:end -->\nbelow\n<!-- "
        "results:quick:begin -->\n"
    )
    assert main(arguments) == 0
    first = readme.read_text()
    assert (
        first.startswith("above\n") and first.endswith("below\n<!-- results:quick:begin -->\n") and "STALE" not in first
    )
    assert "docs/readme/made_up.svg" in first and "docs/readme/made_up.md" in first
    assert (tmp_path / "docs/readme/made_up.svg").read_text() == "<svg/>"
    assert main(arguments) == 0 and readme.read_text() == first
    readme.write_text("no markers\n")
    capsys.readouterr()
    assert main(arguments) == 2
    assert "must hold the lines" in capsys.readouterr().err and readme.read_text() == "no markers\n"


def test_show_lists_finds_and_refuses(folder, capsys):
    assert main(["show", str(folder)]) == 0
    listed = capsys.readouterr().out
    assert "head-nonprivate-0a1b2c3d" in listed and "it is the drawing of a published claim" in listed
    assert main(["show", str(folder), "--cell", "head-nonprivate"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["results"]["method"] == "nonprivate" and "versions" in told and told["commit"] is None
    assert main(["show", str(folder), "--cell", "head-lmo"]) == 2
    assert "Give one of them" in capsys.readouterr().err
    assert main(["show", str(folder), "--cell", "hed-nonprivate-0a1b2c3d"]) == 2
    assert "Did you mean 'head-nonprivate" in capsys.readouterr().err


def test_diff_exits_with_1_beyond_the_spread(folder, tmp_path, capsys):
    assert main(["diff", str(folder), str(folder)]) == 0
    assert "0 differ" in capsys.readouterr().out
    other = fabricated_results()
    other["cells"][1]["scores"]["accuracy"]["mean"] += 0.2
    content = {name: value for name, value in other.items() if name != "status"}
    write_json(tmp_path / "other/tables/results.json", make_record("collect_results", content, code="0"))
    assert main(["diff", str(folder), str(tmp_path / "other")]) == 1
    assert "DIFFERS" in capsys.readouterr().out
    assert main(["diff", str(folder), str(tmp_path / "nowhere")]) == 2
