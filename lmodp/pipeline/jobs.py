"""One function per rule: its inputs, its spec, and the one call that does the work.

The scripts of the workflow call these, and so do the tests, so that the wiring exists once. Slow libraries are
imported where they are used: a job that computes one number need not load torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmodp.methods.discovery import get_method
from lmodp.pipeline.bundles import CELL_STAGES
from lmodp.pipeline.job import CELL_INPUTS, Job, runs_of
from lmodp.pipeline.ranked import train_in_ranks
from lmodp.records.artefacts import damage
from lmodp.records.record import answered, read_record

if TYPE_CHECKING:
    from lmodp.specs import ActivationsSpec


def search_noise(job: Job) -> None:
    from lmodp.stages.search_noise import search_noise

    spec = job.layout.grid.searches[job.id].to_dict()
    job.run("search_noise", inputs={}, spec=spec, work=lambda: search_noise(spec))


def calibrate_noise(job: Job) -> None:
    from lmodp.stages.calibrate_noise import calibrate_noise

    layout, spec = job.layout, job.layout.grid.mechanisms[job.id]
    method = get_method(spec.method, layout.config.methods_folder)
    search = read_record(job.input("search")) if job.has("search") else None
    model_folder = job.input("model_stamp").parent if job.has("model_stamp") else None
    job.run(
        "calibrate_noise",
        inputs=job.records("search", "model"),
        spec=spec.to_dict(),
        work=lambda: calibrate_noise(spec, method, search, model_folder=model_folder),
    )


def certify_mechanism(job: Job) -> None:
    """Answer "what is epsilon?" for one mechanism."""
    from lmodp.stages.certify_mechanism import certify_mechanism

    spec, full = job.layout.grid.mechanisms[job.id], job.layout.config.certificates == "full"

    def certified() -> dict[str, Any]:
        return certify_mechanism(spec, read_record(job.input("noise")), full=full)

    job.run(
        "certify_mechanism",
        inputs=job.records("noise"),
        spec=spec.to_dict(),
        work=lambda: answered({"certificate": None, "noise": None}, certified),
    )


def audit_mechanism(job: Job) -> None:
    from lmodp.stages.audit_mechanism import audit_mechanism

    config, spec = job.layout.config, job.layout.grid.mechanisms[job.id]
    asked: dict[str, Any] = {"settings": config.audit.model_dump(mode="json"), "base_seed": config.base_seed}

    def audited() -> dict[str, Any]:
        return audit_mechanism(spec, read_record(job.input("noise")), read_record(job.input("certificate")), **asked)

    job.run(
        "audit_mechanism",
        inputs=job.records("noise", "certificate"),
        spec={**spec.to_dict(), "audit": asked["settings"], "base_seed": config.base_seed},
        work=lambda: answered({"audit": None}, audited),
    )


def prepare_dataset(job: Job) -> None:
    from lmodp.data.prepare_dataset import prepare_dataset

    _prepare(job, "prepare_dataset", job.layout.grid.datasets[job.id].to_dict(), prepare_dataset)


def prepare_model(job: Job) -> None:
    from lmodp.models.prepare_model import prepare_model

    _prepare(job, "prepare_model", job.layout.grid.models[job.id].to_dict(), prepare_model)


def _prepare(job: Job, stage: str, spec: dict[str, Any], prepare: Callable[..., Any]) -> None:
    layout, folder = job.layout, job.outputs(stage)["stamp"].parent
    options = {"data_root": layout.config.data_folder(), "settings": layout.config.sources()}
    job.run(
        stage,
        inputs=job.records("package"),
        spec=layout.source_spec(stage, spec),
        work=lambda: prepare(spec, folder=folder, cache_root=layout.cache, **options),
    )


def tokenize_dataset(job: Job) -> None:
    from lmodp.data.tokenize_dataset import tokenize_dataset

    spec = job.layout.grid.tokens[job.id].to_dict()
    folders = {
        "dataset_folder": job.input("dataset_stamp").parent,
        "model_folder": job.input("model_stamp").parent,
        "folder": job.outputs("tokenize_dataset")["stamp"].parent,
    }
    inputs = job.records("dataset", "model")
    job.run("tokenize_dataset", inputs=inputs, spec=spec, work=lambda: tokenize_dataset(spec, **folders))


def cache_activations(job: Job) -> None:
    from lmodp.stages.cache_activations import cache_activations

    specs = job.layout.grid.activations
    due = [name for name in specs if name == job.id or (_alike(specs[name], specs[job.id]) and _is_due(job, name))]
    jobs = [Job.of_stage(job.layout, "cache_activations", name) for name in due]
    folders = {one.id: one.outputs("cache_activations")["stamp"].parent for one in jobs}

    @cache
    def computed() -> dict[Path, dict[str, Any]]:
        return cache_activations(
            {folders[name]: specs[name] for name in due},
            tokens_folder=job.input("tokens_stamp").parent,
            model_folder=job.input("model_stamp").parent,
            device=job.layout.config.device,
        )

    for one in jobs:
        spec, inputs = specs[one.id].to_dict(), one.records("tokens", "model")
        one.run("cache_activations", inputs=inputs, spec=spec, work=lambda one=one: computed()[folders[one.id]])


def _alike(one: ActivationsSpec, other: ActivationsSpec) -> bool:
    return replace(one, trainable=None) == replace(other, trainable=None)


def _is_due(job: Job, name: str) -> bool:
    """Whether activations of this grid are not there as the present code would write them."""
    outputs = job.layout.outputs("cache_activations", name)
    outdated = job.layout.judge.why_outdated(outputs["record"]) is not None
    return outdated or damage(outputs["stamp"].parent) is not None


def finetune_model(job: Job) -> None:
    if not job.leave_standing(*CELL_STAGES):
        _cell(job)


def finetune_and_audit_model(job: Job) -> None:
    if not job.leave_standing(*CELL_STAGES, "audit_training"):
        _audit_training(job, _cell(job))


def _cell(job: Job) -> dict[str, Path]:
    """Do the stages of a cell; return the inputs of an audit of its training."""
    from lmodp.stages.evaluate_model import evaluate_model
    from lmodp.stages.finetune_model import finetune_model
    from lmodp.stages.verify_run import verify_run

    cell, needs = job.layout.grid.cell(job.id), job.records(*CELL_INPUTS)
    runs, certificate = runs_of(job.layout, cell), read_record(needs["certificate"])
    record = {stage: job.outputs(stage)["record"] for stage in CELL_STAGES}
    runs.refuse_second_release()
    if certificate["status"] == "done":
        train_in_ranks(job.layout, runs)
    job.run(
        "finetune_model",
        inputs=needs,
        spec=cell.spec.to_dict(),
        work=lambda: finetune_model(cell, runs, certificate, method=job.layout.grid.methods[cell.spec.method]),
        is_complete=runs.has_all_weights,
    )
    runs.write_timing()
    job.run(
        "evaluate_model",
        inputs={"finetune": record["finetune_model"], **job.records("dataset", "tokens", "activations")},
        spec=cell.spec.to_dict(),
        work=lambda: evaluate_model(cell, runs),
    )
    job.run(
        "verify_run",
        inputs={"finetune": record["finetune_model"], "certificate": needs["certificate"]},
        spec=cell.spec.to_dict(),
        work=lambda: verify_run(cell, runs, certificate),
    )
    return {"finetune": record["finetune_model"], "evaluate": record["evaluate_model"], **needs}


def _audit_training(job: Job, trained: Mapping[str, Path]) -> None:
    from lmodp.stages.audit_training import audit_training

    cell, settings = job.layout.grid.cell(job.id), job.layout.config.audit
    spec = {**cell.spec.to_dict(), "audit": settings.model_dump(mode="json")}
    job.run(
        "audit_training",
        inputs={**trained, **job.records("noise")},
        spec=spec,
        work=lambda: audit_training(
            cell,
            runs_of(job.layout, cell),
            noise_record=read_record(job.input("noise")),
            method=job.layout.grid.methods[cell.spec.method],
            canaries=settings.canaries,
            confidence=settings.confidence,
        ),
    )


def collect_results(job: Job) -> None:
    from lmodp.reporting.results.collect_results import collect_results

    config, grid, outputs = job.layout.config, job.layout.grid, job.outputs("collect_results")
    files, audits = {"runs_file": outputs["runs"], "curves_file": outputs["curves"]}, job.inputs.get("audits", [])
    job.run(
        "collect_results",
        inputs=job.records("verify", "evaluate", "certificates", "audits"),
        spec={"grid": config.grid, "cells": list(grid.cells), "compare": config.compare.model_dump()},
        work=lambda: collect_results(grid, job.root, **files, audits=audits),
    )


def make_table(job: Job) -> None:
    from lmodp.reporting.tables.make_table import make_table

    _show(job, "make_table", lambda results: make_table(results, job.outputs("make_table")["record"].parent))


def compare_published(job: Job) -> None:
    from lmodp.pipeline.layout import PUBLISHED
    from lmodp.reporting.tables.compare_published import compare_published, read_published

    folder = job.outputs("compare_published")["record"].parent
    job.run(
        "compare_published",
        inputs={**job.records("results"), "published": PUBLISHED},
        spec={"grid": job.layout.config.grid},
        work=lambda: compare_published(
            read_record(job.input("results")), read_published(PUBLISHED), folder / "curves.parquet", folder
        ),
    )


def measure_cost(job: Job) -> None:
    from lmodp.reporting.tables.measure_cost import measure_cost

    folder = job.outputs("measure_cost")["record"].parent
    _show(job, "measure_cost", lambda results: measure_cost(results, job.root, folder))


def _show(job: Job, stage: str, work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Do a stage that shows the table of results and nothing else."""
    job.run(
        stage,
        inputs=job.records("results"),
        spec={"grid": job.layout.config.grid},
        work=lambda: work(read_record(job.input("results"))),
    )


def map_wins(job: Job) -> None:
    from lmodp.stages.map_wins import map_wins

    spec = job.layout.needs.mapped("map_wins")
    job.run("map_wins", inputs={}, spec=spec, work=lambda: map_wins(**spec))


def map_space(job: Job) -> None:
    from lmodp.stages.map_space import map_space

    spec, points = job.layout.needs.mapped("map_space"), job.outputs("map_space")["points"]
    job.run("map_space", inputs={}, spec=spec, work=lambda: map_space(spec, points_file=points))


def make_figure(job: Job) -> None:
    from lmodp.reporting.figures.make_figure import make_figure

    results, outputs = job.input("results"), job.outputs("make_figure")
    sources = {**job.inputs, "curves": [results.with_name("curves.parquet")]}
    job.run(
        "make_figure",
        inputs=job.records("results", "searches", "wins", "landscape"),
        spec={"grid": job.layout.config.grid, "figure": job.id},
        work=lambda: make_figure(job.id, read_record(results), sources, svg=outputs["svg"], pdf=outputs["pdf"]),
    )


def report(job: Job) -> None:
    from lmodp.reporting.page.report import report

    html, figures = job.outputs("report")["html"], job.layout.needs.figures
    job.run(
        "report",
        inputs=job.records("results", "table", "published", "cost", "figures"),
        spec={"grid": job.layout.config.grid},
        work=lambda: report(read_record(job.input("results")), root=job.root, figures=figures, html=html),
    )


def fetch_package(job: Job) -> None:
    from lmodp.data.fetch import fetch_package
    from lmodp.data.locks import locked_packages

    cache = job.layout.cache
    fetch_package(next(name for name, item in locked_packages().items() if item.folder(cache).name == job.id), cache)
