"""A model hub as a source: pinned revisions, checksums, and messages that say what to do.

``hub.lock`` pins the revisions that the suite knows; ``hub_revisions`` in the configuration pins the others. A revision
is a commit, so it fixes every file. The hub's client names each cached file by the checksum that the revision gives for
it (SHA-256 for large files, git's own hash for small ones). `hub_files` computes that checksum again.
"""

import hashlib
import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from lmodp.data.locks import HubEntry
from lmodp.errors import DamagedFile, LmodpError, MissingFile

MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


def hub_files(entry: HubEntry, *, cache_root: Path) -> Path:
    """Return the folder of a repository's files at the pinned revision; download missing files.

    Raises:
        LmodpError: there is no network, a licence or token is needed, or the repository or revision does not exist;
            each message says what to do.
        MissingFile: the revision lacks a file that the entry names.
        DamagedFile: a file's checksum differs from that of the revision.
    """
    patterns = list(entry.files.values()) or list(MODEL_FILES)
    offline = constants.HF_HUB_OFFLINE
    try:
        folder = Path(
            snapshot_download(
                entry.repository,
                repo_type=entry.kind,
                revision=entry.revision,
                allow_patterns=patterns,
                cache_dir=cache_root / "hub",
                local_files_only=offline,
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise LmodpError(_explain(entry, error, cache_root, offline)) from None
    _check(entry, folder)
    return folder


def _explain(entry: HubEntry, error: Exception, cache_root: Path, offline: bool) -> str:
    what = f"{entry.kind} {entry.name} = {entry.repository}@{entry.short_revision}"
    if isinstance(error, GatedRepoError):
        return f"{what}: is gated. Accept its licence on the hub, then log in with `hf auth login` or set HF_TOKEN."
    if isinstance(error, RevisionNotFoundError):
        return f"{what}: does not have this revision. Give another commit in hub_revisions."
    if isinstance(error, RepositoryNotFoundError):
        return f"{what}: does not exist, or needs a token. Log in with `hf auth login` or set HF_TOKEN."
    if isinstance(error, (LocalEntryNotFoundError, OfflineModeIsEnabled)):
        why = "HF_HUB_OFFLINE is set" if offline else "the hub cannot be reached"
        others = _cached_revisions(entry, cache_root)
        beside = f" (there: {', '.join(revision[:12] for revision in others)})" if others else ""
        gate = " It is gated: accept its licence and set HF_TOKEN there." if entry.gated else ""
        return (
            f"{what}: is not in the cache{beside}, and {why}. Fetch it on a machine with network "
            f"and copy {str(cache_root / 'hub')!r}, or use source 'local' or 'embedded'.{gate}"
        )
    return f"{what}: the hub answered with an error ({error}). Try again later, or use source 'local'."


def _cached_revisions(entry: HubEntry, cache_root: Path) -> list[str]:
    folder = cache_root / "hub" / f"{entry.kind}s--{entry.repository.replace('/', '--')}" / "snapshots"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _check(entry: HubEntry, folder: Path) -> None:
    for name in [*entry.files.values(), *entry.sha256]:
        if not (folder / name).is_file():
            raise MissingFile(
                f"file = {name!r}: is not in {entry.repository}@{entry.short_revision}. "
                "Give another revision in hub_revisions."
            )
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _check_file(path, path.relative_to(folder).as_posix(), entry)


def _check_file(path: Path, name: str, entry: HubEntry) -> None:
    """Compare with the pinned checksum, and with the checksum in the name of the cached file."""
    wanted = [entry.sha256[name]] if name in entry.sha256 else []
    blob = path.resolve().name
    wanted += [blob] if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", blob) else []
    for known in wanted:
        found = checksum(path, known)
        if found != known:
            raise DamagedFile(
                f"file = {name!r} of {entry.repository}: has checksum {found}, must have {known}. "
                "Delete it and fetch again."
            )


def checksum(path: Path, like: str) -> str:
    """Return a file's SHA-256, or git's hash of it if ``like`` has 40 digits."""
    if len(like) == 64:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    data = path.read_bytes()
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
