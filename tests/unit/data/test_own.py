"""A data set of the user's own: what people export is read, or refused in one sentence with file, line and remedy."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from lmodp.data.own import identity_of, load_own, split_off
from lmodp.data.source_settings import OwnDataset
from lmodp.data.table_to_text import group_references
from lmodp.errors import DamagedFile, InvalidValue, LmodpError, MissingFile

ROWS = [
    (f"text {word}", label)
    for word, label in zip("abcdefghij", 2 * ["good", "bad", "so so", "good", "bad"], strict=True)
]


def own(**values):
    given = {"task": "classification", "text": ["review"], "label": "stars", "files": {"train": "a.csv"}}
    return OwnDataset(name="mine", **{**given, **values})


def load(folder, settings, **texts):
    for name, text in texts.items():
        data = text.encode()
        path = folder / name.replace("_", ".")
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return load_own(settings, cache_root=folder, data_root=folder)


def table(rows=ROWS, head="review,stars"):
    return "\n".join([head, *(f"{text},{label}" for text, label in rows)]) + "\n"


def part(examples, name):
    return [(examples.columns["sentence"][row], examples.columns["label"][row]) for row in examples.splits[name]]


def test_files_of_every_format_are_one_data_set(tmp_path):
    lines = "\n".join(json.dumps({"stars": label, "review": text, "x": None}) for text, label in ROWS)
    texts = {
        "a.csv": table(),
        "a.tsv": table().replace(",", "\t"),
        "b.csv": "\ufeff" + table().replace(",", ";").replace("\n", "\r\n"),
        "d.csv": "sep=;\r\n" + table().replace(",", ";").replace("\n", "\r\n"),
        "c.csv": "stars,review\n" + "\n".join(f'"{label}","{text}"' for text, label in ROWS),
        "a.jsonl": lines,
        "a.csv.gz": table(),
    }
    pyarrow.parquet.write_table(
        pyarrow.table({"review": [row[0] for row in ROWS], "stars": [row[1] for row in ROWS]}), tmp_path / "a.parquet"
    )
    found = []
    for name in [*texts, "a.parquet"]:
        settings = own(files={"train": name}, split_off={"test": 0.3})
        examples = load(tmp_path, settings, **({name.replace(".", "_"): texts[name]} if name in texts else {}))
        found.append(identity_of(settings, examples))
    assert all(identity == found[0] for identity in found)
    assert found[0]["labels"] == ["bad", "good", "so so"] and found[0]["task"] == "classification"
    assert found[0]["train_size"] + found[0]["evaluation_size"] == len(ROWS)


def test_a_file_in_either_of_two_places_is_read_and_one_in_both_is_refused(tmp_path, monkeypatch):
    settings = own(split_off={"test": 0.3})
    here, below = tmp_path / "here", tmp_path / "below"
    here.mkdir(), below.mkdir()
    monkeypatch.chdir(here)
    (here / "a.csv").write_text(table())
    assert len(load(below, settings).columns["label"]) == len(ROWS)
    (below / "a.csv").symlink_to(here / "a.csv")
    assert len(load(below, settings).columns["label"]) == len(ROWS)
    (below / "a.csv").unlink()
    (below / "a.csv").write_text(table(ROWS[::-1]))
    with pytest.raises(
        InvalidValue, match=r"file = 'a.csv': is here and below data_root, in '.*below'. Write the whole"
    ):
        load(below, settings)
    (here / "a.csv").unlink()
    assert load(below, settings).columns["sentence"][0] == "text j"


def test_parts_with_files_of_their_own(tmp_path):
    files = {"train": "a.csv", "test": "b.csv", "validation": "c.csv"}
    b = table([("x", "bad")])
    examples = load(tmp_path, own(files=files), a_csv=table(), b_csv=b, c_csv=table([("y", "good"), ("z", "bad")]))
    assert part(examples, "test") == [("x", 0)] and part(examples, "validation") == [("y", 1), ("z", 0)]
    assert part(examples, "train")[:3] == [("text a", 1), ("text b", 0), ("text c", 2)]


def test_a_part_split_off_keeps_copies_together_and_depends_on_no_other_row():
    texts = [f"text {number % 400}" for number in range(800)]
    splits = split_off(texts, shares={"test": 0.2, "validation": 0.1}, rest="train", seed=0)
    assert sorted(row for rows in splits.values() for row in rows) == list(range(800))
    assert 120 <= len(splits["test"]) <= 200 and 40 <= len(splits["validation"]) <= 120
    held = {name: {texts[row] for row in rows} for name, rows in splits.items()}
    assert not held["test"] & held["train"] and not held["validation"] & (held["train"] | held["test"])
    fewer = split_off(texts[1:], shares={"test": 0.2, "validation": 0.1}, rest="train", seed=0)
    assert {name: [row + 1 for row in rows] for name, rows in fewer.items()} == {
        name: [row for row in rows if row] for name, rows in splits.items()
    }
    assert split_off(texts, shares={"test": 0.2}, rest="train", seed=1)["test"] != splits["test"]


def test_two_columns_of_text(tmp_path):
    settings = own(text=["first", "second"], label="y", split_off={"test": 0.5})
    lines = ["first,second,y", *(f"a{number},b{number},{number % 2}" for number in range(20))]
    examples = load(tmp_path, settings, a_csv="\n".join(lines))
    assert examples.columns["sentence2"][3] == "b3" and examples.labels == ("0", "1")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["10", "9", "10"], ("9", "10")),  # numbers in their own order
        (["1.0", "0", "1"], ("0", "1")),  # as pandas writes a column that had a gap
        (["-1", "1", "0"], ("-1", "0", "1")),
        (["b", "a ", "a"], ("a", "b")),
    ],
)
def test_classes(tmp_path, values, labels):
    rows = [("x", value) for value in values]
    examples = load(tmp_path, own(files={"train": "a.csv", "test": "a.csv"}), a_csv=table(rows))
    assert examples.labels == labels


@pytest.mark.parametrize("values", [[True, False, True], [1, 0, 1], [1.0, 0.0, 1.0]])
def test_classes_of_a_parquet_file(tmp_path, values):
    pyarrow.parquet.write_table(pyarrow.table({"review": ["x", "y", "z"], "stars": values}), tmp_path / "a.parquet")
    examples = load(tmp_path, own(files={"train": "a.parquet", "test": "a.parquet"}))
    assert examples.columns["label"][:3] == [1, 0, 1] and len(examples.labels) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("review,stars\na,1\n ,0\nb,\n,1\n", r"line 3, review = '': has no text \(1 more rows .*Remove such rows"),
        ("review,stars\na,1\nb,\n", "line 3, stars = '': has no value. Fill it in or remove that row"),
        ("review,stars\na,1\nb,NaN\n", "line 3, stars = 'NaN': has no value"),
        ("review,stars\na,0.5\nb,0.25\n", "line 2, stars = '0.5': is no class. Classes are names or whole numbers"),
        ("review,stars\na,Good\nb,good \nc,bad\n", "line 3, label = 'good' beside 'Good' .*line 2.*are named alike"),
        ("review,stars\na,01\nb,1\nc,2\n", "line 3, label = '1' beside '01' .*are named alike"),
        ("review,stars\na,1\nb,1\n", "line 2, label = '1': is the only class. Name the column of the classes"),
        (
            "review,stars\n12,1\n13,0\n",
            "review = '12', ...: has no letter in any row. Name the column that holds the t",
        ),
        ("review,rating\na,1\n", "lacks column stars; it has review, rating"),
        ("review;rating\na;1\n", "lacks column stars; it has review, rating"),
        ("text;rating\na;1\n", "lacks column review, stars; it has text, rating"),
        ("sep=;\nreview;stars\na;1\nb;0;\n", "line 4: has 3 fields, the header 2"),
        ("review,stars\n", "holds no rows"),
        ('review,stars\n"a,1\nb,0\n', "has unbalanced quotes"),
        ("review,stars\na,1\nb,0,\n", "line 3: has 3 fields, the header 2"),
    ],
)
def test_refusals_name_file_line_and_remedy(tmp_path, text, message):
    with pytest.raises(DamagedFile, match=f"a.csv'.*{message}"):
        load(tmp_path, own(files={"train": "a.csv", "test": "b.csv"}), a_csv=text, b_csv=table([("x", "1")]))


def test_a_label_that_training_lacks(tmp_path):
    settings, a = own(files={"train": "a.csv", "test": "b.csv"}), table([("a", "0"), ("b", "1")])
    with pytest.raises(
        DamagedFile, match="b.csv' line 2, label = '2': does not occur in .* test alone has it. Correct it"
    ):
        load(tmp_path, settings, a_csv=a, b_csv=table([("x", "2")]))
    with pytest.raises(DamagedFile, match="label = '-1': .* A hub writes -1 where it hides the labels"):
        load(tmp_path, settings, a_csv=a, b_csv=table([("x", "-1")]))


def test_a_damaged_row_of_a_tsv_is_not_left_out(tmp_path):
    with pytest.raises(DamagedFile, match="a.tsv. line 3: row has another number of fields .*1 such rows.*save as CSV"):
        load(tmp_path, own(files={"train": "a.tsv"}), a_tsv="review\tstars\na\t1\nb\n")


def test_half_a_character_and_a_part_without_examples(tmp_path):
    lines = '{"review": "a", "stars": 1}\n{"review": "\\ud800", "stars": 0}\n'
    with pytest.raises(DamagedFile, match="line 2, review: has half a character"):
        load(tmp_path, own(files={"train": "a.jsonl"}), a_jsonl=lines)
    with pytest.raises(InvalidValue, match="datasets.mine.split_off = .*leaves the part test without an example"):
        load(tmp_path, own(split_off={"test": 1e-9}), a_csv=table())
    with pytest.raises(MissingFile, match="absent.csv': does not exist"):
        load(tmp_path, own(files={"train": "absent.csv"}))


def test_table_to_text_with_groups(tmp_path):
    settings = OwnDataset(
        name="mine",
        task="table_to_text",
        source="data",
        target="say",
        group="id",
        files={"train": "a.csv", "test": "a.csv"},
    )
    text = 'id,data,say\n1,name : A,A is here.\n1,name : A,"There  is\n A."\n2,name : B,B.\n'
    examples = load(tmp_path, settings, a_csv=text)
    assert examples.columns["text"][:3] == ["A is here.", "There is A.", "B."] and examples.columns["group"][2] == "2"
    assert identity_of(settings, examples)["labels"] == []


def test_a_repository_of_a_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    revision = "0123456789abcdef0123456789abcdef01234567"
    folder = tmp_path / "hub" / "datasets--somebody--reviews" / "snapshots" / revision
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text(table())
    settings = own(
        repository="somebody/reviews", revision=revision, files={"train": "train.csv"}, split_off={"test": 0.3}
    )
    here = load(tmp_path, own(split_off={"test": 0.3}), a_csv=table())
    assert identity_of(settings, load(tmp_path, settings)) == identity_of(settings, here)
    absent = own(repository="somebody/reviews", revision="f" * 40, files={"train": "train.csv"})
    with pytest.raises(LmodpError, match="dataset mine = somebody/reviews@ffffffffffff: is not in the cache"):
        load(tmp_path, absent)


def test_references_go_with_their_group(tmp_path):
    settings = OwnDataset(
        name="m", task="table_to_text", source="data", target="say", group="id", files={"train": "a.csv"}
    )
    text = "id,data,say\n" + "".join(f"{number // 2},name : {number},Number {number}.\n" for number in range(60))
    rows = load(tmp_path, settings, a_csv=text).to_datasets()
    assert group_references(rows["train"]) | group_references(rows["test"]) == {
        f"name : {number}": [f"Number {number}.", f"Number {number + 1}."] for number in range(0, 60, 2)
    }
