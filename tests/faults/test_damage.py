"""Flipped bits and cuts in every kind of file that a stage reads: mended by the next start, or refused."""

import json

import pytest

from lmodp.errors import LmodpError
from lmodp.pipeline.layout import Layout
from tests.faults.world import count, start, state

A_KIND = 20  # half of them flips, half cuts
BULKY = {  # read only by what comes after them, so that is deleted too
    "rows of a data set": "cache/datasets/*/train/*.arrow",
    "facts of a data set": "cache/datasets/*/dataset_dict.json",
    "weights of a model": "cache/models/*/model.safetensors",
    "configuration of a model": "cache/models/*/config.json",
    "tokenizer": "cache/models/*/tokenizer.json",
    "tokens": "cache/tokens/*/train.safetensors",
    "activations": "cache/activations/*/train.safetensors",
    "checksums": "cache/*/*/checksums.json",
    "copy of a record": "cache/*/*/complete.json",
}
KEPT = {  # a damaged one is found by its own hash or by that of its record
    "record of a data set": "results/*/datasets/*/dataset.json",
    "record of a model": "results/*/models/*/model.json",
    "record of tokens": "results/*/tokens/*/tokens.json",
    "record of activations": "results/*/activations/*/activations.json",
    "noise": "results/*/mechanisms/*/noise.json",
    "certificate": "results/*/mechanisms/*/certificate.json",
    "training": "results/*/cells/*/training.jsonl",
    "evaluation": "results/*/cells/*/evaluation.jsonl",
    "verification": "results/*/cells/*/verification.jsonl",
    "results": "results/*/tables/results.json",
    "runs": "results/*/tables/runs.parquet",
    "table": "results/*/tables/comparison.csv",
}
RUNS = {  # read when a cell's records are gone
    "log of a run": "cache/cells/*/*-r0*.json",
    "trained weights": "cache/cells/*/*.safetensors",
    "tuning": "cache/cells/*/tuning.json",
}


def damage_file(path, chance, number):
    data = bytearray(path.read_bytes())
    if number % 2:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        del data[chance.randrange(len(data)) :]
    path.write_bytes(data)


def meaning(files):
    """Files by name; of JSON what it says, since a line end in place of a space says the same."""
    return {name: _json(data) if name.endswith((".json", ".jsonl")) else data for name, data in files.items()}


def _json(data):
    return (
        [json.loads(line) for line in data.splitlines()] if data[:1] == b"{" and b"}\n{" in data else json.loads(data)
    )


def forget_after(values, kind):
    """Delete what is made from a bulky file, so that the next start reads it."""
    layout = Layout.from_values(values)
    for path in (layout.results / "cells").rglob("*.jsonl"):
        path.unlink()
    if kind in BULKY:
        for path in (layout.cache / "cells").rglob("*"):
            if path.is_file():
                path.unlink()


@pytest.mark.parametrize("kind", [*BULKY, *KEPT, *RUNS])
def test_damage_is_mended_or_refused(disturbed, tmp_path, chance, kind):
    values, kept = disturbed[0], meaning(disturbed[1])
    paths = sorted(tmp_path.glob({**BULKY, **KEPT, **RUNS}[kind]))
    assert paths, "there is no such file to damage"
    same = refused = 0
    for number in range(A_KIND):
        path = chance.choice(paths)
        before = path.read_bytes()
        damage_file(path, chance, number)
        if kind not in KEPT:
            forget_after(values, kind)
        try:
            start(values)
        except LmodpError as error:  # anything else fails the test: a traceback is no answer
            assert path.name in str(error) or str(path.parent) in str(error)
            path.write_bytes(before)
            start(values)
            refused += 1
        else:
            same += 1
        assert meaning(state(values)) == kept, f"{kind}, number {number}: {path}"
        path.write_bytes(before)  # what nothing reads stays damaged, and is whole again for the next number
    count(f"damage: {kind}", tried=A_KIND, same_bytes=same, refused=refused)
