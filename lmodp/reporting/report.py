"""The stage report: one page that a reader understands without the code.

The page is one file: figures and styles are inside it, and it asks nothing of any
server. Everything on it comes from records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lmodp.records import read_record, write_bytes
from lmodp.reporting.answer import QUESTION, answer
from lmodp.reporting.captions import experiment_caption
from lmodp.reporting.comparison import HEADS, SECTIONS, Notes, references, sections


def write_report(results: Mapping[str, Any], *, root: Path, html: Path) -> dict[str, Any]:
    """Write ``report.html`` and return its sentences.

    Args:
        results: content of ``results.json``.
        root: the grid's results folder, where figures and provenance are read.
        html: file to write.
    """
    sentences = answer(results)
    page = _environment().get_template("report.html").render(
        title=results["title"] or results["grid"],
        grid=results["grid"],
        question=QUESTION,
        answer=sentences,
        figures=[_figure(root, "comparison")],
        experiments=[_experiment(results, name) for name in results["experiments"]],
        provenance=[_provenance(cell, root) for cell in results["cells"]],
        style=_asset("report.css"),
        script=_asset("report.js"),
    )
    write_bytes(html, page.encode())
    return {"question": QUESTION, "answer": sentences}


def _environment() -> Environment:
    return Environment(loader=PackageLoader("lmodp.reporting", "page"), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)


def _asset(name: str) -> Markup:
    return Markup(files("lmodp.reporting").joinpath("page", name).read_text(encoding="utf-8"))


def _figure(root: Path, name: str) -> dict[str, Any]:
    record = read_record(root / "figures" / "figure.json")
    svg = (root / "figures" / f"{name}.svg").read_text(encoding="utf-8")
    return {"title": record["title"], "caption": record["caption"], "svg": Markup(svg[svg.index("<svg"):])}


def _experiment(results: Mapping[str, Any], name: str) -> dict[str, Any]:
    notes = Notes()
    tables = [{"title": f"Noise {SECTIONS[section.calibration]}", "rows": [_row(texts, cell) for texts, cell in section.rows]}
              for section in sections(results, name, notes)]
    return {
        "title": results["experiments"][name]["title"],
        "caption": experiment_caption(results, name),
        "notes_on_data": results["experiments"][name]["notes"],
        "references": references(results, name),
        "heads": list(HEADS.values()),
        "tables": tables,
        "notes": notes.texts,
    }


def _row(texts: Mapping[str, str], cell: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of a row with the values that they sort by, and the place of its provenance."""
    values = {"target": cell["epsilon"], "verified": cell["verified_upper"]}
    sort = [values.get(name, cell.get(name)) for name in texts]
    return {"cell": cell["cell"], "cells": list(zip(texts.values(), sort, strict=True))}


def _provenance(cell: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """What made a cell: its spec, the code and the versions, or why there is nothing."""
    path = root / "cells" / cell["cell"] / "finetune.json"
    record = read_record(path) if path.is_file() else None
    facts = {"status": cell["status"], "reason": cell["reason"], "mechanism": cell["mechanism"]}
    if record:
        facts |= {"spec": record["spec"], "created by": record["created_by"]}
    return {"cell": cell["cell"], "status": cell["status"], "text": json.dumps(facts, indent=1, ensure_ascii=False)}
