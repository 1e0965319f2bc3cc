"""Synthetic sentences from a small grammar, to try the workflow without any download."""

from __future__ import annotations

import random

from lmodp.data.tables import Examples

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
