from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.addresses import is_address, is_mint, is_on
from domain.calls.events import Call, Channel, ChannelRecord, Heartbeat, PriceTick, Token
from managers.feed.sources.native import NativeSource
from managers.http.api import APIRetryManager
from runtime.errors import FeedRefusedError, FrameError, TransientError
from sandbox.feed import wire as feed_wire
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.market.traits import HOSTILE_LINKS
from sandbox.market.words import HOSTILE_NAMES
from tests.feed.support import a_call, address

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINT = "97QUsKyZ1tDbBkWzowCixaZHPfMHz3ME8LQzwa9Upump"
EVM = "0x52908400098527886E0F7030069857D2E4169EE7"
SOURCE = NativeSource("ws://127.0.0.1:1/")
TOKEN: dict[str, object] = {
    "address": MINT,
    "chain": "solana",
    "name": "Brass Lantern",
    "symbol": "LANTERN",
    "price_usd": 0.00005,
    "market_cap_usd": 50_000,
    "fdv_usd": 51_000,
    "liquidity_usd": 9_000.5,
    "volume_5m_usd": 700,
    "volume_1h_usd": 8_000,
    "volume_24h_usd": 9e4,
    "price_change_5m_percent": -12.5,
    "price_change_1h_percent": 40,
    "price_change_24h_percent": 1_900,
    "buys_1h": 61,
    "sells_1h": 40,
    "holders": 120,
    "created_at": "2026-11-20T11:00:00Z",
    "top10_percent": 21.5,
    "developer_percent": 2,
    "snipers_percent": 0,
    "lp_locked_percent": 100,
    "mint_revoked": True,
    "freeze_revoked": False,
    "metadata_immutable": True,
    "buy_tax_percent": 0,
    "sell_tax_percent": 3.5,
    "risk_score": 17,
    "launchpad": "Pump.fun",
    "dex": "pumpswap",
    "website": "https://lantern.example/",
    "x_handle": "@brass_lantern",
    "telegram": "https://t.me/+AbCdEf123_-",
    "image_url": "https://example.org/a.png",
    "animation_url": "https://example.org/a.gif",
    "video_url": "https://example.org/a.mp4",
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
            fdv_usd=51_000.0,
            liquidity_usd=9_000.5,
            volume_5m_usd=700.0,
            volume_1h_usd=8_000.0,
            volume_24h_usd=90_000.0,
            price_change_5m_percent=-12.5,
            price_change_1h_percent=40.0,
            price_change_24h_percent=1_900.0,
            buys_1h=61,
            sells_1h=40,
            holders=120,
            created_at=datetime(2026, 11, 20, 11, tzinfo=UTC),
            top10_percent=21.5,
            developer_percent=2.0,
            snipers_percent=0.0,
            lp_locked_percent=100.0,
            mint_revoked=True,
            freeze_revoked=False,
            metadata_immutable=True,
            buy_tax_percent=0.0,
            sell_tax_percent=3.5,
            risk_score=17.0,
            launchpad="pump.fun",
            dex="pumpswap",
            website="https://lantern.example/",
            x_handle="brass_lantern",
            telegram="+AbCdEf123_-",
            image_url="https://example.org/a.png",
            animation_url="https://example.org/a.gif",
            video_url="https://example.org/a.mp4",
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


def test_every_figure_of_a_token_can_be_said():
    call = decode(CALL)
    assert isinstance(call, Call)
    assert set(TOKEN) == set(Token.__struct_fields__) - {"origins", "disputed"}
    assert [name for name in TOKEN if getattr(call.token, name) is None] == []


def test_every_figure_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "feed.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    documented = {name.strip("` ") for row in rows for name in row.split(",")}
    assert documented >= set(TOKEN) | set(ChannelRecord.__struct_fields__) - {"own_tokens", "as_of"}


def test_that_there_is_no_link_can_be_said():
    call = decode({**CALL, "token": {"address": MINT, "website": "", "x_handle": "", "telegram": "", "image_url": ""}})
    assert isinstance(call, Call)
    token = call.token
    assert (token.website, token.x_handle, token.telegram, token.image_url) == ("", "", "", None)


@pytest.mark.parametrize("link", HOSTILE_LINKS)
def test_hostile_links_are_unknown_links(link: str):
    hostile = dict.fromkeys(("website", "x_handle", "telegram", "image_url", "animation_url", "video_url"), link)
    call = decode({**CALL, "token": {"address": MINT, "name": "N", **hostile}})
    assert isinstance(call, Call)
    # "@everyone" is a handle like any other, where a handle is expected.
    handle = "everyone" if link == "@everyone" else None
    assert call.token == Token(address=MINT, name="N", x_handle=handle, telegram=handle)


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
        ("token.chain", "ethereum"),
        ("token.chain", "tron"),
        ("token.chain", "Solana"),
        ("token.fdv_usd", -1),
        ("token.volume_24h_usd", "many"),
        ("token.price_change_1h_percent", -100.01),
        ("token.buys_1h", 0.5),
        ("token.top10_percent", 100.01),
        ("token.lp_locked_percent", -0.01),
        ("token.sell_tax_percent", 101),
        ("token.risk_score", 101),
        ("token.mint_revoked", 1),
        ("token.freeze_revoked", "false"),
        ("token.metadata_immutable", "no"),
        ("token.launchpad", ""),
        ("token.launchpad", "x" * 41),
        ("token.launchpad", "pump.fun\n"),
        ("token.dex", "<b>raydium</b>"),
        ("token.dex", 7),
        ("token.website", ["https://a.example"]),
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
        assert is_mint(event.token_address) or is_address(event.token_address)
    if isinstance(event, Call):
        token = event.token
        assert is_on(token.chain, token.address)
        assert event.link is None or (event.link.startswith("https://") and len(event.link) <= 500)
        for name, origin in token.origins.items():
            assert getattr(token, name) is not None
            assert re.fullmatch(r"[a-z0-9 ._-]{1,40}", origin.source)
            assert origin.at <= NOW
        for name in Token.__struct_fields__:
            value = getattr(token, name)
            if isinstance(value, float | int):
                assert math.isfinite(value)
                assert value >= (-100 if name.startswith("price_change") else 0)
                assert value <= 100 or not (name.endswith("_percent") and not name.startswith("price_change"))
        for link in (token.website, token.image_url, token.animation_url, token.video_url):
            assert not link or (len(link) <= 500 and link.isascii() and link.startswith(("http://", "https://")))
        for handle in (token.x_handle, token.telegram, token.launchpad, token.dex):
            assert len(handle or "") <= 50
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
    | st.sampled_from([MINT, MINT.lower(), EVM, EVM.lower(), "base", "call", "price", "-1", "1e999", *HOSTILE_LINKS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
keys = ["type", "id", "cursor", "called_at", "channel", "token", "text", "link", "price_usd", "at", "market_cap_usd"]
token_keys = [*TOKEN, "origins", "disputed"]


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
        assert call.link == event.link
        assert (call.channel, call.text) == (event.channel, event.text and event.text.replace("\0", "")[:4096])
        texts_and_links = {"name", "symbol", "website", "x_handle", "telegram"}
        for figure in set(Token.__struct_fields__) - texts_and_links:
            assert getattr(call.token, figure) == getattr(event.token, figure), figure
        if event.token.name not in HOSTILE_NAMES:
            assert call.token == event.token


async def test_the_http_side(feed: FeedSandbox, api_manager: APIRetryManager):
    source = NativeSource(feed.ws_url, api_url=feed.http_url + "/", token=feed.token, api=api_manager)
    assert source.replays
    calls = [feed.publish(a_call()) for _ in range(7)]
    start = calls[0].cursor
    assert start is not None
    assert [c.id for c in await source.calls_since(start, 3)] == [c.id for c in calls[1:4]]
    assert [c.cursor for c in await source.calls_since(start, 100)] == [c.cursor for c in calls[1:]]
    assert await source.calls_since(feed.cursor, 100) == []

    assert await source.token(calls[0].token.address) == calls[0].token
    assert await source.token(address(999_999)) is None
    record = ChannelRecord(
        calls=10, win_rate_percent=40.0, win_rate_low_percent=17.5, average_multiple=3.2, median_multiple=1.1
    )
    odd = Channel(id="pump.fun/a?b#c%2F", title="Odd", record=record, record_30d=ChannelRecord(calls=0))
    feed.publish(Call(id="x", token=calls[0].token, channel=odd, called_at=NOW, received_at=NOW))
    assert await source.channel("pump.fun/a?b#c%2F") == odd
    assert await source.channel("@unknown") is None
    known = feed.market.channel_ids[0]
    found, said = await source.channel(known), feed.market.channel(known)
    assert found
    assert said
    for mine, theirs in ((found.record, said.record), (found.record_30d, said.record_30d)):
        assert mine
        assert theirs
        assert theirs.win_rate_low_percent is None
        assert replace(mine, win_rate_low_percent=None) == theirs
        # What the feed does not say follows from what it says.
        assert 0 < (mine.win_rate_low_percent or 0) < (mine.win_rate_percent or 0)


async def test_the_http_side_wants_the_token(feed: FeedSandbox, api_manager: APIRetryManager):
    source = NativeSource(feed.ws_url, api_url=feed.http_url, token="wrong", api=api_manager)
    with pytest.raises(TransientError, match="401"):
        await source.calls_since(0, 10)
    with pytest.raises(TransientError, match="401"):
        await NativeSource(feed.ws_url, api_url=feed.http_url, api=api_manager).token(MINT)


async def test_without_an_http_side_the_answers_are_empty():
    assert not SOURCE.replays
    assert await SOURCE.calls_since(1, 10) == []
    assert await SOURCE.channel("@a") is None
    assert await SOURCE.token(MINT) is None


async def test_bad_answers_are_transient_and_one_bad_call_does_not_hide_the_page(
    api_manager: APIRetryManager,
):
    bodies = {
        "/v1/calls": json.dumps({"calls": [CALL, {"type": "call"}, 5, {**CALL, "id": "c-2", "cursor": 18}]}),
        f"/v1/tokens/{MINT}": '{"address":"nonsense"}',
        f"/v1/tokens/{address(5)}": json.dumps(TOKEN),
        f"/v1/tokens/{address(6)}": json.dumps({"address": address(6), "created_at": "1969-07-20T20:17:40Z"}),
        "/v1/channels/@a": "<html>",
        "/v1/channels/@c": '{"id":"@d"}',
        "/v1/channels/@b": '{"id":"@b","record":{"calls":3},"record_30d":{"win_rate_percent":101}}',
    }

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=bodies[request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    source = NativeSource("ws://x/", api_url=f"http://127.0.0.1:{runner.addresses[0][1]}", api=api_manager)
    try:
        assert [call.id for call in await source.calls_since(0, 10)] == ["c-1", "c-2"]
        for mint in (MINT, address(5), address(6)):
            with pytest.raises(TransientError, match="unreadable"):
                await source.token(mint)
        for channel_id in ("@a", "@b", "@c"):
            with pytest.raises(TransientError, match="unreadable"):
                await source.channel(channel_id)
    finally:
        await runner.cleanup()


async def test_a_server_that_is_away_is_transient(api_manager: APIRetryManager, unused_tcp_port: int):
    source = NativeSource("ws://x/", api_url=f"http://127.0.0.1:{unused_tcp_port}", api=api_manager)
    with pytest.raises(TransientError):
        await source.channel("@a")
