"""The card of an exported model; its section on privacy is made from the certificate, and nothing in it is typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmodp.reporting.formats import at_least, at_most, count, number, trainable_words
from lmodp.vocabulary import UNTRAINED

if TYPE_CHECKING:
    from lmodp.grid.cells import Cell
    from lmodp.specs import CellSpec

SEEDED = (
    "**This model is not private.** Its random numbers come from a seed (`randomness: seeded`): who knows it can "
    "subtract the noise. The numbers below say what the same training has with keys from the system "
    "(`randomness: entropy`)."
)
NOT_PRIVATE = "**This model is not private.** It was trained without noise, and no statement of privacy is made."
UNREAD = "No private example was read: nothing was trained (ε = 0)."
NOT_IN_IT = "Scores, losses and other numbers that depend on the training data are not on this card."
COVERED = (
    "The certificate covers the trained weights alone. It covers neither the choice of hyper-parameters nor what the "
    "model had read before."
)


def model_card(cell: Cell, finetuned: Mapping[str, Any], certificate: Mapping[str, Any], *, name: str) -> str:
    """Return the card in Markdown from the records of finetune_model, of which public fields are shown, and of the
    mechanism's certificate; ``name`` is that of the model that the cell's was made from.
    """
    spec = cell.spec
    classifier = spec.card.task == "classification"
    sizes, covered = finetuned["trained"], certificate["certificate"] is not None and spec.trainable != UNTRAINED
    private = covered and spec.randomness == "entropy"
    kind = "fill-mask" if spec.pooling == "mask" else "text-classification" if classifier else "text-generation"
    about = "tags: [differential-privacy, lmodp]" if private else "tags: [lmodp]"
    tags = ("library_name: transformers", f"pipeline_tag: {kind}", about)
    lines = [
        *("---", *tags, "---", "", f"# {name}, fine-tuned", ""),
        f"Made from `{name}` by `lmodp` with the method `{spec.method}`. What was trained: "
        f"{trainable_words(spec.trainable)}, {count(sizes['trainable'])} of {count(sizes['total'])} numbers.",
    ]
    if classifier:
        lines += ["", f"Classes: {', '.join(f'`{label}`' for label in spec.card.labels)}."]
    told = _privacy(spec, certificate, clip_norm=(finetuned["plan"] or {}).get("clip_norm"))
    lines += ["", _use(spec, classifier), "", "## Privacy", "", *told, "", NOT_IN_IT]
    lines += ["", COVERED, ""] if covered else [""]
    return "\n".join(lines)


def _use(spec: CellSpec, classifier: bool) -> str:
    masked, head = spec.pooling == "mask", spec.head
    kind = "AutoModelForMaskedLM" if masked else "AutoModelForSequenceClassification"
    kind = kind if classifier else "AutoModelForCausalLM"
    prompt = ""
    if head is not None:
        pairs = zip(head["words"], spec.card.labels, strict=True)
        words = ", ".join(f"`{word}` for `{label}`" for word, label in pairs)
        where = "the words' scores at the mask" if masked else "the scores of the classes at the prompt's end"
        prompt = f"It reads `{head['prompt']}` and answers with {where}: {words}. "
    return prompt + (
        f"Load it with `{kind}.from_pretrained(FOLDER)` and `AutoTokenizer.from_pretrained(FOLDER)`. It was trained "
        f"on texts of at most {spec.max_length} tokens."
    )


def _privacy(spec: CellSpec, record: Mapping[str, Any], *, clip_norm: float | None) -> list[str]:
    """The statement of the certificate: who is protected, against what, and by how much."""
    certificate = record["certificate"]
    if spec.trainable == UNTRAINED:
        return [UNREAD]
    if certificate is None:
        return [NOT_PRIVATE]
    seeded = spec.randomness == "seeded"
    verified, plan, noise = certificate["verified"], certificate["plan"], certificate["noise"]
    rows = {
        "protected is": f"one {plan['privacy_unit']} (a row of the training data)",
        "neighbouring data sets": plan["adjacency"].replace("_", " "),
        "sampler": f"{plan['sampler'].replace('_', ' ')}, sampling rate {number(plan['sampling_rate'], 6)}",
        "steps": f"{count(plan['steps'])}, {plan['releases_per_step']} release a step",
        **({"a release": f"`{json.dumps(plan['releases'])}`"} if "releases" in plan else {}),
        "training examples (public)": f"N = {count(spec.dataset_size)}",
        "δ": f"{plan['delta']:g}",
        **_epsilon(verified),
        "noise": f"{noise['law']['family']}, standard deviation of a coordinate "
        f"{number(noise['noise_multiplier'], 6)} × clip norm {number(clip_norm)} ({spec.clipping} clipping)",
        "random numbers": "seeded, which protects nobody" if seeded else "keys from the system's entropy, kept nowhere",
    }
    table = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())]
    return [*([SEEDED, ""] if seeded else []), *table, "", f"It rests on {record['rests_on']}."]


def _epsilon(verified: Mapping[str, Any]) -> dict[str, str]:
    if verified["upper"] is None:
        return {"ε of the whole run": f"not known: {verified['reason'] or verified['status']}"}
    proven = f"between {at_least(verified['lower'], 4)} and {at_most(verified['upper'], 4)}, proven"
    told = "the upper end is what may be stated, the lower end is for gradients of many coordinates"
    return {f"ε of the whole {verified['scope']}": f"{proven}; {told}"}
