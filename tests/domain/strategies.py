"""Registries, filter sets and calls of every kind, for the properties of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from hypothesis import strategies as st

from domain.calls import Call, Channel, Token
from domain.filters import FilterField, FilterSet, Range

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHANNELS = ("@alpha", "@beta", "@gamma")

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 2.0, 3.0, 10.0, -1.0]),
    st.floats(allow_nan=False),
)
"""Mostly a few values that meet each other and each other's thresholds, now and then anything."""
seen_values = st.one_of(st.none(), st.just(float("nan")), st.integers(), numbers)


class ValuesCall(Call, frozen=True, kw_only=True):
    """A call whose field values are given instead of derived."""

    values: tuple[float | None, ...]


def registry(size: int) -> tuple[FilterField, ...]:
    def field(position: int) -> FilterField:
        def value(call: Call) -> float | None:
            return cast("ValuesCall", call).values[position]

        return FilterField(key=f"field_{position}", unit="count", value=value, example="1 - 2")

    return tuple(field(position) for position in range(size))


def call_with(
    values: Sequence[float | None] = (), *, channel: str = CHANNELS[0], address: str = "token", **more: Any
) -> ValuesCall:
    return ValuesCall(
        id="call",
        token=Token(address=address),
        channel=Channel(id=channel),
        called_at=more.pop("called_at", NOON),
        received_at=NOON,
        values=tuple(values),
        **more,
    )


def calls(size: int) -> st.SearchStrategy[ValuesCall]:
    def build(values: list[float | None], channel: str) -> ValuesCall:
        return call_with(values, channel=channel)

    values = st.lists(seen_values, min_size=size, max_size=size)
    return st.builds(build, values, st.sampled_from((*CHANNELS, "@nobody")))


ranges = st.builds(Range, st.none() | numbers, st.none() | numbers)


def rules(size: int) -> st.SearchStrategy[dict[str, Range]]:
    """Any rules over a registry of `size` fields, now and then one that it does not know."""
    keys = st.sampled_from([f"field_{position}" for position in range(size)] or ["field_0"])
    known = st.dictionaries(keys, ranges, max_size=size)
    return st.one_of(known, known, known, known.map(lambda some: {**some, "gone": Range(1.0)}))


def filter_sets(size: int, users: int = 5, sets: int = 3) -> st.SearchStrategy[FilterSet]:
    return st.builds(
        FilterSet,
        user_id=st.integers(2**40, 2**40 + users - 1),
        number=st.integers(1, sets),
        name=st.just(""),
        enabled=st.sampled_from([True, True, True, False]),
        ranges=rules(size),
        channels=st.frozensets(st.sampled_from(CHANNELS), max_size=2),
    )
