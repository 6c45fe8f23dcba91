"""Channels that were paused or removed and are read again, and how often each posts and calls by then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handlers.admin.running.reading_menus import REASONS_SHOWN, Looked, card
from handlers.conversation.menus import View
from managers.storage.postgres import PostgresManager
from tests.channels.support import ALPHA, NOW, Kit, mint
from texts import Texts
from texts.markup import join, to_plain

ANN, ADMIN = 912_345_678, 7


async def called_tokens(kit: Kit) -> list[str]:
    return [address for _, address in await kit.called()]


async def read_a_while(kit: Kit) -> None:
    """The channel calls a token, long ago, and one later; then nobody reads it while it calls on."""
    kit.book.post(ALPHA, "gm", NOW - timedelta(days=9))
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(1)}", NOW - timedelta(days=8))
    await kit.look()


@pytest.mark.parametrize("way", ["resumed", "added"])
async def test_of_a_channel_that_was_removed_the_gap_is_not_called(kit: Kit, way: str) -> None:
    await read_a_while(kit)
    await kit.listed.change(ALPHA, "removed", of=("read",))
    for n in range(2, 8):
        kit.book.post(ALPHA, f"CA: {mint(n)}", NOW - timedelta(minutes=30))
    if way == "resumed":
        await kit.listed.change(ALPHA, "read", of=("paused", "removed", "refused"))
    else:
        await kit.listed.add(ALPHA, ADMIN)
    assert (await kit.channel()).read_to is None, "it is told that the first look calls nothing"
    await kit.look()
    assert await called_tokens(kit) == [mint(1)]
    post = await kit.rows.seen(ALPHA, 2)
    assert post is not None
    assert post.understood.verdict == "call", "what was called before is not said to be a repetition"
    kit.book.post(ALPHA, f"CA: {mint(8)} and again {mint(2)}", NOW)
    await kit.look()
    assert await called_tokens(kit) == [mint(1), mint(8)]


async def test_tokens_of_long_ago_are_not_called_again_by_a_channel_that_was_removed(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channels.rows._REMEMBERED_POSTS", 25)
    await read_a_while(kit)
    for n in range(40):
        kit.book.post(ALPHA, f"gm {n}", NOW - timedelta(days=7))
        await kit.look()
    await kit.listed.change(ALPHA, "removed", of=("read",))
    await kit.listed.add(ALPHA, ADMIN)
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
    await kit.look()
    assert await called_tokens(kit) == [mint(1)]


async def test_a_paused_channel_catches_up(kit: Kit) -> None:
    await read_a_while(kit)
    await kit.listed.change(ALPHA, "paused", of=("read",))
    kit.book.post(ALPHA, f"CA: {mint(2)}", NOW)
    await kit.listed.change(ALPHA, "read", of=("paused",))
    assert (await kit.channel()).read_to == 2
    await kit.look()
    assert await called_tokens(kit) == [mint(1), mint(2)]


async def test_posts_and_calls_are_counted_since_it_is_read(kit: Kit, postgres_manager: PostgresManager) -> None:
    await postgres_manager.execute("UPDATE read_channels SET added_at = $1", NOW - timedelta(hours=2))
    kit.book.post(ALPHA, f"CA: {mint(1)}", NOW - timedelta(hours=3))
    await kit.look()
    kit.book.post(ALPHA, f"CA: {mint(2)}", NOW - timedelta(hours=1))
    await kit.look()
    counted = (await kit.listed.counted_each([ALPHA]))[ALPHA]
    assert (counted.posts, counted.since) == (1, NOW - timedelta(hours=2)), "what stood there before is not its rate"
    await postgres_manager.execute("UPDATE read_channels SET added_at = $1", NOW - timedelta(days=70))
    counted = (await kit.listed.counted_each([ALPHA]))[ALPHA]
    assert (counted.posts, counted.since) == (2, NOW - timedelta(days=7))


async def test_a_suggestion_is_in_the_list_since_it_was_taken_up(kit: Kit, postgres_manager: PostgresManager) -> None:
    await kit.listed.suggest("@gems", ANN)
    await postgres_manager.execute("UPDATE read_channels SET added_at = $1", NOW - timedelta(days=1))
    await kit.listed.decide("@gems", ADMIN, is_accepted=True)
    assert (await kit.channel("@gems")).added_at == NOW
    assert (await kit.channel()).added_at == NOW - timedelta(days=1)


async def test_whatever_became_of_posts_is_counted(kit: Kit) -> None:
    texts = (
        *("gm", "", f"CA: {mint(1)}", f"CA: {mint(1)}", "$FROG at 45k", "t.me/+AbCdEfGhIjKl", f"{mint(2)}"),
        *(
            f"https://solscan.io/tx/{mint(3)}{mint(4)}",
            f"CA: {mint(5).lower()}",
            f"https://dexscreener.com/solana/{mint(6)}",
        ),
    )
    for text in texts:
        kit.book.post(ALPHA, text, NOW)
    await kit.look()
    reasons = await kit.listed.reasons(ALPHA)
    assert len(reasons) > REASONS_SHOWN
    assert sum(one.posts for one in reasons) == len(texts)
    counted = (await kit.listed.counted_each([ALPHA]))[ALPHA]
    looked = Looked(posted=counted, records=None, interval_s=None)
    view = View(texts=Texts.load(), language="en")
    said = to_plain(str(join("\n", card(view, await kit.channel(), looked, reasons, None, NOW))))
    more = reasons[REASONS_SHOWN:]
    assert f"… and {len(more)} reason" in said
    assert f"of {sum(one.posts for one in more)} post" in said
