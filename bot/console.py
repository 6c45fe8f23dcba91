"""What the terminal shows: the parts at start, each alert with its latency, the summary at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bot.doctor import Finding
from runtime.redaction import without_keys
from services.delivery.delivery import Sent
from services.monitoring.metrics import Metrics

NAME_LENGTH = 32
ALERTS_PER_S = 10
"""So many are shown; drawing them all would cost more than sending them."""


class Part(Struct, frozen=True):
    name: str
    real: bool
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    received: int
    matched: int
    sent: int
    twice: int
    lost: int
    waiting: int
    """Claimed, still in the outbox: sent at the next start, not lost."""
    p50_ms: float | None
    p99_ms: float | None

    @property
    def exit_code(self) -> int:
        return 1 if self.lost or self.twice else 0


def summarise(metrics: Metrics, *, waiting: int, twice: int, is_all: bool = True) -> Summary:
    """Hold every claimed alert against its fate: what is neither settled nor waiting is lost.

    `twice` is what the other side counted, where somebody can ask it. `is_all`: what this process claims it also
    sends, or nobody can tell from here.
    """
    counts = metrics.counts
    owed = counts.alerts_claimed + counts.alerts_recovered + counts.alerts_replayed + counts.alerts_released
    settled = counts.alerts_sent + counts.alerts_dead_lettered + counts.alerts_withheld + counts.alerts_deferred
    settled += counts.alerts_delayed
    return Summary(
        received=counts.calls_received,
        matched=counts.alerts_matched,
        sent=counts.alerts_sent,
        twice=twice,
        lost=max(0, owed - settled - waiting) if is_all else 0,
        waiting=waiting,
        p50_ms=metrics.latency_ms(50),
        p99_ms=metrics.latency_ms(99),
    )


class Terminal:
    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._second = 0
        self._shown = 0
        """Alerts, in this second of the monotonic clock."""
        self._not_shown = 0

    def show_parts(self, parts: list[Part]) -> None:
        table = Table("part", "", "address", title="TokenFilterBot")
        for part in parts:
            state = "[green]real[/]" if part.real else "[yellow]sandbox[/]"
            table.add_row(part.name, state, escape(without_keys(part.address)))
        self._console.print(table)

    def say(self, line: str) -> None:
        self._console.print(escape(line))

    def show_sent(self, sent: Sent) -> None:
        if not self._has_room():
            return
        token = sent.call.token
        title = one_line(token.name or token.symbol or token.address)
        line = [
            (f"{sent.call.received_at:%H:%M:%S}", "dim"),
            (f" {title:<{NAME_LENGTH}} → {one_line(sent.name)} ", ""),
            (f"{sent.latency_ms:.1f} ms", "cyan"),
            ("" if sent.late_s is None else f", passed after {sent.late_s:.1f} s when a figure came", "dim"),
            (" may repeat" if sent.repeat else "", "yellow"),
        ]
        if self._console.is_terminal:
            self._console.print(Text.assemble(*line))
        else:
            # Nobody looks, and laying it out takes half as long as sending an alert.
            print("".join(part for part, _ in line), file=self._console.file, flush=True)

    def _has_room(self) -> bool:
        """Whether one more alert may be shown; says how many were not as soon as one may be again."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._shown = second, 0
        if self._shown >= ALERTS_PER_S:
            self._not_shown += 1
            return False
        self._shown += 1
        if self._not_shown:
            self._console.print(f"[dim]… and {self._not_shown:,} more[/]")
            self._not_shown = 0
        return True

    def show_findings(self, findings: list[Finding]) -> None:
        table = Table("part", "", "finding")
        for finding in findings:
            state = "[green]well[/]" if finding.ok else "[red]unwell[/]"
            table.add_row(finding.part, state, escape(finding.sentence))
        self._console.print(table)

    def show_summary(self, summary: Summary) -> None:
        table = Table(show_header=False, title="Summary")
        rows = {
            "calls received": summary.received,
            "matched": summary.matched,
            "sent": summary.sent,
            "duplicates": summary.twice,
            "losses": summary.lost,
            "left in the outbox": summary.waiting,
            "latency p50": show_ms(summary.p50_ms),
            "latency p99": show_ms(summary.p99_ms),
        }
        for name, value in rows.items():
            table.add_row(name, str(value))
        self._console.print(table)


def show_ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def one_line(text: str) -> str:
    """Text from outside on one line of the terminal: nothing that moves the cursor or turns the direction."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept if len(kept) <= NAME_LENGTH else kept[: NAME_LENGTH - 1] + "…"
