"""``lmodp models``: say which parts of a model can be trained privately, and how exact its clipping is."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.commands.printing import show, table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["check"], help="what is done")
    parser.add_argument("place", type=Path, metavar="FOLDER", help="a model's folder, or its config.json")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what can be trained; the exit status is 1 if nothing can."""
    from lmodp.estimate.check_model import check_model

    found = check_model(arguments.place)
    show(found, as_json=arguments.json, text=_text)
    return 0 if any(item["problem"] is None for item in found["parts"]) else 1


def _text(found: Mapping[str, Any]) -> str:
    heads = ("task", "part", "trained", "of", "clipped layers", "norms off by", "sums off by", "verdict")
    rows = []
    for item in found["parts"]:
        sizes = ("-" if item[name] is None else f"{item[name]:,}" for name in ("trainable", "total", "layers"))
        errors = ("-" if item[name] is None else f"{item[name]:.0e}" for name in ("norm_error", "sum_error"))
        rows.append((item["task"], item["part"], *sizes, *errors, item["problem"] or "can be trained"))
    kind = "a causal language model" if found["causal"] else "no causal language model"
    head = f"architecture {found['architecture']}, {kind}"
    files = [f"the folder: {found['files']}"] if found["files"] else []
    note = "Errors are relative, of a narrow copy in float32, against explicit float64 gradients of single examples."
    return "\n".join([head, *files, "", table(heads, rows), "", note])
