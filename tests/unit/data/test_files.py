"""Reading tables: every way for a file to be wrong has one message."""

import gzip

import pyarrow
import pyarrow.parquet
import pytest

from lmodp.data.files import read_csv, read_parquet, read_table, read_tsv
from lmodp.errors import DamagedFile, MissingFile

COLUMNS = (("sentence",), ("label", "gold_label"))


def write(folder, text, name="file.tsv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_tsv_keeps_quotes_and_finds_columns_by_any_name(tmp_path):
    path = write(tmp_path, 'gold_label\tx\tsentence\n1\ta\tan "unbalanced quote\n0\tb\tplain\r\n')
    table = read_tsv(path, COLUMNS)
    assert table.rows == [('an "unbalanced quote', "1"), ("plain", "0")]
    assert table.lines == [2, 3] and table.refused == {}


def test_tsv_counts_rows_with_other_numbers_of_fields(tmp_path):
    table = read_tsv(write(tmp_path, "sentence\tlabel\na\t1\nb\nc\t1\t2\nd\t0\n\n"), COLUMNS)
    assert [row[0] for row in table.rows] == ["a", "d"]
    assert table.lines == [2, 5]
    assert table.refused == {"row has another number of fields than the header": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("sentence\tlabel\n", "holds no rows"),
        ("sentence\tother\na\t1\n", "lacks column label or gold_label; it has sentence, other"),
    ],
)
def test_tsv_faults(tmp_path, text, message):
    with pytest.raises(DamagedFile, match=message):
        read_tsv(write(tmp_path, text), COLUMNS)


def test_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(MissingFile, match="does not exist.*local_files"):
        read_tsv(tmp_path / "absent.tsv", COLUMNS)


def test_text_in_another_encoding(tmp_path):
    path = tmp_path / "latin.tsv"
    path.write_bytes("sentence\tlabel\ncafé\t1\n".encode("latin-1"))
    with pytest.raises(DamagedFile, match="is not UTF-8 text"):
        read_tsv(path, COLUMNS)


def test_csv_reads_quoted_fields_and_line_breaks(tmp_path):
    path = write(tmp_path, 'sentence,label\n"a, ""b""\nc",1\nd,0\n', "file.csv")
    assert read_csv(path, COLUMNS).rows == [('a, "b"\nc', "1"), ("d", "0")]
    old = write(tmp_path, "sentence,label\ra,1\rb,0\r", "old.csv")  # line ends of old spreadsheets
    assert read_csv(old, COLUMNS).rows == [("a", "1"), ("b", "0")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('sentence,label\n"a,1\nb,0\n', r"unbalanced quotes"),
        ('sentence,label\n"a" b,1\n', r"line 2: has unbalanced quotes"),
        ("sentence,label\na,b,1\n", r"line 2: has 3 fields, the header 2"),
        ("", "is empty"),
        ("sentence,label\n", "holds no rows"),
        ("other,label\nb,0\n", "lacks column sentence"),
    ],
)
def test_csv_faults(tmp_path, text, message):
    with pytest.raises(DamagedFile, match=message):
        read_csv(write(tmp_path, text, "file.csv"), COLUMNS)


def test_parquet_faults(tmp_path):
    with pytest.raises(DamagedFile, match="is not a parquet file"):
        read_parquet(write(tmp_path, "text", "file.parquet"), COLUMNS)
    with pytest.raises(MissingFile):
        read_parquet(tmp_path / "absent.parquet", COLUMNS)


def read(folder, text, name):
    data = text.encode()
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_table(path, COLUMNS)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sentence\tlabel\na, b\t1\nc\t0\n", "a.tsv"),
        ('label,sentence\n1,"a, b"\n0,c\n', "a.csv"),
        ("\ufeffsentence;label\r\na, b;1\r\nc;0\r\n", "a.csv"),  # as a spreadsheet exports it
        ('sentence\tlabel\n"a, b"\t1\nc\t0\n\n', "A.CSV"),
        ('{"sentence": "a, b", "label": "1"}\n\n{"label": "0", "sentence": "c", "more": []}\n', "a.jsonl"),
        ('{"sentence": "a, b", "label": "1"}\n{"label": "0", "sentence": "c"}\n', "a.jsonl.gz"),
        ('[{"sentence": "a, b", "label": "1"},\n {"label": "0", "sentence": "c"}]\n', "a.json"),
        ('sentence,label\n"a, b",1\nc,0\n', "a.csv.gz"),
    ],
)
def test_formats_by_name(tmp_path, text, name):
    assert read(tmp_path, text, name).rows == [("a, b", "1"), ("c", "0")]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("sentence\tlabel\tlabel\na\t1\t0\n", "a.tsv", "has the column label more than once. Rename or remove one"),
        ("sentence,label,sentence\na,1,b\n", "a.csv", "has the column sentence more than once"),
        ('{"sentence": "a", "label": 1, "label": 0}\n', "a.jsonl", "line 1: is not valid JSON .a key occurs twice"),
        ('sentence\tlabel\na\t0\n"say ""no"" now"\t1\n', "a.tsv", "line 3: is quoted as in CSV.*ends in .csv"),
        ("sentence;label\na;1\n", "a.tsv", "must be separated by tabs, or its name must end in .csv"),
        ("sentence|label\na|1\n", "a.csv", r"lacks column sentence, label or gold_label; it has sentence\|label\.$"),
        ('{"sentence": "a"}\n', "a.jsonl", "line 1: lacks column label or gold_label; it has sentence"),
        ('{"sentence": "a", "label": 1}\n{"sentence"\n', "a.jsonl", "line 2: is not valid JSON"),
        ('["sentence"]\n', "a.jsonl", "record 1 = sentence: must be a JSON object"),
        ("5\n", "a.json", "line 1 = 5: must be a JSON object"),
        ('[{"sentence": "a"}]\n', "a.json", "record 1: lacks column label"),
        ("[1", "a.json", "is not valid JSON"),
        ("[]", "a.json", "holds no rows"),
        ("", "a.jsonl", "holds no rows"),
    ],
)
def test_what_would_be_read_as_something_else(tmp_path, text, name, message):
    with pytest.raises(DamagedFile, match=message):
        read(tmp_path, text, name)


def test_quotation_marks_of_a_tsv_stay_where_they_are_not_those_of_csv(tmp_path):
    table = read(tmp_path, 'sentence\tlabel\n"a"\t1\nsay "no"\t0\n', "a.tsv")
    assert [row[0] for row in table.rows] == ['"a"', 'say "no"']


def test_damage_is_called_by_its_name(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"sentence,label\na,1\n")[:-9])
    with pytest.raises(DamagedFile, match="is not a whole gzip file"):
        read_table(path, COLUMNS)
    (tmp_path / "a.csv").write_bytes("sentence,label\na,1\ncafé,0\n".encode("latin-1"))
    with pytest.raises(DamagedFile, match="line 3: is not UTF-8 text. Save it in the encoding UTF-8"):
        read_table(tmp_path / "a.csv", COLUMNS)
    long = read(tmp_path, f"sentence,label\n{'x' * 140000},1\n", "b.csv")
    assert len(long.rows[0][0]) == 140000


def test_parquet_with_a_column_twice(tmp_path):
    table = pyarrow.Table.from_arrays([["a"], [1], [0]], names=["sentence", "label", "label"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DamagedFile, match="has the column label more than once"):
        read_table(tmp_path / "a.parquet", COLUMNS)


def test_a_text_is_a_text(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"sentence": ["a", None], "label": [1, 0]}), tmp_path / "a.parquet")
    with pytest.raises(DamagedFile, match="row 2, sentence = None: must be a text. Correct or remove that row"):
        read_table(tmp_path / "a.parquet", COLUMNS).texts(0, "sentence")
