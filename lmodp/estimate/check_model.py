"""Which parts of a model can be trained privately, and how exact its clipping is.

Counts and rules are those of the model at its true size, without weights. What is measured is measured on a narrow
copy of its architecture: two blocks, random weights, float32, held to explicit float64 gradients of one example at a
time. So the answer takes seconds for any size.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from lmodp.data.tokenize_dataset import position_limit
from lmodp.data.tokens import load_tokenizer
from lmodp.errors import LmodpError, MissingFile, Unsupported
from lmodp.estimate.true_size import true_config, true_size
from lmodp.models.cards import ModelCard
from lmodp.models.classifier import SequenceClassifier
from lmodp.models.own import CONFIG, read_config
from lmodp.models.trainable import set_trainable
from lmodp.training import ClippingEngine, causal_lm_loss, classification_loss
from lmodp.training.losses import IGNORED, Loss

PARTS: dict[str, Any] = {"full": "full", "last_layers": {"last_layers": 1}, "lora": {"lora": {"rank": 4}}}
PARTS |= {"bitfit": "bitfit", "head": "head"}
LENGTHS = (7, 3, 7, 1, 2)  # of the examples that are measured
NARROW = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
NARROW |= {"vocab_size": 97, "max_position_embeddings": 64, "embedding_size": 32, "head_dim": 16}
OWN_NAMES = {
    "ffn_dim": 96,
    "hidden_dim": 96,
    "n_inner": 96,
    "word_embed_proj_dim": 64,
}  # where a family has no common one
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
MOST = 1e-4  # relative error that float32 explains


def check_model(place: Path) -> dict[str, Any]:
    """Return what of a model can be trained.

    Args:
        place: folder of a model, or its ``config.json``.

    Returns:
        ``architecture``, ``causal``, ``files`` (what a folder lacks, or None) and ``parts``: for each task and part
        the numbers that are trained, the layers that are clipped, the largest relative error of an example's norm and
        of a clipped sum (None where nothing was measured), and the ``problem``, or None.

    Raises:
        MissingFile, DamagedFile: there is no configuration, or of no architecture of transformers.
    """
    path = place / CONFIG if place.is_dir() else place
    if not path.is_file():
        raise MissingFile(f"model = {str(place)!r}: is neither a folder with a {CONFIG} nor such a file. Correct it.")
    facts, values = read_config(path)
    card = ModelCard(name="own", title=path.parent.name, config=values, **facts)
    tasks = ["classification", *(["table_to_text"] if card.generates else [])]
    parts = [{"task": task, "part": name, **_part(card, task, part)} for task in tasks for name, part in PARTS.items()]
    return {**facts, "files": _files(place) if place.is_dir() else None, "parts": parts}


def require_trainable(card: ModelCard, classes: int | None, part: Any, pooling: str) -> None:
    """Raise `Unsupported` if a part of a model cannot be trained; what can be trained instead is named."""

    def problem(one: Any) -> str | None:
        try:
            return true_size(card, classes=classes, trainable=one, pooling=pooling, max_length=1).problem
        except Unsupported as error:
            return str(error)

    if (told := problem(part)) is not None:
        others = [name for name, one in PARTS.items() if problem(one) is None]
        raise Unsupported(f"trainable = {part!r}: {told} What can be trained: {', '.join(others) or 'nothing'}.")


def _files(folder: Path) -> str | None:
    """What is wrong with a folder's tokenizer and weights, or None."""
    try:
        load_tokenizer(folder)
        position_limit(AutoConfig.from_pretrained(folder, local_files_only=True))
    except LmodpError as error:
        return str(error)
    return None if any(folder.glob("*.safetensors")) else "has no *.safetensors: its weights cannot be loaded"


def _part(card: ModelCard, task: str, part: Any) -> dict[str, Any]:
    classes = 3 if task == "classification" else None
    found: dict[str, Any] = dict.fromkeys(("trainable", "total", "layers", "norm_error", "sum_error", "problem"))
    try:
        size = true_size(card, classes=classes, trainable=part, pooling=card.native_pooling, max_length=1)
        found |= {"trainable": size.trainable, "total": size.parameters, "layers": size.tapped}
        found["problem"] = size.problem
        if size.problem is None:
            found["norm_error"], found["sum_error"] = measured(card, classes, part)
            if max(found["norm_error"], found["sum_error"]) > MOST:
                found["problem"] = "its gradients are not those of explicit differentiation"
    except (LmodpError, ValueError, RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        found["problem"] = " ".join(str(error).split()) or type(error).__name__
    return found


def measured(card: ModelCard, classes: int | None, part: Any) -> tuple[float, float]:
    """Return the largest relative errors of a norm and of a clipped sum, in evaluation mode and in training mode."""
    torch.manual_seed(0)
    model, loss = _narrow(card, classes)
    set_trainable(model, part, seed=0)
    with torch.no_grad():
        for value in model.parameters():  # away from special cases: adapters start at zero, norms at one
            value.add_(0.1 * torch.randn_like(value))
    batch = _batch(classes)
    errors = [_errors(model.train(mode), loss, batch) for mode in (False, True)]
    return max(norm for norm, _ in errors), max(total for _, total in errors)


def _narrow(card: ModelCard, classes: int | None) -> tuple[nn.Module, Loss]:
    """A narrow copy of an architecture without dropout, and its loss."""
    config = true_config(card)
    values = config.to_dict()
    share = (getattr(config, "num_key_value_heads", None) or config.num_attention_heads) / config.num_attention_heads
    for name, value in {**NARROW, **SPECIAL, "num_key_value_heads": max(1, round(4 * share))}.items():
        if getattr(config, name, None) is not None:
            values[config.attribute_map.get(name, name)] = value
    values |= {name: size for name, size in OWN_NAMES.items() if name in values}
    values |= {name: 0.0 for name, value in values.items() if "drop" in name and isinstance(value, float)}
    if values.get("layer_types"):
        values["layer_types"] = values["layer_types"][:2]
    kind = values.pop("model_type")
    made = AutoConfig.for_model(kind, **values)
    if classes is None:
        return AutoModelForCausalLM.from_config(made), causal_lm_loss
    made.num_labels = classes
    return SequenceClassifier(AutoModelForSequenceClassification.from_config(made)), classification_loss


def _batch(classes: int | None) -> dict[str, Tensor]:
    """Examples of unlike lengths, padded."""
    longest = max(LENGTHS)
    mask = (torch.arange(longest) < torch.tensor(LENGTHS)[:, None]).long()
    ids = torch.randint(4, NARROW["vocab_size"], mask.shape) * mask
    labels = torch.arange(len(LENGTHS)) % classes if classes else ids.masked_fill(mask == 0, IGNORED)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _errors(model: nn.Module, loss: Loss, batch: Mapping[str, Tensor]) -> tuple[float, float]:
    """The engine's norms and clipped sum against one plain backward pass an example, in float64."""
    exact = copy.deepcopy(model).double()
    gradients = [_alone(exact, loss, batch, row) for row in range(len(LENGTHS))]
    norms = torch.stack([gradient.norm() for gradient in gradients])
    clip_norm = 0.8 * float(norms[norms > 0].median())
    engine = ClippingEngine(model, clip_norm=clip_norm, clipping="flat")
    engine.zero_grad()
    found = engine.accumulate(loss, batch, len(LENGTHS))
    engine.fill_missing()
    total = torch.cat([value.grad.flatten().double() for value in engine.parameters if value.grad is not None])
    wanted = sum(min(1.0, clip_norm / float(norm)) * item for norm, item in zip(norms, gradients, strict=True) if norm)
    off = (found.norms.double() - norms).abs() / norms.clamp_min(1e-3 * float(norms.max()))
    return float(off.max()), float((total - wanted).norm() / clip_norm)


def _alone(model: nn.Module, loss: Loss, batch: Mapping[str, Tensor], row: int) -> Tensor:
    """One example's gradient over all trained parameters, flat, without its padding."""
    length = LENGTHS[row]
    one = {name: value[row : row + 1] for name, value in batch.items()}
    one = {name: value[:, :length] if value.dim() > 1 else value for name, value in one.items()}
    trained = [value for value in model.parameters() if value.requires_grad]
    found = torch.autograd.grad(loss(model, one).sum(), trained, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])
