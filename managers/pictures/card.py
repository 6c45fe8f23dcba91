"""The share card: one call, its name as large as it fits."""

from __future__ import annotations

from typing import Final

from domain.reports.pictures import ShareCard
from managers.pictures.canvas import HEIGHT, MARGIN, WIDTH, Canvas

_MAX_FACTS: Final = 4
_SIZES: Final = (62.0, 50.0, 40.0, 32.0)


def share_card(card: ShareCard, canvas: Canvas) -> None:
    colours = canvas.colours
    inner = WIDTH - 2 * MARGIN - 60
    x = MARGIN + 30
    canvas.panel(left=MARGIN - 18, top=MARGIN - 18, right=WIDTH - MARGIN + 18, bottom=HEIGHT - 110)
    size = canvas.largest(card.name, sizes=_SIZES, weight="bold", width=inner, lines=2)
    y = canvas.text(card.name, x=x, y=MARGIN + 34, size=size, weight="bold", width=inner, lines=2)
    canvas.text(
        card.multiple,
        x=x - 8,
        y=max(y + 20, 300),
        size=canvas.largest(card.multiple, sizes=(132, 104, 80), weight="bold", width=inner, lines=1),
        weight="bold",
        colour=colours.up if card.is_gain else colours.down,
        width=inner,
    )
    canvas.text(card.caption, x=x, y=545, size=25, colour=colours.muted, width=inner)
    for place, fact in enumerate(card.facts[:_MAX_FACTS]):
        row, column = divmod(place, 2)
        left = x + column * (inner / 2 + 10)
        canvas.text(fact.label, x=left, y=655 + row * 145, size=22, colour=colours.muted, width=inner / 2 - 10)
        room = inner / 2 - 20
        size = canvas.largest(fact.value, sizes=(31, 27, 23), weight="bold", width=room, lines=1)
        canvas.text(fact.value, x=left, y=698 + row * 145, size=size, weight="bold", width=room)
    canvas.text(
        card.sign,
        x=WIDTH - MARGIN,
        y=HEIGHT - 75,
        size=24,
        weight="bold",
        colour=colours.line,
        align="right",
        width=WIDTH - 2 * MARGIN,
    )
