"""One look for all figures: colours, markers, sizes, and files that come out the same every time.

The colours are those of Okabe and Ito, which people with any common colour blindness
can distinguish. Every method also has its own marker and dash, so figures can be read
in grey.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

mpl.use("Agg")  # files only, no window

INK = "#1a1a1a"
GREY = "#6b6b6b"
FAINT = "#d0d0d0"
WIDTH = 9.0  # inches
PATH = re.compile(r'\bd="[^"]*"')
DECIMALS = re.compile(r"(\.\d\d)\d+")


@dataclass(frozen=True)
class Look:
    """Colour, marker and dash of one method in every figure."""

    colour: str
    marker: str
    dash: Any  # "-", or an offset with the lengths of dashes and gaps


LOOKS = (
    Look("#0072B2", "o", "-"),
    Look("#009E73", "s", "--"),
    Look("#D55E00", "D", "-."),
    Look("#CC79A7", "X", ":"),
    Look("#56B4E9", "^", (0, (5, 1))),
    Look("#E69F00", "v", (0, (3, 1, 1, 1))),
    Look("#000000", "P", (0, (1, 1))),
    Look("#8C6D31", "<", (0, (6, 2, 1, 2))),
)

# With more than eight methods, colours repeat; markers and dashes do not.
MORE_LOOKS = tuple(
    Look(first.colour, marker, dash)
    for first, marker, dash in zip(
        LOOKS,
        (">", "p", "h", "*", "d", "8", "H", "."),
        (
            (0, (8, 2)),
            (0, (4, 2, 1, 2, 1, 2)),
            (0, (2, 2)),
            (0, (1, 3)),
            (0, (7, 1, 2, 1)),
            (0, (3, 3)),
            (0, (5, 2, 2, 2)),
            (0, (1, 1, 4, 1)),
        ),
        strict=True,
    )
)


def looks(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Look]:
    """Return one look per private method, in the order of the grid."""
    private = [name for name, facts in methods.items() if facts["private"]]
    every = LOOKS + MORE_LOOKS
    return {name: every[number % len(every)] for number, name in enumerate(private)}


@contextmanager
def style() -> Iterator[None]:
    """Context for drawing: everything drawn inside it has the suite's style."""
    rules: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "legend.fontsize": 8.5,
        "legend.frameon": False,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.4,
        "lines.markersize": 6.5,
        "figure.dpi": 100,
        "savefig.facecolor": "white",
        "svg.hashsalt": "lmodp",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
    with sns.axes_style("whitegrid"), mpl.rc_context(rules):
        yield


def save(figure: Figure, *, svg: Path, pdf: Path) -> None:
    """Write a figure in both formats, without a date or the name of a program version."""
    for path in (svg, pdf):
        path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    svg.write_text(_hundredths(svg.read_text(encoding="utf-8")), encoding="utf-8")
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    plt.close(figure)


def _hundredths(svg: str) -> str:
    """Round path coordinates to hundredths of a point; nobody can see the difference."""
    return PATH.sub(lambda path: DECIMALS.sub(r"\1", path[0]), svg)
