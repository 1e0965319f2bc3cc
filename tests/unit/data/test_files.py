"""Reading tables: every way for a file to be wrong has one message."""

import pytest

from lmodp.data.files import read_csv, read_list, read_parquet, read_tsv
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


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1", "is not valid JSON"), ("{}", "holds a dict"), ("[]", "holds no rows")],
)
def test_list_faults(tmp_path, text, message):
    with pytest.raises(DamagedFile, match=message):
        read_list(write(tmp_path, text, "file.json"))


def test_parquet_faults(tmp_path):
    with pytest.raises(DamagedFile, match="is not a parquet file"):
        read_parquet(write(tmp_path, "text", "file.parquet"), COLUMNS)
    with pytest.raises(MissingFile):
        read_parquet(tmp_path / "absent.parquet", COLUMNS)
