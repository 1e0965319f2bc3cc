"""The desk: claim files in ``claims/``, their records in ``results/claims/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmodp.claims.check import check_claim
from lmodp.claims.schema import FOLDER, load_claim, readings_of
from lmodp.errors import DamagedFile, MissingFile, nearest
from lmodp.records.record import input_hash, make_record, plain, read_record, write_json
from lmodp.records.stage_table import get_stage, stage_code

RESULTS = Path("results/claims")
STAGE = "check_claim"


def claim_files() -> list[Path]:
    """Return the claim files of the present folder, in the order of their names.

    Raises:
        MissingFile: there are none.
    """
    found = sorted(FOLDER.glob("*.yaml"))
    if not found:
        raise MissingFile(f"folder = {str(FOLDER)!r}: holds no claims. Work in a checkout of the suite.")
    return found


def record_path(claim: str) -> Path:
    """Return the record of a claim by its id, which is the name of its file."""
    return RESULTS / f"{claim}.json"


def checked(path: Path) -> dict[str, Any]:
    """Return the record of a claim file; it is computed unless the same code has made it from the same file.

    A claim that lies in ``claims/`` has its record in ``results/claims/``; others have none.

    Raises:
        MissingFile, ConfigError: as `lmodp.claims.schema.load_claim`.
    """
    claim = load_claim(path)
    kept = record_path(path.stem) if path.resolve().parent == FOLDER.resolve() else None
    inputs, code = {f"claims/{path.name}": input_hash(path)}, stage_code(STAGE)
    if kept and (record := _standing(kept, inputs, code)):
        return record
    content = {"spec": plain(claim.model_dump(mode="json", exclude_defaults=True)), **check_claim(readings_of(claim))}
    record = make_record(STAGE, content, code=code, packages=get_stage(STAGE).packages, inputs=inputs)
    if kept:
        write_json(kept, record)
    return record


def kept_records() -> dict[str, dict[str, Any]]:
    """Return the records of all claims by id, in the order of their names.

    Raises:
        MissingFile: a claim has none yet.
    """
    return {path.stem: kept_record(path.stem) for path in claim_files()}


def kept_record(claim: str) -> dict[str, Any]:
    """Return the record of a claim by its id.

    Raises:
        MissingFile: it has none yet.
    """
    if not record_path(claim).is_file():
        raise MissingFile(f"claim = {claim!r}: is not checked yet. Type: lmodp claims check {claim}")
    return read_record(record_path(claim))


def _standing(path: Path, inputs: dict[str, str], code: str) -> dict[str, Any] | None:
    try:
        record = read_record(path)
    except (MissingFile, DamagedFile):
        return None
    return record if record["inputs"] == inputs and record["created_by"]["code"] == code else None


def find_claim(wanted: str) -> Path:
    """Return a claim file by its path or its id.

    Raises:
        MissingFile: there is none.
    """
    path = Path(wanted)
    if path.suffix == ".yaml":
        return path
    found = FOLDER / f"{wanted}.yaml"
    if not found.is_file():
        raise MissingFile(f"claim = {wanted!r}: is not there. {nearest(wanted, [item.stem for item in claim_files()])}")
    return found
