"""What the terminal shows: the parts at start, each alert with its latency, the summary at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bot.doctor.surroundings import Finding
from domain.filters.shown import shown_speed
from runtime.redaction import without_keys
from services.claims.left import Left
from services.delivery.delivery import Sent
from services.monitoring.metrics import Metrics

NAME_LENGTH = 32
SPEED_EXPLAINED = (
    "A line for each alert: ⚡ is its speed, from the call's arrival here until the alert was given to Telegram; "
    "the card says the same."
)
ALERTS_PER_S = 10
"""So many are shown; drawing them all would cost more than sending them."""


class Part(Struct, frozen=True):
    name: str
    real: bool
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What the process was to send and what became of it: `owed` is all that `fates`, `waiting` and `lost` hold."""

    received: int
    matched: int
    """Pairs of a call and a person that were claimed for sending."""
    from_before: int
    """Alerts that an earlier run left, or that were put aside or given up earlier and came back in this one."""
    fates: Mapping[str, int]
    """By what became of them, of those that are settled; each is in one of these."""
    waiting: int
    """Claimed, still in the outbox: sent at the next start, not lost."""
    others_waiting: int
    """Digests, receipts and the like, which are no alerts."""
    twice: int
    is_all: bool
    speeds_s: tuple[float | None, float | None]
    confirmed_s: tuple[float | None, float | None]
    """p50 and p99, as are the speeds."""

    @property
    def owed(self) -> int:
        return self.matched + self.from_before

    @property
    def lost(self) -> int:
        """What is neither settled nor waiting; less than nothing if something was counted twice."""
        return self.owed - sum(self.fates.values()) - self.waiting if self.is_all else 0

    @property
    def exit_code(self) -> int:
        return 1 if self.lost > 0 or self.twice else 0


def summarise(metrics: Metrics, *, left: Left, twice: int, is_all: bool = True) -> Summary:
    """Hold every claimed alert against its fate.

    `twice` is what the other side counted, where somebody can ask it. `is_all`: what this process claims it also
    sends, or nobody can tell from here.
    """
    counts = metrics.counts
    return Summary(
        received=counts.calls_received,
        matched=counts.alerts_claimed,
        from_before=counts.alerts_recovered + counts.alerts_replayed + counts.alerts_released,
        fates={
            "sent": counts.alerts_sent - counts.alerts_merged,
            "merged into one message": counts.alerts_merged,
            "held for a digest": counts.alerts_deferred,
            "put aside by the plan": counts.alerts_delayed,
            "withheld": counts.alerts_withheld,
            "refused by Telegram": counts.alerts_dead_lettered,
        },
        waiting=left.alerts,
        others_waiting=left.others,
        twice=twice,
        is_all=is_all,
        speeds_s=(metrics.speed_s(50), metrics.speed_s(99)),
        confirmed_s=(_seconds(metrics.latency_ms(50)), _seconds(metrics.latency_ms(99))),
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
            (f"⚡ {shown_speed(sent.speed_s) or '–'}", "cyan"),
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
        for name, value in _rows(summary):
            table.add_row(name, value)
        self._console.print(table)


def _rows(summary: Summary) -> Iterator[tuple[str, str]]:
    yield "calls received", f"{summary.received:,}"
    yield "matched", f"{summary.matched:,}"
    if summary.from_before:
        yield "left from before", f"{summary.from_before:,}"
    for name, count in summary.fates.items():
        if count or name == "sent":
            yield f"  {name}", f"{count:,}"
    yield "  waiting for the next start", f"{summary.waiting:,}"
    yield "  losses", f"{max(0, summary.lost):,}" if summary.is_all else "other processes know"
    if summary.others_waiting:
        yield "other messages waiting", f"{summary.others_waiting:,}"
    yield "duplicates", f"{summary.twice:,}"
    yield "⚡ speed (p50, p99)", _both(summary.speeds_s)
    yield "confirmed by Telegram (p50, p99)", _both(summary.confirmed_s)


def _both(seconds: tuple[float | None, float | None]) -> str:
    return ", ".join(shown_speed(each) or "–" for each in seconds)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


def one_line(text: str) -> str:
    """Text from outside on one line of the terminal: nothing that moves the cursor or turns the direction."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept if len(kept) <= NAME_LENGTH else kept[: NAME_LENGTH - 1] + "…"
