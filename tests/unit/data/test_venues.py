"""The grammar corpus: no record in two places, the same on every machine, its parts speak differently."""

import hashlib
import json

import pytest

from lmodp.data.cards import DATASETS
from lmodp.data.table_to_text import group_references
from lmodp.data.venues import PRIVATE, PUBLIC, load_venues, public_venues


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


def test_the_parts_share_no_more_than_one_phrasing(private, public):
    def openings(examples):
        return {text.split()[0] for text in examples.columns["text"]}

    assert not any(text.startswith("If you want") or "worth a visit" in text for text in public.columns["text"])
    assert any("worth a visit" in text for text in private.columns["text"])
    assert not any(" it offers " in text or "t offers" in text for text in private.columns["text"])
    assert any("t offers" in text for text in public.columns["text"])
    assert "If" in openings(private)


def test_several_references_a_record(private):
    rows = private.splits["test"]
    groups = group_references(
        [private.columns["record"][row] for row in rows], [private.columns["text"][row] for row in rows]
    )
    assert {len(texts) for texts in groups.values()} == {4}
