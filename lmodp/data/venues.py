"""Records of synthetic places and sentences that describe them, from a small grammar.

The corpus has E2E's form: a record is a list of slots, and several sentences describe the same record. The *public*
part belongs to the text on which the packaged GPT-2 is pretrained; the *private* part is the data set ``venues``. No
record is in both parts or in two splits. The parts use different phrasings, so that private training has something to
learn: from every list of ``venues.toml``, the public part uses the first two, the private part all except the first.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmodp.data.table_to_text import linearise_e2e
from lmodp.data.tables import Examples, join_splits

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
