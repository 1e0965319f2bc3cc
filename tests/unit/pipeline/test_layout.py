"""What the workflow finds outdated beyond what a record itself can tell."""

import yaml

from lmodp.pipeline.layout import Layout
from lmodp.records.record import make_record, sha256_file, write_json
from lmodp.records.reuse import stage_code
from tests.contracts.small_world import ROOT


def test_an_audit_by_other_settings_is_made_again(tmp_path):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results_root": str(tmp_path)}
    layout = Layout.from_values(values)
    audit, results = layout.results / "mechanisms/some/audit.json", layout.results / "tables/results.json"
    settings = layout.config.audit.model_dump(mode="json")
    write_json(audit, make_record("audit_mechanism", {"spec": {"audit": settings}}, code=stage_code("audit_mechanism")))
    inputs = {"mechanisms/some/audit.json": sha256_file(audit)}
    write_json(results, make_record("collect_results", {"inputs": inputs}, code=stage_code("collect_results")))
    assert not layout.outdated(audit) and not layout.outdated(results)
    changed = Layout.from_values(values | {"audit": settings | {"trials": settings["trials"] + 1}})
    assert changed.outdated(audit) and changed.outdated(results)
    unread = Layout.from_values(values | {"audit": settings | {"canaries": settings["canaries"] + 1}})
    assert not unread.outdated(audit)


def test_a_map_of_another_grid_is_made_again(tmp_path):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results_root": str(tmp_path)}
    layout = Layout.from_values(values)
    specs = {"map_space": layout.shown_landscape(), "map_wins": layout.mapped_wins()}
    for kind, spec in specs.items():
        write_json(layout.results / f"figures/{kind}.json", make_record(kind, {"spec": spec}, code=stage_code(kind)))
        assert not layout.outdated(layout.results / f"figures/{kind}.json")
    delta = {"delta": [1e-7]}
    experiments = {
        name: item | ({"privacy": item["privacy"] | delta} if "privacy" in item else {})
        for name, item in values["experiments"].items()
    }
    changed = Layout.from_values(values | {"privacy": values["privacy"] | delta, "experiments": experiments})
    assert changed.shown_landscape() != specs["map_space"]
    assert all(changed.outdated(layout.results / f"figures/{kind}.json") for kind in specs)
