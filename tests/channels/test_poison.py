"""What cannot be read, stored or understood any more costs itself, and nobody forgets it without a word."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from domain.posts.post import Post
from managers.storage.postgres import PostgresManager
from services.channels.paging import Reading
from services.channels.rows import GIVEN_UP_AFTER, ChannelRows
from services.channels.taking import TakingService
from tests.channels.support import ALPHA, NOW, Kit, mint

TOO_HIGH = 2**70
"""No number of a post that a row could hold."""


def named(number: int, seed: int) -> tuple[str, str]:
    return f"t.me/alpha/{number}/{mint(seed)}", mint(seed)


@pytest.mark.parametrize("spoilt", ["", "{", '{"verdict": "call"}', '{"verdict": "call", "reason": "of tomorrow"}'])
async def test_what_was_made_of_a_post_and_cannot_be_read_any_more_costs_that_post(
    kit: Kit, postgres_manager: PostgresManager, spoilt: str
) -> None:
    await kit.look()
    first = kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    await kit.look()
    await postgres_manager.execute("UPDATE read_posts SET understood = $1", spoilt)
    kit.taking.forget(ALPHA)
    kit.book.post(ALPHA, f"CA: {mint(2)}", NOW)
    await kit.look()
    assert len(kit.rows.unreadable) == 1
    seen = await kit.rows.seen(ALPHA, 1)
    assert seen is not None
    assert (seen.understood.verdict, seen.understood.reason) == ("call", "address_after_label")
    kit.book.edit(first, f"CA: {mint(1)} and {mint(3)}", NOW)
    await kit.look()
    assert await kit.called() == [named(1, 1), named(2, 2)]


async def test_neither_a_call_nor_a_wait_nor_a_channel_that_cannot_be_read_any_more_stops_the_others(
    kit: Kit, postgres_manager: PostgresManager
) -> None:
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    for seed in (50, 51):
        kit.book.post(ALPHA, f"https://dexscreener.com/solana/{mint(seed)}", NOW)
    await kit.look()
    await postgres_manager.execute("UPDATE channel_calls SET frame = '{'")
    await postgres_manager.execute("UPDATE unresolved_calls SET document = '[]' WHERE number = 2")
    await postgres_manager.execute("INSERT INTO read_channels (channel, state, added_at) VALUES ('@x', '?', now())")
    seen = await kit.rows.seen(ALPHA, 1)
    assert seen is not None
    assert await kit.rows.calls_of(ALPHA, seen) == []
    assert [call.number for call, _ in await kit.rows.unresolved(9, NOW)] == [3]
    assert (await kit.rows.waiting()).calls == 2, "another version may be able to read it"
    assert [call.number for call, _ in await kit.rows.unresolved(9, NOW + 2 * GIVEN_UP_AFTER)] == [3]
    assert (await kit.rows.waiting()).calls == 1
    assert [one.channel for one in await kit.rows.all()] == [ALPHA]
    assert await kit.rows.find("@x") is None
    assert len(kit.rows.unreadable) == 3, "each is counted, and said, once"


async def test_a_post_that_the_store_refuses_costs_itself(kit: Kit) -> None:
    await kit.look()
    posts = [kit.book.post(ALPHA, f"CA: {mint(n)}", NOW) for n in range(3)]
    poison = kit.book.post(ALPHA, f"CA: {mint(9)}", NOW)
    kit.book.posts[ALPHA][-1] = type(poison)(
        channel=ALPHA, number=TOO_HIGH, runs=poison.runs, posted_at=poison.posted_at
    )
    await kit.look()
    assert await kit.called() == [named(post.number, post.number - 1) for post in posts]
    assert kit.taking.refused == 1
    assert (await kit.channel()).read_to == 3


async def test_what_the_store_refuses_of_a_post_is_noted_and_passed(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something in a post's text that nobody has thought of."""

    def as_it_is(post: Post) -> Post:
        return post

    monkeypatch.setattr("services.channels.taking.readable", as_it_is)
    monkeypatch.setattr("services.channels.rows._encode", with_nul)
    await kit.look()
    kit.book.post(ALPHA, f"\0 {mint(1)}", NOW)
    kit.book.post(ALPHA, f"CA: {mint(2)}", NOW)
    for _ in range(3):
        await kit.look()
    assert await kit.called() == [named(2, 2)]
    assert kit.taking.refused == 1
    seen = await kit.rows.seen(ALPHA, 1)
    assert seen is not None
    assert (seen.understood.verdict, seen.understood.reason) == ("none", "unreadable")


def with_nul(thing: object) -> bytes:
    """JSON in which NUL stays what it is, which no text column takes."""
    written = msgspec.json.encode(thing)
    return written + (b"\0" if mint(1).encode() in written else b"")


async def test_a_post_that_can_be_read_later_is_called_then_at_its_own_time(kit: Kit) -> None:
    kit.book.post(ALPHA, f"CA: {mint(100)}", NOW - timedelta(days=1))
    kit.book.hidden = {1}
    await kit.look()
    at = NOW - timedelta(hours=1)
    late = kit.book.post(ALPHA, f"CA: {mint(1)}", at)
    kit.book.hidden.add(late.number)
    kit.book.post(ALPHA, f"CA: {mint(2)}", NOW)
    await kit.look()
    assert await kit.called() == [named(3, 2)]
    seen = await kit.rows.seen(ALPHA, 2)
    assert seen is not None
    assert seen.understood.reason == "unreadable"
    kit.taking = TakingService(
        rows=ChannelRows(kit.rows._postgres),  # pyright: ignore[reportPrivateUsage]
        resolver=kit.taking._resolver,  # pyright: ignore[reportPrivateUsage]
        clock=lambda: NOW,
        written=kit.history.wake,
    )
    kit.book.hidden = set()
    await kit.look()
    await kit.look()
    assert await kit.called() == [named(3, 2), named(2, 1)], "what stood there before the first look stays what it was"
    frame = (await kit.history.since(0, 9))[-1].frame
    assert f'"called_at":"{at:%Y-%m-%dT%H:%M:%SZ}"' in frame
    seen = await kit.rows.seen(ALPHA, 2)
    assert seen is not None
    assert (seen.posted_at, seen.understood.verdict) == (at, "call")


async def test_one_that_was_read_before_and_cannot_be_now_is_nothing_new(kit: Kit) -> None:
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    await kit.look()
    kit.book.hidden = {1}
    assert (await kit.look()).revision == (await kit.channel()).revision
    kit.book.hidden = set()
    await kit.look()
    assert await kit.called() == [named(1, 1)]


async def test_reading_nothing_but_what_cannot_be_read_goes_on(kit: Kit) -> None:
    await kit.look()
    row = await kit.taking.take(await kit.channel(), Reading(unread=[1, 2]))
    assert row.read_to == 2
