"""Model folders in a hub's layout: written from a model, or linked to existing files.

A model with billions of parameters is not copied: its files are linked. Only
``config.json`` is written, with the padding token that batches need.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from lmodp.data.tokens import load_tokenizer
from lmodp.errors import DamagedFile, MissingFile, require_finite
from lmodp.models.cards import ModelCard
from lmodp.records.record import read_json, sha256_file, write_json

CONFIG = "config.json"


def write_model(model: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    """Write a model and its tokenizer; the folder appears only when it is complete."""
    with scratch_folder(folder) as scratch:
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)


def link_model(source: Path, folder: Path, card: ModelCard) -> dict[str, Any]:
    """Make ``folder`` of links to the files of ``source``; return facts, and the SHA-256 of each weight file.

    Raises:
        MissingFile: the folder or a necessary file does not exist.
        DamagedFile: architecture or size differ from the card, tensors are missing, or the tokenizer is not whole.
        InvalidValue: the tokenizer has neither a padding nor an end token.
    """
    weights = _weight_files(source)
    values = read_json(source / CONFIG)
    model = _check_architecture(source, card, values)
    _check_tensors(weights, model)
    pad = load_tokenizer(source).pad_token_id
    with scratch_folder(folder) as scratch:
        for path in source.iterdir():
            if path.is_file() and path.name != CONFIG:
                (scratch / path.name).symlink_to(path.resolve())
        write_json(scratch / CONFIG, {**values, "pad_token_id": pad})
    return {**model_facts(model), "files": {path.name: sha256_file(path) for path in weights}}


def model_facts(model: PreTrainedModel) -> dict[str, Any]:
    """Return the number of parameters and layers, and the width."""
    return {
        "parameters": sum(value.numel() for value in model.parameters()),
        "layers": model.config.num_hidden_layers,
        "hidden_size": model.config.hidden_size,
    }


def check_size(card: ModelCard, parameters: int) -> None:
    """Raise `DamagedFile` unless the number of parameters is the card's."""
    if card.parameters is not None and parameters != card.parameters:
        raise DamagedFile(
            f"model {card.name} = {parameters} parameters: must be {card.parameters}. The weights are other ones."
        )


def model_on_meta(config: PretrainedConfig, card: ModelCard) -> PreTrainedModel:
    """Return the model of a configuration without memory for its weights."""
    with torch.device("meta"):
        return (AutoModelForCausalLM if card.generates else AutoModel).from_config(config)


def _check_architecture(source: Path, card: ModelCard, values: Mapping[str, Any]) -> PreTrainedModel:
    kind = values.get("model_type")
    if kind != card.architecture:
        raise DamagedFile(
            f"file = {str(source / CONFIG)!r}: model_type is {kind!r}, {card.name} is {card.architecture!r}. It "
            "is another model."
        )
    model = model_on_meta(AutoConfig.from_pretrained(source, local_files_only=True), card)
    check_size(card, model_facts(model)["parameters"])
    return model


def _weight_files(source: Path) -> list[Path]:
    if not source.is_dir():
        raise MissingFile(
            f"model folder = {str(source)!r}: does not exist. "
            "Put the model there, or give its folder under local_models."
        )
    weights = sorted(source.glob("*.safetensors"))
    if not weights or not (source / CONFIG).is_file():
        raise MissingFile(
            f"model folder = {str(source)!r}: must hold config.json, the tokenizer's files and *.safetensors. "
            "Older formats can execute code when they are loaded, and are not read."
        )
    return weights


def _check_tensors(weights: list[Path], model: PreTrainedModel) -> None:
    """Check that every parameter has a finite tensor; names may have the prefix of a task's model."""
    found: set[str] = set()
    needed = {_bare(name, model) for name, _ in model.named_parameters()}
    for path in weights:
        try:
            with safe_open(path, framework="pt") as file:
                names = {name: _bare(name, model) for name in file.keys()}
                found |= set(names.values())
                require_finite((name, file.get_tensor(name)) for name, bare in names.items() if bare in needed)
        except SafetensorError as error:
            raise DamagedFile(f"file = {str(path)!r}: is not a safetensors file ({error}). Fetch it again.") from None
    missing = sorted(
        name for name in needed - found if not name.startswith("pooler.")
    )  # many checkpoints have no pooler
    if missing:
        raise DamagedFile(
            f"weights of {str(weights[0].parent)!r}: lack {len(missing)} tensors, {missing[0]} among them. Fetch "
            "them again."
        )


def _bare(name: str, model: PreTrainedModel) -> str:
    """A tensor's name without the model's prefix, and with the current names of norms."""
    name = name.removeprefix(f"{model.base_model_prefix}.")
    return name.replace(".gamma", ".weight").replace(".beta", ".bias")


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Context: a temporary folder that gets the final name if everything succeeds."""
    path = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
        shutil.rmtree(folder, ignore_errors=True)
        path.replace(folder)
    finally:
        shutil.rmtree(path, ignore_errors=True)
