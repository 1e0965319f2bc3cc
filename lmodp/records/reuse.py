"""When a record may be reused: the one judge of staleness, and the conduct that every stage shares.

`run_stage` hashes the inputs, returns at once if the record at hand was made by the same code from the same
inputs, and otherwise does the work and writes the record last, so that nothing half-written looks finished.
`Judge` says of any record why the present code would not write it as it is. Both rest on `difference`.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmodp.errors import DamagedFile, MissingFile, require
from lmodp.records.artefacts import damage, write_checksums
from lmodp.records.fields import public_part
from lmodp.records.places import STAMP
from lmodp.records.record import (
    declared,
    input_hash,
    make_record,
    plain,
    read_record,
    read_runs,
    run_entry,
    sha256_file,
    write_bytes,
    write_json,
    write_runs,
)
from lmodp.records.stage_table import BESIDE, STAGES, get_stage, method_files_of, stage_code


@dataclass(frozen=True)
class Wanted:
    """What a record must have been made by: the code (None for any), the hashes of its inputs, and its spec."""

    code: str | None
    inputs: Mapping[str, str]
    spec: Mapping[str, Any]


def difference(made: Mapping[str, Any], wanted: Wanted) -> str | None:
    """Return what a record was made by that is not wanted, in words, or None."""
    if wanted.code not in (None, made["created_by"]["code"]):
        return "other code"
    if made["inputs"] != dict(wanted.inputs):
        return "other inputs"
    return None if made.get("spec") == plain(dict(wanted.spec)) else "another spec"


def run_stage(
    name: str,
    *,
    record: Path,
    root: Path,
    inputs: Mapping[str, Path],
    spec: Mapping[str, Any],
    work: Callable[[], Mapping[str, Any]],
    files: tuple[Path, ...] = (),
    artefact: Path | None = None,
    method_files: Iterable[Path] = (),
    any_code: bool = False,
    is_complete: Callable[[], bool] = lambda: True,
    public_only: bool = False,
) -> dict[str, Any]:
    """Do a stage's work unless its record says that it is done; return the record.

    Args:
        name: of the stage.
        record: file to write; a ``.jsonl`` file where the stage makes one line per run.
        root: the grid's results folder; inputs are named by their path in it.
        inputs, spec: what the result is computed from, and what was asked for; both part of the record.
        work: returns the record's content, with ``status`` and ``reason``; ``runs`` are the lines of a ``.jsonl`` file.
        files: further results that the work writes beside the record, which remembers their SHA-256.
        artefact: folder of bulky files that the work writes. It keeps a copy of the record, so that another grid, or a
            run after the results were deleted, finds it finished.
        method_files: files of methods that take part.
        any_code: keep a record that another version of the code wrote, although its bulky files must be made again, if
            the result is what it says; then everything made from it stands as well.
        is_complete: whether bulky files that lie elsewhere than in ``artefact`` are all there.
        public_only: write only the fields that `lmodp.records.fields` marks as public.
    """
    started = time.perf_counter()
    hashes = input_hashes(root, inputs.values())
    code = stage_code(name, method_files)
    stamp = artefact / STAMP if artefact else record
    stands = _is_current(stamp, root, Wanted(None if any_code else code, hashes, spec))
    if stands and (is_complete() if artefact is None else damage(artefact) is None):
        if artefact:
            write_bytes(record, stamp.read_bytes())
        os.utime(record)  # newer than its inputs again, so that the workflow rests
        _print_line(name, record, root, "reused", started)
        return read_record(record)
    record.parent.mkdir(parents=True, exist_ok=True)
    content = {"spec": dict(spec), **work()}
    if artefact:
        write_checksums(artefact)
        damage.cache_clear()
    content["files"] = {name_in(root, path): sha256_file(path) for path in files}
    wanted = Wanted(code, hashes, spec)
    made, lines = _record_of(name, content, wanted, in_lines=record.suffix == ".jsonl", public_only=public_only)
    if any_code and (_read_if_whole(record) or {}).get("sha256") == made["sha256"]:
        if artefact:
            write_bytes(stamp, record.read_bytes())
        os.utime(record)
        _print_line(name, record, root, "kept", started)
        return read_record(record)
    for path in (record, stamp) if artefact else (record,):
        write_json(path, made) if lines is None else write_runs(path, made, lines)
    _print_line(name, record, root, made["status"], started)
    return made


def _record_of(
    name: str, content: dict[str, Any], made_by: Wanted, *, in_lines: bool, public_only: bool
) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """Return the record of a stage's content, and the sealed lines of its runs where there are lines."""
    lines = None
    if in_lines:
        told = [public_part(name, line, line=True) if public_only else line for line in content.pop("runs", [])]
        lines = [declared(name, line, line=True) for line in told]
        content["runs"] = [run_entry(line) for line in lines]
    judged = {"status": content.pop("status", "done"), "reason": content.pop("reason", None)}
    made = {"code": made_by.code or "", "packages": content.pop("packages", get_stage(name).packages)}
    content = public_part(name, content) if public_only else content
    return make_record(name, content, inputs=made_by.inputs, **made, **judged), lines


def _is_current(record: Path, root: Path, wanted: Wanted) -> bool:
    """Whether a record is there, undamaged, and made by what is wanted."""
    made = _read_if_whole(record)
    if made is None or made.get("retry"):
        return False
    return difference(made, wanted) is None and files_changed(made, root) is None


def _read_if_whole(record: Path) -> dict[str, Any] | None:
    try:
        return _read_whole(record)
    except (MissingFile, DamagedFile):
        return None


def _read_whole(record: Path) -> dict[str, Any]:
    """The record, after checking the lines of its runs as well."""
    return read_runs(record)[0] if record.suffix == ".jsonl" else read_record(record)


def all_needed(path: Path) -> bool:
    """Return True: every file that a record remembers must be there."""
    return True


def files_changed(made: Mapping[str, Any], root: Path, is_needed: Callable[[Path], bool] = all_needed) -> str | None:
    """Return which of the files that a record remembers is missing or has other bytes, or None."""
    for name, known in made.get("files", {}).items():
        if not (root / name).is_file():
            if not is_needed(root / name):
                continue
            return f"{name}, written with it, is missing"
        if sha256_file(root / name) != known:
            return f"{name} has changed since it was written with it"
    return None


def _print_line(name: str, record: Path, root: Path, what: str, started: float) -> None:
    seconds = time.perf_counter() - started
    print(f"{name:18s} {name_in(root, record):60s} {what:8s} {seconds:7.1f} s", flush=True)


def name_in(root: Path, path: Path) -> str:
    """Return the name of a file within a grid's results; a bare name for files elsewhere.

    The name is what the path says. Where it leads does not matter, so a folder behind a symbolic link keeps its name.
    """
    for given, folder in ((Path(os.path.abspath(path)), Path(os.path.abspath(root))), (path.resolve(), root.resolve())):
        if given.is_relative_to(folder):
            return given.relative_to(folder).as_posix()
    return f"elsewhere/{path.name}"


def input_hashes(root: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Return the hash of each input by its name, see `name_in`; two of one name are refused."""
    named: dict[str, Path] = {}
    for path in paths:
        known = named.setdefault(name_in(root, path), path)
        require(known == path, "inputs", [str(known), str(path)], "have one name in a record", "Rename one of them.")
    return {name: input_hash(path) for name, path in named.items()}


@dataclass
class Judge:
    """Says why a record is not what the present code would write.

    It is missing or damaged, a line of one of its runs included; the code of its stage has changed; an input is
    missing, outdated or has other content than the record remembers; or other settings are asked for.

    Args:
        root: the grid's results folder.
        method_files: source file by method name.
        law_files: files that define its noise or releases, by method name.
        keep_records: records of other versions of the code count as well, but for those that only report.
        any_code: records of other versions of the code count, whatever their stage.
        asked_otherwise: returns which settings outside its id a record was made by that are no longer wanted, or None.
        outside: files outside the results that records have as inputs, by name.
        is_needed: whether a file that a record remembers must be there.
    """

    root: Path
    method_files: Mapping[str, Path]
    law_files: Mapping[str, Collection[Path]] = field(default_factory=dict)
    keep_records: bool = False
    any_code: bool = False
    asked_otherwise: Callable[[Mapping[str, Any]], str | None] = lambda made: None
    outside: Mapping[str, Path] = field(default_factory=dict)
    is_needed: Callable[[Path], bool] = all_needed
    _verdicts: dict[Path, str | None] = field(default_factory=dict, repr=False)

    def why_outdated(self, record: Path) -> str | None:
        """Return why a record is outdated, or None if it stands; verdicts are remembered."""
        if record not in self._verdicts:
            self._verdicts[record] = self._judge(record)
        return self._verdicts[record]

    def _judge(self, record: Path) -> str | None:
        try:
            made = _read_whole(record)
        except (MissingFile, DamagedFile) as error:
            return str(error)
        name, stage = name_in(self.root, record), (STAGES | BESIDE).get(made["stage"])
        if stage is None:
            return f"{name} was written by an unknown stage {made['stage']!r}"
        any_will_do = self.any_code or (self.keep_records and not stage.reports)
        if not any_will_do and self.made_by_other_code(made):
            return f"{name} was made by other code of {stage.name}"
        if made.get("retry"):
            return f"{name} failed and is tried again: {made['reason'] or 'see its runs'}"
        if otherwise := self.asked_otherwise(made):
            return f"{name} was made by {otherwise}"
        reasons = (self._judge_input(item, known) for item, known in made["inputs"].items())
        reason = next(filter(None, reasons), None) or files_changed(made, self.root, self.is_needed)
        return f"{name}: {reason}" if reason else None

    def made_by_other_code(self, made: Mapping[str, Any]) -> bool:
        """Whether the present code of the record's stage is not the one that made it."""
        stage = made["stage"]
        files = method_files_of(stage, made.get("spec", {}), self.method_files, self.law_files)
        return bool(made["created_by"]["code"] != stage_code(stage, files))

    def _judge_input(self, name: str, known: str) -> str | None:
        folder, _, file = name.partition("/")
        path = self.outside.get(name, self.root / name) if folder != "elsewhere" else self.outside.get(file)
        if path is None:
            return None  # bulky files are not kept with the results; their records are
        if not path.is_file():
            return f"{name}, an input, is missing"
        if folder != "elsewhere" and path.suffix in (".json", ".jsonl") and (reason := self.why_outdated(path)):
            return reason
        return None if input_hash(path) == known else f"{name}, an input, has changed since"
