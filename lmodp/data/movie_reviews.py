"""Movie-review sentences with mean human ratings (Hutto and Gilbert, ICWSM 2014)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmodp.data.fetch import fetched_folder
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
    """Return mean rating and text of every line of a file of this source; raise `DamagedFile` for another line."""
    return [_parse(line, number, path) for number, line in enumerate(_lines(path), start=1)]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_bytes().decode("utf-8").split("\r\n") if line]


def _parse(line: str, number: int, path: Path) -> tuple[float, str]:
    try:
        _, rating, text = line.split("\t", 2)
        return float(rating), text.strip()
    except ValueError:
        raise DamagedFile(f"{path.name} line {number} = {line[:60]!r}: is not number, rating, text.") from None


def split_by_text(texts: Sequence[str], *, sizes: Mapping[str, int], rest: str, salt: str) -> dict[str, list[int]]:
    """Return ascending row numbers by split; they depend only on the texts, not on their order.

    Distinct texts are sorted by a hash salted with the data set's name. Then the splits are filled to their sizes one
    after another with whole groups of equal texts, and the remaining groups go to ``rest``.
    """
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(text, []).append(row)
    splits: dict[str, list[int]] = {name: [] for name in [*sizes, rest]}
    for text in sorted(groups, key=lambda text: hashlib.sha256(f"{salt}\0{text}".encode()).digest()):
        rows = groups[text]
        place = next((name for name, size in sizes.items() if len(splits[name]) + len(rows) <= size), rest)
        splits[place] += rows
    return {name: sorted(rows) for name, rows in splits.items()}
