"""Every field is declared: what is written, what is read, and what a release tells."""

import json

import pytest

from lmodp.errors import DamagedFile
from lmodp.records.fields import DATA, PRIVATE, faults, fields_of, public_part, stages
from lmodp.records.record import (
    declared,
    make_record,
    read_record,
    read_runs,
    read_sealed,
    run_entry,
    write_json,
    write_runs,
    write_sealed,
)
from lmodp.records.stage_table import BESIDE, STAGES

DECLARED = [*((name, False) for name in stages()), *((name, True) for name in stages(line=True))]


def test_every_stage_is_declared_and_every_declared_part_has_a_whole():
    assert set(stages()) == {*STAGES, *BESIDE}
    assert set(stages(line=True)) == {name for name in stages() if "runs" in fields_of(name)}
    for stage, line in DECLARED:
        paths = fields_of(stage, line=line)
        assert all(path.rpartition(".")[0] in paths for path in paths if "." in path), stage
        assert all(field.meaning and not field.meaning.endswith(".") for field in paths.values())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"epsilon": 0.3}, "epsilon is not declared"),
        ({"epsilon_scope": 3}, "epsilon_scope is int, must be text?"),
        ({"certificate": {"verified": {"upper": "2"}}}, "certificate.verified.upper is str, must be number"),
        ({"certificate": {"verified": {"upper": True}}}, "certificate.verified.upper is bool, must be number"),
        ({"certificate": []}, "certificate is list, must be object?"),
    ],
)
def test_a_record_that_is_not_as_declared_is_not_written(content, told):
    with pytest.raises(ValueError, match="lmodp/records/fields.yaml") as error:
        make_record("certify_mechanism", content, code="")
    assert told in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: {**record, "inputs": []},
        lambda record: {**record, "stage": {"deep": 1}},
        lambda record: {**record, "stage": None},
        lambda record: {**record, "created_by": "me"},
        lambda record: {**record, "status": 3},
        lambda record: {**record, "certificate": {"verified": [1]}},
        lambda record: {name: value for name, value in record.items() if name != "inputs"},
        lambda record: [record],
    ],
)
def test_a_record_of_an_odd_form_is_damaged(tmp_path, change):
    write_json(tmp_path / "r.json", change(make_record("certify_mechanism", {"spec": {}}, code="")))
    with pytest.raises(DamagedFile, match="r.json"):
        read_record(tmp_path / "r.json")


def test_nested_without_end_is_damaged(tmp_path):
    (tmp_path / "r.json").write_text("[" * 100_000)
    (tmp_path / "r.jsonl").write_text("[" * 100_000)
    for name in ("r.json", "r.jsonl"):
        with pytest.raises(DamagedFile):
            read_record(tmp_path / name)


@pytest.mark.parametrize(
    "change",
    [
        lambda record, line: (record, {**line, "per_step": "all"}),
        lambda record, line: (record, {**line, "settings": None}),
        lambda record, line: (record, [line]),
        lambda record, line: ({**record, "runs": [{"run": "a"}]}, line),
        lambda record, line: ({**record, "runs": ["a"]}, line),
    ],
)
def test_a_line_of_an_odd_form_is_damaged(tmp_path, change):
    line = declared("finetune_model", {"run": "a", "repetition": 0, "status": "done", "reason": None}, line=True)
    record, line = change(make_record("finetune_model", {"runs": [run_entry(line)]}, code=""), line)
    write_runs(tmp_path / "r.jsonl", record, [line])
    with pytest.raises(DamagedFile, match="r.jsonl"):
        read_runs(tmp_path / "r.jsonl")


def test_a_text_that_holds_other_line_ends_is_one_line(tmp_path):
    text = "one\u2028two\x85three"
    content = {"run": "a", "repetition": 0, "status": "done", "reason": None, "samples": [{"output": text}]}
    line = declared("evaluate_model", content, line=True)
    record = make_record("evaluate_model", {"runs": [run_entry(line)]}, code="")
    write_runs(tmp_path / "r.jsonl", record, [line])
    assert read_runs(tmp_path / "r.jsonl")[1][0]["samples"][0]["output"] == text


def _filled(stage, line):
    """A record with a value at every declared path, which is the path itself; kinds do not matter here."""
    whole: dict = {}
    for path in fields_of(stage, line=line):
        node, parts = whole, path.split(".")
        for part in parts[:-1]:
            node = node[part] if isinstance(node.get(part), dict) else node.setdefault(part, {})
        node[parts[-1]] = {} if any(other.startswith(path + ".") for other in fields_of(stage, line=line)) else path
    return whole


@pytest.mark.parametrize(("stage", "line"), DECLARED)
def test_a_release_tells_no_private_and_no_data_dependent_field(stage, line):
    told = json.dumps(public_part(stage, _filled(stage, line), line=line))
    fields = fields_of(stage, line=line)
    leaves = {path: field for path, field in fields.items() if f'"{path}"' in json.dumps(_filled(stage, line))}
    for path, field in leaves.items():
        above = [fields[path.rsplit(".", up)[0]].mark for up in range(1, path.count(".") + 1)]
        hidden = {PRIVATE, DATA} & {field.mark, *above}
        assert (f'"{path}"' in told) is not bool(hidden), path


def test_entries_of_lists_lose_their_hidden_parts():
    line = {"checks": [{"name": "steps", "certified": 3, "ran": 3, "agrees": True}], "conforms": True}
    assert public_part("verify_run", line, line=True)["checks"] == [{"name": "steps", "certified": 3, "agrees": True}]
    assert faults("an unknown stage", {"any": 1}) == []


def test_a_changed_version_is_noticed_although_other_code_is_the_same_content(tmp_path):
    """Who made a record stands outside its hash, and has one of its own."""
    record = make_record("certify_mechanism", {"spec": {}}, code="0a", packages=("numpy",))
    changed = {**record, "created_by": {**record["created_by"], "code": "0b"}}
    write_json(tmp_path / "r.json", changed)
    assert changed["sha256"] == make_record("certify_mechanism", {"spec": {}}, code="0b", packages=("numpy",))["sha256"]
    with pytest.raises(DamagedFile, match="has changed since it was written"):
        read_record(tmp_path / "r.json")


def test_a_file_of_the_cache_is_read_as_it_was_written_or_not_at_all(tmp_path):
    write_sealed(tmp_path / "log.json", {"made_by": {"code": "0a"}, "log": {"steps": (1, 2)}})
    assert read_sealed(tmp_path / "log.json")["log"] == {"steps": [1, 2]}
    (tmp_path / "log.json").write_text((tmp_path / "log.json").read_text().replace("steps", "stepz"))
    with pytest.raises(DamagedFile, match="has changed"):
        read_sealed(tmp_path / "log.json")
