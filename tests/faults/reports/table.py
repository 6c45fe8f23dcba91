"""The table of reports in `docs/reliability.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.faults.reports.evenings import DAYS, ZONES, ReportCounts

PROPERTY: Final = "reliability of reports"
_EXPLAINED: Final = f"""\
{DAYS} days pass on a clock that bot and sandbox share and that runs fast; people in {", ".join(ZONES[:2])},
{ZONES[2]} get a report of their day and of their week, and clocks are put forward or back in one of the zones
meanwhile. A report is *due* where a plain loop over the calendar of the reader's zone says so; *on time*: it came at
its local hour. *Twice*: came once more as if for the first time, or when nothing was due; *again*: came once more and
says so, *at most* how many may."""
_HEAD: Final = ("what was broken", "people", "due", "came", "on time", "late", "lost", "twice", "again", "at most")


class ReportRow(Struct, frozen=True, kw_only=True):
    """One scenario."""

    what: str
    counts: ReportCounts
    repeats: int
    """Reports that may come again, at most."""

    @property
    def line(self) -> str:
        return f"{self.what}: {self.counts.line()} (at most {self.repeats} reports again)"


def reports_section(rows: Sequence[ReportRow], failed: Sequence[str], made_by: str, _before: str) -> str:
    cells = [_HEAD, tuple("---" if n == 0 else "---:" for n in range(len(_HEAD)))]
    for row in sorted(rows, key=lambda row: row.what):
        c = row.counts
        figures = (c.people, c.due, c.came, c.on_time, c.late, c.lost, c.twice, c.again, row.repeats)
        cells.append((row.what, *(f"{figure:,}" for figure in figures)))
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    total = f"{sum(row.counts.due for row in rows):,} reports in {len(rows)} scenarios: "
    total += f"{sum(row.counts.lost for row in rows):,} lost, {sum(row.counts.twice for row in rows):,} twice. "
    total += f"{sum(row.counts.again for row in rows):,} came again, of {sum(row.repeats for row in rows):,} that may "
    total += "have, each marked as a possible repeat."
    bad = "".join(f"\n- failed: `{name}`" for name in failed)
    return "\n\n".join([made_by, _EXPLAINED, table, total + ("\n" + bad if bad else "")])
