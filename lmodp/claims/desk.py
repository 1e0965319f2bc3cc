"""The desk: claim files in ``claims/``, their records in ``results/claims/``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.claims.check import check_claim
from lmodp.claims.schema import FOLDER, load_claim, readings_of
from lmodp.errors import DamagedFile, MissingFile, nearest, require
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
    kept = record_path(path.stem) if has_record(path) else None
    if kept and (record := kept_record(path.stem)) and not changed_since(path.stem, record):
        return record
    inputs, code = {f"claims/{path.name}": input_hash(path)}, stage_code(STAGE)
    content = {"spec": plain(claim.model_dump(mode="json", exclude_defaults=True)), **check_claim(readings_of(claim))}
    record = make_record(STAGE, content, code=code, packages=get_stage(STAGE).packages, inputs=inputs)
    if kept:
        write_json(kept, record)
    return record


def has_record(path: Path) -> bool:
    """Whether a claim file lies where its record is kept."""
    return path.resolve().parent == FOLDER.resolve()


def kept_records() -> dict[str, dict[str, Any]]:
    """Return the records of all claims by id, in the order of their names; a claim without one is left out."""
    found = {path.stem: kept_record(path.stem) for path in claim_files()}
    return {name: record for name, record in found.items() if record is not None}


def kept_record(claim: str) -> dict[str, Any] | None:
    """Return the record of a claim by its id; None if it has none that can be read."""
    try:
        return read_record(record_path(claim))
    except (MissingFile, DamagedFile):
        return None


def changed_since(claim: str, record: Mapping[str, Any]) -> str:
    """Return what has changed since a claim was checked: its file, the code, or nothing ("")."""
    path = FOLDER / f"{claim}.yaml"
    if record["inputs"] != {f"claims/{path.name}": input_hash(path)}:
        return "the file"
    return "" if record["created_by"]["code"] == stage_code(STAGE) else "the code"


def find_claim(wanted: str) -> Path:
    """Return a claim file by its path or its id.

    Raises:
        MissingFile: there is none.
        InvalidValue: it is no YAML file.
    """
    path = Path(wanted)
    if path.suffix == ".yaml":
        return path
    require(not path.exists(), "claim", wanted, "must be a file that ends in .yaml, or the name of one in claims/")
    found = FOLDER / f"{wanted}.yaml"
    if not found.is_file():
        raise MissingFile(f"claim = {wanted!r}: is not there. {nearest(wanted, [item.stem for item in claim_files()])}")
    return found
