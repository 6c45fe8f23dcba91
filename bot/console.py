"""What the terminal shows: the parts at start, each alert with its latency, the summary at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from bot.doctor.surroundings import Finding
from domain.filters.shown import shown_speed
from runtime.counted import counted
from runtime.latencies import Spread
from runtime.redaction import without_keys
from services.claims.left import Left
from services.delivery.delivery import Sent
from services.monitoring.metrics import Metrics

NAME_LENGTH = 32
SPEED_EXPLAINED = (
    "A line for each alert: ⚡ is its speed, from the call's arrival here until the alert was given to Telegram; "
    "the card says the same."
)
SENT: Final = "sent"
FATES: Final = {
    SENT: "as a message of their own",
    "sent together": "in one message with others that passed at the same time",
    "left for a digest": "quiet hours, alerts of the hour used up, or too late; in one message later, after a stop too",
    "later, by the plan": "put aside until the plan makes them due, after a stop too",
    "not wanted any more": "paused, muted or snoozed, or the plan had ended",
    "refused for good": "Telegram does not take them; an admin sees each with /dead_letters",
}
"""What became of an alert, and what that means."""
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
    speeds: Spread
    confirmed: Spread

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
            SENT: counts.alerts_sent - counts.alerts_merged,
            "sent together": counts.alerts_merged,
            "left for a digest": counts.alerts_deferred,
            "later, by the plan": counts.alerts_delayed,
            "not wanted any more": counts.alerts_withheld,
            "refused for good": counts.alerts_dead_lettered,
        },
        waiting=left.alerts,
        others_waiting=left.others,
        twice=twice,
        is_all=is_all,
        speeds=metrics.speeds,
        confirmed=metrics.confirmed,
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
        table = Table("what", Column("how many", justify="right"), "what that means", title="This run")
        for row in _rows(summary):
            table.add_row(*row)
        self._console.print(table)


def _rows(summary: Summary) -> Iterator[tuple[str, str, str]]:
    """Each with what it means to somebody who knows the chat alone."""
    yield "calls", f"{summary.received:,}", "came from the feed or the channels"
    yield "alerts", f"{summary.matched:,}", "one for each call and each person whose filters it passed"
    if summary.from_before:
        yield "alerts from before", f"{summary.from_before:,}", "waited at the start, or came due or back in this run"
    for name, count in summary.fates.items():
        if count or name == SENT:
            yield f"  {name}", f"{count:,}", FATES[name]
    yield "  not sent yet", f"{summary.waiting:,}", "kept; they go out first when the bot starts again"
    yield "  lost", f"{max(0, summary.lost):,}" if summary.is_all else "?", _lost(summary)
    if summary.others_waiting:
        yield "other messages", f"{summary.others_waiting:,}", "digests, receipts and the like: not sent yet, kept"
    yield "sent twice", f"{summary.twice:,}", "alerts that somebody got again as if they were new"
    yield from _times("⚡ speed", summary.speeds, "from a call's arrival here until its alert is given to Telegram")
    yield from _times("confirmed", summary.confirmed, "from a call's arrival here until Telegram has answered")


def _lost(summary: Summary) -> str:
    return "alerts of which nobody knows what became" if summary.is_all else "the processes that send know"


def _times(name: str, spread: Spread, meaning: str) -> Iterator[tuple[str, str, str]]:
    if not spread.count:
        return
    yield name, shown_speed(spread.p50_s) or "", f"{meaning}: median of {counted(spread.count, 'alert')}"
    if spread.p99_s is not None:
        yield f"{name}, p99", shown_speed(spread.p99_s) or "", "99 of 100 were faster"


def one_line(text: str) -> str:
    """Text from outside on one line of the terminal: nothing that moves the cursor or turns the direction."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept if len(kept) <= NAME_LENGTH else kept[: NAME_LENGTH - 1] + "…"
