"""Records: provenance, atomic writing, reuse."""

import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest

from lmodp.errors import DamagedFile, MissingFile
from lmodp.records.record import (
    delete_left,
    input_hash,
    json_text,
    make_record,
    read_record,
    replacing,
    short_hash,
    write_bytes,
    write_json,
)
from lmodp.records.reuse import Wanted, difference


def record(**fields):
    return make_record(
        "certify_mechanism", {"spec": {"epsilon": 0.7}, **fields}, code="abc", packages=("numpy",), inputs={"a": "1"}
    )


def test_a_record_says_what_made_it(tmp_path):
    write_json(tmp_path / "r.json", record())
    read = read_record(tmp_path / "r.json")
    assert read["stage"] == "certify_mechanism" and read["created_by"]["code"] == "abc"
    assert set(read["created_by"]["versions"]) == {"lmodp", "python", "numpy"}
    assert read["status"] == "done" and read["reason"] is None


def test_a_status_other_than_done_needs_a_reason():
    with pytest.raises(ValueError, match="needs a reason"):
        make_record("x", {}, code="", status="failed")
    with pytest.raises(ValueError, match="must be one of"):
        make_record("x", {}, code="", status="fine")


def test_no_number_that_json_cannot_say(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "r.json", {"epsilon": float("inf")})
    assert list(tmp_path.iterdir()) == []


def test_json_is_laid_out_in_lines_and_reads_back_the_same():
    value = {
        "short": [1, 2.5, None],
        "steps": [1000 + n / 7 for n in range(100)],
        "nested": {"a" * 60: {"b" * 50: [{"c": 1}]}, "empty": {}},
        "texts": ["x y " * 20, "z " * 50],
        "rows": [{"name": "n" * 70, "value": number} for number in range(3)],
        "ü": (1, 2),
        3: "key",
    }
    text = json_text(value)
    assert json.loads(text) == json.loads(json.dumps(value))
    lines = text.splitlines()
    assert lines[1] == ' "short": [1, 2.5, null],' and lines[-2] == ' "3": "key"' and max(map(len, lines)) <= 120
    assert json_text(json.loads(text)) == text and json_text({}) == "{}\n"
    steps = [line for line in lines if line.startswith("  1")]
    assert all(line.count(",") > 3 for line in steps[:-1]), "numbers of a list share lines"


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_bytes(tmp_path / "f", b"old")
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_missing_damaged_and_foreign_files_are_told_apart(tmp_path):
    with pytest.raises(MissingFile, match="is not there"):
        read_record(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"schema_version": 1, ')
    with pytest.raises(DamagedFile, match="not valid JSON"):
        read_record(tmp_path / "half.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DamagedFile, match="lacks schema_version"):
        read_record(tmp_path / "other.json")
    (tmp_path / "future.json").write_text(json.dumps({**record(), "schema_version": 99}))
    with pytest.raises(DamagedFile, match="schema_version 99"):
        read_record(tmp_path / "future.json")


@pytest.mark.parametrize(
    ("code", "inputs", "spec", "told"),
    [
        ("abc", {"a": "1"}, {"epsilon": 0.7}, None),
        (None, {"a": "1"}, {"epsilon": 0.7}, None),
        ("abd", {"a": "1"}, {"epsilon": 0.7}, "other code"),
        ("abc", {"a": "2"}, {"epsilon": 0.7}, "other inputs"),
        ("abc", {"a": "1", "b": "1"}, {"epsilon": 0.7}, "other inputs"),
        ("abc", {"a": "1"}, {"epsilon": 0.8}, "another spec"),
    ],
)
def test_a_record_is_reused_only_if_code_inputs_and_spec_are_the_same(code, inputs, spec, told):
    assert difference(record(), Wanted(code, inputs, spec)) == told


def test_a_changed_digit_is_noticed_and_other_code_is_the_same_content(tmp_path):
    write_json(tmp_path / "r.json", record())
    text = (tmp_path / "r.json").read_text()
    (tmp_path / "r.json").write_text(text.replace("0.7", "0.8"))
    with pytest.raises(DamagedFile, match="has changed since it was written"):
        read_record(tmp_path / "r.json")
    other = make_record("certify_mechanism", {"spec": {"epsilon": 0.7}}, code="other", inputs={"a": "1"})
    assert other["sha256"] == record()["sha256"] != record(epsilon_scope="run")["sha256"]


def test_hashes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert input_hash(tmp_path / "f").startswith("ba7816bf")
    write_json(tmp_path / "r.json", record())
    assert input_hash(tmp_path / "r.json") == record()["sha256"]
    assert short_hash({"a": 1, "b": [2]}) == short_hash({"b": [2], "a": 1}) != short_hash({"a": 1, "b": [3]})


KILLED = """
import os, signal, sys
from pathlib import Path
from lmodp.records.record import replacing
with replacing(Path(sys.argv[1])) as stream:
    stream.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_nothing_after_the_next_one(tmp_path):
    path = tmp_path / "record [1].json"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    write_bytes(path, b"whole")
    assert [each.name for each in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"whole"


def test_a_file_that_is_being_written_stays(tmp_path):
    path = tmp_path / "record.json"
    with replacing(path) as stream:
        write_bytes(path, b"first")
        stream.write(b"second")
    assert path.read_bytes() == b"second" and list(tmp_path.iterdir()) == [path]


def test_a_new_file_that_another_writer_deletes_at_once_is_begun_again(tmp_path, monkeypatch):
    path, begun = tmp_path / "record.json", []
    lock = fcntl.flock

    def late(handle, how):
        if how == fcntl.LOCK_EX and not begun:
            begun.append(handle)
            delete_left(path)
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_bytes(path, b"whole")
    assert begun and path.read_bytes() == b"whole"
