"""Prompts with label words: a text becomes the beginning of a sentence whose next or masked word names the class.

``{text}`` and, for pairs, ``{text2}`` stand for the texts. A masked model reads its word at ``{mask}``, a causal one
after the end. If an example is too long, its longest text is cut, and the prompt stays whole.
"""

import re
from collections.abc import Sequence
from typing import Any

from lmodp.errors import InvalidValue, require

TEXTS, MASK = ("{text}", "{text2}"), "{mask}"
_PLACES = re.compile(r"\{text\}|\{text2\}|\{mask\}")


def word_tokens(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """Return the token of each label word; raise `InvalidValue` if one is no single token, or two are the same one."""
    found = tokenizer(list(words), add_special_tokens=False)["input_ids"]
    for word, tokens in zip(words, found, strict=True):
        known = len(tokens) == 1 and tokens[0] != tokenizer.unk_token_id
        rule = f"is {len(tokens)} tokens of the model, or an unknown one; it must be one"
        require(known, "head.words", word, rule, "Take a commoner word; ' good' and 'good' are two.")
    numbers = [tokens[0] for tokens in found]
    require(len(set(numbers)) == len(numbers), "head.words", list(words), "has two words of one token")
    return numbers


def prompt_rows(
    tokenizer: Any, prompt: str, columns: Sequence[Sequence[str]], max_length: int
) -> tuple[list[list[int]], list[int] | None, int]:
    """Return each example's tokens, the place of its masked word (None for a causal model), and how many were cut.

    ``columns`` are one or two of texts; ``max_length`` counts special tokens too.

    Raises:
        InvalidValue: the prompt has another number of texts than the data, or leaves no room for a text.
    """
    places = sum(text in prompt for text in TEXTS)
    known = f"has places for {places} texts, the data have {len(columns)}"
    require(places == len(columns), "head.prompt", prompt, known, "Use {text}, and {text2} for pairs.")
    bare = len(_tokens(tokenizer, prompt, [[""] * len(columns)])[0])
    rule = f"leaves no room for a text: the prompt alone has {bare} tokens"
    require(bare < max_length, "max_length", max_length, rule)
    examples = [[_without_mask(tokenizer, text) for text in texts] for texts in zip(*columns, strict=True)]
    rows = _tokens(tokenizer, prompt, examples)
    long = [number for number, row in enumerate(rows) if len(row) > max_length]
    for number in long:
        rows[number] = _cut(tokenizer, prompt, examples[number], max_length)
    masks = [row.index(tokenizer.mask_token_id) for row in rows] if MASK in prompt else None
    return rows, masks, len(long)


def _without_mask(tokenizer: Any, text: str) -> str:
    return text.replace(tokenizer.mask_token, " ") if tokenizer.mask_token else text


def _tokens(tokenizer: Any, prompt: str, examples: Sequence[Sequence[str]]) -> list[list[int]]:
    """Tokens of whole prompts; a causal model's end where its word follows, without a token for the end."""
    if MASK in prompt and tokenizer.mask_token is None:
        raise InvalidValue("head.prompt = '{mask}': the tokenizer has no masked word. Use a masked model.")
    filled = []
    for texts in examples:
        parts = {**dict(zip(TEXTS, texts, strict=False)), MASK: tokenizer.mask_token}
        filled.append(_PLACES.sub(lambda found, parts=parts: parts[found[0]], prompt))  # type: ignore[misc]
    rows = tokenizer(filled, truncation=False, verbose=False)["input_ids"]
    if MASK in prompt:
        return rows
    return [row[:-1] if len(row) > 1 and row[-1] == tokenizer.eos_token_id else row for row in rows]


def _cut(tokenizer: Any, prompt: str, given: Sequence[str], max_length: int) -> list[int]:
    """Tokens of one prompt whose texts are shortened until it fits."""
    texts = list(given)
    while (excess := len(row := _tokens(tokenizer, prompt, [texts])[0]) - max_length) > 0:
        longest = max(range(len(texts)), key=lambda number: len(texts[number]))
        offsets = tokenizer(texts[longest], add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        end = offsets[max(len(offsets) - excess, 0)][0] if offsets else 0
        texts[longest] = texts[longest][: min(end, len(texts[longest]) - 1)].rstrip()
    return row
