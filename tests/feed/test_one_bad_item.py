"""A name cut within an emoji, a number that is none, a share of 100.00000000000001: each costs itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from domain.calls.events import Call, Heartbeat, PriceTick, Token
from managers.feed.sources.native import NativeSource
from managers.feed.sources.pumpportal import PumpPortalSource
from managers.http.api import APIRetryManager
from managers.providers.jupiter import JupiterManager, read_token
from runtime.errors import FrameError
from tests.feed.support import address, reading, scripted
from tests.feed.test_native import CALL, MINT, NOW, PRICE, SOURCE, TOKEN

HALF = "Cat\ud83d"
MENDED = "Cat\ufffd"
Serve = Callable[[dict[str, str]], str]
PERCENT_FIELDS = [name for name in TOKEN if name.endswith("_percent") and not name.startswith("price_change")]
CHANGE_FIELDS = [name for name in TOKEN if name.startswith("price_change")]
AMOUNT_FIELDS = [name for name in TOKEN if name.endswith("_usd")]


def with_token(**changes: object) -> bytes:
    return json.dumps({**CALL, "token": {**TOKEN, **changes}}).encode()


def token_of(frame: bytes) -> Token:
    call = SOURCE.decode(frame, NOW)
    assert isinstance(call, Call)
    return call.token


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """An HTTP server with a body for each path; `serve(bodies)` gives its address."""
    bodies: dict[str, str] = {}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=bodies[request.path_qs if request.path_qs in bodies else request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()

        def serving(said: dict[str, str]) -> str:
            bodies.update(said)
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        yield serving


def test_half_a_surrogate_pair_in_any_text_of_a_call():
    texts = dict.fromkeys(("name", "symbol"), HALF)
    frame = json.dumps({**CALL, "text": HALF, "channel": {"id": "@a", "title": HALF}, "token": {**TOKEN, **texts}})
    call = SOURCE.decode(frame.encode(), NOW)
    assert isinstance(call, Call)
    assert [call.text, call.channel.title, call.token.name, call.token.symbol] == [MENDED] * 4
    links = dict.fromkeys(("website", "x_handle", "telegram", "image_url", "launchpad"), "https://x.com/\ude80")
    frame = with_token(**{**links, "launchpad": None})
    assert (token_of(frame).website, token_of(frame).x_handle, token_of(frame).name) == (None, None, "Brass Lantern")


def test_whole_pairs_stay():
    assert token_of(with_token(name="Cat\U0001f680", symbol=HALF)).name == "Cat\U0001f680"


def test_raw_bytes_that_are_no_utf8():
    frame = with_token().replace(b"Brass Lantern", b"Br\xe9sil \xed\xa0\xbd")
    assert (token_of(frame).name or "").startswith("Br\ufffdsil ")


@pytest.mark.parametrize("field", PERCENT_FIELDS)
def test_a_share_is_clamped_within_rounding(field: str):
    assert getattr(token_of(with_token(**{field: 100.00000000000001})), field) == 100
    assert getattr(token_of(with_token(**{field: -1e-12})), field) == 0
    for beyond in (100.001, -0.001):
        with pytest.raises(FrameError):
            token_of(with_token(**{field: beyond}))


@pytest.mark.parametrize("field", CHANGE_FIELDS)
def test_a_change_is_clamped_within_rounding(field: str):
    assert getattr(token_of(with_token(**{field: -100.00000000000001})), field) == -100
    with pytest.raises(FrameError):
        token_of(with_token(**{field: -100.001}))


@pytest.mark.parametrize("field", AMOUNT_FIELDS)
def test_an_amount_just_below_nothing_is_nothing(field: str):
    assert getattr(token_of(with_token(**{field: -1e-12})), field) == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", [*PERCENT_FIELDS, *CHANGE_FIELDS, *AMOUNT_FIELDS, "holders", "buys_1h"])
def test_a_number_that_is_none_is_an_unknown_figure(field: str, number: str):
    frame = with_token(**{field: "?"}).replace(b'"?"', number.encode())
    whole = token_of(with_token())
    assert getattr(whole, field) is not None
    for name in Token.__struct_fields__:
        assert getattr(token_of(frame), name) == (None if name == field else getattr(whole, name))


def test_faults_of_all_kinds_at_once():
    frame = with_token(name=HALF, top10_percent=100.00000000000001, holders="?").replace(b'"?"', b"NaN")
    token = token_of(frame)
    assert (token.name, token.top10_percent, token.holders) == (MENDED, 100, None)


@pytest.mark.parametrize("required", ["cursor", "id", "called_at"])
def test_what_a_call_cannot_be_without_refuses_it(required: str):
    with pytest.raises(FrameError):
        SOURCE.decode(json.dumps({**CALL, required: float("nan")}).encode(), NOW)


def test_prices_and_heartbeats():
    tick = SOURCE.decode(json.dumps({**PRICE, "note": HALF, "market_cap_usd": float("inf")}).encode(), NOW)
    assert tick == PriceTick(token_address=MINT, price_usd=0.1, market_cap_usd=None, at=NOW)
    with pytest.raises(FrameError):
        SOURCE.decode(json.dumps({**PRICE, "price_usd": float("nan")}).encode(), NOW)
    beat = {"type": "heartbeat", "at": "2026-11-20T12:00:00Z", "load": float("nan")}
    assert SOURCE.decode(json.dumps(beat).encode(), NOW) == Heartbeat(at=NOW)


async def test_a_page_of_calls_loses_the_bad_one(api_manager: APIRetryManager, serve: Serve):
    page = [
        {**CALL, "id": "a"},
        {**CALL, "id": "b", "cursor": float("nan")},
        {**CALL, "id": "c", "cursor": 19, "token": {**TOKEN, "name": HALF, "holders": float("inf")}},
        {**CALL, "id": "d", "cursor": 20, "deep": "?"},
        {**CALL, "id": "e", "cursor": 21, "token": {**TOKEN, "top10_percent": 100.00000000000001}},
        {**CALL, "id": "f", "cursor": 22, "token": {**TOKEN, "top10_percent": 250}},
    ]
    body = json.dumps({"calls": page}).replace('"?"', "[" * 5_000 + "]" * 5_000)
    source = NativeSource("ws://x/", api_url=serve({"/v1/calls": body}), api=api_manager)
    calls = await source.calls_since(0, 10)
    assert [call.id for call in calls] == ["a", "c", "d", "e"]
    assert source.unreadable == 2
    assert (calls[1].token.name, calls[1].token.holders, calls[3].token.top10_percent) == (MENDED, None, 100)


async def test_a_page_of_bad_calls_is_not_the_end(api_manager: APIRetryManager, serve: Serve):
    bad = [{**CALL, "cursor": cursor, "token": {"address": "nonsense"}} for cursor in (3, 7, 5)]
    url = serve(
        {
            "/v1/calls?since=1&limit=3": json.dumps({"calls": [*bad, {"no": "call"}]}),
            "/v1/calls?since=7&limit=3": json.dumps({"calls": [{**CALL, "cursor": 8}]}),
            "/v1/calls?since=8&limit=3": json.dumps({"calls": [{"no": "call"}]}),
        }
    )
    source = NativeSource("ws://x/", api_url=url, api=api_manager)
    assert [call.cursor for call in await source.calls_since(1, 3)] == [8]
    assert await source.calls_since(8, 3) == []


async def test_documents_about_one_thing(api_manager: APIRetryManager, serve: Serve):
    token = {**TOKEN, "name": HALF, "risk_score": 100.00000000000001, "fdv_usd": float("nan")}
    record = {"calls": 3, "win_rate_percent": -1e-12, "median_multiple": float("inf")}
    channel = {"id": "@a", "title": HALF, "record": record, "record_30d": {"win_rate_percent": 100.00000000000001}}
    url = serve({f"/v1/tokens/{MINT}": json.dumps(token), "/v1/channels/@a": json.dumps(channel)})
    source = NativeSource("ws://x/", api_url=url, api=api_manager)
    read = await source.token(MINT)
    assert read
    assert (read.name, read.risk_score, read.fdv_usd, read.holders) == (MENDED, 100, None, 120)
    found = await source.channel("@a")
    assert found
    assert found.record
    assert found.record_30d
    assert (found.title, found.record.win_rate_percent, found.record.median_multiple) == (MENDED, 0, None)
    assert found.record_30d.win_rate_percent == 100


async def test_prices_of_jupiter(api_manager: APIRetryManager, serve: Serve):
    mints = [address(number) for number in range(1, 6)]
    prices = [1.5, float("nan"), 2.5, float("inf"), 3.5]
    body = {mint: {"usdPrice": price, "note": HALF} for mint, price in zip(mints, prices, strict=True)}
    jupiter = JupiterManager(api_manager, serve({"/price/v3": json.dumps({**body, mints[4]: float("nan")})}))
    assert await jupiter.prices_usd(mints) == {mints[0]: 1.5, mints[2]: 2.5}
    assert jupiter.unreadable == 1


async def test_tokens_of_jupiter(api_manager: APIRetryManager, serve: Serve):
    mints = [address(number) for number in range(1, 5)]
    page = [
        {"id": mints[0], "name": HALF, "mcap": 5},
        {"id": mints[1], "mcap": float("nan"), "fdv": 7},
        float("-inf"),
        {"id": mints[2], "deep": "?", "mcap": 9},
        {"id": mints[3], "audit": {"topHoldersPercentage": 100.00000000000001}},
    ]
    body = json.dumps(page).replace('"?"', "[" * 5_000 + "]" * 5_000)
    jupiter = JupiterManager(api_manager, serve({"/tokens/v2/search": body}))
    found = await jupiter.tokens(mints)
    assert jupiter.unreadable == 1
    assert [found[mint].market_cap_usd for mint in mints] == [5, None, 9, None]
    assert (found[mints[0]].name, found[mints[1]].fdv_usd, found[mints[3]].top10_percent) == (MENDED, 7, 100)


def test_what_jupiter_says_of_the_developer():
    def read(said: object) -> float | None:
        return read_token(MINT, {"audit": {"devBalancePercentage": said}}, NOW).developer_percent

    assert [read(said) for said in (0, 12.5, 100, 100.00000000000001, -1e-12)] == [0, 12.5, 100, 100, 0]
    assert [read(said) for said in (101, -1, "12", None, True, float("nan"), 10**400)] == [None] * 7


def test_launches_of_pumpportal():
    frame = {"mint": MINT, "txType": "create", "pool": "pump", "name": HALF, "symbol": "\ude80"}
    numbers = {"vSolInBondingCurve": float("nan"), "vTokensInBondingCurve": 5e8, "marketCapSol": 80.0}
    call = PumpPortalSource(sol_price_usd=lambda: 1.0).decode(json.dumps(frame | numbers).encode(), NOW)
    assert isinstance(call, Call)
    assert (call.token.name, call.token.symbol, call.token.market_cap_usd) == (MENDED, "\ufffd", 80.0)


async def test_a_mended_call_comes_through_the_socket():
    frames = [with_token(name=HALF).decode(), json.dumps({**CALL, "id": "c-2", "cursor": 18})]
    async with scripted(lambda _: frames) as server, reading(NativeSource(server.url)) as reader:
        first, second = await reader.take(2)
    assert (first.token.name, second.id) == (MENDED, "c-2")
    assert reader.manager.stats.malformed == 0


def test_the_ordinary_call_is_the_same_read_either_way():
    strict, lenient = token_of(with_token()), token_of(with_token(developer_percent=-1e-12, name="Brass Lantern"))
    assert [n for n in Token.__struct_fields__ if getattr(strict, n) != getattr(lenient, n)] == ["developer_percent"]
