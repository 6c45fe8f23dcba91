"""What a picture shows, with every word already chosen: whoever draws it decides nothing.

Names are attacker-controlled text; whoever draws takes out what no font has.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct

MAX_POINTS: Final = 5_000
"""Of a line, or multiples of a distribution; more are refused."""
MAX_BARS: Final = 10
MAX_SERIES: Final = 5


class Heading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    title: str
    subtitle: str = ""
    note: str = ""
    """Below the picture: what is missing, and how to read it."""
    sign: str = ""
    """Whose picture it is."""


class Distribution(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="distribution"):
    """How many calls reached which multiple."""

    heading: Heading
    multiples: tuple[float, ...]
    x_label: str
    y_label: str
    median_label: str
    mean_label: str


class Line(Struct, frozen=True, kw_only=True):
    label: str
    values: tuple[float, ...]


class Equity(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="equity"):
    """What had been won or lost after each alert, in stakes."""

    heading: Heading
    at: tuple[float, ...]
    """Unix time of each point, ascending."""
    lines: tuple[Line, ...]
    """Each with as many values as there are points."""
    y_label: str
    offset_s: int = 0
    """Of the reader's clock from UTC."""


class PriceSince(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="price"):
    """The price after a call, as multiples of the price at the call."""

    heading: Heading
    after_s: tuple[float, ...]
    """Ascending, from the call on; what lies before it is negative."""
    multiples: tuple[float, ...]
    call_label: str
    x_label: str
    y_label: str
    is_series: bool = False
    """A series of prices; else single points, between which nothing is known."""


class Fact(Struct, frozen=True):
    label: str
    value: str


class ShareCard(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="card"):
    """One call, to be shown around."""

    name: str
    multiple: str
    is_gain: bool
    facts: tuple[Fact, ...]
    sign: str
    caption: str = ""
    """Below the multiple: what it is a multiple of."""


class Bar(Struct, frozen=True, kw_only=True, omit_defaults=True):
    label: str
    value: float
    shown: str
    low: float | None = None
    high: float | None = None
    """The interval in which the true value is expected."""


class Ranking(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ranking"):
    """The best first."""

    heading: Heading
    bars: tuple[Bar, ...]


class Part(Struct, frozen=True, kw_only=True):
    label: str
    counts: tuple[int, ...]


class AlertsByDay(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="days"):
    """How many alerts there were on each day."""

    heading: Heading
    days: tuple[date, ...]
    """Ascending; days without an alert may be left out."""
    won: Part
    """Each of the three with as many counts as there are days: they stand on top of each other."""
    lost: Part
    unknown: Part
    y_label: str


class Series(Struct, frozen=True, kw_only=True):
    label: str
    values: tuple[float | None, ...]
    """`None`: not known of that day."""


class SeriesByDay(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="series"):
    """Figures of each day, up to `MAX_SERIES` of them."""

    heading: Heading
    days: tuple[date, ...]
    """Ascending, without gaps."""
    parts: tuple[Series, ...]
    """Each with as many values as there are days."""
    y_label: str
    stacked: bool = False
    """They are parts of a whole and stand on top of each other; else each is a line."""


Picture = Distribution | Equity | PriceSince | ShareCard | Ranking | AlertsByDay | SeriesByDay


class Order(Struct, frozen=True, kw_only=True):
    """What the process that draws is asked for."""

    picture: Picture
    dark: bool
