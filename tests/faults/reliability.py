"""`docs/reliability.md`: what was broken, and what came of it. Each command replaces its own section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.kit.report import machine
from tests.faults.ledger import Counts

FAULTS: Final = "Faults"
SOAK: Final = "Soak"
WATCHDOG: Final = "Watchdog"
DISK: Final = "Disk"
PAYMENTS: Final = "Payments"
TRACKING: Final = "Milestones"
REPORTS: Final = "Reports"
CHANNELS: Final = "Channels"
BROADCASTS: Final = "Broadcasts"
SHORT_FORM: Final = "The short form that `make test` plays"
_TITLE: Final = """# Reliability

Made by `make faults` and `make soak`, each its own section: change the tests, not this page. The bot runs as a real
process against a real Redis and a real PostgreSQL and the sandbox's feed and Telegram; every (subscriber, token) pair
that a plain loop over the filters accepts is an alert, and held against what Telegram received.

*Lost*: alerts that never came. *Twice*: alerts that came again as if for the first time. *Messages again*: messages
that came once more and say that they may be a repeat, since the outcome of the first attempt was unknown when something
died or no answer came, and nobody can know it; *at most* is how many of them the scenario allows. A message may hold
several alerts, merged or in a digest: *alerts in them*. People who pay have a table of their own,
and so have milestones, reports, channels that are read and broadcasts.
"""
_HEAD: Final = (
    "what was broken",
    "alerts accepted",
    "received",
    "in digests",
    "lost",
    "twice",
    "messages again",
    "at most",
    "alerts in them",
)
_SUMMED: Final = ("accepted", "received", "in_digests", "lost", "twice", "marked")


class Row(Struct, frozen=True, kw_only=True):
    """One scenario."""

    what: str
    counts: Counts
    repeats: int
    """Messages that may repeat, at most."""

    @property
    def line(self) -> str:
        return f"{self.what}: {self.counts.line()} (at most {self.repeats} messages marked)"


def faults_section(rows: Sequence[Row], failed: Sequence[str], *, is_full: bool) -> str:
    cells = [_HEAD, tuple("---" if n == 0 else "---:" for n in range(len(_HEAD)))]
    for row in sorted(rows, key=lambda row: row.what):
        c = row.counts
        figures = (c.accepted, c.received, c.in_digests, c.lost, c.twice, c.marked, row.repeats, c.marked_alerts)
        cells.append((row.what, *(f"{figure:,}" for figure in figures)))
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    total = f"{sum(row.counts.accepted for row in rows):,} alerts in {len(rows)} scenarios: "
    total += f"{sum(row.counts.lost for row in rows):,} lost, {sum(row.counts.twice for row in rows):,} twice. "
    again, allowed = sum(row.counts.marked for row in rows), sum(row.repeats for row in rows)
    total += f"{again:,} messages came again, of {allowed:,} that may have, each marked as a possible repeat."
    bad = "".join(f"\n- failed: `{name}`" for name in failed)
    made = made_by("`make faults`" if is_full else SHORT_FORM)
    return "\n\n".join([made, table, total + ("\n" + bad if bad else "")])


def section(path: Path, name: str) -> str:
    """As it stands; empty where there is none."""
    return _sections(path).get(name, "")


def _sections(path: Path) -> dict[str, str]:
    page = path.read_text(encoding="utf-8") if path.exists() else _TITLE
    return dict(re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))


def write_section(path: Path, name: str, body: str) -> None:
    """Replace one section of the page, or add it; the others stay."""
    sections = _sections(path)
    sections[name] = body + "\n"
    order = [
        section
        for section in (FAULTS, PAYMENTS, TRACKING, REPORTS, CHANNELS, BROADCASTS, SOAK, WATCHDOG, DISK)
        if section in sections
    ]
    text = "\n".join([_TITLE, *(f"## {section}\n\n{sections[section].strip()}\n" for section in order)])
    path.write_text(text, encoding="utf-8")


def soak_section(table: str) -> str:
    return "\n\n".join([made_by("`make soak`"), f"```\n{table}\n```"])


def disk_section(rounds: Sequence[Row], failed: Sequence[str]) -> str:
    """Each kind of round is a line; `failed`: what was wrong with single ones."""
    cells = [
        ("what was full, and how it ended", "rounds", *_HEAD[1:7], "in one round", "at most in one"),
        tuple("---" if n == 0 else "---:" for n in range(len(_HEAD) + 1)),
    ]
    for what in sorted({row.what for row in rounds}):
        rows = [row for row in rounds if row.what == what]
        sums = (sum(getattr(row.counts, name) for row in rows) for name in _SUMMED)
        most, bound = max(row.counts.marked for row in rows), max(row.repeats for row in rows)
        cells.append((what, str(len(rows)), *(f"{figure:,}" for figure in (*sums, most, bound))))
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    bad = "".join(f"\n- failed: {name}" for name in failed)
    return "\n\n".join([made_by("`python -m tests.faults.soak_disk`"), table + ("\n" + bad if bad else "")])


def made_by(command: str) -> str:
    return f"{command}, {machine()}, {datetime.now(UTC):%Y-%m-%d}."
