from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calls.addresses import is_mint
from domain.calls.events import Call, Event, PriceTick
from managers.feed.sources.pumpportal import PumpPortalSource
from runtime.errors import FeedRefusedError, FrameError
from sandbox.feed.replay import read_frames
from tests.feed.support import address

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOL_USD = 165.0
FRAMES = read_frames(Path(__file__).parent / "frames" / "pumpportal.jsonl")
SOURCE = PumpPortalSource(sol_price_usd=lambda: SOL_USD)
LAUNCHED = "97QUsKyZ1tDbBkWzowCixaZHPfMHz3ME8LQzwa9Upump"


def events(source: PumpPortalSource = SOURCE) -> list[Event]:
    found: list[Event] = []
    for frame in FRAMES:
        try:
            event = source.decode(frame, NOW)
        except FrameError:
            continue
        if event is not None:
            found.append(event)
    return found


def named(name: str | None) -> Call:
    return next(e for e in events() if isinstance(e, Call) and e.token.name == name)


def create(**changes: object) -> Call:
    sol, tokens = 60.0, 536_500_000.0
    frame = {
        "signature": "sig",
        "mint": address(9),
        "txType": "create",
        "vSolInBondingCurve": sol,
        "vTokensInBondingCurve": tokens,
        "marketCapSol": sol / tokens * 1e9,
        "name": "N",
        "symbol": "S",
        "pool": "pump",
        **changes,
    }
    event = SOURCE.decode(json.dumps(frame).encode(), NOW)
    assert isinstance(event, Call)
    return event


def test_a_launch_captured_in_2026():
    call = named("Smooth Like Butter")
    assert call.token.address == LAUNCHED
    assert call.token.symbol == "SLB"
    assert call.token.price_usd == pytest.approx(30.79012345499999 / 1045465116.339853 * SOL_USD)
    assert call.token.market_cap_usd == pytest.approx(29.451124646602683 * SOL_USD)
    assert call.token.fdv_usd == call.token.market_cap_usd
    assert (call.token.launchpad, call.token.dex) == ("pump.fun", "pump.fun")
    assert (call.token.liquidity_usd, call.token.holders, call.token.image_url) == (None, None, None)
    assert (call.token.website, call.token.x_handle, call.token.telegram) == (None, None, None)
    assert call.called_at == call.received_at == call.token.created_at == NOW
    assert (call.channel.id, call.channel.title) == ("pump.fun/launches", "pump.fun launches")
    assert call.cursor is None


def test_a_launch_of_2024_has_neither_name_nor_pool():
    call = next(e for e in events() if isinstance(e, Call) and e.token.address.startswith("FNzXkQwLWzRm6Z1jJT9gnVH2"))
    assert (call.token.name, call.token.symbol) == (None, None)
    assert call.token.market_cap_usd == pytest.approx(31.316014290152186 * SOL_USD)


def test_a_migration_is_a_call_of_its_own_channel():
    calls = [e for e in events() if isinstance(e, Call) and e.token.address == LAUNCHED]
    launch, migration, again = calls
    assert migration.channel.id == "pump.fun/migrations"
    assert migration.token.created_at is None
    assert migration.token.market_cap_usd is None
    assert (migration.token.launchpad, migration.token.dex) == ("pump.fun", "pumpswap")
    assert launch.id != migration.id == again.id


def test_trades_are_ticks():
    ticks = [e for e in events() if isinstance(e, PriceTick)]
    assert len(ticks) == 5
    assert ticks[0].price_usd == pytest.approx(32.44999999999995 / 991987673.343607 * SOL_USD)
    assert ticks[0].market_cap_usd == pytest.approx(32.712100031065454 * SOL_USD)
    assert ticks[0].at == NOW
    after_migration = ticks[-1]
    assert after_migration.price_usd == pytest.approx(412.5 / 1e9 * SOL_USD)


def test_values_the_formula_does_not_cover_are_left_out():
    for name in ("Mayhem Machine", "Quoted Elsewhere", "Other Launchpad"):
        token = named(name).token
        assert (token.price_usd, token.market_cap_usd) == (None, None)
    for changes in (
        {"marketCapSol": None, "vSolInBondingCurve": "60"},
        {"marketCapSol": -1, "vTokensInBondingCurve": 0},
        {"marketCapSol": True, "vTokensInBondingCurve": 10**400},
    ):
        assert create(**changes).token.market_cap_usd is None


def test_what_one_half_lacks_the_other_half_tells():
    whole = create().token
    assert create(marketCapSol=None).token.market_cap_usd == pytest.approx(whole.market_cap_usd)
    assert create(vSolInBondingCurve=None).token.price_usd == pytest.approx(whole.price_usd)


@pytest.mark.parametrize(
    ("pool", "launchpad", "dex", "channel", "title"),
    [
        (None, "pump.fun", "pump.fun", "pump.fun/launches", "pump.fun launches"),
        ("pump", "pump.fun", "pump.fun", "pump.fun/launches", "pump.fun launches"),
        ("pump-amm", "pump.fun", "pumpswap", "pump.fun/launches", "pump.fun launches"),
        ("raydium-cpmm", None, "raydium", "raydium-cpmm/launches", "raydium-cpmm launches"),
        ("Raydium", "pump.fun", "raydium", "pump.fun/launches", "pump.fun launches"),
        ("bonk", "bonk", "launchlab", "bonk/launches", "bonk.fun launches"),
        ("launchlab", "launchlab", "launchlab", "launchlab/launches", "launchlab launches"),
        ("Moon Shot", "moon shot", "moon shot", "moon-shot/launches", "moon shot launches"),
        ("<b>new</b>", None, None, "pumpportal/launches", "pumpportal launches"),
        ("x" * 41, None, None, "pumpportal/launches", "pumpportal launches"),
        (["pump"], None, None, "pumpportal/launches", "pumpportal launches"),
    ],
)
def test_the_pool_tells_where_it_was_launched_and_trades(
    pool: object, launchpad: str | None, dex: str | None, channel: str, title: str
):
    call = create(pool=pool)
    assert (call.token.launchpad, call.token.dex) == (launchpad, dex)
    assert (call.channel.id, call.channel.title) == (channel, title)


@pytest.mark.parametrize(
    ("pool", "channel"),
    [("pump-amm", "pump.fun/migrations"), ("bonk", "bonk/migrations"), ("raydium-cpmm", "raydium-cpmm/migrations")],
)
def test_a_migration_is_named_after_its_launchpad_too(pool: str, channel: str):
    assert create(txType="migrate", pool=pool).channel.id == channel


def test_links_are_taken_where_a_frame_has_them():
    links = {"website": "https://a.example/", "twitter": "https://x.com/otter", "telegram": "https://t.me/otter_chat"}
    token = create(**links, image="https://a.example/a.png").token
    assert (token.website, token.x_handle, token.telegram) == ("https://a.example/", "otter", "otter_chat")
    assert token.image_url == "https://a.example/a.png"
    bad = create(website="javascript:alert(1)", twitter="https://x.com@evil.example/", telegram=[], image=7).token
    assert (bad.website, bad.x_handle, bad.telegram, bad.image_url) == (None, None, None, None)


def test_without_a_price_of_sol_there_are_calls_without_dollars_and_no_ticks():
    found = events(PumpPortalSource(sol_price_usd=lambda: None))
    assert len(found) == len([e for e in events() if isinstance(e, Call)])
    for event in found:
        assert isinstance(event, Call)
        assert (event.token.price_usd, event.token.market_cap_usd) == (None, None)


def test_wrong_types_cost_the_field_and_not_the_launch():
    call = create(name=5, symbol=["x"], signature={"a": 1}, uri=7)
    assert (call.token.name, call.token.symbol) == (None, None)
    bare = SOURCE.decode(json.dumps({"mint": address(4), "txType": "create"}).encode(), NOW)
    assert isinstance(bare, Call)
    assert bare.token.address == address(4)


def test_hostile_names_are_bounded_and_otherwise_kept():
    calls = [e for e in events() if isinstance(e, Call)]
    assert all(len(c.token.name or "") <= 200 and len(c.token.symbol or "") <= 50 for c in calls)
    assert not any("\0" in (c.token.name or "") + (c.token.symbol or "") for c in calls)
    assert any("<b>" in (c.token.name or "") for c in calls)
    assert any("\u202e" in (c.token.name or "") for c in calls)


def test_an_event_is_the_same_event_each_time_and_no_other():
    assert create().id == create(name="renamed").id
    assert len({create().id, create(signature="other").id, create(mint=address(10)).id}) == 3
    assert len(create().id) <= 64


def test_refusals_and_junk():
    refusals: list[str] = []
    rejected = 0
    for frame in FRAMES:
        try:
            SOURCE.decode(frame, NOW)
        except FeedRefusedError as error:
            refusals.append(str(error))
        except FrameError:
            rejected += 1
    assert refusals == ["Too many requests, slow down", "Minimum balance not met for PumpSwap websocket data."]
    assert rejected == 8
    with pytest.raises(FeedRefusedError):
        SOURCE.decode(b'{"errors":[1]}', NOW)


def test_the_key_goes_into_the_address():
    assert SOURCE.url == "wss://pumpportal.fun/api/data"
    keyed = PumpPortalSource(sol_price_usd=lambda: None, api_key="a&b=c")
    assert keyed.url == "wss://pumpportal.fun/api/data?api-key=a%26b%3Dc"
    assert SOURCE.subscription(None) == ['{"method":"subscribeNewToken"}', '{"method":"subscribeMigration"}']


async def test_there_is_no_past_to_ask_for():
    assert not SOURCE.replays
    assert await SOURCE.calls_since(0, 10) == []
    assert await SOURCE.channel("pump.fun/launches") is None
    assert await SOURCE.token(LAUNCHED) is None


fields = [
    "mint txType signature name symbol pool marketCapSol vSolInBondingCurve vTokensInBondingCurve",
    "is_mayhem_mode message errors website twitter telegram image",
]
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**400)
    | st.floats()
    | st.text(max_size=300)
    | st.lists(st.integers(), max_size=2)
    | st.sampled_from([LAUNCHED, LAUNCHED.lower(), "create", "migrate", "buy", "sell", "pump", "pump-amm"])
)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_break_the_decoder(frame: bytes):
    with suppress(FrameError):
        SOURCE.decode(frame, NOW)


@given(
    st.sampled_from([frame for frame in FRAMES if frame.startswith(b'{"signature":"')]),
    st.dictionaries(st.sampled_from(" ".join(fields).split()), values, max_size=4),
)
def test_frames_that_are_almost_right_never_break_the_decoder(frame: bytes, changes: dict[str, object]):
    try:
        event = SOURCE.decode(json.dumps({**json.loads(frame), **changes}).encode(), NOW)
    except FrameError:
        return
    if isinstance(event, Call):
        assert is_mint(event.token.address)
        numbers = (event.token.price_usd, event.token.market_cap_usd)
        assert all(number is None or (math.isfinite(number) and number > 0) for number in numbers)
    if isinstance(event, PriceTick):
        assert math.isfinite(event.price_usd)
        assert event.price_usd > 0
