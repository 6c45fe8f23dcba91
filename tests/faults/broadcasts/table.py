"""The table of broadcasts in `docs/reliability.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.faults.broadcasts.crowd import Spread, Timed

PROPERTY: Final = "reliability of broadcasts"
_EXPLAINED: Final = """\
Something is said to many; a process is killed in the middle of it and goes on where it was. *Lost*: people who never
got it. *Twice*: it came once more as if for the first time; *again*: it came once more and says so, *at most* how many
may. *Alerts* and *answers*: p99 of how long these took in a minute without it, then beside it."""
_HEAD: Final = ("what was broken", "people", "lost", "twice", "again", "at most", "alerts", "answers")


class BroadcastRow(Struct, frozen=True, kw_only=True):
    """One scenario."""

    what: str
    spread: Spread
    repeats: int
    """Messages that may come again, at most."""
    alerts: tuple[Timed, Timed] | None = None
    """Without the broadcast, and beside it."""
    answers: tuple[Timed, Timed] | None = None

    @property
    def line(self) -> str:
        return f"{self.what}: {self.spread.line()} (at most {self.repeats} messages again)"


def broadcasts_section(rows: Sequence[BroadcastRow], failed: Sequence[str], made_by: str, _before: str) -> str:
    cells = [_HEAD, tuple("---" if n == 0 else "---:" for n in range(len(_HEAD)))]
    for row in sorted(rows, key=lambda row: row.what):
        s = row.spread
        counted = (f"{figure:,}" for figure in (s.people, s.lost, s.twice, s.marked, row.repeats))
        cells.append((row.what, *counted, _p99(row.alerts), _p99(row.answers)))
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    bad = "".join(f"\n- failed: `{name}`" for name in failed)
    return "\n\n".join([made_by, _EXPLAINED, table + ("\n" + bad if bad else "")])


def _p99(times: tuple[Timed, Timed] | None) -> str:
    return "" if times is None else f"{times[0].p99:,.0f} → {times[1].p99:,.0f} ms"
