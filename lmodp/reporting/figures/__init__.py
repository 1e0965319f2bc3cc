"""The stage make_figure: every figure of the report, drawn from records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmodp.reporting.figures.comparison import caption, draw_comparison
from lmodp.reporting.style import save, style


def make_figure(results: Mapping[str, Any], *, svg: Path, pdf: Path) -> dict[str, Any]:
    """Draw the main figure and return its caption.

    Args:
        results: content of ``results.json``.
        svg, pdf: files to write.
    """
    with style():
        save(draw_comparison(results), svg=svg, pdf=pdf)
    return {"title": "Accuracy against claimed and against verified ε", "caption": caption(results)}
