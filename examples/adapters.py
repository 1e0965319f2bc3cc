"""Teach a causal language model to describe records, with low-rank adapters, and let it write a sentence.

    python examples/adapters.py records.csv my_models/qwen2

The CSV has the columns ``source`` (a record such as ``name : The Mill | food : French``) and ``target`` (its
sentence). The second argument is the folder of a causal language model.
"""

import sys

import torch
from peft import LoraConfig

import lmodp


def main(file, model, *, folder="my_adapter", **arguments):
    """Train the adapters, save them in peft's form, and describe one record."""
    chosen = {"epsilon": 8, "delta": 1e-5, "learning_rate": 1e-3, "max_length": 100, **arguments}
    adapters = LoraConfig(r=8, lora_alpha=16)  # target_modules are found where none are named
    found = lmodp.finetune(model, file, source="source", target="target", peft_config=adapters, **chosen)

    # One row of the CSV is protected. If several rows describe one record, the record is protected less.
    print(found.certificate["plan"]["privacy_unit"], "protected, epsilon", found.certificate["verified"]["upper"])

    # The folder holds the adapters alone: from_pretrained loads them onto the model they were trained on.
    found.save(folder)

    # A prompt is a record as it was trained on: a blank, the record, and what stands before the sentence.
    tokens = [*found.tokenizer(" name : The Mill", add_special_tokens=False)["input_ids"], found.tokenizer.eos_token_id]
    written = found.model.generate(torch.tensor([tokens]), max_new_tokens=20, do_sample=False)[0, len(tokens) :]
    print(found.tokenizer.decode(written, skip_special_tokens=True))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:3])
