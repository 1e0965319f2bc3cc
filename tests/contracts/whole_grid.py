"""A whole grid in this process: every stage but the audits and pictures, without Snakemake's process a job."""

from pathlib import Path

from lmodp.data.prepare_dataset import prepare_dataset
from lmodp.data.tokenize_dataset import tokenize_dataset
from lmodp.models.prepare_model import prepare_model
from lmodp.pipeline.layout import Layout
from lmodp.records.record import read_record
from lmodp.records.reuse import run_stage
from lmodp.reporting.results.collect_results import collect_results
from lmodp.stages.cache_activations import cache_activations
from lmodp.stages.calibrate_noise import calibrate_noise
from lmodp.stages.certify_mechanism import certify_mechanism
from lmodp.stages.evaluate_model import evaluate_model
from lmodp.stages.finetune_model import finetune_model
from lmodp.stages.verify_run import verify_run
from tests.contracts.small_world import search_record


def run_grid(values):
    """Compute all cells of a configuration and return the layout and the content of results.json."""
    layout = Layout.from_values(values)
    _prepare(layout)
    for item in layout.grid.mechanisms.values():
        _certify(layout, item)
    for cell in layout.grid.active:
        _run(layout, cell)
    tables = layout.results / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    return layout, collect_results(
        layout.grid, layout.results, runs_file=tables / "runs.parquet", curves_file=tables / "curves.parquet"
    )


def _stage(layout, name, place, spec, work, inputs=(), **options):
    record = layout.results / place
    run_stage(
        name,
        record=record,
        root=layout.results,
        inputs={str(path): path for path in inputs},
        spec=spec,
        work=work,
        **options,
    )
    return record


def _prepare(layout):
    grid, cache = layout.grid, layout.cache
    for item in grid.datasets.values():
        folder = cache / "datasets" / item.id
        _stage(
            layout,
            "prepare_dataset",
            f"datasets/{item.id}/dataset.json",
            item.spec,
            artefact=folder,
            work=lambda item=item, folder=folder: prepare_dataset(
                item.spec, folder=folder, cache_root=cache, data_root=None
            ),
        )
    for item in grid.models.values():
        folder = cache / "models" / item.id
        _stage(
            layout,
            "prepare_model",
            f"models/{item.id}/model.json",
            item.spec,
            artefact=folder,
            work=lambda item=item, folder=folder: prepare_model(item.spec, folder=folder, cache_root=cache),
        )
    cell = grid.active[0]
    places = {"model_folder": cache / "models" / cell.model}
    tokens = cache / "tokens" / cell.tokens
    _stage(
        layout,
        "tokenize_dataset",
        f"tokens/{cell.tokens}/tokens.json",
        grid.tokens[cell.tokens].spec,
        artefact=tokens,
        work=lambda: tokenize_dataset(
            grid.tokens[cell.tokens].spec, dataset_folder=cache / "datasets" / cell.dataset, folder=tokens, **places
        ),
    )
    for item in grid.activations.values():
        folder = cache / "activations" / item.id
        _stage(
            layout,
            "cache_activations",
            f"activations/{item.id}/activations.json",
            item.spec,
            artefact=folder,
            work=lambda item=item, folder=folder: cache_activations(
                item.spec, tokens_folder=tokens, folder=folder, **places
            ),
        )


def _certify(layout, item):
    method, folder = layout.grid.methods[item.spec["method"]], f"mechanisms/{item.id}"
    noise = _stage(
        layout,
        "calibrate_noise",
        f"{folder}/noise.json",
        item.spec,
        method_file=layout.method_file("calibrate_noise", item.spec),
        work=lambda: calibrate_noise(
            item.spec, method, search_record(item.spec), model_folder=layout.model_folder_of_mechanism(item.id)
        ),
    )
    _stage(
        layout,
        "certify_mechanism",
        f"{folder}/certificate.json",
        item.spec,
        inputs=[noise],
        work=lambda: certify_mechanism(item.spec, read_record(noise)),
    )


def _run(layout, cell):
    root = layout.results
    certificate, folder = root / "mechanisms" / cell.mechanism / "certificate.json", f"cells/{cell.id}"
    inputs = {"certificate": certificate, "model": root / "models" / cell.model / "model.json"}
    finetune = _stage(
        layout,
        "finetune_model",
        f"{folder}/finetune.json",
        cell.spec,
        inputs=inputs.values(),
        artefact=layout.cache / "cells" / cell.id,
        method_file=layout.method_file("finetune_model", cell.spec),
        work=lambda: finetune_model(cell, layout=layout, inputs=inputs),
    )
    _stage(
        layout,
        "evaluate_model",
        f"{folder}/evaluate.json",
        cell.spec,
        inputs=[finetune],
        work=lambda: evaluate_model(cell, layout=layout, finetune=read_record(finetune)),
    )
    _stage(
        layout,
        "verify_run",
        f"{folder}/verify.json",
        cell.spec,
        inputs=[finetune, certificate],
        work=lambda: verify_run(cell, root=root, finetune=read_record(finetune)),
    )


def outdated(layout: Layout, place: str) -> bool:
    """Whether the workflow would make a record again."""
    return layout.outdated(Path(layout.results / place))
