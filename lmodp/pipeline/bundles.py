"""Tasks and bundles: what a grid makes, several tasks to a process, and what of it is waiting to be made.

A *task* makes the records of one thing: one mechanism's noise, one cell. A *bundle* is a list of tasks that one
process does one after another, because a process that loads torch and transformers takes longer to start than
most tasks take. Which tasks wait is decided by the records themselves (`lmodp.records.reuse.Judge`), never by file
times. The bundles of a grid are always the same; a bundle whose tasks partly hold does the others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lmodp.data.locks import locked_packages
from lmodp.estimate.seconds import START, seconds_of
from lmodp.estimate.space import memory_of
from lmodp.models.cards import MODELS
from lmodp.pipeline.layout import Layout

CELL_STAGES = ("finetune_model", "evaluate_model", "verify_run")
STAGES_OF = {"finetune_model": CELL_STAGES, "finetune_and_audit_model": (*CELL_STAGES, "audit_training")}
TRAINING = ("cache_activations", *STAGES_OF)  # jobs that use a GPU where there is one
MAPS = ("map_space", "map_wins")
# The workflow's rules, each with the jobs whose tasks it bundles, in the order of the data's way.
RULES: dict[str, tuple[str, ...]] = {
    "fetch_package": ("fetch_package",),
    "prepare_dataset": ("prepare_dataset",),
    "prepare_model": ("prepare_model", "tokenize_dataset", "cache_activations"),
    "search_noise": ("search_noise", *MAPS),
    "certify_mechanism": ("calibrate_noise", "certify_mechanism"),
    "finetune_model": ("finetune_model", "finetune_and_audit_model"),
    "audit_mechanism": ("audit_mechanism",),
    "report": ("collect_results", "make_table", "compare_published", "measure_cost", "make_figure", "report"),
}
BULKY = ("fetch_package", "prepare_dataset", "prepare_model")  # rules whose files lie in the cache
WORTH = 40 * START  # seconds of work that a bundle is filled to, so that starts cost little


@dataclass(frozen=True)
class Task:
    """One job of `lmodp.pipeline.jobs` for the thing of an id; empty where the grid has one such thing."""

    job: str
    thing: str = ""

    def __str__(self) -> str:
        return f"{self.job} {self.thing}".strip()

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages whose records it makes; none for a package, which is no part of the results."""
        return {"fetch_package": (), **STAGES_OF}.get(self.job, (self.job,))


@dataclass(frozen=True)
class Bundle:
    """Tasks that one process does one after another, under a rule of `RULES`.

    ``seconds`` are estimated, start included, on one core of the reference machine, with ``device: cuda`` on its GPU;
    so is the peak memory in bytes, of a GPU None without one.
    """

    name: str
    rule: str
    tasks: tuple[Task, ...]
    seconds: float
    memory: int
    gpu_memory: int | None


class Bundles:
    """All tasks of a grid in bundles."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self._inputs: dict[Task, list[Path]] = {}

    @cached_property
    def tasks(self) -> list[Task]:
        """All tasks, each after those that it needs."""
        grid, needs = self.layout.grid, self.layout.needs
        figures = [Task("make_figure", name) for name in needs.figures]
        wanted = {path for task in figures for path in self.inputs(task)}
        maps = [Task(name) for name in MAPS if self.layout.outputs(name, "")["record"] in wanted]
        training = {True: "finetune_and_audit_model", False: "finetune_model"}
        return [
            *(Task("fetch_package", name) for name in self._packages()),
            *(Task("prepare_dataset", name) for name in grid.datasets),
            *(Task("prepare_model", name) for name in grid.models),
            *(Task("tokenize_dataset", name) for name in grid.tokens),
            *(Task("cache_activations", name) for name in grid.activations),
            *(Task("search_noise", name) for name in grid.searches),
            *maps,
            *(Task(name, item) for item in grid.mechanisms for name in RULES["certify_mechanism"]),
            *(Task(training[cell.id in needs.audited_cells], cell.id) for cell in grid.active),
            *(Task("audit_mechanism", path.parent.name) for path in needs.mechanism_audits()),
            *(Task(name) for name in ("collect_results", "make_table", "compare_published", "measure_cost")),
            *figures,
            Task("report"),
        ]

    def _packages(self) -> list[str]:
        grid, packages = self.layout.grid, locked_packages()
        names = [
            *(item.card.package for item in grid.datasets.values() if item.source == "embedded"),
            *(MODELS[item.model].package for item in grid.models.values() if item.source == "embedded"),
        ]
        return [packages[name].folder(self.layout.cache).name for name in dict.fromkeys(filter(None, names))]

    def inputs(self, task: Task) -> list[Path]:
        """Return the files that a task needs."""
        if task not in self._inputs:
            found = self.layout.needs.inputs(task.job, task.thing).values()
            self._inputs[task] = [path for paths in found for path in paths]
        return self._inputs[task]

    def records(self, task: Task) -> list[Path]:
        """Return the records that a task makes."""
        return [self.layout.outputs(name, task.thing)["record"] for name in task.stages]

    def outputs(self, task: Task) -> list[Path]:
        """Return all files that a task makes and that others wait for or a user may ask for."""
        if task.job == "fetch_package":
            return [self.layout.cache / "packages" / task.thing / "fetched.json"]
        return [path for name in task.stages for path in self.layout.outputs(name, task.thing).values()]

    @cached_property
    def maker(self) -> dict[Path, Task]:
        """The task that makes a file."""
        return {path: task for task in self.tasks for path in self.outputs(task)}

    def needed(self, task: Task) -> Iterator[Task]:
        """Return the tasks that a task waits for."""
        return (self.maker[path] for path in self.inputs(task) if path in self.maker)

    @cached_property
    def to_do(self) -> set[Task]:
        """The tasks that are waiting: a record is outdated, or a bulky file is missing that a waiting task needs.

        Where unfinished cells are to be shown as pending, only what shows results is ever made.
        """
        judge, found = self.layout.judge, set[Task]()
        shown = (*RULES["report"], *MAPS) if self.layout.needs.pending else None
        for task in reversed(self.tasks):
            if shown is not None and task.job not in shown:
                continue
            if task in found or any(judge.why_outdated(record) for record in self.records(task)):
                missing = {path for path in self.inputs(task) if not path.is_file()}
                found |= {task, *(self.maker[path] for path in missing if path in self.maker)}
        return found

    @cached_property
    def all(self) -> dict[str, Bundle]:
        """All bundles by name."""
        found: dict[str, Bundle] = {}
        makers: dict[Task, str] = {}  # of bulky files
        for rule in RULES:
            for number, tasks in enumerate(self._parts(rule, makers)):
                name = f"{rule}-{number:02d}"
                memory, gpu = zip(*(memory_of(task.job, task.thing, self.layout.grid) for task in tasks), strict=True)
                seconds = START + sum(map(self.seconds, tasks))
                held = max(filter(None, gpu), default=None)
                found[name] = Bundle(name, rule, tuple(tasks), seconds, max(memory), held)
                if rule in BULKY:
                    makers |= dict.fromkeys(tasks, name)
        return found

    @property
    def by_rule(self) -> dict[str, list[str]]:
        """The names of the bundles of each rule."""
        return {rule: [name for name, item in self.all.items() if item.rule == rule] for rule in RULES}

    def _parts(self, rule: str, makers: Mapping[Task, str]) -> Iterator[list[Task]]:
        """Fill bundles from tasks that wait for the same bulky files, a thing's own tasks always together."""
        units: dict[str, list[Task]] = {}
        for task in self.tasks:
            if task.job in RULES[rule]:
                units.setdefault(self._unit(rule, task), []).append(task)
        alike: dict[tuple[str, ...], list[list[Task]]] = {}
        for unit in units.values():
            alike.setdefault(self._in_common(unit, makers), []).append(unit)
        for found in alike.values():
            yield from _filled(found, self.seconds)

    def _unit(self, rule: str, task: Task) -> str:
        """What tasks of a rule must have in common to be done by one process in any case."""
        grid = self.layout.grid
        if rule == "report":
            return ""
        if task.job == "tokenize_dataset":
            return grid.tokens[task.thing].needed_model.id
        if task.job == "cache_activations":
            return grid.activations[task.thing].needed_model.id
        return task.thing or task.job

    def _in_common(self, unit: list[Task], makers: Mapping[Task, str]) -> tuple[str, ...]:
        """What units must have in common to share a process: bulky files that they wait for, experiment, engine.

        An experiment can be made without the others. Another engine may change its libraries for the whole process,
        so its cells have processes of their own. Packages and models gain nothing by waiting for each other.
        """
        waits_for = {makers[item] for task in unit for item in self.needed(task) if item in makers}
        cells, thing = self.layout.grid.cells, unit[0].thing
        alone = thing if unit[0].job in ("fetch_package", "prepare_model") else ""
        engine = cells[thing].spec.engine if thing in cells else ""
        return (*sorted(waits_for), alone, self._experiment.get(unit[0], ""), engine)

    @cached_property
    def _experiment(self) -> dict[Task, str]:
        """The first experiment that a task is done for; audits are for all, where something is trained."""
        grid, found = self.layout.grid, dict[Task, str]()
        for cell in grid.certified:
            name, spec = cell.spec.experiment, grid.mechanisms[cell.mechanism]
            tasks = [Task("calibrate_noise", spec.id), *(Task(job, cell.id) for job in RULES["finetune_model"])]
            tasks += [Task("search_noise", spec.search.id)] if spec.search else []
            tasks += [] if name in grid.trained else [Task("audit_mechanism", spec.id)]
            for task in tasks:
                found.setdefault(task, name)
        return found

    def seconds(self, task: Task) -> float:
        """Return the estimated seconds of a task."""
        return seconds_of(task.job, task.thing, self.layout.grid)

    @cached_property
    def _bundle_of(self) -> dict[Task, str]:
        return {task: bundle.name for bundle in self.all.values() for task in bundle.tasks}

    def waiting(self, name: str) -> list[Task]:
        """Return the tasks of a bundle that are waiting."""
        return [task for task in self.all[name].tasks if task in self.to_do]

    def making(self, files: Iterable[Path] | None = None) -> list[str]:
        """Return the bundles that must run to make these files (by default all of the grid), in their order."""
        tasks = self.to_do if files is None else {self.maker[path] for path in files if path in self.maker}
        return self._of(tasks)

    def before(self, name: str) -> list[str]:
        """Return the bundles that must run before a bundle does."""
        needed = {item for task in self.waiting(name) for item in self.needed(task)}
        return [item for item in self._of(needed) if item != name]

    def _of(self, tasks: set[Task]) -> list[str]:
        """The bundles, in their order, of those of some tasks that are waiting."""
        wanted = {self._bundle_of[task] for task in tasks & self.to_do}
        return [name for name in self.all if name in wanted]

    @cached_property
    def way(self) -> dict[str, float]:
        """Estimated seconds from the start of a bundle to the end of the grid, by name: the longest goes first."""
        found: dict[str, float] = {}
        after: dict[str, set[str]] = {}
        for bundle in self.all.values():
            for task in bundle.tasks:
                for item in self.needed(task):
                    after.setdefault(self._bundle_of[item], set()).add(bundle.name)
        for name in reversed(self.all):
            then = [found[item] for item in after.get(name, ()) if item != name]
            found[name] = self.all[name].seconds + max(then, default=0.0)
        return found


def _filled(units: Iterable[list[Task]], seconds: Callable[[Task], float]) -> Iterator[list[Task]]:
    """Yield lists of tasks, each filled up with whole units until it is worth its start."""
    tasks: list[Task] = []
    work = 0.0
    for unit in units:
        tasks += unit
        work += sum(map(seconds, unit))
        if work >= WORTH:
            yield tasks
            tasks, work = [], 0.0
    if tasks:
        yield tasks
