"""Derive again what is cheap: every certificate from its noise, every table and figure from the records.

A record's hash finds what changed by accident. It does not find a number that somebody changed together with its
hash. Computing the number again does, without any training.
"""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lmodp.grid.sections import Config
from lmodp.pipeline import jobs
from lmodp.pipeline.job import Job
from lmodp.pipeline.layout import Layout
from lmodp.records.places import mechanism_path
from lmodp.records.record import answered, plain, read_record
from lmodp.records.reuse import Judge
from lmodp.records.stage_table import STAGES
from lmodp.specs import MechanismSpec

SAME = 1e-9  # relative difference of two numbers that the same code computes on two processors
PUBLISHED_ANSWERS = ("claimed", "paper_bound", "pure_scalar")  # formulas: every version computes the same numbers


def recompute_certificates(root: Path, judge: Judge) -> Iterator[tuple[Path, str | None]]:
    """Yield every certificate with what is wrong with it, or None.

    One by the present code must have all its numbers again; one by earlier code the published formulas' numbers, and
    a verified interval that overlaps the present one.
    """
    from lmodp.stages.certify_mechanism import certify_mechanism

    for path in sorted(root.glob("mechanisms/*/certificate.json")):
        kept = read_record(path)
        noise = read_record(mechanism_path(root, path.parent.name, "calibrate_noise"))
        spec = MechanismSpec.from_dict(kept["spec"])
        again = partial(certify_mechanism, spec, noise, full=kept["spec"].get("certificates") == "full")
        made = plain(answered({"certificate": None, "noise": None}, again))
        if made.get("certificate") is None or kept["certificate"] is None:
            same = made.get("certificate") == kept["certificate"]
            yield path, None if same else f"the present code says: {made.get('reason', 'nothing to certify')}"
        elif judge.made_by_other_code(kept):
            yield path, _contradiction(kept["certificate"], made["certificate"])
        else:
            yield path, _difference(kept["certificate"], made["certificate"])


def _difference(kept: Any, made: Any, name: str = "certificate") -> str | None:
    """Return the first place where two values differ by more than `SAME`."""
    if isinstance(kept, Mapping) and isinstance(made, Mapping) and set(kept) == set(made):
        return next(filter(None, (_difference(kept[key], made[key], f"{name}.{key}") for key in kept)), None)
    if isinstance(kept, list) and isinstance(made, list) and len(kept) == len(made):
        pairs = enumerate(zip(kept, made, strict=True))
        return next(filter(None, (_difference(*pair, f"{name}.{number}") for number, pair in pairs)), None)
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (kept, made))
    if kept == made or (numbers and math.isclose(kept, made, rel_tol=SAME, abs_tol=1e-300)):
        return None
    return f"{name} is {kept!r}, and {made!r} when it is computed again"


def _contradiction(kept: Mapping[str, Any], made: Mapping[str, Any]) -> str | None:
    """Return in what a certificate by earlier code contradicts the present one."""
    for name in PUBLISHED_ANSWERS:
        numbers = {key: value for key, value in kept[name].items() if key.startswith("epsilon")}
        again = {key: made[name].get(key) for key in numbers}
        if found := _difference(numbers, again, f"certificate.{name}"):
            return found
    one, other = kept["verified"], made["verified"]
    if one["status"] != "ok" or other["status"] != "ok":
        return None
    if max(one["lower"], other["lower"]) > min(one["upper"], other["upper"]) * (1 + SAME):
        now = f"[{other['lower']:.6g}, {other['upper']:.6g}]"
        return f"certificate.verified is [{one['lower']:.6g}, {one['upper']:.6g}], the present interval is {now}"
    return None


def remake_reports(config: Config, root: Path) -> Iterator[tuple[str, str | None]]:
    """Yield every record of tables, figures and page, made again from a copy of the records, with its difference."""
    with TemporaryDirectory() as scratch:
        copy = Path(scratch) / root.name
        shutil.copytree(root, copy)
        values = {**config.model_dump(mode="json"), "results_root": scratch, "grid": root.name, "unfinished": "pending"}
        layout = Layout.from_values(values)
        shown = [name for name, stage in STAGES.items() if stage.reports]  # in an order in which they can be done
        things = {name: layout.needs.figures if name == "make_figure" else [""] for name in shown}
        for stage, thing in ((name, thing) for name in shown for thing in things[name]):
            output = layout.outputs(stage, thing)["record"]
            name = output.relative_to(copy).as_posix()
            if not output.is_file():
                continue
            kept = read_record(output)["sha256"]
            output.unlink()
            with redirect_stdout(StringIO()):  # a job's lines name files of the copy
                getattr(jobs, stage)(Job.of_stage(layout, stage, thing))
            yield name, None if read_record(output)["sha256"] == kept else "is another one when it is made again"
