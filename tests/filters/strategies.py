"""Registries, filter sets and calls of every kind, for the properties of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from hypothesis import strategies as st

from domain.calls.events import Call, Channel, Token
from domain.filters.registry import Choice, FilterField, FilterSet, Range, Rule, Unit, Words

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHANNELS = ("@alpha", "@beta", "@gamma")
CHOICES = ("a", "b", "c")
KINDS: tuple[Unit, ...] = ("count", "choice", "count", "flag", "text", "choice", "change", "text")
"""Units of the fields of a registry, again and again."""

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 2.0, 3.0, 10.0, -1.0]),
    st.floats(allow_nan=False),
)
"""Mostly a few values that meet each other and each other's thresholds, now and then anything."""
seen_numbers = st.one_of(st.none(), st.none(), st.just(float("nan")), st.integers(), st.booleans(), numbers)
seen_choices = st.none() | st.sampled_from((*CHOICES, "", "z"))
seen_texts = (
    st.none()
    | st.sampled_from(["", "Cat dog", "ﬁsh STRASSE", "dog", "c\u200bat\x1edo\ufe0fg", "\u200b"])
    | st.text(max_size=5)
)
Value = float | str | None


class ValuesCall(Call, frozen=True, kw_only=True):
    """A call whose field values are given instead of derived."""

    values: tuple[Value, ...]


CallStrategy = st.SearchStrategy[ValuesCall]


def registry(size: int, kinds: Sequence[Unit] = ("count",)) -> tuple[FilterField, ...]:
    def field(position: int) -> FilterField:
        def value(call: Call) -> Value:
            return cast("ValuesCall", call).values[position]

        unit = kinds[position % len(kinds)]
        return FilterField(key=f"field_{position}", group="size", unit=unit, value=value, example="1 - 2")

    return (*(field(position) for position in range(size)), CHANNEL)


CHANNEL = FilterField(
    key="channel",
    group="call",
    unit="choice",
    value=lambda call: call.channel.id,
    also=lambda call: call.channel.also,
    example="@alpha_calls",
)
"""Stands at the end of every registry: no call is without a channel."""


def call_with(
    values: Sequence[Value] = (), *, channel: str = CHANNELS[0], address: str = "token", **more: Any
) -> ValuesCall:
    return ValuesCall(
        id="call",
        token=more.pop("token", None) or Token(address=address),
        channel=Channel(id=channel, also=more.pop("also", ())),
        called_at=more.pop("called_at", NOON),
        received_at=NOON,
        values=tuple(values),
        **more,
    )


def values_of(unit: Unit) -> st.SearchStrategy[Value]:
    return {"choice": seen_choices, "text": seen_texts}.get(unit, seen_numbers)


def calls(fields: Sequence[FilterField], also: st.SearchStrategy[tuple[str, ...]] | None = None) -> CallStrategy:
    """`also`: other names of the channels."""

    def build(values: tuple[Value, ...], channel: str, also: tuple[str, ...]) -> ValuesCall:
        return call_with(values, channel=channel, also=tuple(name for name in also if name != channel))

    values = st.tuples(*(values_of(field.unit) for field in fields[:-1]))
    return st.builds(build, values, st.sampled_from((*CHANNELS, "@nobody")), st.just(()) if also is None else also)


merged = st.just(()) | st.lists(st.sampled_from((*CHANNELS, "@new")), max_size=2, unique=True).map(tuple)
"""Other names of a channel."""


def policy(rule: Rule) -> st.SearchStrategy[Rule]:
    """The rule with any policy for missing values, most often the one that people get."""
    kind = type(rule)
    parts = {name: getattr(rule, name) for name in rule.__struct_fields__[:2]}
    waits = st.sampled_from([1, 5, 60]).map(lambda minutes: kind(**parts, missing="wait", wait_minutes=minutes))
    return st.just(rule) | st.just(kind(**parts, missing="pass")) | waits


ranges = st.builds(Range, st.none() | numbers, st.none() | numbers).flatmap(policy)
words = st.lists(
    st.sampled_from(["cat", "DOG", "fi", "ss", "ß", " ", "\u200b", "t d", "c\u00adat"]) | st.text(max_size=2),
    max_size=2,
).map(tuple)
word_rules = st.builds(Words, words, words).flatmap(policy)


def choices(values: Sequence[str] = CHOICES) -> st.SearchStrategy[Rule]:
    some = st.frozensets(st.sampled_from(values), max_size=2)
    return st.builds(Choice, some, st.one_of(st.just(frozenset[str]()), some)).flatmap(policy)


def rules_for(field: FilterField) -> st.SearchStrategy[Rule]:
    if field.unit == "choice":
        return choices(CHANNELS if field is CHANNEL else CHOICES)
    return word_rules if field.unit == "text" else ranges


def rules(fields: Sequence[FilterField]) -> st.SearchStrategy[dict[str, Rule]]:
    """Any rules over a registry, now and then one that it does not know, or of a kind that does not fit."""
    known = st.fixed_dictionaries({}, optional={field.key: rules_for(field) for field in fields})
    few = st.lists(st.sampled_from(fields), max_size=3, unique=True).flatmap(
        lambda some: st.fixed_dictionaries({field.key: rules_for(field) for field in some})
    )
    strange: list[dict[str, Rule]] = [{"gone": Range(1.0, missing="pass")}, {"channel": Range(missing="pass")}]
    with_strange = st.tuples(few, st.sampled_from(strange)).map(lambda both: both[0] | both[1])
    return st.one_of(few, few, few, few, known, with_strange)


def filter_sets(fields: Sequence[FilterField], users: int = 5, sets: int = 3) -> st.SearchStrategy[FilterSet]:
    return st.builds(
        FilterSet,
        user_id=st.integers(2**40, 2**40 + users - 1),
        number=st.integers(1, sets),
        name=st.just(""),
        enabled=st.sampled_from([True, True, True, False]),
        rules=rules(fields),
    )
