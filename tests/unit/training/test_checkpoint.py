"""Checkpoints are atomic, and damaged or foreign ones are refused with the reason."""

import pytest
import torch

from lmodp.errors import DamagedFile
from lmodp.training.checkpoint import load_checkpoint, save_checkpoint

MINE = {"plan": "m", "number of threads": "1", "data": "d"}
OTHER = {**MINE, "number of threads": "2"}
STATE = {"step": 3, "parameters": [torch.arange(5.0)], "log": "{}"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "deep" / "run.ckpt"
    save_checkpoint(path, STATE, identity=MINE)
    return path


def test_round_trip(path):
    found = load_checkpoint(path, identity=MINE)
    assert found["step"] == 3 and torch.equal(found["parameters"][0], STATE["parameters"][0])
    assert [file.name for file in path.parent.iterdir()] == ["run.ckpt"]


def test_none_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "nothing", identity=MINE) is None


def test_a_foreign_one_is_refused(path):
    with pytest.raises(DamagedFile, match="another run, which differs in: number of threads. Delete it"):
        load_checkpoint(path, identity=OTHER)


@pytest.mark.parametrize("position", [16, 47, 60, 100, -1])
def test_one_changed_byte_is_refused(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match="is damaged"):
        load_checkpoint(path, identity=MINE)


@pytest.mark.parametrize("size", [60, 200, -1])
def test_a_cut_one_is_refused(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedFile, match="is damaged|is not a checkpoint"):
        load_checkpoint(path, identity=MINE)


@pytest.mark.parametrize("content", [b"", b"something else entirely", b"PK\x03\x04"])
def test_another_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="is not a checkpoint of this suite"):
        load_checkpoint(path, identity=MINE)


def test_a_failed_write_leaves_the_old_one(path):
    class Bomb:
        def __reduce__(self):
            raise RuntimeError("cannot be written")

    with pytest.raises(RuntimeError, match="cannot be written"):
        save_checkpoint(path, {"bad": Bomb()}, identity=MINE)
    assert load_checkpoint(path, identity=MINE)["step"] == 3
    assert [file.name for file in path.parent.iterdir()] == ["run.ckpt"]
