"""The shape of every model that the suite knows, without torch and without weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmodp.errors import Unsupported
from lmodp.models.cards import ModelCard, PretrainingSettings

# Configurations of packaged models; their packages contain them only together with the weights.
_EMBEDDED: Mapping[str, Mapping[str, Any]] = {
    "minilm_roberta": {
        "vocab_size": 30522,
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "max_position_embeddings": 513,
        "type_vocab_size": 1,
        "pad_token_id": 0,
    },
    "minilm_bert": {
        "vocab_size": 30522,
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "smollm2": {
        "vocab_size": 49152,
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
        "pad_token_id": 2,
    },
}
_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
# Defaults of the architectures in transformers, for configurations that name only what differs.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "roberta": {**_BASE, "vocab_size": 50265},
    "bert": {**_BASE, "vocab_size": 30522},
    "gpt2": {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257},
    "llama": {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "intermediate_size": 11008,
    },
}
_GATED = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "olmo2", "phi3", "smollm3", "modernbert")
_NAMES = ("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size")


@dataclass(frozen=True)
class Shape:
    """What decides a model's work.

    Args:
        width: coordinates of a hidden state.
        layers: blocks.
        block: weights of one block, biases and norms left out.
        heads: of attention.
        vocabulary: tokens.
    """

    width: int
    layers: int
    block: int
    heads: int
    vocabulary: int

    @property
    def parameters(self) -> int:
        """Weights of all blocks and of the token embeddings, nearly all that there are."""
        return self.layers * self.block + self.vocabulary * self.width

    def flops(self, layers: int, length: int, *, with_logits: bool = False) -> float:
        """Return the operations of a forward pass of one example through some layers: two per weight and token."""
        weights = layers * self.block + (self.vocabulary * self.width if with_logits else 0)
        return float(length * (2 * weights + 4 * layers * self.width * length))


def known_config(card: ModelCard) -> dict[str, Any]:
    """Return a model's configuration where it differs from its architecture's defaults in transformers.

    Raises:
        Unsupported: only its weights' own configuration is known.
    """
    values = card.config if card.config is not None else card.random or _EMBEDDED.get(card.name)
    if card.recipe == "pretrained":
        size = PretrainingSettings()
        values = {
            "vocab_size": size.vocabulary,
            "n_positions": size.positions,
            "n_embd": size.width,
            "n_layer": size.layers,
            "n_head": size.heads,
        }
    if values is None:
        raise Unsupported(f"model {card.name!r}: its size is known only from its weights.")
    return dict(values)


def _named_alike(card: ModelCard) -> dict[str, Any]:
    """The sizes in the configuration of a user's own model; transformers knows what each architecture calls them."""
    from transformers import AutoConfig  # most grids name no such model

    config = AutoConfig.for_model(card.architecture, **known_config(card))
    return {name: getattr(config, name, None) for name in (*_NAMES, "num_key_value_heads", "head_dim", "hidden_dim")}


def shape_of(card: ModelCard, *, layers: int | None = None) -> Shape:
    """Return a model's shape.

    Args:
        card: of the model.
        layers: the first layers only; None for all.
    """
    known = card.architecture in _DEFAULTS
    values = {**_DEFAULTS[card.architecture], **known_config(card)} if known else _named_alike(card)
    width = values.get("hidden_size") or values.get("n_embd", 768)
    heads = values.get("num_attention_heads") or values.get("n_head", 12)
    inner = values.get("intermediate_size") or values.get("n_inner") or values.get("hidden_dim") or 4 * width
    pairs = (values.get("num_key_value_heads") or heads) / heads
    of_heads = heads * (values.get("head_dim") or width // heads)
    block = round((2 + 2 * pairs) * width * of_heads) + (3 if card.architecture in _GATED else 2) * width * inner
    depth = layers or values.get("num_hidden_layers") or values.get("n_layer", 12)
    return Shape(width=width, layers=depth, block=block, heads=heads, vocabulary=values["vocab_size"])
