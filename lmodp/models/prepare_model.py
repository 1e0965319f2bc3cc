"""The stage prepare_model: writes pretrained weights and tokenizer in a hub's folder layout."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from lmodp.data.hub import hub_files
from lmodp.data.locks import hub_entry
from lmodp.data.source_settings import SourceSettings
from lmodp.errors import DamagedFile, InvalidValue, MissingFile, require, require_finite
from lmodp.models.architectures import architecture_of, at_path
from lmodp.models.cards import ModelCard, card_of
from lmodp.models.embedded import RECIPES
from lmodp.models.folders import check_size, link_model, model_facts, write_model
from lmodp.models.own import content_of, own_folder


def prepare_model(
    spec: Mapping[str, Any],
    *,
    folder: Path,
    cache_root: Path,
    data_root: Path | None = None,
    settings: SourceSettings | None = None,
) -> dict[str, Any]:
    """Write a pretrained model and its tokenizer to ``folder``, or link them there; return the record's content.

    ``spec``: model and source; layers for models cut to their first layers; own_model for a user's own.

    Raises:
        DamagedFile: the number of parameters differs from the card's.
        InvalidValue: the source does not offer the model, or a weight is not finite.
    """
    card, layers = card_of(spec["model"], spec.get("own_model")), spec.get("layers")
    if layers is not None and not (card.depth and spec["source"] == "embedded"):
        raise InvalidValue(f"layers = {layers!r}: model {card.name!r} is used whole. Leave layers out.")
    if spec["source"] == "embedded":
        facts = _write_embedded(card, folder, cache_root, layers)
    else:
        source = _source_folder(card, spec, cache_root, data_root, settings or SourceSettings())
        facts = link_model(source, folder, card)
    return {
        "title": card.title if layers is None else f"{card.title} ({layers} layers)",
        "architecture": card.architecture,
        "stands_for": card.stands_for,
        "licence": card.licence,
        "notes": list(card.notes),
        **facts,
    }


def load_language_model(folder: Path, *, dtype: torch.dtype = torch.float32, **options: Any) -> PreTrainedModel:
    """Return a causal language model of `prepare_model`, in evaluation mode; options are values of its config."""
    return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype, **options).eval()


def weights_hash(weights: Mapping[str, torch.Tensor]) -> str:
    """Return a SHA-256 over names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _write_embedded(card: ModelCard, folder: Path, cache_root: Path, layers: int | None) -> dict[str, Any]:
    if card.recipe is None:
        raise InvalidValue(f"source = 'embedded': no package holds the weights of {card.name!r}. Use local or hub.")
    model, tokenizer, facts = RECIPES[card.recipe](card, cache_root)
    check_size(card, model_facts(model)["parameters"])
    if layers is not None:
        keep_first_layers(model, layers)
    require_finite(model.named_parameters())
    write_model(model, tokenizer, folder)
    return {**model_facts(model), "weights_sha256": weights_hash(model.state_dict()), **facts}


def keep_first_layers(model: PreTrainedModel, layers: int) -> None:
    """Cut a model to its first layers, in place; the final norm and the head stay."""
    blocks = at_path(model, architecture_of(model).blocks)
    require(1 <= layers <= len(blocks), "layers", layers, f"must be from 1 to {len(blocks)}, the model's layers")
    del blocks[layers:]
    model.config.num_hidden_layers = layers
    if getattr(model.config, "layer_types", None):  # one entry per layer, read when the model is loaded again
        model.config.layer_types = model.config.layer_types[:layers]


def _source_folder(
    card: ModelCard, spec: Mapping[str, Any], cache_root: Path, data_root: Path | None, settings: SourceSettings
) -> Path:
    source, own = spec["source"], spec.get("own_model")
    if own is not None:
        folder = own_folder(settings.models[card.name], cache_root=cache_root, data_root=data_root)
        if source == "local" and content_of(folder) != own["content"]:
            raise DamagedFile(f"model = {card.name!r}: has changed since the configuration was read. Start again.")
        return folder
    if not card.published:
        raise InvalidValue(f"source = {source!r}: is not offered for model {card.name!r}. Use embedded.")
    if source == "hub":
        return hub_files(hub_entry(card.name, kind="model", revisions=settings.hub_revisions), cache_root=cache_root)
    if data_root is None:
        raise MissingFile(
            "data_root = None: local models need a folder. Set data_root in the config, or LMODP_DATA_ROOT."
        )
    return data_root / settings.local_models.get(card.name, f"models/{card.name}")
