"""The table of channels that are read in `docs/reliability.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.faults.channels.books import ChannelCounts, FigureCounts

PROPERTY: Final = "reliability of channels"
_EXPLAINED: Final = """\
Channels of a seeded market post calls in a dozen styles, and everything else, on pages as Telegram shows them; a
listener in a process of its own reads them, and somebody reads its socket with the cursor of what they have. A *call*
is a channel and a token: *told* those that came over the socket, *lost* those that did not, *twice* those that came
under another id or with another cursor. *Late*: told more than ten minutes after their post, with its time, so that no
bot takes them for new. *Out of order*: told with a cursor that is not above the one before, or by the HTTP side alone.
*Slowest*: from the post to the frame, of calls that what was broken does not stand in the way of (half a second between
two looks at a channel, at least). *Figures*: market caps of tokens, as whoever reads the feed is told them: *right*
within 5 %, *flagged* are wrong and say that another source says otherwise; *asked, p50*: how long the answer took."""
_HEAD: Final = (
    *("what was broken", "posts", "calls", "told", "late", "lost", "twice", "out of order", "slowest"),
    *("figures right", "flagged", "wrong", "unknown", "asked, p50"),
)
_FIGURES: Final = 5


class ChannelRow(Struct, frozen=True, kw_only=True):
    """One scenario."""

    what: str
    counts: ChannelCounts
    figures: FigureCounts | None = None

    @property
    def line(self) -> str:
        return f"{self.what}: {self.counts.line()}" + (f"; {self.figures.line()}" if self.figures else "")


def channels_section(rows: Sequence[ChannelRow], failed: Sequence[str], made_by: str, before: str) -> str:
    """`before`: the section as it stood, where only some scenarios were played: the rows of the others stay."""
    lines = {what: figures for what, *figures in map(_cells, before.splitlines()) if len(figures) == len(_HEAD) - 1}
    lines = {what: figures for what, figures in lines.items() if figures[0].replace(",", "").isdecimal()}
    for row in rows:
        c = row.counts
        counted = (c.posts, c.calls, c.told, c.late, c.lost, c.twice, c.disordered)
        asked = [""] * _FIGURES
        if f := row.figures:
            asked = [*(f"{figure:,}" for figure in (f.right, f.disputed, f.wrong, f.unknown)), f"{f.p50_s:.2f} s"]
        slowest = f"{c.slowest_s:.1f} s" if c.slowest_s else ""
        lines[row.what] = [*(f"{figure:,}" for figure in counted), slowest, *asked]
    cells = [_HEAD, tuple("---" if n == 0 else "---:" for n in range(len(_HEAD)))]
    cells += [(what, *figures) for what, figures in sorted(lines.items())]
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    _, calls, _, _, lost, twice, disordered = (
        sum(int(figure.replace(",", "")) for figure in column)
        for column in zip(*(figures[:7] for figures in lines.values()), strict=True)
    )
    total = f"{calls:,} calls in {len(lines)} scenarios: {lost:,} lost, {twice:,} twice, {disordered:,} out of order."
    bad = "".join(f"\n- failed: `{name}`" for name in failed)
    return "\n\n".join([made_by, _EXPLAINED, table, total + ("\n" + bad if bad else "")])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split(" | ")]
