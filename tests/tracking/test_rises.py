"""How high a followed call has risen is written down soon, wherever it stands between two rungs, and never falls."""

from __future__ import annotations

import pytest

from services.tracking.book import CHUNKS
from services.tracking.endings import Seen
from services.tracking.rises import Rises
from services.tracking.rows import moment
from tests.tracking.kit import Desk


async def peaks(desk: Desk) -> list[float | None]:
    rows = await desk.postgres.fetch("SELECT peak_multiple FROM outcomes ORDER BY number")
    return [row["peak_multiple"] and round(row["peak_multiple"], 2) for row in rows]


async def noted(desk: Desk, rises: Rises) -> int:
    """Let every part have its turn."""
    assert desk.tracking.book is not None
    return sum([await rises.note(desk.tracking.book) for _ in range(CHUNKS)])


@pytest.fixture
async def rises(desk: Desk) -> Rises:
    await desk.tracking.take_over()
    await desk.call("c1")
    await desk.tracking.round()
    return Rises(desk.postgres, desk.clock)


async def test_what_lies_between_two_rungs_is_written_for_every_call_that_saw_it(desk: Desk, rises: Rises) -> None:
    assert await noted(desk, rises) == 0
    desk.rise(2.4)
    await desk.call("c2", price_usd=2.4)
    await desk.call("c3", token=1)
    await desk.tell()
    assert await noted(desk, rises) == 1
    desk.rise(2.9)
    desk.rise(1.0)
    await desk.tell()
    assert await noted(desk, rises) == 2, "the later call of the same token has seen it, too"
    assert await peaks(desk) == [2.9, 1.21, None]
    assert await noted(desk, rises) == 0, "nothing has risen since"


async def test_who_goes_on_knows_the_highest_that_is_written(desk: Desk, rises: Rises) -> None:
    await desk.tracking.sweep()
    desk.rise(2.9)
    await desk.tell()
    await noted(desk, rises)
    desk.restart()  # without having written a part since
    book = await desk.tracking.take_over()
    [standing] = book.tracker.standings(book.tracker.number_of(book.tracker.addresses[0]))
    assert standing.peak_multiple == pytest.approx(2.9)


async def test_no_end_makes_a_peak_smaller(desk: Desk, rises: Rises) -> None:
    desk.rise(2.9)
    await desk.tell()
    await noted(desk, rises)
    lower = Seen(
        number=1,
        peak_multiple=2.0,
        peak_at=desk.clock().timestamp(),
        at_least=False,
        wick_multiple=None,
        returns={},
        ending="age",
    )
    before = await desk.postgres.fetch_row("SELECT peak_at FROM outcomes")
    await desk.tracking._endings._write([lower], moment(lower.peak_at))  # pyright: ignore[reportPrivateUsage]
    assert await peaks(desk) == [2.9]
    assert await desk.postgres.fetch_row("SELECT peak_at FROM outcomes") == before
