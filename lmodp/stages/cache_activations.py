"""The stage cache_activations: a frozen prefix's outputs, once for all runs that share it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from lmodp.models.prefix import cache_prefix, find_prefix
from lmodp.specs import ActivationsSpec
from lmodp.tasks.classification import ClassificationTask
from lmodp.training import TensorExamples

BATCH = 64


def cache_activations(
    spec: ActivationsSpec, *, tokens_folder: Path, model_folder: Path, folder: Path
) -> dict[str, Any]:
    """Compute and write the prefix's outputs for every split.

    Args:
        spec: data set, model, trainable part, pooling and threads.
        tokens_folder, model_folder: outputs of tokenize_dataset and prepare_model.
        folder: receives one safetensors file per split: ``pooled`` (N, H), or
            ``hidden`` (all tokens, H).

    Returns:
        The record's content: shape, bytes and how many layers were left out.
    """
    torch.set_num_threads(spec.threads)
    task = ClassificationTask(
        spec.task, model_folder=model_folder, tokens_folder=tokens_folder, activations_folder=None
    )
    model, _, _ = task.model(0)
    prefix = find_prefix(model)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}
    splits = sorted(path.stem for path in tokens_folder.glob("*.safetensors"))
    for split in tqdm(splits, desc="activations", unit="split"):
        _, cached = cache_prefix(model, task.tokens(split), batch_size=BATCH, folder=folder)
        name, tensor = ("hidden", None)
        if isinstance(cached, TensorExamples):
            name, tensor = "pooled", cached.tensors["pooled"]
        else:
            tensor = cached.store
        save_file({name: tensor.contiguous()}, folder / f"{split}.safetensors")
        facts[split] = {"tensor": name, "shape": list(tensor.shape), "bytes": tensor.numel() * tensor.element_size()}
    return {"frozen_layers": prefix.blocks, "pooled": prefix.pooled, "splits": facts}
