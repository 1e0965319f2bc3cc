"""The packaged GPT-2: a small model, pretrained on public text because no package contains GPT-2 weights.

The text has two parts: editorial and product-review sentences from the same source as the movie reviews, and the public
part of the grammar corpus. It contains no sentence on which any run trains privately. Pretraining uses one thread, so
tokenizer and weights depend only on the text and the settings, on any number of cores.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging

from lmodp.data.embedded import public_venues, read_rated_sentences
from lmodp.data.fetch import fetched_folder
from lmodp.data.tokens import prompt_tokens
from lmodp.models.cards import PretrainingSettings

END = "<|endoftext|>"
PUBLIC_FILES = ("nytEditorialSnippets_GroundTruth.txt", "amazonReviewSnippets_GroundTruth.txt")
PACKAGE = "vaderSentiment"


def pretrain_gpt2(
    cache_root: Path, settings: PretrainingSettings | None = None
) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast, dict[str, Any]]:
    """Return a small GPT-2 in evaluation mode, its tokenizer, and facts for the record."""
    settings = settings or PretrainingSettings()
    logging.set_verbosity_error()  # it warns that padding is not masked, but there is no padding
    sentences, venues = public_sentences(cache_root), public_venues()
    tokenizer = train_tokenizer([*sentences, *venues.columns["record"], *venues.columns["text"]], settings)
    stream = _stream(tokenizer, sentences, venues.columns["record"], venues.columns["text"], settings.seed)
    blocks = torch.from_numpy(stream[: len(stream) // settings.block * settings.block].reshape(-1, settings.block))
    count = max(1, round(settings.held_out * len(blocks)))
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = GPT2LMHeadModel(_config(tokenizer, settings))
        _train(model, blocks[count:], settings)
        loss = _mean_loss(model, blocks[:count])
    facts = {
        "settings": asdict(settings),
        "sentences": len(sentences),
        "venues": len(venues),
        "tokens": len(stream),
        "text_sha256": hashlib.sha256("\n".join([*sentences, *venues.columns["text"]]).encode()).hexdigest(),
        "held_out_loss": round(loss, 6),
        "held_out_perplexity": round(math.exp(loss), 4),
    }
    return model, tokenizer, facts


def public_sentences(cache_root: Path) -> list[str]:
    """Return the editorial and product-review sentences."""
    folder = fetched_folder(PACKAGE, cache_root)
    return [text for name in PUBLIC_FILES for _, text in read_rated_sentences(folder / name)]


def train_tokenizer(texts: Sequence[str], settings: PretrainingSettings) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer trained on the texts, like GPT-2's but with fewer merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary,
        special_tokens=[END],
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator([" " + text for text in texts], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=settings.positions,
        model_input_names=["input_ids", "attention_mask"],
    )


def _config(tokenizer: PreTrainedTokenizerFast, settings: PretrainingSettings) -> GPT2Config:
    end = tokenizer.eos_token_id
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=settings.positions,
        n_embd=settings.width,
        n_layer=settings.layers,
        n_head=settings.heads,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )


def _stream(tokenizer: Any, sentences: list[str], records: list[str], texts: list[str], seed: int) -> np.ndarray:
    """All documents in random order, each followed by the end token."""
    end = tokenizer.eos_token_id
    plain = tokenizer([" " + text for text in [*sentences, *texts]], add_special_tokens=False)["input_ids"]
    prompts = prompt_tokens(tokenizer, records)
    said = [[*prompt, *text] for prompt, text in zip(prompts, plain[len(sentences) :], strict=True)]
    documents = [*plain[: len(sentences)], *said]
    order = np.random.default_rng(seed).permutation(len(documents))
    return np.array([token for place in order for token in (*documents[place], end)], dtype=np.int64)


def _train(model: GPT2LMHeadModel, blocks: Tensor, settings: PretrainingSettings) -> None:
    """Plain language-model training; nothing here is private."""
    decayed = [value for value in model.parameters() if value.dim() > 1]
    others = [value for value in model.parameters() if value.dim() == 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    model.train()
    for step, batch in enumerate(
        tqdm(_batches(blocks, settings), total=settings.steps, desc="pretraining", unit="step")
    ):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _share(step, settings)
        optimizer.zero_grad()
        model(input_ids=batch, labels=batch, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def _batches(blocks: Tensor, settings: PretrainingSettings) -> Iterator[Tensor]:
    """Batches without replacement; each epoch has a new order of the blocks."""
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(settings.steps):
        while len(order) < settings.batch_size:
            order = torch.cat([order, torch.randperm(len(blocks), generator=generator)])
        yield blocks[order[: settings.batch_size]]
        order = order[settings.batch_size :]


def _share(step: int, settings: PretrainingSettings) -> float:
    """Learning rate as a share of the highest: linear increase, then cosine decay."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def _mean_loss(model: GPT2LMHeadModel, blocks: Tensor) -> float:
    """Mean cross entropy per token; every block has the same number of targets."""
    losses = [
        model(input_ids=part, labels=part, use_cache=False).loss.double() * len(part) for part in blocks.split(64)
    ]
    return float(sum(losses) / len(blocks))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
