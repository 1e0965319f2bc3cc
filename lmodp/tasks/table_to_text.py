"""The table-to-text task: a language model learns to describe records, and its sentences are scored."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging

from lmodp.data.tokens import NO_TARGET, load_references, load_tokenizer, load_tokens, prompt_tokens
from lmodp.models.prepare_model import load_language_model
from lmodp.models.trainable import set_trainable
from lmodp.tasks.classification import PreparedTask, dropout_options, fresh, frozen_dtype, save_activations
from lmodp.tasks.decoding import DecodingSettings, generate_sentences
from lmodp.tasks.generation_scores import score_generation
from lmodp.tasks.perplexity import perplexity
from lmodp.training import TokenColumns, causal_lm_loss
from lmodp.training.examples import Examples

SAMPLES = 3  # number of sentences shown in a record


class TableToTextTask(PreparedTask):
    """A causal language model, trained on the sentence of each example only; its frozen layers are not cached."""

    loss: Callable[[nn.Module, Mapping[str, Tensor]], Tensor] = staticmethod(causal_lm_loss)

    @cached_property
    def decoding(self) -> DecodingSettings:
        """The settings of beam search."""
        return DecodingSettings(**(self.spec.generation or {}))

    @cached_property
    def tokenizer(self) -> Any:
        """The prepared model's tokenizer."""
        return load_tokenizer(self.model_folder)

    @cached_property
    def pretrained(self) -> PreTrainedModel:
        """The pretrained model; two bytes per weight if only adapters (in full precision) are trained."""
        logging.disable_progress_bar()
        options = dropout_options(self.model_folder, self.spec.dropout)
        model: Any = load_language_model(self.model_folder, dtype=frozen_dtype(self.spec), **options)
        return model.to(self.device)

    def model(self, seed: int) -> tuple[nn.Module, nn.Module, dict[str, Any]]:
        """Return a freshly initialised model, the same model as the part that runs, and what is trained."""
        model = fresh(self.pretrained, self.spec)
        summary = set_trainable(model, self.spec.trainable, seed=seed)
        save_activations(model, self.spec)
        return model, model, summary

    def examples(self, split: str) -> Examples:
        """Return a split's examples; only the sentence and its end have labels."""
        found = load_tokens(self.tokens_folder, split)
        return TokenColumns(
            {"input_ids": found.rows(), "labels": found.target_rows()},
            padding={"input_ids": self.tokenizer.pad_token_id, "labels": NO_TARGET},
            device=self.device,
        )

    def score(self, model: nn.Module) -> dict[str, Any]:
        """Return perplexity and the generation scores on the evaluation split.

        ``examples`` is the number of distinct records for which sentences were generated.
        """
        model.eval()
        split, batch = self.card.evaluation_split, self.spec.batch_size
        groups = dict(islice(load_references(self.tokens_folder, split).items(), self.decoding.records))
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            likelihood = perplexity(model, self.examples(split), batch_size=batch)
            prompts = prompt_tokens(self.tokenizer, list(groups))
            outputs = generate_sentences(model, prompts, tokenizer=self.tokenizer, settings=self.decoding)
        samples = [
            {"record": record, "output": output, "reference": references[0]}
            for (record, references), output in islice(zip(groups.items(), outputs, strict=True), SAMPLES)
        ]
        scores = score_generation(outputs, list(groups.values()))
        reasons = {**scores["reasons"], **likelihood.pop("reasons")}
        return {**likelihood, **scores, "reasons": reasons, "decoding": asdict(self.decoding), "samples": samples}
