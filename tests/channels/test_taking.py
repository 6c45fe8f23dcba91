from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from domain.posts.counting import MIN_POSTS
from domain.posts.post import Post
from managers.storage.postgres import PostgresManager
from services.channels.paging import Reading
from services.channels.rows import ReadElsewhereError
from tests.channels.support import ALPHA, NOW, Kit, mint


def said(post: Post, address: str) -> tuple[str, str]:
    return f"t.me/{post.channel[1:]}/{post.number}/{address}", address


async def test_what_stood_there_before_the_first_look_calls_nothing_and_is_known(kit: Kit) -> None:
    kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    await kit.look()
    assert await kit.called() == []
    kit.book.post(ALPHA, f"still like it {mint(1)}", NOW)
    new = kit.book.post(ALPHA, f"CA: {mint(2)}", NOW)
    await kit.look()
    assert await kit.called() == [said(new, mint(2))]


async def test_a_post_is_taken_once_however_often_it_is_read(kit: Kit) -> None:
    await kit.look()
    post = kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    for _ in range(3):
        await kit.look()
    kit.taking.forget(ALPHA)
    await kit.look()
    assert await kit.called() == [said(post, mint(1))]


async def test_an_address_that_an_edit_inserts_is_called_at_the_time_of_the_edit(kit: Kit) -> None:
    await kit.look()
    post = kit.book.post(ALPHA, "address in a minute", NOW - timedelta(minutes=5))
    await kit.look()
    kit.book.edit(post, f"CA: {mint(1)}", NOW)
    await kit.look()
    [kept] = await kit.history.since(0, 10)
    frame = json.loads(kept.frame)
    assert (frame["called_at"], frame["link"]) == ("2026-11-30T12:00:00Z", "https://t.me/alpha/1")
    kit.book.edit(kit.book.posts[ALPHA][0], f"CA: {mint(1)} (typo mended)", NOW)
    await kit.look()
    assert len(await kit.called()) == 1


async def test_a_channel_whose_addresses_come_by_an_edit_is_not_silent(kit: Kit) -> None:
    for number in range(1, 11):
        kit.book.post(ALPHA, f"CA: {mint(number)}", NOW)
    await kit.look()
    for _ in range(MIN_POSTS):
        kit.book.post(ALPHA, "$FROG is next, be ready", NOW)
    await kit.look()
    assert kit.taking.silent(ALPHA) == "symbol_only"
    post = kit.book.post(ALPHA, "CA in 10 seconds", NOW)
    await kit.look()
    assert kit.taking.silent(ALPHA) == "symbol_only"
    kit.book.edit(post, f"CA: {mint(11)}", NOW)
    await kit.look()
    assert await kit.called() == [said(post, mint(11))]
    assert kit.taking.silent(ALPHA) is None, "over with the channel's next call"


async def test_what_called_and_was_edited_since_has_called_after_a_restart_too(kit: Kit) -> None:
    posts = [kit.book.post(ALPHA, f"CA: {mint(number)}", NOW) for number in range(1, 11)]
    await kit.look()
    for _ in range(MIN_POSTS):
        kit.book.post(ALPHA, "$FROG is next, be ready", NOW)
    posts.append(kit.book.post(ALPHA, f"CA: {mint(11)}", NOW))
    await kit.look()
    for number in (10, 11):
        kit.book.edit(posts[number - 1], f"5x done!\nCA: {mint(number)}", NOW)
    await kit.look()
    assert kit.taking.silent(ALPHA) is None
    kit.taking.forget(ALPHA)
    await kit.look()
    assert kit.taking.silent(ALPHA) is None


async def test_who_reads_by_an_older_state_writes_nothing(kit: Kit) -> None:
    await kit.look()
    stale = await kit.channel()
    post = kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(2)}", NOW)
    with pytest.raises(ReadElsewhereError):
        await kit.taking.take(stale, Reading(posts=(await kit.book.newest(ALPHA)).posts))
    assert await kit.called() == [said(post, mint(1))]
    await kit.look()
    assert len(await kit.called()) == 2


async def test_cursors_become_visible_in_their_order(kit: Kit) -> None:
    names = [f"@channel{n}" for n in range(8)]
    await kit.listed.configured(names)
    for name in names:
        await kit.look(name)

    async def write(name: str, seed: int) -> None:
        for n in range(10):
            kit.book.post(name, f"CA: {mint(1000 * seed + n)}", NOW)
            await kit.look(name)

    async def follow() -> list[int]:
        seen: list[int] = []
        while len(seen) < 80:
            seen += [kept.cursor for kept in await kit.history.since(seen[-1] if seen else 0, 7)]
            await asyncio.sleep(0)
        return seen

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for seed, name in enumerate(names):
            group.create_task(write(name, seed))
        follower = group.create_task(follow())
    assert follower.result() == [kept.cursor for kept in await kit.history.since(0, 1000)]
    assert await kit.history.newest() == follower.result()[-1]


async def test_a_post_that_shows_after_one_with_a_higher_number_is_called(kit: Kit) -> None:
    kit.book.post(ALPHA, "gm", NOW - timedelta(days=1))
    await kit.look()
    late = [kit.book.post(ALPHA, f"CA: {mint(n)}", NOW) for n in (1, 2)]
    newer = kit.book.post(ALPHA, f"CA: {mint(3)}", NOW)
    kit.book.by_the_app = {post.number for post in late}
    await kit.look()
    kit.taking.forget(ALPHA)
    kit.book.by_the_app = set()
    for _ in range(2):
        await kit.look()
    assert await kit.called() == [said(newer, mint(3)), said(late[0], mint(1)), said(late[1], mint(2))]
    assert (await kit.channel()).read_to == newer.number


async def test_what_shows_late_and_is_old_stood_there_before_the_first_look(kit: Kit) -> None:
    kit.book.post(ALPHA, "gm", NOW - timedelta(days=1))
    old = kit.book.post(ALPHA, f"CA: {mint(1)}", NOW - timedelta(hours=1))
    kit.book.by_the_app = {old.number}
    kit.book.post(ALPHA, "gm", NOW)
    await kit.look()
    kit.book.by_the_app = set()
    await kit.look()
    assert await kit.called() == []


@pytest.mark.parametrize(
    "text", ["\0 {}", "\ud800 {}", "\u202e {} \u200b", "{} " + "x" * 9_000, "<b>{}</b> ' \" \\ %s"]
)
async def test_hostile_posts_are_taken_like_any_other(kit: Kit, text: str) -> None:
    await kit.look()
    kit.book.title = "\0\udfff" + "t" * 500
    post = kit.book.post(ALPHA, text.format(mint(1)), NOW)
    await kit.look()
    await kit.look()
    assert await kit.called() == [said(post, mint(1))]


async def test_what_is_stored_of_a_post_or_a_call_and_cannot_be_read_costs_itself(
    kit: Kit, postgres_manager: PostgresManager
) -> None:
    await kit.look()
    posts = [kit.book.post(ALPHA, f"CA: {mint(number)}", NOW) for number in (1, 2, 3)]
    await kit.look()
    await postgres_manager.execute("UPDATE read_posts SET understood = '5' WHERE number = $1", posts[1].number)
    kit.taking.forget(ALPHA)
    posts.append(kit.book.post(ALPHA, f"CA: {mint(4)}", NOW))
    await kit.look()
    assert await kit.called() == [said(post, mint(number)) for number, post in enumerate(posts, start=1)]
    await postgres_manager.execute(
        "INSERT INTO unresolved_calls SELECT '@alpha', n, 'P', $1, $1, CASE WHEN n = 8 THEN '{}' ELSE"
        ' \'{"channel":"@alpha","number":\' || n || \',"address":"P","chain":null,"is_pool":true,'
        '"called_at":"2026-11-30T12:00:00Z"}\' END FROM generate_series(7, 9) n',
        NOW,
    )
    for _ in range(2):
        assert {one.number for one, _ in await kit.rows.unresolved(10, NOW)} == {7, 9}
    assert len(await postgres_manager.fetch("SELECT 1 FROM unresolved_calls")) == 3
