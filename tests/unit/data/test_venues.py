"""The grammar corpus: no record in two places, the same on every machine, its parts speak differently."""

import hashlib
import json
import re
from collections import defaultdict

import pytest

from lmodp.data.cards import DATASETS
from lmodp.data.embedded import PRIVATE, PUBLIC, load_venues, public_venues
from lmodp.data.table_to_text import group_references


@pytest.fixture(scope="module")
def private():
    return load_venues()


@pytest.fixture(scope="module")
def public():
    return public_venues()


def records(examples, split):
    return {examples.columns["record"][row] for row in examples.splits[split]}


def test_no_record_is_in_two_places(private, public):
    parts = [records(private, split) for split in PRIVATE] + [set(public.columns["record"])]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert [len(part) for part in parts] == [*(count for count, _ in PRIVATE.values()), PUBLIC[0]]


def test_sizes_are_the_cards(private):
    card = DATASETS["venues"]
    assert len(private.splits["train"]) == card.train_size == 7200
    assert len(private.splits["test"]) == card.evaluation_size == 800


def test_the_same_on_every_machine(private, public):
    found = [hashlib.sha256(json.dumps(part.columns).encode()).hexdigest()[:16] for part in (private, public)]
    assert found == ["01e2bf46772131bc", "21b9392dac42b86d"]
    assert load_venues() == private


def test_every_sentence_says_its_record(private):
    for record, text in zip(private.columns["record"], private.columns["text"], strict=True):
        slots = dict(part.split(" : ") for part in record.split(" | "))
        said = [value for slot, value in slots.items() if slot not in ("dogs", "name")]
        assert slots["name"] in text and all(value.lower() in text.lower() for value in said), (record, text)
        assert ("dog" in text.lower() or "four-legged" in text.lower()) == ("dogs" in slots)


def phrasings(examples):
    """For every slot (dogs by value) the ways in which its value is said."""
    found = defaultdict(set)
    for record, text in zip(examples.columns["record"], examples.columns["text"], strict=True):
        slots, masked = dict(part.split(" : ") for part in record.split(" | ")), text.casefold()
        for slot in slots.keys() - {"dogs"}:
            masked = masked.replace(slots[slot].casefold(), f"<{slot}>")
        first, _, second = masked.removesuffix(".").partition(". ")
        for clause in (*first.split(" and "), *re.split(", | and ", second)):
            slot = "name" if "<name>" in clause else re.sub(".*<(.*)>.*|.+", r"\1", clause)
            found[slot or f"dogs {slots['dogs']}"].add(clause)
    return found


def test_the_parts_share_no_more_than_one_phrasing_of_a_slot(private, public):
    here, there = phrasings(private), phrasings(public)
    assert here.keys() == there.keys() and len(here) == 8
    for slot in here:
        assert len(here[slot] & there[slot]) <= 1
        assert here[slot] - there[slot] and there[slot] - here[slot]


def test_several_references_a_record(private):
    groups = group_references(private.to_datasets()["test"])
    assert {len(texts) for texts in groups.values()} == {4}
