"""The stage cache_activations: a frozen prefix's outputs, once for all runs that share it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from lmodp.models.prefix import cache_prefix, find_prefix
from lmodp.tasks.classification import ClassificationTask
from lmodp.training import TensorExamples

BATCH = 64


def cache_activations(
    spec: Mapping[str, Any], *, tokens_folder: Path, model_folder: Path, folder: Path
) -> dict[str, Any]:
    """Compute and write the prefix's outputs for every split.

    Args:
        spec: of the activations (see ``lmodp.grid.cells``): data set, model, trainable
            part, pooling.
        tokens_folder, model_folder: outputs of tokenize_dataset and prepare_model.
        folder: receives one safetensors file a split: ``pooled`` (N, H), or
            ``hidden`` (all tokens, H).

    Returns:
        The record's content: shape, bytes and how many layers were left out.
    """
    torch.set_num_threads(spec["threads"])
    task = ClassificationTask(
        {**spec, "training": {"dropout": 0.0, "precision": "float32"}},
        model_folder=model_folder,
        tokens_folder=tokens_folder,
        activations_folder=None,
    )
    model, _, _ = task.model(0)
    prefix = find_prefix(model)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}
    for split in tqdm(
        sorted(path.stem for path in tokens_folder.glob("*.safetensors")), desc="activations", unit="split"
    ):
        _, cached = cache_prefix(model, task.examples(split), batch_size=BATCH, folder=folder)
        name, tensor = (
            ("pooled", cached.tensors["pooled"]) if isinstance(cached, TensorExamples) else ("hidden", cached.store)
        )
        save_file({name: tensor.contiguous()}, folder / f"{split}.safetensors")
        facts[split] = {"tensor": name, "shape": list(tensor.shape), "bytes": tensor.numel() * tensor.element_size()}
    return {"frozen_layers": prefix.blocks, "pooled": prefix.pooled, "splits": facts}
