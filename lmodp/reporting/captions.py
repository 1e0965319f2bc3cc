"""What a reader must know to read a number: split, examples, seeds, adjacency, sampler, metric."""

from collections.abc import Iterable, Mapping
from typing import Any

from lmodp.reporting.formats import count, plain_list, trainable_words
from lmodp.reporting.results import against
from lmodp.reporting.results.metrics import metrics_in

PRIVACY_UNIT = "adjacency: add or remove one example; Poisson sampling"
COORDINATES = {"quick": 1000, "full": 1_000_000}  # behind a lower end, by the certificate's answer


def experiment_caption(results: Mapping[str, Any], experiment: str) -> str:
    """Return two sentences on data, model, training and metric of an experiment."""
    facts = results["experiments"][experiment]
    batch, size = facts["expected_batch_size"], facts["train_size"]
    most = facts["repetitions"]
    fewest = min((cell["repetitions"] for cell in results["cells"] if cell["experiment"] == experiment), default=most)
    scores = plain_list([metric.title for metric in metrics_in(results, experiment)])
    seeds = f"{fewest} to {most}" if fewest < most else str(most)
    runs = f"mean over {seeds} seeds" if most > 1 else "one seed"
    steps = "one step" if facts["steps"] == 1 else f"{facts['steps']} steps"
    return (
        f"{facts['dataset']}, {count(size)} training examples; {facts['model']}, training "
        f"{trainable_words(facts['trainable'])} for {steps} with an expected batch of {count(batch)} "
        f"examples (rate {batch / size:.4g}){_optimiser(results, experiment)}. "
        f"Score: {scores} after the last step on the "
        f"{facts['evaluation_split']} split ({_size(results, experiment)}), {runs}{_intervals(results, experiment)}; "
        f"{PRIVACY_UNIT}.{_borrowed(results, experiment)}"
    )


def _optimiser(results: Mapping[str, Any], experiment: str) -> str:
    """Clip norm, optimiser and learning rate, chosen or given; nothing where every method solves for the weights."""
    facts = results["experiments"][experiment]
    done = [cell for cell in results["cells"] if cell["experiment"] == experiment and cell["status"] == "done"]
    if done and all(cell["learning_rate"] is None for cell in done):
        return ""
    told = {"clip_norm": f"clip norm {facts['clip_norm']:g}", "optimizer": facts["optimizer"]}
    told["optimizer"] += "" if "learning_rate" in facts["searched"] else f" at {facts['learning_rate']:g}"
    told |= {
        name: f"{name.replace('_', ' ')} one of {plain_list([f'{value:g}' for value in values], 'or')}"
        for name, values in facts["searched"].items()
    }
    chosen = ""
    if facts["searched"]:
        held = count(facts["held_out"])
        by = f"{held} training examples that no run trains on" if facts["held_out"] else "validation"
        tuned = [cell["learning_rate"] for cell in done if cell["learning_rate"] is not None]
        largest = tuned.count(max(facts["searched"].get("learning_rate", (0.0,))))
        edge = f"; {largest} of {len(tuned)} took the largest rate" if largest else ""
        chosen = f" (chosen for each method and ε by {by}{edge}; neither ε nor the intervals count this choice)"
    return f", {', '.join(told.values())}{chosen}{_own_rates(results, facts)}"


def _borrowed(results: Mapping[str, Any], experiment: str) -> str:
    """Where the standard's runs come from, if the experiment has none and another one of its task has."""
    if against.lender(results, experiment) == experiment:
        return ""
    title = results["experiments"][results["experiments"][experiment]["task"]]["title"]
    return f" Compared with the {against.title_of(results, 'standard')} of “{title}”, at the same ε."


def lower_end_coordinates(mechanisms: Iterable[Mapping[str, Any]]) -> int:
    """Return how many coordinates a gradient needs for the verified lower ends of some mechanisms to hold."""
    return max((COORDINATES[item["verified_answer"] or "quick"] for item in mechanisms), default=COORDINATES["quick"])


def _intervals(results: Mapping[str, Any], experiment: str) -> str:
    """Which intervals the tables show, if there are any."""
    known = (item for item in results["comparisons"] if item["experiment"] == experiment and item["lower"] is not None)
    shown = [item for item in known if item["against"] == results["compare"]["standard"]]
    if not shown:
        return ""
    most = max(item["comparisons"] for item in shown)
    adjusted = f", adjusted for the up to {most} comparisons with one standard" if most > 1 else ""
    over = f"with 95 % intervals over seeds and test examples{adjusted}"
    return f" ± half of Student's 95 % interval over seeds; differences run by run, {over}"


def _own_rates(results: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """`` (Non-private: 0.0005)`` for methods that have their own learning rate."""
    own = [f"{results['methods'][name]['title']}: {rate:g}" for name, rate in facts.get("learning_rates", {}).items()]
    return f" ({', '.join(own)})" if own else ""


def _size(results: Mapping[str, Any], experiment: str) -> str:
    """How many examples were scored; sentences are generated once per distinct record, or for fewer records."""
    facts = results["experiments"][experiment]
    examples = f"{count(facts['evaluation_size'])} examples"
    of_it = (cell["examples"] for cell in results["cells"] if cell["experiment"] == experiment)
    scored = next(filter(None, of_it), None)
    if scored in (None, facts["evaluation_size"]):
        return examples
    return f"sentences for {count(scored)} distinct records; perplexity over {examples}"


def plan_of(mechanism: Mapping[str, Any]) -> tuple[float, ...]:
    """Return what comparable mechanisms have in common: examples, expected batch size, steps, delta."""
    return tuple(mechanism[name] for name in ("dataset_size", "expected_batch_size", "steps", "delta"))


def plan_words(plan: tuple[float, ...]) -> str:
    """Return `plan_of` in words."""
    size, batch, steps, delta = plan
    return f"{size:,} examples, {steps:,} steps, expected batch {batch:,g} (rate {batch / size:.3g}), δ = {delta:g}"
