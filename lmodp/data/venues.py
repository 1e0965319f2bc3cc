"""Records of synthetic places and sentences that describe them, from a small grammar.

The corpus has E2E's form: a record is a list of slots, and several sentences describe
the same record. It has two parts. The *public* part belongs to the text on which the
packaged GPT-2 is pretrained; the *private* part is the data set ``venues``. No record
is in both parts or in two splits. The parts use different phrasings, so that private
training has something to learn: from every list below, the public part uses the first
two, the private part all except the first.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from lmodp.data.table_to_text import linearise_e2e
from lmodp.data.tables import Examples, join_splits

# Distinct records and references of each.
PUBLIC = (4000, 2)
PRIVATE = {"train": (2400, 3), "validation": (150, 3), "test": (200, 4)}

_FIRST = (
    "Amber Brass Copper Crooked Drifting Early Gentle Golden Hidden Idle Little Lucky Merry Old Painted "
    "Quiet Red Silver Sleepy Twin Velvet Wandering White Wild"
).split()
_SECOND = (
    "Anchor Badger Bell Candle Clock Feather Ferry Harp Heron Kettle Lantern Maple Mirror Orchard Otter "
    "Pepper Plough Rook Saddle Sparrow Teapot Thistle Wheel Willow"
).split()
_VALUES: Mapping[str, Sequence[str]] = {
    "kind": (
        "bakery",
        "book shop",
        "coffee house",
        "diner",
        "flower shop",
        "guest house",
        "tea room",
        "tavern",
        "wine bar",
    ),
    "offers": (
        "apple cake",
        "fish soup",
        "fresh bread",
        "garden tours",
        "live music",
        "local cider",
        "old maps",
        "pottery lessons",
        "roast dinners",
        "used novels",
    ),
    "price": ("cheap", "fair", "high"),
    "rating": ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"),
    "area": ("by the harbour", "in the old town", "near the hills", "on the east side", "on the market square"),
    "near": ("Castle Gate", "Mill Bridge", "North Station", "Saint Anne's Park", "the Town Hall", "the Water Tower"),
    "dogs": ("yes", "no"),
}
_OPENINGS = (
    "{name} is a {kind}",
    "there is a {kind} called {name}",
    "a {kind} named {name} can be found",
    "if you want a {kind}, try {name}",
    "{name}, a {kind}, is worth a visit",
)
_CLAUSES: Mapping[str, Sequence[str]] = {
    "offers": (
        "it offers {value}",
        "it is known for {value}",
        "people go there for {value}",
        "you can have {value} there",
    ),
    "price": ("prices are {value}", "the price range is {value}", "what you pay is {value}", "its bills are {value}"),
    "rating": ("it is rated {value}", "customers give it {value}", "guests award it {value}", "it has earned {value}"),
    "area": ("it is {value}", "it lies {value}", "you will find it {value}", "it stands {value}"),
    "near": (
        "it is close to {value}",
        "it is near {value}",
        "its neighbour is {value}",
        "{value} is just around the corner",
    ),
}
_DOGS = {
    "yes": (
        "dogs are welcome",
        "you may bring your dog",
        "it is friendly to dogs",
        "four-legged guests are no problem",
    ),
    "no": (
        "dogs are not allowed",
        "you may not bring your dog",
        "it is no place for dogs",
        "four-legged guests must wait outside",
    ),
}
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
    name = f"{draw.choice(_FIRST)} {draw.choice(_SECOND)}"
    others = [slot for slot in _VALUES if slot != "kind"]
    chosen = sorted(draw.sample(others, draw.randint(2, 4)), key=others.index)
    return (("name", name), *((slot, draw.choice(_VALUES[slot])) for slot in ("kind", *chosen)))


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
    opening = draw.choice(_OPENINGS[ways]).format(name=record["name"], kind=record["kind"])
    slots = [slot for slot in record if slot not in ("name", "kind")]
    clauses = [_clause(slot, record[slot], draw, ways) for slot in draw.sample(slots, len(slots))]
    parts = [f"{opening} and {clauses[0]}", _joined(clauses[1:])]
    return " ".join(part[0].upper() + part[1:] + "." for part in parts if part)


def _clause(slot: str, value: str, draw: random.Random, ways: slice) -> str:
    if slot == "dogs":
        return draw.choice(_DOGS[value][ways])
    return draw.choice(_CLAUSES[slot][ways]).format(value=value)


def _joined(clauses: Sequence[str]) -> str:
    if len(clauses) < 2:
        return "".join(clauses)
    return f"{', '.join(clauses[:-1])} and {clauses[-1]}"
