"""The process that draws: an order comes in by its standard input, a picture goes out by its standard output.

An order is its length (four bytes, the high one first) and JSON of `Order`; an answer is one byte, which says whether
it worked, its length, and the PNG or the reason. It ends when its input does.
"""

from __future__ import annotations

import os
import resource
import struct
import sys
from typing import BinaryIO, Final

import msgspec

from domain.reports.pictures import (
    AlertsByDay,
    Distribution,
    Equity,
    Order,
    PriceSince,
    Ranking,
    SeriesByDay,
    ShareCard,
)
from managers.pictures import charts
from managers.pictures.canvas import Canvas
from managers.pictures.card import share_card

MAX_ORDER: Final = 1024 * 1024
_MAX_MEMORY: Final = 2 * 1024**3
_PRIORITY: Final = 10
"""Behind everything else of the bot, but not so far that a busy machine would never come to it."""
_HEAD: Final = struct.Struct(">I")
_ANSWER: Final = struct.Struct(">BI")

_decode: Final = msgspec.json.Decoder(Order).decode


def draw(order: Order) -> bytes:
    """Return a PNG. `ValueError` for what cannot be drawn."""
    canvas = Canvas(dark=order.dark)
    match order.picture:
        case Distribution() as picture:
            charts.distribution(picture, canvas)
        case Equity() as picture:
            charts.equity(picture, canvas)
        case PriceSince() as picture:
            charts.price(picture, canvas)
        case AlertsByDay() as picture:
            charts.alerts_by_day(picture, canvas)
        case SeriesByDay() as picture:
            charts.series_by_day(picture, canvas)
        case Ranking() as picture:
            charts.ranking(picture, canvas)
        case ShareCard() as picture:
            share_card(picture, canvas)
    return canvas.png()


def serve(orders: BinaryIO, answers: BinaryIO) -> None:
    while len(head := orders.read(_HEAD.size)) == _HEAD.size:
        (length,) = _HEAD.unpack(head)
        answer = _answer(orders.read(length)) if length <= MAX_ORDER else (0, b"the order is too long")
        if length > MAX_ORDER:
            orders.read(length)
        answers.write(_ANSWER.pack(answer[0], len(answer[1])) + answer[1])
        answers.flush()


def _answer(order: bytes) -> tuple[int, bytes]:
    try:
        return 1, draw(_decode(order))
    except Exception as error:  # noqa: BLE001 - whatever a picture does, the next one is drawn
        return 0, repr(error).encode(errors="replace")[:1000]


def main() -> None:
    os.nice(_PRIORITY)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
