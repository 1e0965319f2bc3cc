"""Scores of generated sentences against all references of their records.

=========  ==================================================================
bleu       sacrebleu, corpus level, 4-grams, 13a tokens, lower case, in percent
nist       nltk, corpus level, 5-grams, the same tokens and case
meteor     METEOR 1.5 (English), Penn tokens
rouge_l    ROUGE-L of pycocoevalcap, Penn tokens, mean over records, in percent
cider      CIDEr of pycocoevalcap, Penn tokens, mean over records
=========  ==================================================================

Texts are in lower case, as in the metrics of the E2E challenge, which the literature
on private fine-tuning reports. A score that cannot be computed is None, with a reason.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sacrebleu
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from lmodp.errors import Unsupported, require
from lmodp.tasks.java import meteor, penn_tokens, why_no_java

NIST_ORDER = 5
SCORES = ("bleu", "nist", "meteor", "rouge_l", "cider")


def score_generation(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return the five scores.

    Args:
        outputs: one sentence per record.
        references: all references of each record, at least one per record.

    Returns:
        each of `SCORES` (a number or None), ``reasons`` for those that are None, ``settings`` of the metrics,
        ``examples`` = number of records, and ``outputs_sha256`` over the sentences.

    Raises:
        InvalidValue: no record, or a record without references.
    """
    require(len(outputs) > 0, "outputs", 0, "there is nothing to score")
    rule = f"must be one a record, of which there are {len(references)}"
    require(len(outputs) == len(references), "outputs", len(outputs), rule)
    single = [number for number, group in enumerate(references) if isinstance(group, str)]
    require(not single, "references", single[:5], "records whose references are one text", "Give a list of texts.")
    empty = [number for number, group in enumerate(references) if not group]
    require(not empty, "references", empty[:5], "records without references")
    outputs = [text.encode(errors="replace").decode() for text in outputs]  # half a character is no text for Java
    reasons: dict[str, str] = {}
    scores = _word_scores(outputs, references, reasons) | _penn_scores(outputs, references, reasons)
    return {
        **{name: _rounded(scores[name]) for name in SCORES},
        "reasons": reasons,
        "settings": metric_settings(),
        "examples": len(outputs),
        "outputs_sha256": hashlib.sha256(json.dumps(list(outputs)).encode()).hexdigest(),
    }


def metric_settings() -> dict[str, str]:
    """Return how each score is computed, for the record."""
    bleu = sacrebleu.BLEU(lowercase=True)
    return {
        "bleu": (
            f"sacrebleu {sacrebleu.__version__}, 4-grams, tok:{bleu.tokenizer.signature()}, case:lc, smooth:exp, "
            "references as many as there are"
        ),
        "nist": f"nltk corpus_nist, {NIST_ORDER}-grams, tok:13a, case:lc",
        "meteor": "METEOR 1.5, -l en -norm, Penn tokens without punctuation, case:lc",
        "rouge_l": "pycocoevalcap, beta 1.2, Penn tokens without punctuation, case:lc",
        "cider": "pycocoevalcap, 4-grams, sigma 6, Penn tokens without punctuation, case:lc",
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _word_scores(
    outputs: Sequence[str], references: Sequence[Sequence[str]], reasons: dict[str, str]
) -> dict[str, float | None]:
    most = max(map(len, references))
    columns: list[Any] = [
        [group[number] if number < len(group) else None for group in references] for number in range(most)
    ]
    bleu = sacrebleu.BLEU(lowercase=True).corpus_score(list(outputs), columns).score
    return {"bleu": bleu, "nist": _nist(outputs, references, reasons)}


def _nist(outputs: Sequence[str], references: Sequence[Sequence[str]], reasons: dict[str, str]) -> float | None:
    from nltk.translate.nist_score import corpus_nist  # brings half of scipy, which most jobs do not need

    words = Tokenizer13a()
    split = [words(output.lower()).split() for output in outputs]
    longest = max(map(len, split))
    if longest < NIST_ORDER:
        reasons["nist"] = f"outputs too short: the longest has {longest} words, {NIST_ORDER}-grams are counted"
        return None
    return corpus_nist([[words(text.lower()).split() for text in group] for group in references], split, n=NIST_ORDER)


def _penn_scores(
    outputs: Sequence[str], references: Sequence[Sequence[str]], reasons: dict[str, str]
) -> dict[str, float | None]:
    missing = why_no_java()
    if missing:
        reasons.update(dict.fromkeys(("meteor", "rouge_l", "cider"), missing))
        return dict.fromkeys(("meteor", "rouge_l", "cider"))
    texts, groups = _penn_groups(outputs, references)
    return {
        "meteor": _attempt("meteor", lambda: meteor(texts, groups), reasons),
        "rouge_l": _attempt("rouge_l", lambda: 100 * _rouge(texts, groups), reasons),
        "cider": _attempt("cider", lambda: _cider(texts, groups), reasons),
    }


def _attempt(name: str, compute: Callable[[], float], reasons: dict[str, str]) -> float | None:
    try:
        return compute()
    except Unsupported as error:
        reasons[name] = str(error)
        return None


def _penn_groups(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    flat = penn_tokens([*outputs, *(text for group in references for text in group)])
    texts, rest = flat[: len(outputs)], iter(flat[len(outputs) :])
    return texts, [[next(rest) for _ in group] for group in references]


def _rouge(texts: Sequence[str], groups: Sequence[Sequence[str]]) -> float:
    from pycocoevalcap.rouge.rouge import Rouge

    return Rouge().compute_score(*_numbered(texts, groups))[0]


def _cider(texts: Sequence[str], groups: Sequence[Sequence[str]]) -> float:
    from pycocoevalcap.cider.cider import Cider

    if len(texts) < 2:
        raise Unsupported("weighs words by the records they occur in, so one record is not enough")
    return Cider().compute_score(*_numbered(texts, groups))[0]


def _numbered(
    texts: Sequence[str], groups: Sequence[Sequence[str]]
) -> tuple[Mapping[int, list[str]], Mapping[int, list[str]]]:
    """References and outputs by record number, the form that pycocoevalcap needs."""
    return {number: list(group) for number, group in enumerate(groups)}, {
        number: [text] for number, text in enumerate(texts)
    }
