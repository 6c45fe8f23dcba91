from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from itertools import islice

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from domain.calls import Call, Channel, ChannelRecord, Heartbeat, PriceTick, Token
from domain.errors import FeedRefusedError, FrameError, TransientError
from managers.sources.base import is_address
from managers.sources.native import NativeSource
from sandbox import feed_wire
from sandbox.feed import FeedSandbox
from sandbox.market import Market
from tests.feeds.support import a_call, address

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINT = "97QUsKyZ1tDbBkWzowCixaZHPfMHz3ME8LQzwa9Upump"
SOURCE = NativeSource("ws://127.0.0.1:1/")
TOKEN: dict[str, object] = {
    "address": MINT,
    "name": "Brass Lantern",
    "symbol": "LANTERN",
    "price_usd": 0.00005,
    "market_cap_usd": 50_000,
    "liquidity_usd": 9_000.5,
    "holders": 120,
    "created_at": "2026-11-20T11:00:00Z",
    "image_url": "https://example.org/a.png",
}
CHANNEL: dict[str, object] = {"id": "@alpha", "title": "Alpha"}
CALL: dict[str, object] = {
    "type": "call",
    "id": "c-1",
    "cursor": 17,
    "called_at": "2026-11-20T12:59:58.5+01:00",
    "channel": CHANNEL,
    "token": TOKEN,
    "text": "look",
}
PRICE: dict[str, object] = {
    "type": "price",
    "token": MINT,
    "price_usd": 0.1,
    "market_cap_usd": 1e8,
    "at": "2026-11-20T12:00:00Z",
}


def decode(frame: object) -> object:
    return SOURCE.decode(json.dumps(frame).encode(), NOW)


def test_a_call_is_decoded_whole():
    assert decode(CALL) == Call(
        id="c-1",
        token=Token(
            address=MINT,
            name="Brass Lantern",
            symbol="LANTERN",
            price_usd=0.00005,
            market_cap_usd=50_000.0,
            liquidity_usd=9_000.5,
            holders=120,
            created_at=datetime(2026, 11, 20, 11, tzinfo=UTC),
            image_url="https://example.org/a.png",
        ),
        channel=Channel(id="@alpha", title="Alpha"),
        called_at=datetime(2026, 11, 20, 11, 59, 58, 500_000, tzinfo=UTC),
        received_at=NOW,
        text="look",
        cursor=17,
    )


def test_what_is_not_said_is_none_and_what_is_unknown_is_ignored():
    frame = {**CALL, "channel": {"id": "@a"}, "token": {"address": MINT, "holders": None}, "new_field": [1]}
    call = decode(frame)
    assert isinstance(call, Call)
    assert call.token == Token(address=MINT)
    assert call.channel == Channel(id="@a")


def test_the_other_frames():
    assert decode(PRICE) == PriceTick(token_address=MINT, price_usd=0.1, market_cap_usd=1e8, at=NOW)
    assert decode({"type": "heartbeat", "at": "2026-11-20T12:00:00Z", "cursor": 3}) == Heartbeat(at=NOW)
    assert decode({"type": "subscribed", "cursor": 3}) is None
    with pytest.raises(FeedRefusedError, match="no such topic"):
        decode({"type": "error", "message": "no such topic"})


def test_long_texts_are_cut_and_nul_is_taken_out():
    token = {"address": MINT, "name": "n" * 999, "symbol": "s" * 999, "image_url": "https://x.org/" + "u" * 999}
    call = decode({**CALL, "token": token, "text": "a\0" * 9_999, "channel": {"id": "@a", "title": "t" * 999}})
    assert isinstance(call, Call)
    assert (call.token.name, call.token.symbol, call.text) == ("n" * 200, "s" * 50, "a" * 4096)
    assert call.channel.title == "t" * 200
    assert call.token.image_url is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("token.address", MINT.lower()),
        ("token.address", MINT[:-4]),
        ("token.address", MINT + " "),
        ("token.address", "0x52908400098527886E0F7030069857D2E4169EE7"),
        ("token.address", ""),
        ("token.price_usd", -1),
        ("token.market_cap_usd", "12"),
        ("token.liquidity_usd", -0.01),
        ("token.holders", 1.5),
        ("token.holders", -1),
        ("token.created_at", "1969-07-20T20:17:40Z"),
        ("called_at", "2026-11-20T12:00:00"),
        ("called_at", "2031-01-01T00:00:00Z"),
        ("called_at", "0001-01-01T00:00:00+14:00"),
        ("called_at", 1_780_000_000),
        ("cursor", -1),
        ("cursor", 2**60),
        ("cursor", None),
        ("id", ""),
        ("id", "a b"),
        ("id", "new\nline"),
        ("id", "x" * 129),
        ("channel.id", "two\n"),
        ("channel.id", "x" * 65),
        ("channel.id", "\u202e@reversed"),
    ],
)
def test_a_frame_with_a_wrong_value_is_refused(path: str, value: object):
    parent, _, field = path.rpartition(".")
    inner = {"": {}, "token": TOKEN, "channel": CHANNEL}[parent]
    frame = {**CALL, parent: {**inner, field: value}} if parent else {**CALL, field: value}
    with pytest.raises(FrameError):
        decode(frame)


@pytest.mark.parametrize("junk", feed_wire.JUNK)
def test_junk_is_refused(junk: bytes):
    with pytest.raises(FrameError) as caught:
        SOURCE.decode(junk, NOW)
    assert len(str(caught.value)) <= 160


def check(frame: bytes) -> None:
    """Whatever arrives is an event that keeps the promises, or a `FrameError`."""
    try:
        event = SOURCE.decode(frame, NOW)
    except FrameError:
        return
    if isinstance(event, PriceTick):
        assert event.price_usd >= 0
        assert math.isfinite(event.price_usd)
        assert is_address(event.token_address)
    if isinstance(event, Call):
        token = event.token
        assert is_address(token.address)
        for number in (token.price_usd, token.market_cap_usd, token.liquidity_usd, token.holders):
            assert number is None or (number >= 0 and math.isfinite(number))
        assert len(token.name or "") <= 200
        assert len(token.symbol or "") <= 50
        assert len(event.text or "") <= 4096
        assert event.called_at.utcoffset() == timedelta(0)
        assert event.cursor is not None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    | st.sampled_from([MINT, MINT.lower(), "call", "price", "-1", "1e999"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
keys = ["type", "id", "cursor", "called_at", "channel", "token", "text", "price_usd", "at", "market_cap_usd"]
token_keys = list(TOKEN)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_break_the_decoder(frame: bytes):
    check(frame)


@given(json_values)
def test_arbitrary_json_never_breaks_the_decoder(value: object):
    check(json.dumps(value).encode())


@given(
    st.sampled_from([CALL, PRICE]),
    st.dictionaries(st.sampled_from(keys), json_values, max_size=3),
    st.dictionaries(st.sampled_from(token_keys), json_values, max_size=3),
)
def test_frames_that_are_almost_right_never_break_the_decoder(
    frame: dict[str, object], outer: dict[str, object], inner: dict[str, object]
):
    changed = {**frame, **outer}
    if isinstance(changed.get("token"), dict):
        changed["token"] = {**TOKEN, **inner}
    check(json.dumps(changed).encode())


def test_everything_the_market_says_survives_the_wire():
    cursor = 0
    started_at = NOW - timedelta(hours=1)
    for event in islice(Market(seed=3).events(started_at), 3_000):
        if isinstance(event, PriceTick):
            assert SOURCE.decode(feed_wire.price_frame(event), NOW) == event
            continue
        cursor += 1
        call = SOURCE.decode(feed_wire.call_frame(event, cursor), NOW)
        assert isinstance(call, Call)
        assert (call.id, call.cursor, call.called_at) == (event.id, cursor, event.called_at)
        assert (call.channel, call.text) == (event.channel, event.text and event.text.replace("\0", "")[:4096])
        assert call.token.market_cap_usd == event.token.market_cap_usd
        assert call.token.created_at == event.token.created_at


async def test_the_http_side(feed: FeedSandbox, session: aiohttp.ClientSession):
    source = NativeSource(feed.ws_url, api_url=feed.http_url + "/", token=feed.token, session=session)
    assert source.replays
    calls = [feed.publish(a_call()) for _ in range(7)]
    start = calls[0].cursor
    assert start is not None
    assert [c.id for c in await source.calls_since(start, 3)] == [c.id for c in calls[1:4]]
    assert [c.cursor for c in await source.calls_since(start, 100)] == [c.cursor for c in calls[1:]]
    assert await source.calls_since(feed.cursor, 100) == []

    assert await source.token(calls[0].token.address) == calls[0].token
    assert await source.token(address(999_999)) is None
    record = ChannelRecord(calls=10, win_rate_percent=40.0, average_multiple=3.2, median_multiple=1.1)
    odd = Channel(id="pump.fun/a?b#c%2F", title="Odd", record=record)
    feed.publish(Call(id="x", token=calls[0].token, channel=odd, called_at=NOW, received_at=NOW))
    assert await source.channel("pump.fun/a?b#c%2F") == odd
    assert await source.channel("@unknown") is None
    known = feed.market.channel_ids[0]
    assert await source.channel(known) == feed.market.channel(known)


async def test_the_http_side_wants_the_token(feed: FeedSandbox, session: aiohttp.ClientSession):
    source = NativeSource(feed.ws_url, api_url=feed.http_url, token="wrong", session=session)
    with pytest.raises(TransientError, match="401"):
        await source.calls_since(0, 10)
    with pytest.raises(TransientError, match="401"):
        await NativeSource(feed.ws_url, api_url=feed.http_url, session=session).token(MINT)


async def test_without_an_http_side_the_answers_are_empty():
    assert not SOURCE.replays
    assert await SOURCE.calls_since(1, 10) == []
    assert await SOURCE.channel("@a") is None
    assert await SOURCE.token(MINT) is None


async def test_bad_answers_are_transient_and_one_bad_call_does_not_hide_the_page(
    session: aiohttp.ClientSession,
):
    bodies = {
        "/v1/calls": json.dumps({"calls": [CALL, {"type": "call"}, 5, {**CALL, "id": "c-2", "cursor": 18}]}),
        f"/v1/tokens/{MINT}": '{"address":"nonsense"}',
        "/v1/channels/@a": "<html>",
    }

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=bodies[request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    source = NativeSource("ws://x/", api_url=f"http://127.0.0.1:{runner.addresses[0][1]}", session=session)
    try:
        assert [call.id for call in await source.calls_since(0, 10)] == ["c-1", "c-2"]
        with pytest.raises(TransientError, match="unreadable"):
            await source.token(MINT)
        with pytest.raises(TransientError, match="unreadable"):
            await source.channel("@a")
    finally:
        await runner.cleanup()


async def test_a_server_that_is_away_is_transient(session: aiohttp.ClientSession, unused_tcp_port: int):
    source = NativeSource("ws://x/", api_url=f"http://127.0.0.1:{unused_tcp_port}", session=session)
    with pytest.raises(TransientError):
        await source.channel("@a")
