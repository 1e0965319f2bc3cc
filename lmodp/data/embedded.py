"""Data sets of the source "embedded": movie reviews from a package, and two that a small grammar makes up.

The venues have E2E's form: a record is a list of slots, and several sentences describe the same record. The *public*
part belongs to the text on which the packaged GPT-2 is pretrained; the *private* part is the data set ``venues``. No
record is in both parts or in two splits. The parts use different phrasings, so that private training has something to
learn: from every list of ``venues.toml``, the public part uses the first two, the private part all except the first.
"""

import hashlib
import random
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmodp.data.fetch import fetched_folder
from lmodp.data.table_to_text import linearise_e2e
from lmodp.data.tables import Examples, join_splits
from lmodp.errors import DamagedFile

SUBJECTS = ("the film", "this story", "her first play", "the second act", "that song", "the whole cast")
POSITIVE = ("shines", "moves everyone", "is a quiet joy", "rewards patience", "sparkles", "is wise and warm")
NEGATIVE = ("drags", "pleases nobody", "is a loud mess", "tries our patience", "falls flat", "is stale and cold")
ENDINGS = ("", "in the end", "from start to finish", "for most of an hour", "once more", "as few do")
SIZES = {"train": 192, "validation": 32, "test": 64}


def load_made_up() -> Examples:
    """Return 288 labelled sentences, the same on every machine."""
    draw = random.Random("made_up")
    labels = [draw.randrange(2) for _ in range(sum(SIZES.values()))]
    sentences = [
        " ".join((draw.choice(SUBJECTS), draw.choice((NEGATIVE, POSITIVE)[label]), draw.choice(ENDINGS))).strip()
        for label in labels
    ]
    starts = {"train": 0, "validation": SIZES["train"], "test": SIZES["train"] + SIZES["validation"]}
    splits = {name: list(range(start, start + SIZES[name])) for name, start in starts.items()}
    return Examples(columns={"sentence": sentences, "label": labels}, splits=splits)


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
    lines = filter(None, path.read_bytes().decode("utf-8").split("\r\n"))
    return [_parse(line, number, path) for number, line in enumerate(lines, start=1)]


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


# Distinct records and references of each.
PUBLIC = (4000, 2)
PRIVATE = {"train": (2400, 3), "validation": (150, 3), "test": (200, 4)}

_WORDS = tomllib.loads(Path(__file__).with_name("venues.toml").read_text(encoding="utf-8"))
_PUBLIC_WAYS, _PRIVATE_WAYS = slice(0, 2), slice(1, None)


def load_venues() -> Examples:
    """Return the private part, split; the same on every machine."""
    records = _records()[PUBLIC[0] :]
    parts, start = {}, 0
    for split, (count, references) in PRIVATE.items():
        parts[split] = _say(records[start : start + count], references, _PRIVATE_WAYS, salt=split)
        start += count
    return join_splits(parts)


def public_venues() -> Examples:
    """Return the public part, one split named ``public``."""
    return join_splits({"public": _say(_records()[: PUBLIC[0]], PUBLIC[1], _PUBLIC_WAYS, salt="public")})


def _records() -> list[tuple[tuple[str, str], ...]]:
    """All distinct records in a fixed random order; a record is a tuple of slots."""
    draw = random.Random("venues")
    wanted = PUBLIC[0] + sum(count for count, _ in PRIVATE.values())
    found: dict[tuple[tuple[str, str], ...], None] = {}
    while len(found) < wanted:
        found[_draw_record(draw)] = None
    return list(found)


def _draw_record(draw: random.Random) -> tuple[tuple[str, str], ...]:
    name = f"{draw.choice(_WORDS['first_names'])} {draw.choice(_WORDS['second_names'])}"
    others = [slot for slot in _WORDS["values"] if slot != "kind"]
    chosen = sorted(draw.sample(others, draw.randint(2, 4)), key=others.index)
    return (("name", name), *((slot, draw.choice(_WORDS["values"][slot])) for slot in ("kind", *chosen)))


def _say(records: Sequence[tuple[tuple[str, str], ...]], references: int, ways: slice, *, salt: str) -> Examples:
    draw = random.Random(f"venues {salt}")
    lines = [linearise_e2e(", ".join(f"{slot}[{value}]" for slot, value in record)) for record in records]
    return Examples(
        columns={
            "record": [line for line in lines for _ in range(references)],
            "text": [_sentence(dict(record), draw, ways) for record in records for _ in range(references)],
        },
        splits={},
    )


def _sentence(record: Mapping[str, str], draw: random.Random, ways: slice) -> str:
    """One or two sentences: an opening, then the other slots in random order."""
    opening = draw.choice(_WORDS["openings"][ways]).format(name=record["name"], kind=record["kind"])
    slots = [slot for slot in record if slot not in ("name", "kind")]
    clauses = [_clause(slot, record[slot], draw, ways) for slot in draw.sample(slots, len(slots))]
    parts = [f"{opening} and {clauses[0]}", _joined(clauses[1:])]
    return " ".join(part[0].upper() + part[1:] + "." for part in parts if part)


def _clause(slot: str, value: str, draw: random.Random, ways: slice) -> str:
    if slot == "dogs":
        return draw.choice(_WORDS["dogs"][value][ways])
    return draw.choice(_WORDS["clauses"][slot][ways]).format(value=value)


def _joined(clauses: Sequence[str]) -> str:
    if len(clauses) < 2:
        return "".join(clauses)
    return f"{', '.join(clauses[:-1])} and {clauses[-1]}"
