"""The embedded text: labels, split and counts; and splits by text in general."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmodp.data.cards import DATASETS
from lmodp.data.embedded import FILE, load_movie_reviews, split_by_text
from lmodp.data.prepare_dataset import prepare_dataset
from lmodp.data.tables import load_splits
from lmodp.errors import DamagedFile


@pytest.fixture(scope="module")
def reviews(fetched, cache_root):
    fetched("vaderSentiment")
    return load_movie_reviews(cache_root)


def test_counts_are_the_cards(reviews):
    card = DATASETS["movie_reviews"]
    assert len(reviews.splits["train"]) == card.train_size
    assert len(reviews.splits["test"]) == card.evaluation_size
    assert reviews.refused == {"rating is 0": 37}
    assert sum(map(len, reviews.splits.values())) == 10605 - 37


def test_copies_of_a_sentence_stay_on_one_side(reviews):
    sides = {}
    for split, rows in reviews.splits.items():
        for row in rows:
            sides.setdefault(reviews.columns["sentence"][row], set()).add(split)
    assert len(sides) == 10605 - 37 - 2
    assert all(len(splits) == 1 for splits in sides.values())


def test_the_label_is_the_sign_of_the_rating(reviews):
    rows = dict(zip(reviews.columns["sentence"], reviews.columns["label"], strict=True))
    assert rows["...a pretentious mess..."] == 0
    assert next(label for text, label in rows.items() if text.startswith("The gorgeously elaborate continuation")) == 1


def test_it_goes_through_the_datasets_library_and_back(fetched, cache_root, tmp_path):
    fetched("vaderSentiment")
    facts = prepare_dataset(
        {"dataset": "movie_reviews", "source": "embedded"}, folder=tmp_path / "d", cache_root=cache_root, data_root=None
    )
    splits = load_splits(tmp_path / "d")
    assert facts["sizes"] == {name: len(rows) for name, rows in splits.items()}
    assert facts["label_counts"]["test"]["negative"] == list(splits["test"]["label"]).count(0)


def test_a_damaged_line_is_told_with_its_number(tmp_path, monkeypatch):
    (tmp_path / FILE).write_bytes(b"1\t2.5\tgood\r\n2\tnone\r\n")
    monkeypatch.setattr("lmodp.data.embedded.fetched_folder", lambda *names: tmp_path)
    with pytest.raises(DamagedFile, match="line 2 = '2.tnone'"):
        load_movie_reviews(tmp_path)


@given(st.lists(st.sampled_from("abcdefghij"), min_size=12, max_size=40), st.integers(0, 6), st.integers(0, 6))
def test_a_split_is_a_partition_by_text_and_not_by_order(texts, first, second):
    sizes = {"test": first, "validation": second}
    splits = split_by_text(texts, sizes=sizes, rest="train", salt="s")
    assert sorted(row for rows in splits.values() for row in rows) == list(range(len(texts)))
    owner = {texts[row]: name for name, rows in splits.items() for row in rows}
    assert all(texts[row] in owner and owner[texts[row]] == name for name, rows in splits.items() for row in rows)
    assert all(len(splits[name]) <= size for name, size in sizes.items())
    backwards = split_by_text(texts[::-1], sizes=sizes, rest="train", salt="s")
    assert {texts[::-1][row]: name for name, rows in backwards.items() for row in rows} == owner
