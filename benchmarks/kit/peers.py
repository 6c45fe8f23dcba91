"""What else could answer the question: two loops, numpy columns, Polars and DuckDB, each as well as it is done.

Each peer takes filter sets one by one, is made ready once, and then answers calls with the ids of the users whose set
passes, in whatever form it has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, make_dataclass
from typing import Any, NamedTuple, Protocol

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.kit.workload import CHANNELS, NAMES
from domain.calls.events import Call
from domain.filters.registry import Choice, FilterSet, Range
from domain.matching.thresholds import rule_bounds

CHANNEL_NUMBER = {channel: number for number, channel in enumerate(CHANNELS)}


class Peer(Protocol):
    name: str

    def match(self, call: Call) -> Any: ...

    def users(self, answer: Any) -> Iterable[int]:
        """Of what `match` gave; not part of what is measured."""
        ...


class RuleOf(NamedTuple):
    name: str
    minimum: float
    maximum: float


Settings: Any = make_dataclass(
    "Settings",
    [
        ("user_id", int),
        ("channels", frozenset[str]),
        *((f"min_{name}", float | None, field(default=None)) for name in NAMES),
        *((f"max_{name}", float | None, field(default=None)) for name in NAMES),
    ],
)
"""One attribute for each bound of each field, as settings usually begin."""


def ranges_of(filter_set: FilterSet) -> dict[str, Range]:
    return {key: rule for key, rule in filter_set.rules.items() if isinstance(rule, Range)}


def channels_of(filter_set: FilterSet) -> frozenset[str]:
    rule = filter_set.rules.get("channel")
    return rule.included if isinstance(rule, Choice) else frozenset()


def passes_settings(settings: Any, call: Call) -> bool:
    for name in NAMES:
        value = getattr(call, name)
        minimum, maximum = getattr(settings, f"min_{name}"), getattr(settings, f"max_{name}")
        if minimum is not None and (value is None or value < minimum):
            return False
        if maximum is not None and (value is None or value > maximum):
            return False
    return not settings.channels or call.channel.id in settings.channels


class Loop:
    """What a bot does when nobody has thought about it."""

    name = "loop over dataclasses"

    def __init__(self, sets: Iterable[FilterSet]) -> None:
        self._everybody: list[Any] = []
        for filter_set in sets:
            bounds: dict[str, float | None] = {}
            for name, limits in ranges_of(filter_set).items():
                bounds[f"min_{name}"], bounds[f"max_{name}"] = limits.minimum, limits.maximum
            settings = Settings(user_id=filter_set.user_id, channels=channels_of(filter_set), **bounds)
            self._everybody.append(settings)

    def match(self, call: Call) -> list[int]:
        return [settings.user_id for settings in self._everybody if passes_settings(settings, call)]

    def users(self, answer: list[int]) -> list[int]:
        return answer


class TunedLoop:
    """What a loop can do: only the rules that are set, in one function, out at the first that fails."""

    name = "tuned loop over tuples"

    def __init__(self, sets: Iterable[FilterSet]) -> None:
        self._everybody = [
            (
                filter_set.user_id,
                channels_of(filter_set),
                tuple(RuleOf(name, *rule_bounds(limits)) for name, limits in ranges_of(filter_set).items()),
            )
            for filter_set in sets
        ]

    def match(self, call: Call) -> list[int]:
        values = {name: getattr(call, name) for name in NAMES}
        channel_id = call.channel.id
        passed: list[int] = []
        for user_id, channels, rules in self._everybody:
            if channels and channel_id not in channels:
                continue
            for name, minimum, maximum in rules:
                if not minimum <= values[name] <= maximum:
                    break
            else:
                passed.append(user_id)
        return passed

    def users(self, answer: list[int]) -> list[int]:
        return answer


class Columns(NamedTuple):
    """The sets as columns, as every column engine wants them; a bound that is not set is infinite."""

    user_id: npt.NDArray[np.int64]
    bounds: dict[str, npt.NDArray[np.float64]]
    """`min_…` and `max_…` of every field."""
    channels: list[list[int]]
    """By row, numbers of the channels that are listened to; none means all."""


def columns_of(sets: Sequence[FilterSet]) -> Columns:
    bounds = {f"min_{name}": np.full(len(sets), -np.inf) for name in NAMES}
    bounds |= {f"max_{name}": np.full(len(sets), np.inf) for name in NAMES}
    for row, filter_set in enumerate(sets):
        for name, limits in ranges_of(filter_set).items():
            bounds[f"min_{name}"][row], bounds[f"max_{name}"][row] = rule_bounds(limits)
    user_id = np.array([filter_set.user_id for filter_set in sets], dtype=np.int64)
    channels = [sorted(CHANNEL_NUMBER[name] for name in channels_of(filter_set)) for filter_set in sets]
    return Columns(user_id, bounds, channels)


class NumpyColumns:
    """Two comparisons per field over everybody, and for each channel the rows that named it."""

    name = "numpy columns"

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._all_channels = np.array([not channels for channels in columns.channels])
        rows: list[list[int]] = [[] for _ in CHANNELS]
        for row, channels in enumerate(columns.channels):
            for channel in channels:
                rows[channel].append(row)
        self._listeners = [np.array(some, dtype=np.intp) for some in rows]

    def match(self, call: Call) -> npt.NDArray[np.int64]:
        passing = self._all_channels.copy()
        passing[self._listeners[CHANNEL_NUMBER[call.channel.id]]] = True
        bounds = self._columns.bounds
        for name in NAMES:
            value = getattr(call, name)
            passing &= bounds[f"min_{name}"] <= value
            passing &= bounds[f"max_{name}"] >= value
        return self._columns.user_id[passing]

    def users(self, answer: npt.NDArray[np.int64]) -> list[int]:
        return answer.tolist()


class Polars:
    """One lazy filter, on as many threads as Polars takes."""

    name = "Polars"

    def __init__(self, columns: Columns) -> None:
        channels = pl.Series("channels", columns.channels, dtype=pl.List(pl.UInt16))
        frame = pl.DataFrame({"user_id": columns.user_id, **columns.bounds}).with_columns(channels)
        self._frame = frame.with_columns(all_channels=pl.col("channels").list.len() == 0).rechunk().lazy()

    def match(self, call: Call) -> pl.Series:
        channel = pl.lit(CHANNEL_NUMBER[call.channel.id], dtype=pl.UInt16)
        rules = [pl.col("all_channels") | pl.col("channels").list.contains(channel)]
        for name in NAMES:
            value = getattr(call, name)
            rules += [pl.col(f"min_{name}") <= value, pl.col(f"max_{name}") >= value]
        return self._frame.filter(*rules).select("user_id").collect().to_series()

    def users(self, answer: pl.Series) -> list[int]:
        return answer.to_list()


class DuckDb:
    """One prepared statement."""

    def __init__(self, columns: Columns, threads: int) -> None:
        self.name = f"DuckDB, {threads} thread{'s' if threads > 1 else ''}"
        self._connection: Any = duckdb.connect(config={"threads": threads})
        pairs = [(row, channel) for row, channels in enumerate(columns.channels) for channel in channels]
        row, channel = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        rules = {"number": np.arange(len(columns.user_id)), "user_id": columns.user_id, **columns.bounds}
        self._connection.register("rules", rules)
        self._connection.register("pairs", {"number": row.copy(), "channel": channel.copy()})
        self._connection.execute(
            "CREATE TABLE sets AS SELECT rules.*, coalesce(named.channels, []) AS channels FROM rules LEFT JOIN"
            " (SELECT number, list(channel) AS channels FROM pairs GROUP BY number) AS named USING (number)"
            " ORDER BY number"
        )
        self._connection.unregister("rules")
        self._connection.unregister("pairs")
        limits = " AND ".join(f"min_{name} <= ${at} AND max_{name} >= ${at}" for at, name in enumerate(NAMES, 1))
        channel_at = len(NAMES) + 1
        self._connection.execute(
            "PREPARE passing AS SELECT user_id FROM sets"  # noqa: S608 - made of our own names
            f" WHERE {limits} AND (len(channels) = 0 OR list_contains(channels, ${channel_at}))"
        )

    def match(self, call: Call) -> dict[str, npt.NDArray[np.int64]]:
        values = ", ".join(repr(getattr(call, name)) for name in NAMES)
        return self._connection.execute(f"EXECUTE passing({values}, {CHANNEL_NUMBER[call.channel.id]})").fetchnumpy()

    def users(self, answer: dict[str, npt.NDArray[np.int64]]) -> list[int]:
        return answer["user_id"].tolist()


def every_peer(sets: Sequence[FilterSet]) -> list[Peer]:
    columns = columns_of(sets)
    makers: list[Callable[[], Peer]] = [
        lambda: Loop(sets),
        lambda: TunedLoop(sets),
        lambda: NumpyColumns(columns),
        lambda: Polars(columns),
        lambda: DuckDb(columns, 1),
        lambda: DuckDb(columns, 2),
    ]
    return [make() for make in makers]
