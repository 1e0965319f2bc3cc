"""Known outputs and references with known scores.

Sources: sums done by hand, written beside each value; METEOR of two records from
pycocoevalcap 1.2's own wrapper around METEOR 1.5.
"""

import math

import pytest

from lmodp.errors import InvalidValue
from lmodp.tasks import generation_scores as generation
from lmodp.tasks.generation_scores import score_generation
from lmodp.tasks.java import why_no_java

java = pytest.mark.skipif(why_no_java() is not None, reason=str(why_no_java()))

# Sixteen words, no two alike.
ALIKE = ["one two three four five six seven eight", "nine ten eleven twelve thirteen fourteen fifteen sixteen"]


@pytest.fixture
def without_meteor(monkeypatch):
    monkeypatch.setattr(generation, "meteor", lambda texts, groups: 0.25)


@java
def test_outputs_equal_to_their_references(without_meteor):
    found = score_generation(ALIKE, [[text] for text in ALIKE])
    # NIST: a word is worth log2(16 / 1) = 4 bits, longer n-grams log2(1 / 1) = 0, no brevity penalty.
    # CIDEr: each of the four n-gram vectors has cosine 1, times 10.
    assert {name: found[name] for name in generation.SCORES} == {
        "bleu": 100.0,
        "nist": 4.0,
        "meteor": 0.25,
        "rouge_l": 100.0,
        "cider": 10.0,
    }
    assert found["reasons"] == {} and found["examples"] == 2


@java
def test_one_word_of_six_is_wrong(without_meteor):
    outputs = ["The mill is a cheap pub", *ALIKE]
    references = [["a", "the mill is a cheap bar"], *([text] for text in ALIKE)]
    found = score_generation(outputs, references)
    # n-grams right of all: words 5+16 of 6+16, pairs 4+14 of 5+14, threes 3+12 of 4+12, fours 2+10 of 3+10.
    assert found["bleu"] == pytest.approx(100 * (21 / 22 * 18 / 19 * 15 / 16 * 12 / 13) ** 0.25, abs=1e-6)
    # Longest common subsequence 5 of 6: precision 5/6, recall 1 (of the reference "a"; each is the best over the
    # references), F = (1 + 1.44) P R / (R + 1.44 P) with beta = 1.2.
    assert found["rouge_l"] == pytest.approx(100 * (2.44 * 5 / 6 / (1 + 1.44 * 5 / 6) + 2) / 3, abs=1e-6)


@java
def test_meteor_of_two_records():
    outputs = [
        "The Mill is a cheap pub near the river in the city centre .",
        "Blue Spice serves Italian food for less than £20 , it is family friendly .",
    ]
    references = [
        ["The Mill is a pub near the river .", "In the city centre, The Mill is a cheap pub."],
        [
            "Blue Spice is a family friendly Italian place with prices below £20.",
            "Blue Spice serves Italian food for less than £20.",
        ],
    ]
    assert score_generation(outputs, references)["meteor"] == pytest.approx(0.5619595888, abs=1e-6)


@java
def test_brevity(without_meteor):
    found = score_generation(["one two three four", ALIKE[1]], [[text] for text in ALIKE])
    assert found["bleu"] == pytest.approx(100 * math.exp(1 - 16 / 12), abs=1e-6)


@java
def test_too_little_for_a_score_is_a_status(without_meteor):
    found = score_generation(["one two"], [["one two"]])
    assert found["nist"] is None and "outputs too short: the longest has 2 words" in found["reasons"]["nist"]
    assert found["cider"] is None and "one record is not enough" in found["reasons"]["cider"]
    assert found["rouge_l"] == 100.0


@java
def test_empty_outputs_score_nothing_and_break_nothing(without_meteor):
    found = score_generation(["", ALIKE[1]], [["one two"], [ALIKE[1]]])
    assert found["rouge_l"] == 50.0 and found["bleu"] > 0


def test_without_java_three_scores_say_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = score_generation(ALIKE, [[text] for text in ALIKE])
    assert (found["bleu"], found["nist"]) == (100.0, 4.0)
    assert found["reasons"] == dict.fromkeys(("meteor", "rouge_l", "cider"), "needs Java, which is not installed")
    assert found["meteor"] is found["rouge_l"] is found["cider"] is None


@pytest.mark.parametrize(
    ("outputs", "references", "message"),
    [
        ([], [], "nothing to score"),
        (["a"], [], "must be one a record"),
        (["a"], [[]], "records without references"),
        (["a"], ["a b"], "references are one text. Give a list of texts"),
    ],
)
def test_faults(outputs, references, message):
    with pytest.raises(InvalidValue, match=message):
        score_generation(outputs, references)


def test_half_a_character_is_scored_as_a_wrong_one(without_meteor):
    assert score_generation(["bad \ud800 char", ALIKE[1]], [["bad ? char"], [ALIKE[1]]])["bleu"] == pytest.approx(100)
