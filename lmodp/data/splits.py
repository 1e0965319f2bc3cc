"""Fixed splits by the hash of a text, so that copies of a text are in the same split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate


def split_off(texts: Sequence[str], *, shares: Mapping[str, float], rest: str, seed: int) -> dict[str, list[int]]:
    """Return ascending row numbers by split: each takes about its share of the rows, and ``rest`` the others.

    A hash of the text and the seed decides the split of a row, whatever other rows there are. So copies of a text are
    in the same split, and one row more or less changes no other row's split.
    """
    splits: dict[str, list[int]] = {name: [] for name in [*shares, rest]}
    ends = dict(zip(shares, accumulate(shares.values()), strict=True))
    for row, text in enumerate(texts):
        place = int.from_bytes(hashlib.sha256(f"{seed}\0{text}".encode()).digest()[:8]) / 2**64  # in [0, 1)
        splits[next((name for name, end in ends.items() if place < end), rest)].append(row)
    return splits


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
