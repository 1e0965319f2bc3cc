"""Movie-review sentences with mean human ratings (Hutto and Gilbert, ICWSM 2014)."""

from __future__ import annotations

from pathlib import Path

from lmodp.data.fetch import fetched_folder
from lmodp.data.splits import split_by_text
from lmodp.data.tables import Examples
from lmodp.errors import DamagedFile

FILE = "movieReviewSnippets_GroundTruth.txt"


def load_movie_reviews(cache_root: Path) -> Examples:
    """Return the labelled sentences and their fixed split.

    The file has one line per sentence: number, mean rating in [-4, 4], text; UTF-8 with CRLF. The label is the sign of
    the rating. Sentences with a rating of exactly 0 have no label; they are left out and counted.
    """
    rows = read_rated_sentences(fetched_folder("vaderSentiment", cache_root) / FILE)
    kept = [(rating, text) for rating, text in rows if rating != 0]
    texts = [text for _, text in kept]
    return Examples(
        columns={"sentence": texts, "label": [int(rating > 0) for rating, _ in kept]},
        splits=split_by_text(texts, sizes={"test": 2000, "validation": 1000}, rest="train", salt="movie_reviews"),
        refused={"rating is 0": len(rows) - len(kept)},
    )


def read_rated_sentences(path: Path) -> list[tuple[float, str]]:
    """Return mean rating and text of every line of a file of this source.

    Raises:
        DamagedFile: a line is not number, rating, text.
    """
    return [_parse(line, number, path) for number, line in enumerate(_lines(path), start=1)]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_bytes().decode("utf-8").split("\r\n") if line]


def _parse(line: str, number: int, path: Path) -> tuple[float, str]:
    try:
        _, rating, text = line.split("\t", 2)
        return float(rating), text.strip()
    except ValueError:
        raise DamagedFile(f"{path.name} line {number} = {line[:60]!r}: is not number, rating, text.") from None
