"""One look for all figures: colours, markers, sizes, and files that come out the same every time.

The colours are those of Okabe and Ito, which people with any common colour blindness can distinguish. Every method also
has its own marker and dash, so figures can be read in grey.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.font_manager import findfont as find_font
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

mpl.use("Agg")  # files only, no window

INK = "#1a1a1a"
GREY = "#6b6b6b"
FAINT = "#d0d0d0"
WIDTH = 9.0  # inches
# Of a text that marks do not hide.
HALO: dict[str, Any] = {
    "path_effects": [withStroke(linewidth=2, foreground="white")],
    "zorder": 6,
}
LEAST, MOST = 1e-4, 1e6  # of ε on an axis; what lies beyond is drawn at the end
DECADES_ONLY = 1e4  # an axis this wide has room for decades only
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

# With more than eight methods, colours repeat; with more than sixteen, markers and dashes too, in other colours.
MORE_MARKERS = (">", "p", "h", "*", "d", "8", "H", ".")
MORE_DASHES = ((8, 2), (4, 2, 1, 2, 1, 2), (2, 2), (1, 3), (7, 1, 2, 1), (3, 3), (5, 2, 2, 2), (1, 1, 4, 1))
MORE_LOOKS = tuple(
    Look(first.colour, marker, (0, dash)) for first, marker, dash in zip(LOOKS, MORE_MARKERS, MORE_DASHES, strict=True)
)


def looks(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Look]:
    """Return one look per private method, in the order of the grid; up to 128 methods differ in colour or marker."""
    private = [name for name, facts in methods.items() if facts["private"]]
    return {name: _look(number) for number, name in enumerate(private)}


def _look(number: int) -> Look:
    every = LOOKS + MORE_LOOKS
    lap, place = divmod(number, len(every))
    shape = every[(place + lap) % len(every)]  # in a later lap, another method's marker in this place's colour
    return Look(every[place].colour, shape.marker, shape.dash)


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
        **dict.fromkeys(("axes.labelcolor", "text.color", "xtick.color", "ytick.color"), INK),
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
        "text.parse_math": False,  # a dollar in a title is a dollar
    }
    with sns.axes_style("whitegrid"), mpl.rc_context(rules):
        yield


def inside(value: float) -> float:
    """Return an ε that a logarithmic axis can show: 0 and 1e300 lie at the axis' ends."""
    return min(max(value, LEAST), MOST)


def beyond(values: Iterable[float | None]) -> str:
    """Return a sentence on the values that `inside` moves, if there are any."""
    moved = sum(value is not None and value != inside(value) for value in values)
    return f" {moved} values below {LEAST:g} or above {MOST:g} stand at the end of the axis." if moved else ""


def log_axis(axis: Axis) -> None:
    """Make an axis logarithmic, with plain numbers, as many as it has room for."""
    (axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale)("log")
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 3) if high < DECADES_ONLY * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, entries: Sequence[tuple[str, Any]], *, columns: int) -> None:
    """Draw the legend above all panels: pairs of a text, shown as it is written, and its handle."""
    handles = [handle for _, handle in entries]
    drawn = figure.legend(handles, ["."] * len(handles), loc="outside upper left", ncols=columns)
    for place, (text, _) in zip(drawn.get_texts(), entries, strict=True):
        place.set_text(text)  # matplotlib leaves out a label that begins with an underscore


def say(panel: Axes, text: str) -> None:
    """Write a sentence in the place of a panel that has nothing to show."""
    panel.set_axis_off()
    panel.annotate(text, (0.5, 0.5), xycoords="axes fraction", ha="center", color=GREY)


def missing_characters(figure: Figure) -> str:
    """Return the characters of a figure's texts that its font does not have."""
    known = get_font(find_font(FontProperties(family="DejaVu Sans"))).get_charmap()
    found = {letter for text in figure.findobj(Text) for letter in text.get_text()}
    return "".join(sorted(letter for letter in found if ord(letter) not in known and not letter.isspace()))


def save(figure: Figure, *, svg: Path, pdf: Path) -> None:
    """Write a figure in both formats, without a date or the name of a program version."""
    for path in (svg, pdf):
        path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the figure's record names them
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    svg.write_text(_hundredths(svg.read_text(encoding="utf-8")), encoding="utf-8")
    plt.close(figure)


def _hundredths(svg: str) -> str:
    """Round path coordinates to hundredths of a point; nobody can see the difference."""
    return PATH.sub(lambda path: DECIMALS.sub(r"\1", path[0]), svg)
