"""The stages of the workflow: names, code, packages, and the files that each one writes.

A stage is a rule, a script, a job of `lmodp.pipeline.jobs` and a library function of one name. The stages of a
cell run in one job, since a process that loads torch takes longer to start than most of them to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lmodp.errors import InvalidValue, nearest
from lmodp.records.fingerprint import code_fingerprint
from lmodp.records.places import CELL_FILES
from lmodp.vocabulary import OWN_ENGINE

NUMERICAL = ("numpy", "scipy", "dp-accounting")
NEURAL = ("numpy", "torch", "transformers")


@dataclass(frozen=True)
class Stage:
    """A stage.

    Args:
        name: of the stage, its rule, its script and its function.
        module: where the function is.
        packages: distributions whose versions can change the result.
        files: output name to path; ``results/`` and ``cache/`` stand for the grid's folders, ``{id}`` for
            the thing that is made.
        reports: whether it only shows what other stages found; such records are always made by the present code.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    reports: bool = False


def _prepared(kind: str, record: str) -> dict[str, str]:
    return {"record": f"results/{kind}/{{id}}/{record}", "stamp": f"cache/{kind}/{{id}}/complete.json"}


def _of_cell(stage: str) -> dict[str, str]:
    return {"record": f"results/cells/{{id}}/{CELL_FILES[stage]}"}


def _tables(*names: str) -> dict[str, str]:
    return {f"{name}_{form}": f"results/tables/{name}.{form}" for name in names for form in ("csv", "md", "tex")}


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("search_noise", "lmodp.stages.search_noise", NUMERICAL, {"record": "results/search/{id}/search.json"}),
        Stage(
            "calibrate_noise",
            "lmodp.stages.calibrate_noise",
            NUMERICAL,
            {"record": "results/mechanisms/{id}/noise.json"},
        ),
        Stage(
            "certify_mechanism",
            "lmodp.stages.certify_mechanism",
            NUMERICAL,
            {"record": "results/mechanisms/{id}/certificate.json"},
        ),
        Stage("prepare_dataset", "lmodp.data.prepare_dataset", ("datasets",), _prepared("datasets", "dataset.json")),
        Stage("prepare_model", "lmodp.models.prepare_model", NEURAL, _prepared("models", "model.json")),
        Stage(
            "tokenize_dataset",
            "lmodp.data.tokenize_dataset",
            ("transformers", "tokenizers", "datasets"),
            _prepared("tokens", "tokens.json"),
        ),
        Stage(
            "cache_activations", "lmodp.stages.cache_activations", NEURAL, _prepared("activations", "activations.json")
        ),
        Stage("finetune_model", "lmodp.stages.finetune_model", NEURAL, _of_cell("finetune_model")),
        Stage("evaluate_model", "lmodp.stages.evaluate_model", NEURAL, _of_cell("evaluate_model")),
        Stage("verify_run", "lmodp.stages.verify_run", ("numpy", "scipy"), _of_cell("verify_run")),
        Stage(
            "audit_mechanism",
            "lmodp.stages.audit_mechanism",
            (*NUMERICAL, "torch"),
            {"record": "results/mechanisms/{id}/audit.json"},
        ),
        Stage(
            "audit_training",
            "lmodp.stages.audit_training",
            (*NUMERICAL, "torch", "transformers"),
            _of_cell("audit_training"),
        ),
        Stage(
            "collect_results",
            "lmodp.reporting.results.collect_results",
            ("pandas", "pyarrow"),
            {
                "record": "results/tables/results.json",
                "runs": "results/tables/runs.parquet",
                "curves": "results/tables/curves.parquet",
            },
            reports=True,
        ),
        Stage(
            "make_table",
            "lmodp.reporting.tables.make_table",
            ("pandas",),
            {"record": "results/tables/table.json", **_tables("comparison", "privacy", "status")},
            reports=True,
        ),
        Stage(
            "compare_published",
            "lmodp.reporting.tables.compare_published",
            NUMERICAL,
            {"record": "results/tables/published.json", **_tables("published")},
            reports=True,
        ),
        Stage(
            "measure_cost",
            "lmodp.reporting.tables.measure_cost",
            ("pandas",),
            {"record": "results/tables/cost.json", **_tables("cost")},
            reports=True,
        ),
        Stage("map_wins", "lmodp.stages.map_wins", NUMERICAL, {"record": "results/figures/map_of_wins.json"}),
        Stage(
            "map_space",
            "lmodp.stages.map_space",
            (*NUMERICAL, "pyarrow"),
            {"record": "results/figures/landscape.json", "points": "results/figures/landscape.parquet"},
        ),
        Stage(
            "make_figure",
            "lmodp.reporting.figures.make_figure",
            ("matplotlib", "seaborn", "scipy"),
            {
                "record": "results/figures/{id}.json",
                "svg": "results/figures/{id}.svg",
                "pdf": "results/figures/{id}.pdf",
            },
            reports=True,
        ),
        Stage(
            "report",
            "lmodp.reporting.page.report",
            ("jinja2",),
            {"record": "results/report.json", "html": "results/report.html"},
            reports=True,
        ),
    )
}

# Stages of no grid: a command runs them.
BESIDE: dict[str, Stage] = {
    "check_claim": Stage("check_claim", "lmodp.claims.check", NUMERICAL, {"record": "results/claims/{id}.json"}),
}


def get_stage(name: str) -> Stage:
    """Return a stage by name.

    Raises:
        InvalidValue: there is none of that name.
    """
    known = STAGES | BESIDE
    if name not in known:
        raise InvalidValue(f"stage = {name!r}: unknown stage. {nearest(name, known)}")
    return known[name]


def stage_code(name: str, method_file: Path | None = None) -> str:
    """Return the fingerprint of the code of a stage, a method's file included."""
    return code_fingerprint(get_stage(name).module, *([method_file] if method_file else []))


def method_file_of(stage: str, spec: Mapping[str, object], method_files: Mapping[str, Path]) -> Path | None:
    """Return the method's file that a stage's result depends on, or None.

    A stage that asks the method for something depends on its file: calibrate_noise
    for the noise, finetune_model where the method is an engine or follows the noise. The rest is in the spec.
    """
    follows = spec.get("after_noise") and stage in ("finetune_model", "audit_training")
    trains = stage == "finetune_model" and spec.get("engine", OWN_ENGINE) != OWN_ENGINE
    asks = stage == "calibrate_noise" or trains or follows
    return method_files.get(str(spec.get("method", ""))) if asks else None
