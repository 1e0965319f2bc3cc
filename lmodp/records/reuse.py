"""The stages of the workflow, and when a record of theirs may be reused.

A stage is a rule, a script and a library function of one name. `run_stage` gives
each the same conduct: hash the inputs, return at once if the record at hand was
made by the same code from the same inputs, otherwise do the work and write the
record last, so that nothing half-written looks finished.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lmodp.errors import DamagedFile, InvalidValue, MissingFile, nearest
from lmodp.records.fingerprint import code_fingerprint
from lmodp.records.record import is_current, make_record, read_record, sha256_file, write_bytes, write_json
from lmodp.vocabulary import OWN_ENGINE

STAMP = "complete.json"
NUMERICAL = ("numpy", "scipy", "dp-accounting")
NEURAL = ("numpy", "torch", "transformers")


@dataclass(frozen=True)
class Stage:
    """A stage: its name, the module that does its work, the packages that matter to it."""

    name: str
    module: str
    packages: tuple[str, ...]

    @property
    def reports(self) -> bool:
        """Whether it only shows what other stages found."""
        return self.module.startswith("lmodp.reporting.")


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("search_noise", "lmodp.stages.search_noise", NUMERICAL),
        Stage("calibrate_noise", "lmodp.stages.calibrate_noise", NUMERICAL),
        Stage("certify_mechanism", "lmodp.stages.certify_mechanism", NUMERICAL),
        Stage("prepare_dataset", "lmodp.data.prepare_dataset", ("datasets",)),
        Stage("prepare_model", "lmodp.models.prepare_model", NEURAL),
        Stage("tokenize_dataset", "lmodp.data.tokenize_dataset", ("transformers", "tokenizers", "datasets")),
        Stage("cache_activations", "lmodp.stages.cache_activations", NEURAL),
        Stage("finetune_model", "lmodp.stages.finetune_model", NEURAL),
        Stage("evaluate_model", "lmodp.stages.evaluate_model", NEURAL),
        Stage("verify_run", "lmodp.stages.verify_run", ("numpy", "scipy")),
        Stage("audit_mechanism", "lmodp.stages.audit_mechanism", (*NUMERICAL, "torch")),
        Stage("audit_training", "lmodp.stages.audit_training", (*NUMERICAL, "torch", "transformers")),
        Stage("collect_results", "lmodp.reporting.results.collect_results", ("pandas", "pyarrow")),
        Stage("make_table", "lmodp.reporting.tables.make_table", ("pandas",)),
        Stage("compare_published", "lmodp.reporting.tables.compare_published", NUMERICAL),
        Stage("measure_cost", "lmodp.reporting.tables.measure_cost", ("pandas",)),
        Stage("map_wins", "lmodp.stages.map_wins", NUMERICAL),
        Stage("map_space", "lmodp.stages.map_space", (*NUMERICAL, "pyarrow")),
        Stage("make_figure", "lmodp.reporting.figures.make_figure", ("matplotlib", "seaborn", "scipy")),
        Stage("report", "lmodp.reporting.page.report", ("jinja2",)),
    )
}


def get_stage(name: str) -> Stage:
    """Return a stage by name.

    Raises:
        InvalidValue: there is none of that name.
    """
    if name not in STAGES:
        raise InvalidValue(f"stage = {name!r}: unknown stage. {nearest(name, STAGES)}")
    return STAGES[name]


def stage_code(name: str, method_file: Path | None = None) -> str:
    """Return the fingerprint of the code of a stage, a method's file included."""
    return code_fingerprint(get_stage(name).module, *([method_file] if method_file else []))


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
    method_file: Path | None = None,
    any_code: bool = False,
) -> dict[str, Any]:
    """Do a stage's work unless its record says that it is done; return the record.

    Args:
        name: of the stage.
        record: file to write.
        root: the grid's results folder; inputs are named by their path in it.
        inputs: records that the result is computed from.
        spec: what was asked for; part of the record and of its identity.
        work: returns the record's content; ``status`` and ``reason`` in it count.
        files: further results that the work writes beside the record, which
            remembers their SHA-256.
        artefact: folder of bulky files that the work writes. It keeps a copy of
            the record, so that another grid, or a run after the results were
            deleted, finds it finished.
        method_file: the method that takes part, if any.
        any_code: whether a record that other code made is left alone as well. Where bulky
            files are missing the work is done again all the same; if that finds what
            the record says, the record stands, and with it all that was made from it.
    """
    started = time.perf_counter()
    hashes = dict(sorted((name_in(root, path), sha256_file(path)) for path in inputs.values()))
    wanted = {"code": stage_code(name, method_file), "inputs": hashes, "content": {"spec": dict(spec)}}
    stamp = artefact / STAMP if artefact else record
    if (
        is_current(stamp, **{**wanted, "code": None if any_code else wanted["code"]})
        and files_changed(stamp, root) is None
    ):
        if artefact:
            write_bytes(record, stamp.read_bytes())
        os.utime(record)  # newer than its inputs again, so that the workflow rests
        _say(name, record, root, "reused", started)
        return read_record(record)
    made = _do(name, spec, work, wanted)
    made["files"] = {name_in(root, path): sha256_file(path) for path in files}
    if any_code and artefact and _says(record, made):
        write_bytes(stamp, record.read_bytes())
        os.utime(record)
        _say(name, record, root, "stands", started)
        return read_record(record)
    for path in (record, stamp) if artefact else (record,):
        write_json(path, made)
    _say(name, record, root, made["status"], started)
    return made


def _says(record: Path, made: Mapping[str, Any]) -> bool:
    """Whether a record says what was made just now, by whatever code."""
    return is_current(
        record,
        code=None,
        inputs=made["inputs"],
        content={name: value for name, value in made.items() if name != "created_by"},
    )


def files_changed(record: Path, root: Path) -> str | None:
    """Return which of the files a record remembers is missing or has other bytes, or None."""
    for name, known in read_record(record).get("files", {}).items():
        if not (root / name).is_file():
            return f"{name}, written with {name_in(root, record)}, is missing"
        if sha256_file(root / name) != known:
            return f"{name} has changed since it was written with {name_in(root, record)}"
    return None


def _do(
    name: str, spec: Mapping[str, Any], work: Callable[[], Mapping[str, Any]], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    content = {"spec": dict(spec), **work()}
    status, reason = content.pop("status", "done"), content.pop("reason", None)
    return make_record(
        name,
        content,
        code=wanted["code"],
        packages=get_stage(name).packages,
        inputs=wanted["inputs"],
        status=status,
        reason=reason,
    )


def _say(name: str, record: Path, root: Path, what: str, started: float) -> None:
    seconds = time.perf_counter() - started
    print(f"{name:18s} {name_in(root, record):60s} {what:8s} {seconds:7.1f} s", flush=True)


def name_in(root: Path, path: Path) -> str:
    """The name of a file within a grid's results; a bare name for files elsewhere."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return f"elsewhere/{path.name}"


def why_outdated(
    record: Path,
    *,
    root: Path,
    method_files: Mapping[str, Path],
    any_code: bool = False,
    made_otherwise: Callable[[Mapping[str, Any]], str | None] = lambda values: None,
    seen: dict[Path, str | None] | None = None,
) -> str | None:
    """Return why a record no longer says what the present code would say, or None.

    A record is outdated when it is missing or damaged, when the code of its stage
    has changed, when an input inside the results is missing, has other bytes than
    the record remembers, or is itself outdated.

    Args:
        record: file to judge.
        root: the grid's results folder.
        method_files: method file by method name.
        any_code: whether other versions of the code count as well; those that only
            report must be the present ones all the same.
        made_otherwise: tells of a record's content which settings, beside its id, it
            was made by that are no longer wanted; None where it is as wanted.
        seen: verdicts so far, shared between calls for speed.
    """
    seen = {} if seen is None else seen
    if record not in seen:
        again = partial(
            why_outdated,
            root=root,
            method_files=method_files,
            any_code=any_code,
            made_otherwise=made_otherwise,
            seen=seen,
        )
        seen[record] = _judge(record, root, method_files, any_code, made_otherwise, again)
    return seen[record]


def _judge(
    record: Path,
    root: Path,
    method_files: Mapping[str, Path],
    any_code: bool,
    made_otherwise: Callable[[Mapping[str, Any]], str | None],
    again: Callable[[Path], str | None],
) -> str | None:
    try:
        values = read_record(record)
    except (MissingFile, DamagedFile) as error:
        return str(error)
    stage = values["kind"]
    if stage not in STAGES:
        return f"{name_in(root, record)} was written by an unknown stage {stage!r}"
    any_will_do = any_code and not STAGES[stage].reports
    if not any_will_do and values["created_by"].get("code") != stage_code(
        stage, method_file_of(stage, values.get("spec", {}), method_files)
    ):
        return f"{name_in(root, record)} was made by other code of {stage}"
    if otherwise := made_otherwise(values):
        return f"{name_in(root, record)} was made by {otherwise}"
    for name, known in values["inputs"].items():
        path = root / name
        reason = _changed_input(name, known, record, root)
        if not reason and path.suffix == ".json" and path.is_file():
            reason = again(path)
        if reason:
            return reason
    return files_changed(record, root)


def method_file_of(stage: str, spec: Mapping[str, Any], method_files: Mapping[str, Path]) -> Path | None:
    """Return the method file that a stage's result depends on, or None.

    A stage that asks the method for something depends on its file: calibrate_noise
    for the noise, finetune_model where the method is an engine. The rest is in the spec.
    """
    asks = stage == "calibrate_noise" or (stage == "finetune_model" and spec.get("engine", OWN_ENGINE) != OWN_ENGINE)
    return method_files.get(spec.get("method", "")) if asks else None


def _changed_input(name: str, known: str, record: Path, root: Path) -> str | None:
    if name.startswith("elsewhere/"):
        return None  # bulky files are not kept with the results; their records are
    path = root / name
    if not path.is_file():
        return f"{name}, an input of {name_in(root, record)}, is missing"
    if sha256_file(path) != known:
        return f"{name} has changed since {name_in(root, record)} was made"
    return None
