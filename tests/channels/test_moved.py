"""A channel that has another name, and a name that another channel has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.channels.identity import is_another
from domain.posts.post import Post, Run
from managers.channels.base import ChannelClosedError, Page
from tests.channels.support import ALPHA, NOW, Kit, mint
from tests.channels.test_polling import polling, until

DAY = timedelta(days=1)


def took_over(kit: Kit, *, numbers: range, seed: int, until: datetime) -> None:
    """Somebody else has the name: posts of theirs stand where those of the channel stood."""
    kit.book.posts[ALPHA] = [
        Post(
            channel=ALPHA,
            number=number,
            runs=(Run(f"CA: {mint(seed + place)}"),),
            posted_at=until - timedelta(hours=2) * (len(numbers) - 1 - place),
        )
        for place, number in enumerate(numbers)
    ]


async def read(kit: Kit, count: int = 60) -> None:
    """Let the channel have called for a while."""
    for n in range(count):
        kit.book.post(ALPHA, f"gm {n}", NOW - DAY - timedelta(hours=count - n))
        if n % 20 == 0:
            await kit.look()
    await kit.look()


@pytest.mark.parametrize(
    "numbers", [range(1, 6), range(30, 60), range(41, 62), range(55, 75), range(61, 81), range(5_000, 5_040)], ids=str
)
async def test_nothing_of_another_channel_is_called_under_the_name(kit: Kit, numbers: range) -> None:
    await read(kit)
    took_over(kit, numbers=numbers, seed=100, until=NOW)
    with pytest.raises(ChannelClosedError) as error:
        await kit.look()
    assert error.value.why == "replaced"
    assert await kit.called() == []


async def test_who_takes_the_name_within_the_hour_is_somebody_else(kit: Kit) -> None:
    """A name that falls free is taken fast."""
    for n in range(29):
        kit.book.post(ALPHA, f"gm {n}", NOW - timedelta(minutes=60 - n))
        if n % 10 == 0:
            await kit.look()
    await kit.look()
    kit.book.posts[ALPHA] = []
    for n in range(1, 4):
        kit.book.post(ALPHA, f"CA: {mint(100 + n)}", NOW - timedelta(minutes=5 - n))
    with pytest.raises(ChannelClosedError) as error:
        await kit.look()
    assert error.value.why == "replaced"
    assert await kit.called() == []


async def test_a_channel_that_deletes_what_it_posted_is_still_itself(kit: Kit) -> None:
    await read(kit)
    del kit.book.posts[ALPHA][10:]
    kit.book.posts[ALPHA].append(Post(channel=ALPHA, number=61, runs=(Run(f"CA: {mint(1)}"),), posted_at=NOW))
    await kit.look()
    assert [address for _, address in await kit.called()] == [mint(1)]


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=20)])
async def test_a_post_from_the_future_makes_nobody_another(kit: Kit, ahead: timedelta) -> None:
    await read(kit)
    kit.book.post(ALPHA, "back soon", NOW + ahead)
    await kit.look()
    await kit.rows._postgres.execute("UPDATE read_channels SET last_post_at = $1", NOW + ahead)  # pyright: ignore[reportPrivateUsage]
    for seed in range(3):
        kit.book.post(ALPHA, f"CA: {mint(seed)}", NOW)
        row = await kit.look()
        assert row.last_post_at == (await kit.channel()).last_post_at == NOW
    assert len(await kit.called()) == 3
    took_over(kit, numbers=range(1, 6), seed=100, until=NOW)
    with pytest.raises(ChannelClosedError):
        await kit.look()


class Once:
    """Reads a book; of one channel it gives somebody else's page so many times."""

    name = "once"

    def __init__(self, kit: Kit, wrong: Callable[[], Page], times: int) -> None:
        self._kit = kit
        self._wrong = wrong
        self.left = times

    async def newest(self, channel: str) -> Page:
        page = await self._kit.book.newest(channel)
        if not self.left:
            return page
        self.left -= 1
        return self._wrong()

    async def before(self, channel: str, number: int) -> Page:
        return await self._kit.book.before(channel, number)


def moved() -> Page:
    raise ChannelClosedError(ALPHA, "moved", now="@beta")


def replaced() -> Page:
    posts = [Post(channel=ALPHA, number=n, runs=(Run("hi"),), posted_at=NOW - timedelta(days=30)) for n in (70, 71, 72)]
    return Page(channel=ALPHA, posts=tuple(posts))


@pytest.mark.parametrize("wrong", [moved, replaced])
@pytest.mark.parametrize("times", [1, 2])
async def test_one_page_of_another_channel_is_not_believed_and_two_are(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[], Page], times: int
) -> None:
    monkeypatch.setattr("services.channels.polling.DOUBTED_AGAIN_S", 0.05)
    await read(kit)
    once = Once(kit, wrong, times)
    async with polling(kit, reader=once) as service:
        if times == 1:
            kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
            await until(lambda: kit.taking.calls == 1)
            assert (await kit.channel()).problem is None
            assert service.counts.failed == 1
        else:
            while (await kit.channel()).problem != wrong.__name__:
                pass
            asked = kit.book.asked[ALPHA]
            assert asked >= 2
    assert not once.left


async def test_admins_see_it_and_may_have_the_other_one_read(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    await read(kit)
    took_over(kit, numbers=range(1, 6), seed=100, until=NOW)
    monkeypatch.setattr("services.channels.polling.DOUBTED_AGAIN_S", 0.05)
    async with polling(kit):
        while (await kit.channel()).problem != "replaced":
            pass
    await kit.listed.change(ALPHA, "paused", of=("read",))
    assert (await kit.channel()).problem == "replaced"
    await kit.listed.change(ALPHA, "read", of=("paused",))
    await kit.look()
    assert await kit.called() == [], "the first look calls nothing"
    kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    after = await kit.look()
    assert [address for _, address in await kit.called()] == [mint(1)]
    assert (after.problem, after.read_to) == (None, 6)


async def test_the_new_name_of_a_channel_is_noted_as_long_as_it_is_elsewhere(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channels.polling.DOUBTED_AGAIN_S", 0.05)
    kit.book.problems[ALPHA] = ChannelClosedError(ALPHA, "moved", now="@beta")
    async with polling(kit):
        while (await kit.channel()).problem is None:
            pass
    found = await kit.channel()
    assert (found.problem, found.moved_to) == ("moved", "@beta")
    del kit.book.problems[ALPHA]
    assert (await kit.look()).moved_to is None
    assert (await kit.channel()).moved_to is None


@given(
    steps=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10**6)), min_size=2, max_size=60),
    seen=st.integers(1, 60),
    gone=st.sets(st.integers(0, 60)),
)
def test_a_channel_is_always_itself(steps: list[tuple[int, int]], seen: int, gone: set[int]) -> None:
    """Whatever was deleted, and however little of it was read."""
    number, at, posts = 0, NOW, list[tuple[int, datetime]]()
    for more, seconds in steps:
        number, at = number + more, at + timedelta(seconds=seconds)
        posts.append((number, at))
    was_read = posts[:seen]
    shown = [post for place, post in enumerate(posts) if place not in gone]
    assert not is_another(*was_read[-1], dict(was_read[-5:]), shown, now=at)
    assert not is_another(*was_read[-1], dict(was_read[-5:]), shown, now=NOW), "whatever its posts say of the time"
