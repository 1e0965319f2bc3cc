"""The stages of the workflow: names, code, packages, and the files that each one writes.

A stage is a rule, a script, a job of `lmodp.pipeline.jobs` and a library function of one name. The stages of a
cell run in one job, since a process that loads torch takes longer to start than most of them to run.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lmodp.errors import InvalidValue, nearest
from lmodp.records.fingerprint import code_fingerprint
from lmodp.records.places import CELL_FILES, MECHANISM_FILES, STAMP
from lmodp.vocabulary import OWN_ENGINE

NUMERICAL = ("numpy", "scipy", "dp-accounting")
NEURAL = ("numpy", "torch", "transformers")
TOKENS = ("transformers", "tokenizers", "datasets")


@dataclass(frozen=True)
class Stage:
    """A stage: its name, its function's module, and the distributions whose versions can change the result.

    ``files`` are paths by output name; ``results/`` and ``cache/`` stand for the grid's folders, ``{id}`` for the
    thing that is made.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    files: Mapping[str, str]

    @property
    def reports(self) -> bool:
        """Whether it only shows what other stages found; such records are always made by the present code."""
        return self.module.startswith("lmodp.reporting.")


def _prepared(kind: str, record: str) -> dict[str, str]:
    return {"record": f"results/{kind}/{{id}}/{record}", "stamp": f"cache/{kind}/{{id}}/{STAMP}"}


def _mechanism(name: str, packages: tuple[str, ...]) -> Stage:
    return Stage(
        name, f"lmodp.stages.{name}", packages, {"record": f"results/mechanisms/{{id}}/{MECHANISM_FILES[name]}"}
    )


def _cell(name: str, packages: tuple[str, ...]) -> Stage:
    return Stage(name, f"lmodp.stages.{name}", packages, {"record": f"results/cells/{{id}}/{CELL_FILES[name]}"})


def _table(name: str, packages: tuple[str, ...], record: str, *tables: str) -> Stage:
    files = {f"{table}_{form}": f"results/tables/{table}.{form}" for table in tables for form in ("csv", "md", "tex")}
    return Stage(name, f"lmodp.reporting.tables.{name}", packages, {"record": f"results/tables/{record}.json", **files})


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("search_noise", "lmodp.stages.search_noise", NUMERICAL, {"record": "results/search/{id}/search.json"}),
        _mechanism("calibrate_noise", NUMERICAL),
        _mechanism("certify_mechanism", NUMERICAL),
        Stage("prepare_dataset", "lmodp.data.prepare_dataset", ("datasets",), _prepared("datasets", "dataset.json")),
        Stage("prepare_model", "lmodp.models.prepare_model", NEURAL, _prepared("models", "model.json")),
        Stage("tokenize_dataset", "lmodp.data.tokenize_dataset", TOKENS, _prepared("tokens", "tokens.json")),
        Stage(
            "cache_activations", "lmodp.stages.cache_activations", NEURAL, _prepared("activations", "activations.json")
        ),
        _cell("finetune_model", NEURAL),
        _cell("evaluate_model", NEURAL),
        _cell("verify_run", ("numpy", "scipy")),
        _mechanism("audit_mechanism", (*NUMERICAL, "torch")),
        _cell("audit_training", (*NUMERICAL, "torch", "transformers")),
        Stage(
            "collect_results",
            "lmodp.reporting.results.collect_results",
            ("pandas", "pyarrow"),
            {
                "record": "results/tables/results.json",
                "runs": "results/tables/runs.parquet",
                "curves": "results/tables/curves.parquet",
            },
        ),
        _table("make_table", ("pandas",), "table", "comparison", "privacy", "status"),
        _table("compare_published", NUMERICAL, "published", "published"),
        _table("measure_cost", ("pandas",), "cost", "cost"),
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
                **{form: f"results/figures/{{id}}.{form}" for form in ("svg", "pdf")},
            },
        ),
        Stage(
            "report",
            "lmodp.reporting.page.report",
            ("jinja2",),
            {"record": "results/report.json", "html": "results/report.html"},
        ),
    )
}

OF_LAWS = ("certify_mechanism", "finetune_model", "verify_run", "audit_mechanism", "audit_training")

# Stages of no grid: a command runs them.
BESIDE: dict[str, Stage] = {
    "check_claim": Stage("check_claim", "lmodp.claims.check", NUMERICAL, {"record": "results/claims/{id}.json"}),
}


def get_stage(name: str) -> Stage:
    """Return a stage by name; one that there is not is refused."""
    known = STAGES | BESIDE
    if name not in known:
        raise InvalidValue(f"stage = {name!r}: unknown stage. {nearest(name, known)}")
    return known[name]


def outputs_of(stage: str, thing: str, *, results: Path, cache: Path) -> dict[str, Path]:
    """Return the files that a stage writes for the thing of an id, by name, in a grid's two folders."""
    found = {}
    for name, file in get_stage(stage).files.items():
        folder, _, rest = file.replace("{id}", thing).partition("/")
        found[name] = (results if folder == "results" else cache) / rest
    return found


def stage_code(name: str, files: Iterable[Path] = ()) -> str:
    """Return the fingerprint of the code of a stage, files of a method included."""
    return code_fingerprint(get_stage(name).module, *files)


def method_files_of(
    stage: str,
    spec: Mapping[str, object],
    method_files: Mapping[str, Path],
    law_files: Mapping[str, Collection[Path]],
) -> tuple[Path, ...]:
    """Return the files of methods that a stage's result depends on.

    The method's own is one where the stage asks the method for noise, or where the method is an engine or follows the
    noise. Those that define the law of its noise, or what a step releases, are where the stage computes with it.
    """
    follows = spec.get("after_noise") and stage in ("finetune_model", "audit_training")
    trains = stage == "finetune_model" and spec.get("engine", OWN_ENGINE) != OWN_ENGINE
    asks = stage == "calibrate_noise" or trains or follows
    name = str(spec.get("method", ""))
    own = {method_files[name]} if asks and name in method_files else set()
    return tuple(sorted(own | set(law_files.get(name, ()) if stage in OF_LAWS else ())))
