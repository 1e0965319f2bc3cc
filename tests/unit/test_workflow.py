"""What the workflow finds outdated beyond what a record itself can tell."""

import yaml

from lmodp.records import make_record, sha256_file, write_json
from lmodp.stages import stage_code
from lmodp.workflow import Layout
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
