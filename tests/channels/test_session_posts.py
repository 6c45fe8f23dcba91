"""What an account is told becomes posts: Telegram's own objects, as they come off the wire."""

# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownParameterType=false

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from telethon import types

from domain.posts.post import Button, ForwardedFrom, Post, Run
from domain.posts.understanding import understand
from managers.channels.session_posts import post_of
from tests.channels.support import NOW, mint
from tests.channels.telegram_account import Telegram, wire

ALPHA = "@alpha"


def read(text: str = "gm", chats: tuple[Any, ...] = (), **more: Any) -> Post:
    message = Telegram().message(ALPHA, 7, text, NOW, **more)
    post = post_of(wire(message), ALPHA, chats)
    assert post is not None
    return post


def test_text_code_and_links_are_cut_by_utf16_units() -> None:
    text = f"🚀🐸 CA: {mint(1)} chart"
    start = len("🚀🐸 CA: ".encode("utf-16-le")) // 2
    post = read(
        text,
        entities=[
            types.MessageEntityBold(0, 4),
            types.MessageEntityCode(start, len(mint(1))),
            types.MessageEntityTextUrl(start + len(mint(1)) + 1, 5, "https://dexscreener.com/solana/x"),
        ],
    )
    assert post.runs == (
        Run("🚀🐸 CA: "),
        Run(mint(1), is_code=True),
        Run(" "),
        Run("chart", link="https://dexscreener.com/solana/x"),
    )
    assert (post.channel, post.number, post.posted_at, post.edited_at) == (ALPHA, 7, NOW, None)


def test_buttons_have_their_targets_and_those_that_ask_a_bot_are_none() -> None:
    markup = types.ReplyInlineMarkup(
        [
            types.KeyboardInlineButtonRow(
                [
                    types.KeyboardInlineButton("Buy", types.InlineButtonTypeUrl(f"https://t.me/b?start={mint(2)}")),
                    types.KeyboardInlineButton("CA", types.InlineButtonTypeCopy(mint(2))),
                    types.KeyboardInlineButton("Vote", types.InlineButtonTypeCallback(b"1")),
                ]
            )
        ]
    )
    post = read("New gem", reply_markup=markup)
    assert post.buttons == (Button("Buy", f"https://t.me/b?start={mint(2)}"), Button("CA", mint(2)))
    assert [token.address for token in understand(post, earlier=frozenset()).calls] == [mint(2)]


def test_a_forward_tells_where_it_was_written() -> None:
    hour_ago = NOW - timedelta(hours=1)
    header = types.MessageFwdHeader(date=hour_ago, from_id=types.PeerChannel(1_000), channel_post=12)
    origin = wire(Telegram().chat("@origin"))
    assert read(fwd_from=header, chats=(origin,)).forwarded_from == ForwardedFrom(
        channel="@origin", title="Origin", number=12, posted_at=hour_ago
    )
    assert read(fwd_from=header).forwarded_from == ForwardedFrom(number=12, posted_at=hour_ago)
    hidden = types.MessageFwdHeader(date=hour_ago, from_name="Somebody")
    assert read(fwd_from=hidden).forwarded_from == ForwardedFrom(title="Somebody", posted_at=hour_ago)


def test_an_edit_has_its_time_unless_telegram_itself_hides_it() -> None:
    later = NOW + timedelta(minutes=5)
    assert read(edit_date=later).edited_at == later
    assert read(edit_date=later, edit_hide=True).edited_at is None


def test_an_album_is_a_post_for_each_picture_and_one_of_them_has_the_text() -> None:
    telegram, photo = Telegram(), types.MessageMediaPhoto()
    album = [telegram.message(ALPHA, n, "CA" if n == 5 else "", NOW, media=photo, grouped_id=9) for n in (5, 6)]
    assert [(post.number, post.runs) for one in album if (post := post_of(wire(one), ALPHA, ()))] == [
        (5, (Run("CA"),)),
        (6, ()),
    ]


def test_what_the_app_says_is_no_post_and_what_has_nothing_is_unreadable() -> None:
    pinned = types.MessageService(
        id=3, peer_id=types.PeerChannel(1_000), date=NOW, action=types.MessageActionPinMessage()
    )
    assert post_of(wire(pinned), ALPHA, ()) is None
    assert post_of(wire(types.MessageEmpty(4, types.PeerChannel(1_000))), ALPHA, ()) is None
    with pytest.raises(ValueError, match="neither text"):
        read("")


def test_times_are_of_the_world() -> None:
    assert read().posted_at.tzinfo is UTC
    assert read().posted_at == datetime(2026, 11, 30, 12, tzinfo=UTC)
