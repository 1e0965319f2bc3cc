"""prepare_dataset: sizes that certificates rest on, and what its record says."""

import pytest

from lmodp.data.cards import DATASETS, DatasetCard
from lmodp.data.prepare_dataset import check_sizes, prepare_dataset
from lmodp.data.source_settings import SourceSettings
from lmodp.data.tables import Examples, load_splits
from lmodp.errors import DamagedFile, InvalidValue

CARD = DatasetCard(
    name="e2e", title="E2E", task="table_to_text", train_size=3, evaluation_split="test", evaluation_size=2
)


def examples(training, evaluation, **refused):
    rows = list(range(training + evaluation))
    columns = {"record": [f"r{row}" for row in rows], "text": ["t"] * len(rows)}
    return Examples(columns, {"train": rows[:training], "test": rows[training:]}, refused_of=refused)


def test_sizes():
    check_sizes(CARD, examples(3, 2))
    check_sizes(CARD, examples(3, 1, test=1))  # a refused row of the evaluation split is one of those published
    with pytest.raises(DamagedFile, match=r"e2e test = 1 rows \(0 more refused\): must be 2"):
        check_sizes(CARD, examples(3, 1))
    with pytest.raises(DamagedFile, match=r"e2e train = 2 rows \(1 more refused\): must be 3. Certificates depend on"):
        check_sizes(CARD, examples(2, 2, train=1))


def test_the_record_counts_shared_records(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "e2e", CARD)
    for name, lines in {
        "a.csv": ["name[A],x", "name[A],y y", "name[B],z"],
        "b.csv": ["name[C],x", "name[C],y"],
    }.items():
        (tmp_path / name).write_text("\n".join(["mr,ref", *lines]))
    settings = SourceSettings(local_files={"e2e": {"train": "a.csv", "validation": "b.csv", "test": "b.csv"}})
    record = prepare_dataset(
        {"dataset": "e2e", "source": "local"},
        folder=tmp_path / "d",
        cache_root=tmp_path,
        data_root=tmp_path,
        settings=settings,
    )
    assert record["records"]["train"] == {"distinct": 2, "references_mean": 1.5, "references_most": 2}
    assert record["sizes"] == {"train": 3, "validation": 2, "test": 2} and record["refused"] == {}
    assert load_splits(tmp_path / "d")["train"]["text"][1] == "y y"


@pytest.mark.parametrize(("source", "message"), [("embedded", "is not offered for data set 'sst2'. Use local or hub")])
def test_a_source_that_does_not_offer_it(tmp_path, source, message):
    with pytest.raises(InvalidValue, match=message):
        prepare_dataset(
            {"dataset": "sst2", "source": source}, folder=tmp_path / "d", cache_root=tmp_path, data_root=None
        )


def test_e2e_says_that_rows_share_records():
    assert any("42,061 training rows share 4,862 distinct records" in note for note in DATASETS["e2e"].notes)


def test_the_record_says_what_a_score_cannot_say(tmp_path, monkeypatch):
    card = DatasetCard(
        name="sst2",
        title="",
        task="classification",
        train_size=3,
        evaluation_split="validation",
        evaluation_size=2,
        labels=("negative", "positive"),
    )
    monkeypatch.setitem(DATASETS, "sst2", card)
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2/train.tsv").write_text("sentence\tlabel\na\t1\nb\t0\na\t0\n")
    (tmp_path / "sst2/validation.tsv").write_text("sentence\tlabel\na \t1\nc\t1\n")
    spec = {"dataset": "sst2", "source": "local"}
    record = prepare_dataset(spec, folder=tmp_path / "d", cache_root=tmp_path, data_root=tmp_path)
    assert record["evaluation_in_training"] == 1
    assert record["one_class"] == {"validation": "positive"}
