"""The table of milestones in `docs/reliability.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.faults.tracking.books import TrackingCounts

PROPERTY: Final = "reliability of tracking"
_EXPLAINED: Final = """\
Tokens are called, rise, fall and die in a seeded market, on a clock that bot and sandbox share and that runs some
ten thousand times faster than the machine's. Each *call* has an outcome in the end (peak, returns after an hour, a day
and a week, how it ended): *right* are those of which PostgreSQL says what a plain program finds in the raw ticks.
A *milestone* is a rung of which a person has to be told; *told* those that came as a reply to the alert, alone or with
a higher one, *lost* those that did not. *Twice*: came again as if for the first time; *again*: came once more and say
so, *at most* how many the scenario allows; *false*: of a rung that was not reached, or in reply to something else."""
_HEAD: Final = (
    *("what was broken", "calls", "ended", "right", "milestones", "told", "lost", "twice", "false", "again", "at most"),
)


class TrackingRow(Struct, frozen=True, kw_only=True):
    """One scenario."""

    what: str
    counts: TrackingCounts
    repeats: int
    """Milestones that may come again, at most."""

    @property
    def line(self) -> str:
        return f"{self.what}: {self.counts.line()} (at most {self.repeats} milestones again)"


def tracking_section(rows: Sequence[TrackingRow], failed: Sequence[str], made_by: str, before: str) -> str:
    """`before`: the section as it stood, where only some scenarios were played: the rows of the others stay."""
    lines = {what: figures for what, *figures in map(_cells, before.splitlines()) if len(figures) == len(_HEAD) - 1}
    lines = {what: figures for what, figures in lines.items() if figures[0].replace(",", "").isdecimal()}
    for row in rows:
        c = row.counts
        figures = (c.calls, c.ended, c.right, c.expected, c.told, c.lost, c.twice, c.false, c.again, row.repeats)
        lines[row.what] = [f"{figure:,}" for figure in figures]
    cells = [_HEAD, tuple("---" if n == 0 else "---:" for n in range(len(_HEAD)))]
    cells += [(what, *figures) for what, figures in sorted(lines.items())]
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    bad = "".join(f"\n- failed: `{name}`" for name in failed)
    return "\n\n".join([made_by, _EXPLAINED, table, _total(list(lines.values())) + ("\n" + bad if bad else "")])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def _total(lines: Sequence[Sequence[str]]) -> str:
    _, _, _, expected, _, lost, twice, false, again, may = (
        sum(int(figure.replace(",", "")) for figure in column) for column in zip(*lines, strict=True)
    )
    said = f"{expected:,} milestones in {len(lines)} scenarios: {lost:,} lost, {twice:,} twice, {false:,} false. "
    return said + f"{again:,} came again, of {may:,} that may have, each marked as a possible repeat."
