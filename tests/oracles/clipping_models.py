"""Small models of every architecture, for comparison with explicit per-example gradients."""

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
)
from transformers.models.llama import modeling_llama

from lmodp.training.losses import causal_lm_loss, classification_loss, token_losses

VOCABULARY = 23


def encoder_fields(**more):
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "max_position_embeddings": 20,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 1,
        **more,
    }


def llama_fields(**more):
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 20,
        "max_position_embeddings": 20,
        "pad_token_id": 1,
        **more,
    }


def masked_lm_loss(model, batch):
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return token_losses(model(**inputs).logits, batch["labels"])


def wide_rms_norm(self, hidden):
    """`LlamaRMSNorm.forward` without its cast to float32, which would hide errors below 1e-7."""
    scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
    return self.weight * (hidden * scale)


BUILDERS = {
    "roberta": lambda: (
        RobertaForSequenceClassification(RobertaConfig(**encoder_fields(), num_labels=3)),
        classification_loss,
        "label",
    ),
    "bert": lambda: (
        BertForSequenceClassification(BertConfig(**encoder_fields(), num_labels=3)),
        classification_loss,
        "label",
    ),
    "roberta_lm_tied": lambda: (RobertaForMaskedLM(RobertaConfig(**encoder_fields())), masked_lm_loss, "tokens"),
    "gpt2_tied": lambda: (
        GPT2LMHeadModel(
            GPT2Config(
                vocab_size=VOCABULARY,
                n_embd=12,
                n_layer=2,
                n_head=3,
                n_positions=20,
                bos_token_id=0,
                eos_token_id=0,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
            )
        ),
        causal_lm_loss,
        "tokens",
    ),
    "llama": lambda: (LlamaForCausalLM(LlamaConfig(**llama_fields())), causal_lm_loss, "tokens"),
    "llama_tied_biased": lambda: (
        LlamaForCausalLM(LlamaConfig(**llama_fields(tie_word_embeddings=True, attention_bias=True, mlp_bias=True))),
        causal_lm_loss,
        "tokens",
    ),
    "llama_classifier": lambda: (
        LlamaForSequenceClassification(LlamaConfig(**llama_fields(num_labels=3))),
        classification_loss,
        "label",
    ),
}


def build(name: str, *, dtype=torch.float64, seed: int = 5):
    """Return (model, loss, kind of label); weights random everywhere, biases and norms included."""
    torch.manual_seed(seed)
    model, loss, labels = BUILDERS[name]()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.3).add_(0.6 if parameter.dim() == 1 else 0.0)
    if dtype == torch.float64:
        for module in model.modules():
            if isinstance(module, modeling_llama.LlamaRMSNorm):
                module.forward = wide_rms_norm.__get__(module)
    return model.to(dtype).train(), loss, labels


def make_batch(labels: str, lengths: list[int], *, seed: int = 9) -> dict[str, torch.Tensor]:
    """Return a padded batch whose tokens repeat (token 3 and 4 often)."""
    generator = torch.Generator().manual_seed(seed)
    size, width = len(lengths), max(lengths)
    ids = torch.randint(2, VOCABULARY, (size, width), generator=generator)
    ids = torch.where(torch.rand(size, width, generator=generator) < 0.5, 3 + ids % 2, ids)
    mask = (torch.arange(width)[None] < torch.tensor(lengths)[:, None]).long()
    ids = torch.where(mask == 1, ids, 1)
    batch = {"input_ids": ids, "attention_mask": mask}
    batch["labels"] = (
        torch.randint(0, 3, (size,), generator=generator) if labels == "label" else torch.where(mask == 1, ids, -100)
    )
    return batch


def explicit_gradients(model, loss, batch) -> list[dict]:
    """Return each example's gradient by one plain backward pass an example."""
    gradients = []
    for index in range(len(batch["labels"])):
        model.zero_grad(set_to_none=True)
        one = {name: value[index : index + 1] for name, value in batch.items()}
        loss(model, one).sum().backward()
        gradients.append(
            {
                parameter: parameter.grad.clone()
                for parameter in model.parameters()
                if parameter.requires_grad and parameter.grad is not None
            }
        )
    model.zero_grad(set_to_none=True)
    return gradients


def joint_norm(gradient: dict) -> torch.Tensor:
    return torch.stack([value.square().sum() for value in gradient.values()]).sum().sqrt()
