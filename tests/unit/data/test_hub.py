"""The hub as a source, on a cache in the hub client's own layout, without network."""

import hashlib

import pyarrow
import pyarrow.parquet
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lmodp.data import hub
from lmodp.data.cards import DATASETS
from lmodp.data.hub import hub_files
from lmodp.data.locks import HubEntry, hub_entries, hub_entry
from lmodp.data.source_settings import SourceSettings
from lmodp.data.sources import load_examples
from lmodp.errors import DamagedFile, InvalidValue, LmodpError, MissingFile
from lmodp.models.cards import MODELS

REVISION = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def put(cache_root, entry, name, data, *, blob=None, revision=None):
    """Lay a file down as the client does: a blob under its checksum, a link in the snapshot."""
    folder = cache_root / "hub" / f"{entry.kind}s--{entry.repository.replace('/', '--')}"
    path = folder / "blobs" / (blob or hashlib.sha256(data).hexdigest())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    link = folder / "snapshots" / (revision or entry.revision) / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(path)


def parquet(**columns):
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue().to_pybytes()


def load(name, cache_root, revision=REVISION):
    settings = SourceSettings(hub_revisions={name: revision})
    return load_examples(DATASETS[name], "hub", cache_root=cache_root, data_root=None, settings=settings)


def test_sst2_from_the_hub(tmp_path):
    entry = hub_entry("sst2", kind="dataset", revisions={"sst2": REVISION})
    for path in entry.files.values():
        put(tmp_path, entry, path, parquet(sentence=["a ", "b"], label=[1, 0], idx=[0, 1]))
    assert load("sst2", tmp_path).columns == {"sentence": ["a", "b", "a", "b"], "label": [1, 0, 1, 0]}


def test_e2e_and_dart_from_the_hub(tmp_path):
    for name, table in {
        "e2e": parquet(meaning_representation=["name[A]"], human_reference=["A."]),
        "dart": parquet(tripleset=[[["a", "B", "c"]]], annotations=[{"source": ["s", "s"], "text": ["x", "y"]}]),
    }.items():
        entry = hub_entry(name, kind="dataset", revisions={name: REVISION})
        for path in entry.files.values():
            put(tmp_path, entry, path, table)
    assert load("e2e", tmp_path).columns["record"] == ["name : A"] * 3
    assert load("dart", tmp_path).columns["text"] == ["x", "y"] * 3


def test_damaged_blob(tmp_path):
    entry = HubEntry(kind="model", name="m", repository="a/b", revision=REVISION)
    put(tmp_path, entry, "config.json", b"{}", blob="0" * 64)
    with pytest.raises(DamagedFile, match="'config.json' of a/b: has checksum .*, must have 0000"):
        hub_files(entry, cache_root=tmp_path)


def test_git_hash_of_small_files(tmp_path):
    entry = HubEntry(kind="model", name="m", repository="a/b", revision=REVISION)
    put(tmp_path, entry, "config.json", b"{}", blob="9e26dfeeb6e641a33dae4961196235bdb965b21b")  # git hash-object of {}
    assert (hub_files(entry, cache_root=tmp_path) / "config.json").read_bytes() == b"{}"


def test_pinned_checksum_and_pinned_file(tmp_path):
    entry = HubEntry(
        kind="model", name="m", repository="a/b", revision=REVISION, sha256={"model.safetensors": "1" * 64}
    )
    put(tmp_path, entry, "config.json", b"{}")
    with pytest.raises(MissingFile, match="'model.safetensors': is not in a/b@0123456789ab"):
        hub_files(entry, cache_root=tmp_path)
    put(tmp_path, entry, "model.safetensors", b"weights")
    with pytest.raises(DamagedFile, match="must have 1111"):
        hub_files(entry, cache_root=tmp_path)


def test_offline_says_what_is_there_and_what_to_do(tmp_path):
    entry = HubEntry(kind="model", name="llama", repository="a/b", revision=REVISION, gated=True)
    put(tmp_path, entry, "config.json", b"{}", revision=OTHER)
    with pytest.raises(
        LmodpError, match=r"is not in the cache \(there: ffffffffffff\), and HF_HUB_OFFLINE is set.*HF_TOKEN"
    ):
        hub_files(entry, cache_root=tmp_path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GatedRepoError, "is gated. Accept its licence"),
        (RevisionNotFoundError, "does not have this revision"),
        (RepositoryNotFoundError, "does not exist, or needs a token"),
        (
            LocalEntryNotFoundError,
            "is not in the cache, and the hub cannot be reached. Fetch it on a machine with network and copy",
        ),
    ],
)
def test_answers_of_the_hub(tmp_path, monkeypatch, error, message):
    def refuse(*args, **kwargs):
        raise error.__new__(error)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(LmodpError, match=message):
        hub_files(HubEntry(kind="model", name="m", repository="a/b", revision=REVISION), cache_root=tmp_path)


def test_unpinned_and_movable_revisions_are_refused():
    with pytest.raises(
        InvalidValue,
        match=(
            "hub_revisions.e2e = None: tuetschek/e2e_nlg has no pinned revision. Give one.*under hub_revisions "
            "in the config"
        ),
    ):
        hub_entry("e2e", kind="dataset")
    with pytest.raises(InvalidValue, match="'main': must be a commit"):
        hub_entry("e2e", kind="dataset", revisions={"e2e": "main"})
    with pytest.raises(InvalidValue, match="dataset 'movie_reviews' is not in hub.lock"):
        hub_entry("movie_reviews", kind="dataset")


def test_the_lock_names_only_what_the_suite_knows():
    known = {"dataset": DATASETS, "model": MODELS}
    for entry in hub_entries().values():
        assert entry.name in known[entry.kind]
        if entry.kind == "dataset":
            assert {"train", DATASETS[entry.name].evaluation_split} <= set(entry.files)
