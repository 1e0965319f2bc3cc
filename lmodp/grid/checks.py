"""Rules of a configuration that join several keys: names that must be known, values that exclude each other."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from lmodp.data.cards import DATASETS, LAYOUTS, DatasetCard
from lmodp.data.prompts import MASK, TEXTS
from lmodp.errors import Fault, nearest
from lmodp.grid import own
from lmodp.grid.sections import Config, Head, Privacy, under
from lmodp.methods.contract import points_of
from lmodp.methods.discovery import load_methods, method_paths
from lmodp.models.cards import MODELS, ModelCard

MOST_CELLS, MOST_RUNS = 20_000, 200_000  # of a grid; the paper's has 500 cells
FILES = LAYOUTS["plain"]


def contradictions(config: Config) -> list[Fault]:
    """Return all broken rules of a configuration whose single values are sound."""
    if faults := _uneven_calibrations(config):
        return faults  # what follows needs a value for each calibration
    rules = (_too_many, _unusable_places, own.contradictions, _unknown_names, _impossible_rates)
    if faults := [fault for rule in rules for fault in rule(config)]:
        return faults  # the user's own data are read only if all else is sound
    of_data = (_impossible_batches, _loose_deltas, _impossible_tasks, _impossible_tuning, _unknown_points)
    return [fault for rule in of_data for fault in rule(config)]


def _uneven_calibrations(config: Config) -> list[Fault]:
    """What is given by calibration is given for each one that runs, and for no other."""
    given: dict[str, tuple[object, Privacy]] = {"privacy.epsilon": (config.privacy.epsilon, config.privacy)}
    for key, item in config.experiments.items():
        privacy = item.privacy or config.privacy
        given[f"experiments.{key}.repetitions"] = (item.repetitions, privacy)
        given[f"experiments.{key}.privacy.epsilon"] = (privacy.epsilon if item.privacy else None, privacy)
    return [
        Fault(place, sorted(value), f"must name the calibrations that run: {', '.join(privacy.calibrations)}")
        for place, (value, privacy) in given.items()
        if isinstance(value, Mapping) and set(value) != set(privacy.calibrations)
    ]


def _too_many(config: Config) -> list[Fault]:
    """Count cells and runs before there are any: a grid that is too large is refused at once."""
    cells = runs = 0
    for item in config.experiments.values():
        privacy = item.privacy or config.privacy
        count = len(item.methods or config.methods) * len(privacy.targets())
        cells, runs = cells + count, runs + count * under(item.repetitions, None)
    many = (("cells", cells, MOST_CELLS), ("runs", runs, MOST_RUNS))
    return [
        Fault("experiments", count, f"is more {kind} than a grid may have, {most}", "Split it into several grids.")
        for kind, count, most in many
        if count > most
    ]


def _unusable_places(config: Config) -> list[Fault]:
    """Files and folders that must be there before anything runs."""
    faults = []
    space, folder = config.search.space, config.methods_folder
    if space != "published" and not Path(space).is_file():
        faults.append(Fault("search.space", space, "is not a file", "Give 'published' or the path of a space file."))
    if folder is not None and len(method_paths(folder)) == len(method_paths()):
        faults.append(Fault("methods_folder", folder, "holds no method", "Put a method's file there, or leave it out."))
    return faults


def _unknown_names(config: Config) -> list[Fault]:
    methods, datasets = load_methods(config.methods_folder), {**DATASETS, **config.datasets}
    named: list[tuple[str, str, str, Collection[str]]] = []  # place, kind, name, known names
    named += [("methods", "method", name, methods) for name in config.methods]
    named += [(f"compare.{part}", "method", name, methods) for part, name in config.compare]
    for key, item in config.experiments.items():
        named += [(f"experiments.{key}.methods", "method", name, methods) for name in item.methods or []]
        named += [(f"experiments.{key}.learning_rates", "method", name, methods) for name in item.learning_rates]
        named += [(f"experiments.{key}.dataset", "data set", item.dataset, datasets)]
        named += [(f"experiments.{key}.model", "model", item.model, {**MODELS, **config.models})]
    for name, files in config.local_files.items():
        named += [(f"local_files.{name}", "data set", name, FILES)]
        named += [(f"local_files.{name}", "split", split, FILES[name]) for split in files if name in FILES]
    named += [(f"local_models.{name}", "model", name, MODELS) for name in config.local_models]
    pinned = {**DATASETS, **MODELS}
    named += [(f"hub_revisions.{name}", "data set or model", name, pinned) for name in config.hub_revisions]
    unknown = [item for item in named if item[2] not in item[3]]
    return [Fault(place, name, f"unknown {kind}", nearest(name, known)) for place, kind, name, known in unknown]


def _impossible_batches(config: Config) -> list[Fault]:
    faults = []
    for key, item in config.experiments.items():
        place, size = f"experiments.{key}.training", config.cards[item.dataset].train_size
        batch, held_out = item.training.expected_batch_size, item.training.held_out
        if held_out >= size:
            faults.append(Fault(f"{place}.tuning.held_out", held_out, f"leaves no training example of {size}"))
        elif batch > size - held_out:
            rule = f"is a sampling rate of {batch / (size - held_out):.4g}, which must be at most 1"
            remedy = f"{item.dataset} has {size - held_out} training examples."
            faults.append(Fault(f"{place}.expected_batch_size", batch, rule, remedy))
        elif batch < config.processes:
            rule = f"is smaller than the number of processes, {config.processes}: some would never have an example"
            remedy = f"Use at most {int(batch)} processes." if batch >= 1 else "Choose a larger batch."
            faults.append(Fault(f"{place}.expected_batch_size", batch, rule, remedy))
    return faults


def _loose_deltas(config: Config) -> list[Fault]:
    """With delta from 1 / N on, a run may publish each example whole with probability delta: one a run, on average."""
    faults = {}
    for key, item in config.experiments.items():
        size = config.cards[item.dataset].train_size - item.training.held_out
        place = "privacy" if item.privacy is None else f"experiments.{key}.privacy"
        for delta in (item.privacy or config.privacy).delta:
            if delta * size >= 1:
                rule = (
                    f"is not below 1 / {size}, one over the training examples of {item.dataset}: it permits a run "
                    "that publishes somebody's whole example"
                )
                faults[place, delta] = Fault(f"{place}.delta", delta, rule, f"Give {0.1 / size:.1g}, for example.")
    return list(faults.values())


def _impossible_rates(config: Config) -> list[Fault]:
    """A rate of its own needs a method of the experiment, and excludes tuning."""
    faults = []
    for key, item in config.experiments.items():
        place, methods = f"experiments.{key}.learning_rates", config.methods if item.methods is None else item.methods
        strange = [name for name in item.learning_rates if name not in methods]
        faults += [Fault(place, name, "is no method of this experiment", "Leave it out.") for name in strange]
        if item.learning_rates and item.training.tuning is not None:
            rule = "beside training.tuning, which chooses every method's rate"
            faults.append(Fault(place, "...", rule, "Leave one out."))
    return faults


def _impossible_tasks(config: Config) -> list[Fault]:
    """Only language models generate sentences, and only some models can be cut."""
    faults = []
    for key, item in config.experiments.items():
        place, data, model = f"experiments.{key}", config.cards[item.dataset], config.model_cards[item.model]
        if data.task == "table_to_text" and not model.generates:
            rule = f"cannot generate, as {item.dataset} asks"
            faults.append(Fault(f"{place}.model", item.model, rule, "Use a GPT-2 or a Llama."))
        if data.task != "table_to_text" and item.generation is not None:
            rule = f"is for table-to-text, {item.dataset} is not"
            faults.append(Fault(f"{place}.generation", "...", rule, "Leave it out."))
        if item.head is not None:
            faults += _impossible_prompt(place, item.head, item.pooling, data, model)
        if item.layers is not None and not model.depth:
            rule = f"model {item.model} is used whole"
            faults.append(Fault(f"{place}.layers", item.layers, rule, "Leave it out."))
    return faults


def _impossible_prompt(
    place: str, head: Head, pooling: str | None, data: DatasetCard, model: ModelCard
) -> Iterator[Fault]:
    """Label words: one per class, and places that the model can read."""
    if data.task != "classification":
        yield Fault(f"{place}.head", "...", f"is for classification, {data.name} is not", "Leave it out.")
    elif len(head.words) != len(data.labels):
        classes = ", ".join(data.labels)
        rule = f"must have one word for each of the {len(data.labels)} classes of {data.name}: {classes}"
        yield Fault(f"{place}.head.words", head.words, rule)
    if pooling is not None:
        yield Fault(f"{place}.pooling", pooling, "is decided by the prompt", "Leave it out.")
    if head.prompt.count(TEXTS[0]) != 1 or head.prompt.count(TEXTS[1]) > 1:
        yield Fault(f"{place}.head.prompt", head.prompt, "must hold {text} once, and {text2} once for pairs")
    masks = 0 if model.generates else 1
    if head.prompt.count(MASK) != masks:
        rule = "must hold {mask} once, where a masked model puts the word"
        rule = rule if masks else "must hold no {mask}: a causal model puts the word at the end"
        yield Fault(f"{place}.head.prompt", head.prompt, rule)


def _impossible_tuning(config: Config) -> list[Fault]:
    """Candidates are compared on examples that no run trains on, and never on the split that is scored."""
    faults = []
    for key, item in config.experiments.items():
        if item.training.tuning is None or item.training.held_out:
            continue
        own, rule = config.own_data.get(item.dataset), ""
        if config.cards[item.dataset].evaluation_split == "validation":
            rule = f"chooses on the validation split, and {item.dataset} is scored on it"
        elif own is not None and "validation" not in own["sha256"]:
            rule = f"needs a validation part, which {item.dataset} lacks"
        if rule:
            remedy = "Give held_out, a number of training examples that choose instead."
            faults.append(Fault(f"experiments.{key}.training.tuning", "...", rule, remedy))
    return faults


def _unknown_points(config: Config) -> list[Fault]:
    """A published setting that no method has would be left out without a word."""
    methods = load_methods(config.methods_folder)
    places = {"privacy": config.privacy}
    places |= {f"experiments.{key}.privacy": item.privacy for key, item in config.experiments.items() if item.privacy}
    wanted = {place: privacy.published_points for place, privacy in places.items() if privacy.published_points != "all"}
    if not any(wanted.values()):
        return []
    sizes = {item.dataset: config.cards[item.dataset].train_size for item in config.experiments.values()}
    own = [points for method in methods.values() for points in points_of(method, sizes)[1].values()]
    known = {point.setting for points in own for point in points}
    unknown = [(place, name) for place, names in wanted.items() for name in names if name not in known]
    rule = "is a setting that no method has"
    return [Fault(f"{place}.published_points", name, rule, nearest(name, known)) for place, name in unknown]
