"""The adapter against the stand-in's pages over a real socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web

from domain.posts.post import Button, ForwardedFrom, Run
from managers.channels.base import BlockedError, ChannelClosedError, ChannelReader, Page
from managers.channels.preview import TelegramPreview
from managers.channels.preview_page import MAX_BYTES
from managers.http.answers import FailedError, ForeignAnswerError
from runtime.errors import TransientError
from sandbox.channels.posts import Closed, Origin
from sandbox.channels.server import ChannelsSandbox, Fault
from tests.channels.conftest import READ_AT

POSTED = datetime(2026, 11, 29, 8, 30, 5, tzinfo=UTC)


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncGenerator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def text_of(page: Page) -> list[str]:
    return ["".join(run.text for run in post.runs) for post in page.posts]


def test_it_is_a_reader_of_channels(preview: TelegramPreview):
    reader: ChannelReader = preview
    assert reader.name == "telegram-preview"


async def test_a_post_comes_as_it_was_written(channels: ChannelsSandbox, preview: TelegramPreview):
    channels.channel("@Alpha_Calls", title="Alpha & <b>Sons</b> 🚀")
    number = channels.post(
        "@alpha_calls",
        html='<b>$FROG</b> 🐸 &lt;now&gt;\nCA: <code>So1</code>\n<a href="https://x.example/?a=1&b=2">chart</a> '
        "https://pump.fun/coin/abc <tg-spoiler>hidden</tg-spoiler>",
        at=POSTED,
        views=12_345,
    )
    page = await preview.newest("@alpha_calls")
    assert (page.channel, page.title, page.unreadable) == ("@alpha_calls", "Alpha & <b>Sons</b> 🚀", 0)
    [post] = page.posts
    assert (post.channel, post.number, post.posted_at, post.edited_at) == ("@alpha_calls", number, POSTED, None)
    assert post.runs == (
        Run("$FROG 🐸 <now>\nCA: "),
        Run("So1", is_code=True),
        Run("\n"),
        Run("chart", link="https://x.example/?a=1&b=2"),
        Run(" https://pump.fun/coin/abc hidden"),
    )


async def test_pages_are_read_back_to_the_first_post(channels: ChannelsSandbox, preview: TelegramPreview):
    for number in range(1, 51):
        channels.post("@alpha", f"post {number}", at=POSTED + timedelta(seconds=number))
    for number in (7, 31, 50):
        channels.delete("@alpha", number)
    newest = await preview.newest("@alpha")
    assert [post.number for post in newest.posts] == [29, 30, *range(32, 50)]
    read = list(newest.posts)
    while (page := await preview.before("@alpha", read[0].number)).posts:
        read[:0] = page.posts
    assert [post.number for post in read] == [number for number in range(1, 50) if number not in {7, 31}]
    assert channels.requests == {"@alpha": 4}


async def test_what_the_app_posts_is_no_post(channels: ChannelsSandbox, preview: TelegramPreview):
    first = channels.post("@alpha", "the first")
    for _ in range(45):
        channels.post("@alpha", "Alpha pinned a photo", is_service=True)
    last = channels.post("@alpha", "the last")
    assert [post.number for post in (await preview.newest("@alpha")).posts] == [last]
    assert [post.number for post in (await preview.before("@alpha", last)).posts] == [first]
    assert (await preview.before("@alpha", first)).posts == ()


async def test_an_edit_has_the_time_at_which_it_was_read(channels: ChannelsSandbox, preview: TelegramPreview):
    number = channels.post("@alpha", "CA soon", at=POSTED, author="edited by nobody, edited")
    assert (await preview.newest("@alpha")).posts[0].edited_at is None
    channels.edit("@alpha", number, "CA: here")
    page = await preview.newest("@alpha")
    assert text_of(page) == ["CA: here"]
    assert (page.posts[0].posted_at, page.posts[0].edited_at) == (POSTED, READ_AT)


async def test_headers_are_no_text(channels: ChannelsSandbox, preview: TelegramPreview):
    told = channels.post("@alpha", "older words")
    channels.post("@alpha", "an answer", reply_to=told)
    channels.post("@alpha", "of a channel", origin=Origin(title="Beta 🎗", channel="Beta_calls", number=77))
    channels.post("@alpha", "of a person", origin=Origin(title="Some <i>Body</i>"))
    page = await preview.newest("@alpha")
    assert text_of(page) == ["older words", "an answer", "of a channel", "of a person"]
    assert [post.forwarded_from for post in page.posts] == [
        None,
        None,
        ForwardedFrom(channel="@beta_calls", title="Beta 🎗", number=77),
        ForwardedFrom(title="Some <i>Body</i>"),
    ]


async def test_media_with_and_without_text(channels: ChannelsSandbox, preview: TelegramPreview):
    channels.post("@alpha", "under a picture", media="photo")
    for media in ("photo", "video", "poll", "sticker"):
        channels.post("@alpha", media=media)
    page = await preview.newest("@alpha")
    assert text_of(page) == ["under a picture", "", "", "", ""]
    assert page.unreadable == 0


async def test_buttons_that_lead_somewhere(channels: ChannelsSandbox, preview: TelegramPreview):
    buttons = (("Buy 🚀", "https://t.me/some_bot?start=15_abc&x=1"), ("Like", None))
    channels.post("@alpha", "text", buttons=buttons)
    [post] = (await preview.newest("@alpha")).posts
    assert post.buttons == (Button("Buy 🚀", "https://t.me/some_bot?start=15_abc&x=1"),)
    assert post.runs == (Run("text"),)


@pytest.mark.parametrize("why", ["no_preview", "not_found", "private"])
async def test_a_channel_that_is_not_shown(channels: ChannelsSandbox, preview: TelegramPreview, why: Closed):
    channels.post("@alpha", "text")
    channels.close("@alpha", why)
    with pytest.raises(ChannelClosedError) as refused:
        await preview.newest("@alpha")
    assert refused.value.why == why
    channels.close("@alpha", None)
    assert text_of(await preview.newest("@alpha")) == ["text"]


@pytest.mark.parametrize("name", ["@nobody_has_it", "@../../login", "@a", "pump.fun/launches", "", "@ünï", "@a?b=1"])
async def test_a_name_that_nobody_has(preview: TelegramPreview, channels: ChannelsSandbox, name: str):
    with pytest.raises(ChannelClosedError) as refused:
        await preview.newest(name)
    assert refused.value.why == "not_found"
    assert set(channels.requests) <= {"@nobody_has_it"}


async def test_a_channel_that_has_another_name_now(channels: ChannelsSandbox, preview: TelegramPreview):
    channels.post("@alpha", "text")
    channels.rename("@alpha", "@Beta", keeps_old=True)
    for _ in range(2):
        with pytest.raises(ChannelClosedError) as moved:
            await preview.newest("@alpha")
        assert moved.value.now == "@beta"
        channels.channel("@beta").posts.clear()
    channels.rename("@beta", "@gamma")
    with pytest.raises(ChannelClosedError):
        await preview.newest("@beta")


async def test_an_empty_channel(channels: ChannelsSandbox, preview: TelegramPreview):
    channels.channel("@alpha", title="Alpha")
    page = await preview.newest("@alpha")
    assert (page.title, page.posts, page.unreadable) == ("Alpha", (), 0)


@pytest.mark.parametrize("says_how_long", [True, False])
async def test_a_block_tells_how_long(channels: ChannelsSandbox, preview: TelegramPreview, *, says_how_long: bool):
    channels.post("@alpha", "text")
    channels.block(90, says_how_long=says_how_long)
    for reading in (preview.newest("@alpha"), preview.before("@alpha", 5), preview.newest("@nobody_has_it")):
        with pytest.raises(BlockedError) as blocked:
            await reading
        assert blocked.value.for_s == pytest.approx(90, abs=2) if says_how_long else blocked.value.for_s is None
    channels.block(0)
    assert text_of(await preview.newest("@alpha")) == ["text"]


@pytest.mark.parametrize("fault", ["proxy", "empty", "half", "changed", "drop", 403, 404, 500, 503])
@pytest.mark.parametrize("name", ["@alpha", "@nobody_has_it"])
async def test_what_is_no_answer_says_nothing(
    channels: ChannelsSandbox, preview: TelegramPreview, fault: Fault, name: str
):
    channels.post("@alpha", "text")
    channels.fault = fault
    for reading in (preview.newest(name), preview.before(name, 20)):
        with pytest.raises(TransientError) as failed:
            await reading
        is_their_word = name != "@alpha" and fault == "changed"
        assert isinstance(failed.value, ChannelClosedError if is_their_word else FailedError)


async def test_a_card_that_is_none_says_nothing(channels: ChannelsSandbox, session: aiohttp.ClientSession):
    preview = TelegramPreview(session, channels.url)
    for fault in ("proxy", "empty", "half", 404):
        channels.will(None, fault)
        with pytest.raises(FailedError):
            await preview.newest("@nobody_has_it")


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("https://login.portal.example/alpha", ForeignAnswerError),
        ("/login", ForeignAnswerError),
        ("/a/b/c", ForeignAnswerError),
        ("http://[", ForeignAnswerError),
        ("/s/beta", ForeignAnswerError),
        ("/joinchat/abc", ChannelClosedError),
        ("/s/alpha", ForeignAnswerError),
        ("/ALPHA/", FailedError),
    ],
)
async def test_a_redirect_is_not_followed_but_read(
    session: aiohttp.ClientSession, location: str, error: type[TransientError]
):
    asked: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": location})

    async with serving(redirect) as url:
        with pytest.raises(error):
            await TelegramPreview(session, url).newest("@Alpha")
    assert asked == (["/s/alpha", "/alpha"] if location == "/ALPHA/" else ["/s/alpha"])


async def test_a_page_that_ignores_what_it_is_asked_for(channels: ChannelsSandbox, session: aiohttp.ClientSession):
    for _ in range(30):
        channels.post("@alpha", "text")

    async def newest(request: web.Request) -> web.Response:
        async with session.get(f"{channels.url}{request.path}") as answer:
            return web.Response(body=await answer.read(), content_type="text/html")

    async with serving(newest) as url:
        with pytest.raises(ForeignAnswerError, match="other posts"):
            await TelegramPreview(session, url).before("@alpha", 20)


async def test_a_page_without_end_is_not_read_to_its_end(session: aiohttp.ClientSession):
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 20 * MAX_BYTES:
            await response.write(b"<p>x</p>" * 8_192)
            sent += 8 * 8_192
        return response

    async with serving(endless) as url:
        with pytest.raises(FailedError, match="exceeds"):
            await TelegramPreview(session, url).newest("@alpha")
    assert sent < 10 * MAX_BYTES


async def test_an_answer_that_does_not_come(channels: ChannelsSandbox, session: aiohttp.ClientSession):
    channels.post("@alpha", "text")
    channels.delay_s = 60
    with pytest.raises(FailedError, match="no answer within"):
        await TelegramPreview(session, channels.url, timeout_s=0.2).newest("@alpha")
