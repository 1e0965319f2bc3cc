"""What the workflow finds outdated beyond what a record itself can tell."""

import yaml

from lmodp.records import make_record, write_json
from lmodp.stages import stage_code
from lmodp.workflow import Layout
from tests.contracts.small_world import ROOT


def test_an_audit_by_other_settings_is_made_again(tmp_path):
    values = yaml.safe_load((ROOT / "config/smoke.yaml").read_text()) | {"results_root": str(tmp_path)}
    layout = Layout.from_values(values)
    record = layout.results / "mechanisms/some/audit.json"
    settings = layout.config.audit.model_dump(mode="json")
    write_json(record, make_record("audit_mechanism", {"spec": {"audit": settings}}, code=stage_code("audit_mechanism")))
    assert not layout.outdated(record)
    changed = Layout.from_values(values | {"audit": {"trials": settings["trials"] + 1}})
    assert changed.outdated(record)
