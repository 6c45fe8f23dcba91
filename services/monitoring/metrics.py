"""What the bot counts about itself: for /metrics, /health, the heartbeat and the summary at the end."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from runtime.latencies import Spread, spread

LATENCY_BUCKETS_S = (
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
)
_BUCKET_NAMES = (*(str(float(bound)) for bound in LATENCY_BUCKETS_S), "+Inf")
KEPT_LATENCIES = 10_000
Stage = Literal["queue", "enrich", "match", "claim", "outbox", "turn", "telegram", "settle"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""`queue`: from the frame until its batch is taken; `enrich`, `match`, `claim`: of a batch; `outbox`: decided until it
is the subscriber's turn; `turn`: until Telegram's limits leave room; `telegram`: the request; `settle`: to write it."""

MEANINGS = {
    "calls_received": "Calls taken from the feed, repeats excluded.",
    "calls_stale": "Calls that came too late to be news; matched by nobody.",
    "calls_blocked": "Calls of channels that an admin has blocked; matched by nobody.",
    "alerts_matched": "(token, subscriber) pairs whose filters passed.",
    "alerts_claimed": "Pairs claimed for sending, each once for ever.",
    "alerts_recovered": "Alerts found waiting in the outbox at start.",
    "alerts_sent": "Alerts that Telegram took.",
    "alerts_repeated": "Alerts sent again because an earlier attempt had an unknown outcome.",
    "alerts_dead_lettered": "Alerts that cannot be delivered; each stands in the dead-letter stream with its reason.",
    "alerts_replayed": "Dead letters that an admin sent again; they are claimed alerts once more.",
    "alerts_withheld": "Alerts that were not to go out when their turn came: paused, expired, snoozed, muted.",
    "alerts_deferred": "Alerts put aside for a digest: quiet hours, a cap, too old, or nobody could be reached.",
    "alerts_delayed": "Alerts put aside until they are due, as the subscriber's plan makes them due later.",
    "alerts_released": "Alerts that were put aside and have become due.",
    "alerts_outdated": "Alerts that waited too long to be sent as new; they count as put aside as well.",
    "alerts_merged": "Alerts that went out in one message with others; they count as sent as well.",
    "alerts_late": "Alerts claimed after a missing figure arrived.",
    "digests_sent": "Digests that Telegram took.",
    "media_sent": "Alerts that went out with a picture or film.",
    "media_refused": "Pictures and films that Telegram could not use; the text went out without them.",
}


@dataclass(slots=True)
class Counts:
    calls_received: int = 0
    calls_blocked: int = 0
    calls_stale: int = 0
    alerts_matched: int = 0
    alerts_claimed: int = 0
    alerts_recovered: int = 0
    alerts_sent: int = 0
    alerts_repeated: int = 0
    alerts_dead_lettered: int = 0
    alerts_replayed: int = 0
    alerts_withheld: int = 0
    alerts_deferred: int = 0
    alerts_delayed: int = 0
    alerts_released: int = 0
    alerts_outdated: int = 0
    alerts_merged: int = 0
    alerts_late: int = 0
    digests_sent: int = 0
    media_sent: int = 0
    media_refused: int = 0
    messages: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """By kind, of those that are about no calls, and what became of it: sent, late, dropped, withheld or dead."""
    sends: Counter[str] = field(default_factory=Counter[str])
    """Messages that left for Telegram, by what became of the attempt; `taken` is the good one."""
    fallbacks: Counter[str] = field(default_factory=Counter[str])
    """By soft dependency: how often its fallback value was used."""

    def totals(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if name in MEANINGS}


Read = Callable[[], float | None]
"""`None`: not known at the moment."""
ReadEach = Callable[[], Mapping[str, float]]
"""By the value of a label."""

_Kind = type[CounterMetricFamily | GaugeMetricFamily]


@dataclass(frozen=True, slots=True)
class _Shown:
    """One number that another part keeps."""

    read: Read
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Family:
    """Numbers of one name, told apart by their labels."""

    kind: _Kind
    meaning: str
    shown: list[_Shown] = field(default_factory=list[_Shown])

    def collect(self, name: str) -> Metric:
        """Read everything; what is not known is left out rather than shown as nought."""
        family = self.kind(name, self.meaning, labels=tuple(self.shown[0].labels))
        for one in self.shown:
            value = one.read()
            if value is not None:
                family.add_metric(tuple(one.labels.values()), value)
        return family


@dataclass(frozen=True, slots=True)
class _Each:
    """Numbers of one name for whatever there is when somebody looks, told apart by one label."""

    kind: _Kind
    meaning: str
    label: str
    read: ReadEach

    def collect(self, name: str) -> Metric:
        family = self.kind(name, self.meaning, labels=(self.label,))
        for value, number in self.read().items():
            family.add_metric((value,), number)
        return family


class _Latencies:
    """A histogram that costs next to nothing per observation: those are on the way of every call and alert.

    prometheus_client's own takes two locks and walks the buckets; here everything is done in one thread.
    """

    __slots__ = ("_counts", "_meaning", "_name", "_since", "_sum_s")

    def __init__(self, name: str, meaning: str) -> None:
        self._name = name
        self._meaning = meaning
        self._counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        """By bucket, not cumulative; the last is what exceeds all bounds."""
        self._sum_s = 0.0
        self._since = time.time()

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self._sum_s += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        return list(zip(_BUCKET_NAMES, map(float, accumulate(self._counts)), strict=True))

    @property
    def sum_s(self) -> float:
        return self._sum_s

    def collect(self) -> Metric:
        family = HistogramMetricFamily(self._name, self._meaning, buckets=self.buckets, sum_value=self._sum_s)
        family.add_sample(f"{self._name}_created", {}, self._since)
        return family


class Metrics(Collector):
    """Counters of one process and the numbers other parts lend to it."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._families: dict[str, _Family] = {}
        self._each: dict[str, _Each] = {}
        self._stages = {stage: _Latencies("stage_seconds", "") for stage in STAGES}
        self._decide = _Latencies("frame_to_decided_seconds", "Frame received until decided.")
        self._send = _Latencies("frame_to_sent_seconds", "Frame received until Telegram answered.")
        self._confirmed_s: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._speeds_s: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def gauge(self, name: str, meaning: str, read: Read, labels: Mapping[str, str] | None = None) -> None:
        """Show `read()` under `name` whenever somebody looks. The same name may be lent with other labels again."""
        self._lend(GaugeMetricFamily, name, meaning, _Shown(read, labels or {}))

    def counter(self, name: str, meaning: str, read: Read, labels: Mapping[str, str] | None = None) -> None:
        """Like `gauge`, for what only grows while the process lives; Prometheus sees it as `{name}_total`."""
        self._lend(CounterMetricFamily, name, meaning, _Shown(read, labels or {}))

    def gauge_each(self, name: str, meaning: str, label: str, read: ReadEach) -> None:
        """Show everything that `read()` gives whenever somebody looks, by `label`: for what comes and goes."""
        self._each[name] = _Each(GaugeMetricFamily, meaning, label, read)

    def counter_each(self, name: str, meaning: str, label: str, read: ReadEach) -> None:
        """Like `gauge_each`, for what only grows; Prometheus sees it as `{name}_total`."""
        self._each[name] = _Each(CounterMetricFamily, meaning, label, read)

    def _lend(self, kind: _Kind, name: str, meaning: str, shown: _Shown) -> None:
        self._families.setdefault(name, _Family(kind, meaning)).shown.append(shown)

    def stage(self, stage: Stage, seconds: float) -> None:
        """Count how long one step of a call's or message's way took."""
        self._stages[stage].observe(seconds if seconds > 0 else 0.0)

    @contextmanager
    def timed(self, stage: Stage) -> Generator[None]:
        """Count how long the step inside takes; what fails counts too."""
        began_at = time.perf_counter()
        try:
            yield
        finally:
            self._stages[stage].observe(time.perf_counter() - began_at)

    def decided(self, received_at: datetime, decided_at: datetime) -> None:
        seconds = (decided_at - received_at).total_seconds()
        self._decide.observe(seconds if seconds > 0 else 0.0)

    def sent(self, due_at: datetime, handed_at: datetime, sent_at: datetime) -> None:
        """Count an alert that Telegram took: when it was due, when Telegram was given it, and when it confirmed."""
        latency_s = max(0.0, (sent_at - due_at).total_seconds())
        self._send.observe(latency_s)
        self._confirmed_s.append(latency_s)
        self._speeds_s.append(max(0.0, (handed_at - due_at).total_seconds()))
        self.counts.alerts_sent += 1

    @property
    def speeds(self) -> Spread:
        """Frame received until handed to Telegram, over the last alerts."""
        return spread(self._speeds_s)

    @property
    def confirmed(self) -> Spread:
        """Frame received until Telegram answered, over the last alerts."""
        return spread(self._confirmed_s)

    def collect(self) -> Iterable[Metric]:
        for name, value in self.counts.totals().items():
            yield CounterMetricFamily(name, MEANINGS[name], value=value)
        fallbacks = CounterMetricFamily("fallbacks", "Fallback values used.", labels=["dependency"])
        for dependency, count in self.counts.fallbacks.items():
            fallbacks.add_metric([dependency], count)
        yield fallbacks
        messages = CounterMetricFamily("messages", "Messages that are about no calls.", labels=["kind", "outcome"])
        for what, count in self.counts.messages.items():
            messages.add_metric(what, count)
        yield messages
        sends = CounterMetricFamily("sends", "Attempts to send a message, by what became of it.", labels=["outcome"])
        for outcome, count in self.counts.sends.items():
            sends.add_metric([outcome], count)
        yield sends
        yield self._staged()
        for name, family in self._families.items():
            yield family.collect(name)
        for name, each in self._each.items():
            yield each.collect(name)
        yield self._decide.collect()
        yield self._send.collect()

    def _staged(self) -> Metric:
        family = HistogramMetricFamily("stage_seconds", "How long each step of the way took.", labels=["stage"])
        for stage, latencies in self._stages.items():
            family.add_metric([stage], buckets=latencies.buckets, sum_value=latencies.sum_s)
        return family
