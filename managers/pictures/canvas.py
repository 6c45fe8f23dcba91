"""One style for every picture: its size, its colours in dark and light, and text that fits where it stands."""

# Matplotlib does not say what its keyword arguments are.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import math
import unicodedata
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from msgspec import Struct

from managers.pictures.fonts import drawable, families

WIDTH: Final = 1080
HEIGHT: Final = 1080
_DPI: Final = 100
MARGIN: Final = 60
AXIS_SIZE: Final = 26
"""Of what stands beside a chart, in points: on a phone 390 pixels wide still 13 pixels high."""
_MAX_PNG: Final = 4 * 1024 * 1024
_ELLIPSIS: Final = "…"

Weight = Literal["normal", "bold"]


class Colours(Struct, frozen=True, kw_only=True):
    background: str
    panel: str
    text: str
    muted: str
    grid: str
    up: str
    down: str
    line: str
    second: str


DARK: Final = Colours(
    background="#0e1621",
    panel="#17212b",
    text="#f1f5f9",
    muted="#9fb0c0",
    grid="#2a3947",
    up="#35c37d",
    down="#f0616d",
    line="#5aa9f5",
    second="#f2b34c",
)
LIGHT: Final = Colours(
    background="#ffffff",
    panel="#f2f5f8",
    text="#14202b",
    muted="#566573",
    grid="#d7dee5",
    up="#12804a",
    down="#c62839",
    line="#1769c2",
    second="#a86200",
)


class Canvas:
    """A page of `WIDTH` x `HEIGHT` pixels; y counts from the top."""

    def __init__(self, *, dark: bool, height: int = HEIGHT) -> None:
        self.colours = DARK if dark else LIGHT
        self.height = height
        self._figure = Figure(
            figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor=self.colours.background, layout=None
        )
        self._canvas = FigureCanvasAgg(self._figure)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self._canvas.print_png(buffer)
        if buffer.tell() > _MAX_PNG:
            raise ValueError("the picture is too large")
        return buffer.getvalue()

    def axes(self, *, left: float, top: float, right: float, bottom: float) -> Axes:
        """A chart between these lines, in pixels from the left and from the top."""
        box = (left / WIDTH, 1 - bottom / self.height, (right - left) / WIDTH, (bottom - top) / self.height)
        axes = self._figure.add_axes(box)
        axes.set_facecolor(self.colours.background)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(self.colours.grid)
        axes.grid(axis="y", color=self.colours.grid, linewidth=1.5)
        axes.set_axisbelow(True)
        axes.tick_params(colors=self.colours.muted, labelsize=AXIS_SIZE, length=0, pad=10)
        axes.tick_params(axis="x", pad=20)
        return axes

    def panel(self, *, left: float, top: float, right: float, bottom: float) -> None:
        """A quiet surface behind what stands there."""
        axes = self.axes(left=left, top=top, right=right, bottom=bottom)
        axes.set_axis_off()
        axes.set_zorder(-1)
        axes.add_patch(_rounded(right - left, bottom - top, self.colours.panel))
        axes.set_xlim(0, right - left)
        axes.set_ylim(0, bottom - top)

    def legend(self, axes: Axes, place: Literal["best", "upper right"]) -> None:
        """Name what has a label, in words that can be drawn."""
        lines, labels = axes.get_legend_handles_labels()
        legend = axes.legend(
            lines,
            labels := [drawable(label) for label in labels],
            loc=place,
            prop=FontProperties(family=families("".join(labels)), size=AXIS_SIZE),
            facecolor=self.colours.panel,
            edgecolor="none",
            labelcolor=self.colours.text,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)

    def text(
        self,
        text: str,
        *,
        x: float,
        y: float,
        size: float,
        colour: str | None = None,
        weight: Weight = "normal",
        width: float = WIDTH - 2 * MARGIN,
        lines: int = 1,
        align: Literal["left", "right", "center"] = "left",
    ) -> float:
        """Write a text, as much of it as fits into so many lines; `y` is its top. Returns where it ends."""
        for line in self.fitted(text, size=size, weight=weight, width=width, lines=lines):
            self._figure.text(
                x / WIDTH,
                1 - (y + size_px(size)) / self.height,
                line,
                family=families(line),
                fontsize=size,
                fontweight=weight,
                color=colour or self.colours.text,
                ha=align,
                va="baseline",
                parse_math=False,
            )
            y += size_px(size) * 1.28
        return y

    def fitted(self, text: str, *, size: float, weight: Weight, width: float, lines: int) -> list[str]:
        """Break a text into lines; the last one ends with an ellipsis where there is more."""
        left, done = drawable(text), list[str]()
        while left and len(done) < lines:
            count = self._fitting(left, size, weight, width)
            if count < len(left) and len(done) == lines - 1:
                count = max(1, self._fitting(left, size, weight, width, _ELLIPSIS))
                done.append(left[:count].rstrip() + _ELLIPSIS)
                break
            if count < len(left) and (space := left.rfind(" ", count // 2, count + 1)) > 0:
                count = space
            done.append(left[:count].strip())
            left = left[count:].lstrip()
        return done

    def largest(self, text: str, *, sizes: tuple[float, ...], weight: Weight, width: float, lines: int) -> float:
        """The first of these sizes at which all of a text fits; else the last."""
        whole = drawable(text).replace(" ", "")
        at_ten = self.width_of(whole, 10.0, weight)
        for size in sizes:
            if at_ten * size / 10 > width * lines:
                continue
            done = self.fitted(text, size=size, weight=weight, width=width, lines=lines)
            if "".join(done).replace(" ", "") == whole:
                return size
        return sizes[-1]

    def width_of(self, text: str, size: float, weight: Weight = "normal") -> float:
        font = FontProperties(family=families(text), size=size, weight=weight)
        width, _, _ = self._canvas.get_renderer().get_text_width_height_descent(text, font, ismath=False)
        return float(width)

    def _fitting(self, text: str, size: float, weight: Weight, width: float, more: str = "") -> int:
        """How many characters of the text fit, at least one; a letter keeps its marks."""
        least, most = 1, len(text)
        while least < most:
            middle = math.ceil((least + most) / 2)
            if self.width_of(text[:middle] + more, size, weight) <= width:
                least = middle
            else:
                most = middle - 1
        while 1 < least < len(text) and _clings(text[least]):
            least -= 1
        return least


def size_px(points: float) -> float:
    return points * _DPI / 72


def _clings(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"} or character == "\ufe0f"


def _rounded(width: float, height: float, colour: str) -> FancyBboxPatch:
    pad = 18.0
    return FancyBboxPatch(
        (pad, pad), width - 2 * pad, height - 2 * pad, boxstyle=f"round,pad={pad}", facecolor=colour, edgecolor="none"
    )
