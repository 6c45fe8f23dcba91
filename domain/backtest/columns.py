"""What the archive keeps of a decided call: what each filter sees in it, and what is shown of a call.

A text stands there in the form in which words are looked for. So every rule can be decided by its column, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from domain.filters.explanation import seen_number, seen_text
from domain.filters.registry import FIELDS, FilterField
from domain.reading.visible import compared
from domain.stored.journal import DecidedCall

Dataset = Literal["calls", "outcomes"]
FORMATS: Final[dict[Dataset, int]] = {"calls": 1, "outcomes": 2}
"""Raised when what stands in a column is computed in another way: what was archived before is not read any more.

Outcomes: in 2, the peak of a call that never rose is 1, and unknown only where the call does not count. They are
written again from PostgreSQL, which keeps them for longer than the archive does; calls could not be.
"""

Kind = Literal["text", "number", "whole", "time"]


class Column(Struct, frozen=True):
    name: str
    kind: Kind


ABOUT: Final = (
    Column("call_id", "text"),
    Column("number", "whole"),
    Column("token_address", "text"),
    Column("called_at", "time"),
    Column("received_at", "time"),
    Column("decided_at", "time"),
    Column("reason", "text"),
    Column("token_name", "text"),
    Column("channel_title", "text"),
)
"""`number` is the order in which PostgreSQL got them."""


def filter_columns(fields: Sequence[FilterField] = FIELDS) -> tuple[Column, ...]:
    """One for each field, by its key."""
    return tuple(Column(field.key, "text" if field.unit in {"choice", "text"} else "number") for field in fields)


COLUMNS: Final = (*ABOUT, *filter_columns())

OUTCOMES: Final = (
    Column("call_id", "text"),
    Column("token_address", "text"),
    Column("called_at", "time"),
    Column("peak_multiple", "number"),
    Column("reachable_multiple", "number"),
    Column("ended_at", "time"),
)
"""What became of a call, as far as it was known; multiples of the price at the call. A call that does not count has no
peak."""

Value = float | int | str | None


def seen(field: FilterField, decided: DecidedCall) -> float | str | None:
    """What a rule on the field is held against."""
    if field.unit == "choice":
        return seen_text(field, decided.call)
    if field.unit == "text":
        text = seen_text(field, decided.call)
        return None if text is None else compared(text)
    return seen_number(field, decided.call)


def row_of(decided: DecidedCall, number: int, fields: Sequence[FilterField] = FIELDS) -> tuple[object, ...]:
    """The values of a call, in the order of `COLUMNS`."""
    call = decided.call
    return (
        call.id,
        number,
        call.token.address,
        call.called_at,
        call.received_at,
        decided.decided_at,
        decided.reason,
        call.token.symbol or call.token.name,
        call.channel.title,
        *(seen(field, decided) for field in fields),
    )
