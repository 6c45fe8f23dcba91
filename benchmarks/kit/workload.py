"""Filter sets and calls as people make them, seeded: the same for every engine that is measured.

Each set has rules for 3 to 5 of 15 fields, popular fields more often (rank^-0.7); 55 % of the rules are a minimum,
25 % a range, 20 % a maximum; 80 % of the thresholds are numbers people like to type, the rest are arbitrary; 30 % of
the sets listen to 1 to 10 of 500 channels. Values of calls are log-normal. About 1.2 % of the sets pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from operator import attrgetter
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from domain.calls.events import Call, Channel, Token
from domain.filters.registry import Choice, FilterField, FilterSet, Range, Rule

FIELD_COUNT = 15
CHANNEL_COUNT = 500
ARBITRARY = 0.2
"""Share of thresholds that are no round numbers."""
MINIMUM_ONLY, WITH_MINIMUM = 0.55, 0.80
"""Share of rules that are a minimum alone, and of those that have one."""
CHOOSY = 0.3
"""Share of sets that choose channels."""
SIGMA = 1.5
"""Of the logarithm of every value."""
ROUND_MANTISSAS = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0])

NAMES = tuple(f"field_{number}" for number in range(FIELD_COUNT))
MEDIANS: npt.NDArray[np.float64] = np.power(10.0, np.arange(FIELD_COUNT) % 6, dtype=np.float64)
CHANNELS = tuple(f"@channel_{number}" for number in range(CHANNEL_COUNT))
FIELDS = (
    *(FilterField(key=name, group="size", unit="count", value=attrgetter(name), example="20k - 2M") for name in NAMES),
    FilterField(key="channel", group="call", unit="choice", value=attrgetter("channel.id"), example="@alpha_calls"),
)
SyntheticCall: Any = msgspec.defstruct(
    "SyntheticCall",
    [(name, float) for name in NAMES],
    bases=(Call,),
    frozen=True,
    kw_only=True,
)
"""A `Call` that carries its 15 values as attributes."""


def round_thresholds(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The nearest number that people type: 15,000 rather than 14,381."""
    exponent: npt.NDArray[np.float64] = np.floor(np.log10(values))
    mantissa = values / 10.0**exponent
    nearest = np.abs(mantissa[:, None] - ROUND_MANTISSAS).argmin(axis=1)
    return ROUND_MANTISSAS[nearest] * 10.0**exponent


def _quantile_table() -> npt.NDArray[np.float64]:
    normal = NormalDist()
    return np.array([normal.inv_cdf((step + 0.5) / 10_000) for step in range(10_000)])


def _thresholds(
    random: np.random.Generator, share: npt.NDArray[np.float64], fields: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """The value below which `share` of all calls lie, rounded for four in five."""
    table = _quantile_table()
    places = np.clip((share * len(table)).astype(np.intp), 0, len(table) - 1)
    exact: npt.NDArray[np.float64] = MEDIANS[fields] * np.exp(SIGMA * table[places])
    arbitrary = random.random(len(exact)) < ARBITRARY
    return np.where(arbitrary, exact, round_thresholds(exact))


def filter_sets(count: int, seed: int = 1) -> Iterator[FilterSet]:
    """`count` sets, one per subscriber; user ids start above 2^32 as new Telegram accounts do."""
    random = np.random.default_rng(seed)
    popularity = np.log((np.arange(FIELD_COUNT) + 1.0) ** -0.7)
    keys = popularity + random.gumbel(size=(count, FIELD_COUNT))
    favourites = np.argsort(-keys, axis=1)[:, :5]
    rules = random.integers(3, 6, count)
    fields = favourites.ravel()
    width = random.uniform(0.12, 0.54, len(fields))
    kind = random.random(len(fields))
    start = np.where(kind < MINIMUM_ONLY, 1 - width, random.random(len(fields)) * (1 - width))
    lows = _thresholds(random, start, fields)
    highs = _thresholds(random, np.where(kind < WITH_MINIMUM, start + width, width), fields)
    choosy = random.random(count) < CHOOSY
    named = random.integers(1, 11, count)
    for at in range(count):
        rules_of_set: dict[str, Rule] = {}
        for place in range(5 * at, 5 * at + int(rules[at])):
            low = float(lows[place]) if kind[place] < WITH_MINIMUM else None
            high = float(highs[place]) if kind[place] >= MINIMUM_ONLY else None
            if low is not None and high is not None:
                low, high = min(low, high), max(low, high)
            rules_of_set[NAMES[fields[place]]] = Range(low, high)
        if choosy[at]:
            chosen: list[int] = random.integers(0, CHANNEL_COUNT, int(named[at])).tolist()
            rules_of_set["channel"] = Choice(frozenset(CHANNELS[channel] for channel in chosen))
        yield FilterSet(user_id=2**32 + at, number=1, name="", rules=rules_of_set)


def calls(count: int, seed: int = 2) -> list[Call]:
    """`count` calls of as many tokens."""
    random = np.random.default_rng(seed)
    values: npt.NDArray[np.float64] = MEDIANS * np.exp(SIGMA * random.standard_normal((count, FIELD_COUNT)))
    channels: list[int] = random.integers(0, CHANNEL_COUNT, count).tolist()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        SyntheticCall(
            id=f"call-{number}",
            token=Token(address=f"token-{number}"),
            channel=Channel(id=CHANNELS[channels[number]]),
            called_at=at,
            received_at=at,
            **dict(zip(NAMES, values[number].tolist(), strict=True)),
        )
        for number in range(count)
    ]
