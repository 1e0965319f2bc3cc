"""What the workflow finds outdated beyond what a record itself can tell."""

from dataclasses import replace

import pytest
import yaml

from lmodp.data.cards import DATASETS
from lmodp.data.locks import locked_package
from lmodp.models.cards import MODELS
from lmodp.pipeline import jobs
from lmodp.pipeline import layout as layout_module
from lmodp.pipeline.job import Job
from lmodp.pipeline.layout import Layout
from lmodp.pipeline.recompute import recompute_certificates
from lmodp.records.record import input_hash, make_record, read_record, write_json
from lmodp.records.stage_table import stage_code
from tests.contracts.small_world import ROOT


def outdated(layout, record):
    return layout.judge.why_outdated(record) is not None


def test_an_audit_by_other_settings_is_made_again(tmp_path):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results_root": str(tmp_path)}
    layout = Layout.from_values(values)
    audit, results = layout.results / "mechanisms/some/audit.json", layout.results / "tables/table.json"
    settings = layout.config.audit.model_dump(mode="json")
    write_json(audit, make_record("audit_mechanism", {"spec": {"audit": settings}}, code=stage_code("audit_mechanism")))
    inputs = {"mechanisms/some/audit.json": input_hash(audit)}
    write_json(results, make_record("make_table", {}, inputs=inputs, code=stage_code("make_table")))
    assert not outdated(layout, audit) and not outdated(layout, results)
    changed = Layout.from_values(values | {"audit": settings | {"trials": settings["trials"] + 1}})
    assert outdated(changed, audit) and outdated(changed, results)
    unread = Layout.from_values(values | {"audit": settings | {"canaries": settings["canaries"] + 1}})
    assert not outdated(unread, audit)


def test_full_certificates_are_made_where_quick_ones_were_and_the_record_says_so(tmp_path):
    def certified(**changes):
        layout = smoke(tmp_path, **changes)
        thing = next(name for name, spec in layout.grid.mechanisms.items() if spec.method == "gaussian")
        for stage in ("calibrate_noise", "certify_mechanism"):
            getattr(jobs, stage)(Job.of_stage(layout, stage, thing))
        path = layout.outputs("certify_mechanism", thing)["record"]
        return layout, path, read_record(path)

    quick_layout, path, quick = certified()
    full_layout = smoke(tmp_path, certificates="full")
    assert not outdated(quick_layout, path) and outdated(full_layout, path)
    full = certified(certificates="full")[2]
    assert full["spec"] == quick["spec"] | {"certificates": "full"}
    assert [wrong for _, wrong in recompute_certificates(full_layout.results, full_layout.judge)] == [None]
    for section in ("verified", "at_1e-5"):
        before, after = (record["certificate"][section] for record in (quick, full))
        before, after = before.get("verified", before), after.get("verified", after)
        assert (before["answer"], after["answer"]) == ("quick", "full") and after["upper"] < before["upper"]


def test_a_map_of_another_grid_is_made_again(tmp_path):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results_root": str(tmp_path)}
    layout = Layout.from_values(values)
    specs = {"map_space": layout.needs.mapped("map_space"), "map_wins": layout.needs.mapped("map_wins")}
    for kind, spec in specs.items():
        write_json(layout.results / f"figures/{kind}.json", make_record(kind, {"spec": spec}, code=stage_code(kind)))
        assert not outdated(layout, layout.results / f"figures/{kind}.json")
    delta = {"delta": [1e-7]}
    experiments = {
        name: item | ({"privacy": item["privacy"] | delta} if "privacy" in item else {})
        for name, item in values["experiments"].items()
    }
    changed = Layout.from_values(values | {"privacy": values["privacy"] | delta, "experiments": experiments})
    assert changed.needs.mapped("map_space") != specs["map_space"]
    assert outdated(changed, layout.results / "figures/map_space.json")
    wins = layout.results / "figures/map_wins.json"  # the same for every grid
    assert not outdated(changed, wins)
    write_json(wins, make_record("map_wins", {"spec": {"delta": 1e-10}}, code=stage_code("map_wins")))
    assert outdated(layout, wins)


def smoke(tmp_path, **changes):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    return Layout.from_values(values | {"results_root": str(tmp_path), "cache_root": str(tmp_path / "cache")} | changes)


@pytest.mark.parametrize("stage", ["prepare_dataset", "prepare_model"])
def test_another_version_of_a_source_is_other_work(tmp_path, monkeypatch, stage):
    """A changed entry of data.lock outdates what was prepared from it."""
    layout = smoke(tmp_path)
    kind = {"prepare_dataset": "datasets", "prepare_model": "models"}[stage]
    folder = {"datasets": DATASETS, "models": MODELS}[kind]
    name = next(name for name, card in folder.items() if card.package)
    spec = (
        {"dataset": name, "source": "embedded"}
        if kind == "datasets"
        else {"model": name, "source": "embedded", "layers": None}
    )
    record = layout.results / kind / "some.json"
    write_json(record, make_record(stage, {"spec": layout.source_spec(stage, spec)}, code=stage_code(stage)))
    assert not outdated(layout, record)
    package = locked_package(folder[name].package)
    monkeypatch.setattr(layout_module, "locked_package", lambda name: replace(package, sha256="0" * 64))
    assert outdated(smoke(tmp_path), record)


def test_another_revision_of_the_hub_is_other_work(tmp_path):
    layout = smoke(tmp_path)
    spec = {"model": "roberta_large", "source": "hub", "layers": None}
    record = layout.results / "models/some.json"
    write_json(
        record,
        make_record(
            "prepare_model", {"spec": layout.source_spec("prepare_model", spec)}, code=stage_code("prepare_model")
        ),
    )
    assert not outdated(layout, record)
    assert outdated(smoke(tmp_path, hub_revisions={"roberta_large": "1" * 40}), record)
