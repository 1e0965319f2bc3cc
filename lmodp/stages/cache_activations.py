"""The stage cache_activations: a frozen prefix's outputs, once for all runs that share it.

Prefixes of one model over the same tokens share one pass.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from lmodp.models.prefix import find_prefix, prefix_states
from lmodp.specs import ActivationsSpec
from lmodp.tasks.classification import ClassificationTask

BATCH = 64


def cache_activations(
    asked: Mapping[Path, ActivationsSpec], *, tokens_folder: Path, model_folder: Path, device: str = "auto"
) -> dict[Path, dict[str, Any]]:
    """Compute and write the outputs of one or several prefixes for every split, in one pass over the model.

    Args:
        asked: the spec by the folder that receives one safetensors file per split: ``pooled`` (N, H), or ``hidden``
            (all tokens, H). Model, tokens, pooling and threads of all are the same.
        tokens_folder, model_folder: outputs of tokenize_dataset and prepare_model.
    """
    first = next(iter(asked.values()))
    torch.set_num_threads(first.threads)
    prepared: dict[str, Any] = {"model_folder": model_folder, "tokens_folder": tokens_folder, "device": device}
    models = [ClassificationTask(spec.task, **prepared).model(0)[0] for spec in asked.values()]
    reader = ClassificationTask(first.task, **prepared)
    prefixes = dict(zip(asked, map(find_prefix, models), strict=True))
    facts: dict[Path, dict[str, Any]] = {folder: {} for folder in asked}
    splits = sorted(path.stem for path in tokens_folder.glob("*.safetensors"))
    for split in tqdm(splits, desc="activations", unit="split"):
        examples, scratch = reader.tokens(split), next(iter(asked))
        states = prefix_states(models[0], examples, list(prefixes.values()), batch_size=BATCH, folder=scratch)
        for (folder, prefix), tensor in zip(prefixes.items(), states, strict=True):
            name = "pooled" if prefix.pooled else "hidden"
            folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous()}, folder / f"{split}.safetensors")
            size = tensor.numel() * tensor.element_size()
            facts[folder][split] = {"tensor": name, "shape": list(tensor.shape), "bytes": size}
    return {
        folder: {"frozen_layers": prefix.blocks, "pooled": prefix.pooled, "splits": facts[folder]}
        for folder, prefix in prefixes.items()
    }
