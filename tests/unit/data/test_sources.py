"""Local files in both layouts, and through a mapping of names."""

import json

import pytest

from lmodp.data.cards import DATASETS, LAYOUTS
from lmodp.data.sources import local_paths, read_splits
from lmodp.errors import DamagedFile, InvalidValue, MissingFile

PUBLISHED = {
    "sst2": "sentence\tlabel\na fine film \t1\ndull\t0\n",
    "mnli": (
        "index\tsentence1\tsentence2\tlabel1\tgold_label\n"
        "0\ta man\ta person\tneutral\tentailment\n"
        "1\tx\ty\tneutral\tcontradiction\n"
    ),
    "qnli": 'index\tquestion\tsentence\tlabel\n0\twho?\the "said\tnot_entailment\n1\tq\ts\tentailment\n',
    "qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\thow?\twhy?\t0\n1\t1\t2\thow?\n2\t1\t2\ta\tb\t1\n"
    ),
    "e2e": (
        "mr,ref\n"
        '"name[A], eatType[pub], familyFriendly[yes]","A is a pub."\n'
        '"name[A], eatType[pub], familyFriendly[yes]",A: a pub.\n'
    ),
    "dart": json.dumps(
        [
            {
                "tripleset": [["A", "KIND_OF", "b"], ["A", "AT", "c"]],
                "annotations": [{"source": "s", "text": "A is b."}, {"source": "s", "text": None}],
            },
            {"tripleset": [["D", "IS", "e"]], "annotations": [{"source": "s", "text": "D  is\ne."}]},
        ]
    ),
}
EXPECTED = {
    "sst2": {"sentence": ["a fine film", "dull"], "label": [1, 0]},
    "mnli": {"sentence": ["a man", "x"], "sentence2": ["a person", "y"], "label": [0, 2]},
    "qnli": {"sentence": ["who?", "q"], "sentence2": ['he "said', "s"], "label": [1, 0]},
    "qqp": {"sentence": ["how?", "a"], "sentence2": ["why?", "b"], "label": [0, 1]},
    "e2e": {"record": ["name : A | Type : pub | family friendly : yes"] * 2, "text": ["A is a pub.", "A: a pub."]},
    "dart": {"record": ["A : kind_of : b | A : at : c", "D : is : e"], "text": ["A is b.", "D is e."]},
}


def load_local(name, root, **options):
    return read_splits(name, local_paths(name, root, **options))


def put(root, paths, text):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_both_layouts_read_alike(tmp_path, layout, name):
    put(tmp_path, LAYOUTS[layout][name].values(), PUBLISHED[name])
    examples = load_local(name, tmp_path, layout=layout)
    size = len(EXPECTED[name]["label" if "label" in EXPECTED[name] else "text"])
    assert list(examples.splits["train"]) == list(range(size))
    assert {key: values[:size] for key, values in examples.columns.items()} == EXPECTED[name]
    assert {split: len(rows) for split, rows in examples.splits.items()} == dict.fromkeys(LAYOUTS[layout][name], size)


def test_refused_rows_are_counted_by_reason_and_split(tmp_path):
    put(tmp_path, LAYOUTS["plain"]["qqp"].values(), PUBLISHED["qqp"])
    examples = load_local("qqp", tmp_path)
    assert examples.refused == {"row has another number of fields than the header": 2}
    assert examples.refused_of == {"train": 1, "validation": 1}
    put(tmp_path, LAYOUTS["plain"]["dart"].values(), PUBLISHED["dart"])
    assert load_local("dart", tmp_path).refused == {"reference is empty": 3}


def test_names_may_be_given_and_splits_chosen(tmp_path):
    put(tmp_path, ["mine/dev.tsv"], PUBLISHED["sst2"])
    paths = local_paths("sst2", tmp_path, files={"validation": "mine/dev.tsv"})
    assert list(read_splits("sst2", {"validation": paths["validation"]}).splits) == ["validation"]


def test_a_pair_set_may_have_a_hubs_names(tmp_path):
    put(tmp_path, LAYOUTS["plain"]["mnli"].values(), "premise\thypothesis\tlabel\na\tb\t2\n")
    assert load_local("mnli", tmp_path).columns["label"] == [2, 2]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "sst2",
            "sentence\tlabel\na\t1\nb\t-1\n",
            r"line 3, label = '-1': must be 0 or negative, 1 or positive. A hub writes -1",
        ),
        ("mnli", "sentence1\tsentence2\tgold_label\na\tb\t-\n", r"label = '-': must be 0 or entailment, 1 or neutral"),
        ("e2e", 'mr,ref\n"name[A], near",x\n', r"line 2, mr = 'name\[A\], near': is not a list of slot\[value\]"),
        ("e2e", "mr,ref\nname A,x\n", r"is not a list of slot"),
        ("dart", '[{"tripleset": [["a", "b", "c"]], "annotations": []}]', "record 1: .*at least one reference"),
        ("dart", '[{"tripleset": [["a", "b"]], "annotations": [{"text": "x"}]}]', "must hold triples"),
        (
            "dart",
            '[{"tripleset": ["abc"], "annotations": [{"text": "x"}]}]',
            "record 1: tripleset = .*must hold triples",
        ),
        (
            "dart",
            '[{"tripleset": [{"s": "a", "p": "b", "o": "c"}], "annotations": [{"text": "x"}]}]',
            "must hold triples",
        ),
        ("dart", '[{"tripleset": [["a", null, "c"]], "annotations": [{"text": "x"}]}]', "each a list of three texts"),
        ("dart", '[{"tripleset": [["a", "b", "c"]], "annotations": ["x"]}]', "record 1: annotations = .*with a text"),
        ("dart", '[{"tripleset": [["a", "b", "c"]], "annotations": {"text": "xy"}}]', "annotations = .*with a text"),
        ("dart", '[{"tripleset": [["a", "b", "c"]], "annotations": [{"text": 5}]}]', "reference = 5: must be a text"),
        ("dart", '[{"annotations": []}]', "record 1: lacks column tripleset"),
    ],
)
def test_faults(tmp_path, name, text, message):
    put(tmp_path, LAYOUTS["plain"][name].values(), text)
    with pytest.raises(DamagedFile, match=message):
        load_local(name, tmp_path)


def test_faults_of_the_request(tmp_path):
    with pytest.raises(MissingFile, match="Set data_root in the config, or LMODP_DATA_ROOT"):
        load_local("sst2", None)
    with pytest.raises(InvalidValue, match="has no reader for local files"):
        load_local("movie_reviews", tmp_path)
    with pytest.raises(InvalidValue, match="Did you mean 'official'"):
        local_paths("sst2", tmp_path, layout="oficial")
    with pytest.raises(
        InvalidValue, match="local_files.sst2 = 'dev': is no split of this data set. Known: train, vali"
    ):
        local_paths("sst2", tmp_path, files={"dev": "dev.tsv"})


def test_published_sizes_differ_by_one_where_they_do():
    assert {
        name: DATASETS[name].published_size - DATASETS[name].train_size for name in ("sst2", "mnli", "qnli", "qqp")
    } == {"sst2": 1, "mnli": 1, "qnli": 1, "qqp": 1}
