"""Paging back to what was read before: stopped in the middle it goes on from there, and what it leaves out is said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from managers.channels.base import BlockedError, Page
from managers.http.answers import FailedError, ForeignAnswerError
from runtime.errors import TransientError
from services.channels.paging import GIVES_UP_AFTER, PagesBack, Reading
from tests.channels.channel_book import ChannelBook
from tests.channels.support import ALPHA, NOW, Kit, mint
from tests.channels.test_polling import polling, until

STOPS = [BlockedError("429"), ForeignAnswerError("a proxy's page"), FailedError("no answer within 10 s")]


class Way:
    """Reads a book back, and is stopped after so many pages."""

    def __init__(self, posts: int) -> None:
        self.book = ChannelBook()
        self.now = NOW
        self.back = PagesBack(lambda: self.now)
        self.left = 1_000
        self.stop: TransientError = STOPS[0]
        for _ in range(posts):
            self.post()

    def post(self) -> None:
        self.book.post(ALPHA, "gm", NOW)

    async def read(self, read_to: int) -> Reading:
        return await self.back.read(read_to, await self.book.newest(ALPHA), self._before)

    async def _before(self, number: int) -> Page:
        if not self.left:
            raise self.stop
        self.left -= 1
        return await self.book.before(ALPHA, number)


def numbers(reading: Reading) -> list[int]:
    return [post.number for post in reading.posts]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
async def test_what_was_read_before_somebody_stopped_us_is_kept(stop: TransientError) -> None:
    way = Way(205)
    way.stop, way.left = stop, 5
    with pytest.raises(type(stop)):
        await way.read(5)
    way.left = 4
    assert numbers(await way.read(5)) == list(range(6, 206)), "five pages before, four after, and the newest"


@pytest.mark.parametrize("stop", STOPS[1:], ids=lambda stop: type(stop).__name__)
async def test_what_is_newer_is_not_withheld_for_ever_by_a_page_that_fails(stop: TransientError) -> None:
    way = Way(205)
    way.stop, way.left = stop, 2
    for minutes in (0, 2, 4):
        way.now = NOW + timedelta(minutes=minutes)
        with pytest.raises(type(stop)):
            await way.read(5)
    way.now = NOW + GIVES_UP_AFTER
    reading = await way.read(5)
    assert reading.is_cut
    assert numbers(reading) == list(range(146, 206)), "the newest page and the two that came"


async def test_whoever_asks_us_to_wait_is_waited_for_however_long_that_is() -> None:
    way = Way(205)
    way.left = 0
    for hours in range(3):
        way.now = NOW + timedelta(hours=hours)
        with pytest.raises(BlockedError):
            await way.read(5)


@pytest.mark.parametrize("more", [1, 19, 20, 21, 70])
async def test_what_is_posted_while_we_are_stopped_joins_what_was_kept(more: int) -> None:
    way = Way(205)
    for pages in (3, 2):
        way.left = pages
        with pytest.raises(BlockedError):
            await way.read(5)
    for _ in range(more):
        way.post()
    way.left = 1_000
    asked = way.book.asked[ALPHA]
    assert numbers(await way.read(5)) == list(range(6, 206 + more))
    assert way.book.asked[ALPHA] - asked <= 1 + more // 20 + 1 + 4 + 1


async def test_posts_that_are_deleted_meanwhile_do_not_keep_what_was_read_apart() -> None:
    way = Way(205)
    way.left = 5
    with pytest.raises(BlockedError):
        await way.read(5)
    way.post()
    del way.book.posts[ALPHA][180:205]
    way.left = 1_000
    assert numbers(await way.read(5))[-1] == 206
    assert set(range(6, 181)) <= {*numbers(await way.read(5))}


async def test_numbers_of_what_could_not_be_read_on_the_way_are_told() -> None:
    way = Way(100)
    way.book.hidden = {3, 30, 95}
    reading = await way.read(5)
    assert {*range(6, 101)} - way.book.hidden <= {*numbers(reading)}
    assert {30, 95} <= {*reading.unread}


@pytest.mark.parametrize("unread", [0, 2, 20])
async def test_what_lies_below_a_page_on_which_no_post_can_be_read_is_read(kit: Kit, unread: int) -> None:
    kit.book.post(ALPHA, "gm", NOW - timedelta(hours=2))
    await kit.look()
    for n in range(15):
        kit.book.post(ALPHA, f"CA: {mint(n)}", NOW)
    last = [kit.book.post(ALPHA, "Alpha pinned a photo", NOW).number for _ in range(20)]
    kit.book.hidden, kit.book.by_the_app = set(last[20 - unread :]), set(last[: 20 - unread])
    async with polling(kit):
        await until(lambda: kit.taking.calls == 15)
    assert [call for _, call in await kit.called()] == [mint(n) for n in range(15)]


async def test_what_was_kept_of_a_gap_outlives_a_page_without_posts() -> None:
    way = Way(205)
    way.left = 5
    with pytest.raises(BlockedError):
        await way.read(5)
    shown = await way.back.read(5, Page(channel=ALPHA), way._before)  # pyright: ignore[reportPrivateUsage]
    assert not shown.posts
    way.left = 4
    assert numbers(await way.read(5)) == list(range(6, 206))


async def test_a_gap_that_is_longer_than_anybody_reads_is_said(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.channels.paging.MAX_POSTS_BACK", 40)
    await kit.look()
    first = kit.book.post(ALPHA, "gm", NOW - timedelta(hours=2))
    await kit.look()
    for n in range(60):
        kit.book.post(ALPHA, f"CA: {mint(n)}", NOW - timedelta(hours=1))
    async with polling(kit) as service:
        await until(lambda: kit.taking.calls == 40)
        assert service.counts.cut == 1
    assert [call for _, call in await kit.called()] == [mint(n) for n in range(20, 60)]
    assert (await kit.channel()).gap_at == NOW
    assert first.number == 1


async def test_a_block_in_the_middle_of_a_gap_costs_no_page_twice_and_no_call(kit: Kit) -> None:
    await kit.look()
    kit.book.post(ALPHA, "gm", NOW - timedelta(hours=2))
    await kit.look()
    for n in range(150):
        kit.book.post(ALPHA, f"CA: {mint(n)}", NOW - timedelta(hours=1))
    kit.book.stops_after = 5
    async with polling(kit) as service:
        await until(lambda: service.counts.blocked > 0)
        kit.book.stops_after = None
        await until(lambda: kit.taking.calls == 150)
        assert service.counts.paged_back == 7
    assert [call for _, call in await kit.called()] == [mint(n) for n in range(150)]
