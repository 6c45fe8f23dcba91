"""What the bot counts about itself: for /metrics, /health, the heartbeat and the summary at the end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime

import numpy as np
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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
KEPT_LATENCIES = 10_000

MEANINGS = {
    "calls_received": "Calls taken from the feed, repeats excluded.",
    "calls_stale": "Calls that came too late to be news; matched by nobody.",
    "alerts_matched": "(token, subscriber) pairs whose filters passed.",
    "alerts_claimed": "Pairs claimed for sending, each once for ever.",
    "alerts_recovered": "Alerts found waiting in the outbox at start.",
    "alerts_sent": "Alerts that Telegram took.",
    "alerts_repeated": "Alerts sent again because an earlier attempt had an unknown outcome.",
    "alerts_buried": "Alerts that cannot be delivered; each stands in the dead-letter stream with its reason.",
    "alerts_withheld": "Alerts that were not to go out when their turn came: paused, expired, snoozed, muted.",
    "alerts_put_aside": "Alerts put aside for a digest, for quiet hours or a cap.",
    "alerts_merged": "Alerts that went out in one message with others; they count as sent as well.",
    "alerts_late": "Alerts claimed after a missing figure arrived.",
    "digests_sent": "Digests that Telegram took.",
    "media_sent": "Alerts that went out with a picture or film.",
    "media_refused": "Pictures and films that Telegram could not use; the text went out without them.",
}


@dataclass(slots=True)
class Counts:
    calls_received: int = 0
    calls_stale: int = 0
    alerts_matched: int = 0
    alerts_claimed: int = 0
    alerts_recovered: int = 0
    alerts_sent: int = 0
    alerts_repeated: int = 0
    alerts_buried: int = 0
    alerts_withheld: int = 0
    alerts_put_aside: int = 0
    alerts_merged: int = 0
    alerts_late: int = 0
    digests_sent: int = 0
    media_sent: int = 0
    media_refused: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter[str])
    """By soft dependency: how often its fallback value was used."""

    def totals(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if name in MEANINGS}


class Metrics(Collector):
    """Counters of one process and the gauges other parts lend to it."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._decide = self._histogram("frame_to_decided_seconds", "Frame received until decided.")
        self._send = self._histogram("frame_to_sent_seconds", "Frame received until Telegram answered.")
        self._latencies_ms: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show `read()` under `name` whenever somebody looks."""
        self._gauges[name] = (meaning, read)

    def decided(self, received_at: datetime, decided_at: datetime) -> None:
        self._decide.observe(max(0.0, (decided_at - received_at).total_seconds()))

    def sent(self, received_at: datetime, sent_at: datetime) -> float:
        """Count an alert that Telegram took; returns its latency in milliseconds."""
        latency_s = max(0.0, (sent_at - received_at).total_seconds())
        self._send.observe(latency_s)
        self._latencies_ms.append(latency_s * 1000)
        self.counts.alerts_sent += 1
        return latency_s * 1000

    def latency_ms(self, percentile: float) -> float | None:
        """Frame received until Telegram answered, over the last alerts; `None` before the first."""
        return float(np.percentile(self._latencies_ms, percentile)) if self._latencies_ms else None

    def collect(self) -> Iterable[Metric]:
        for name, value in self.counts.totals().items():
            yield CounterMetricFamily(name, MEANINGS[name], value=value)
        fallbacks = CounterMetricFamily("fallbacks", "Fallback values used.", labels=["dependency"])
        for dependency, count in self.counts.fallbacks.items():
            fallbacks.add_metric([dependency], count)
        yield fallbacks
        for name, (meaning, read) in self._gauges.items():
            yield GaugeMetricFamily(name, meaning, value=read())

    def _histogram(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, buckets=LATENCY_BUCKETS_S, registry=self.registry)
