"""The native feed of tokens beside Solana's, of figures that it has from others, and of links to posts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.addresses import is_evm
from domain.calls.events import EVM_CHAINS, Call, Chain, Origin, PriceTick, Token
from managers.feed.sources.native import NativeSource
from managers.http.api import APIRetryManager
from runtime.errors import FrameError
from sandbox.feed import wire as feed_wire
from sandbox.feed.server import FeedSandbox
from tests.feed.support import a_call
from tests.feed.test_native import CALL, EVM, MINT, NOW, PRICE, TOKEN, decode, json_values

TOKEN_OF_BASE: dict[str, object] = {**TOKEN, "address": EVM, "chain": "base"}
AT = "2026-11-20T11:59:30+00:00"


def call_of(**token: object) -> Call:
    call = decode({**CALL, "token": {**TOKEN, **token}})
    assert isinstance(call, Call)
    return call


@given(st.binary(min_size=20, max_size=20), st.sampled_from(EVM_CHAINS), st.booleans())
def test_an_address_in_hex_is_kept_in_lower_case(raw: bytes, chain: Chain, upper: bool) -> None:  # noqa: FBT001
    written = "0x" + (raw.hex().upper() if upper else raw.hex())
    token = call_of(address=written, chain=chain).token
    assert (token.address, token.chain) == ("0x" + raw.hex(), chain)
    tick = decode({**PRICE, "token": written})
    assert isinstance(tick, PriceTick)
    assert tick.token_address is token.address, "found quickly: it is the same object"


@pytest.mark.parametrize("chain", get_args(Chain))
@pytest.mark.parametrize("written", [MINT, EVM, EVM.lower()])
def test_the_address_has_the_form_of_its_chain(chain: Chain, written: str) -> None:
    token = {**TOKEN, "address": written, "chain": chain}
    if is_evm(written.lower()) == (chain != "solana"):
        assert isinstance(decode({**CALL, "token": token}), Call)
    else:
        with pytest.raises(FrameError, match="chain"):
            decode({**CALL, "token": token})


@pytest.mark.parametrize(
    "written", [EVM[:-1], EVM + "0", EVM[2:], EVM.replace("E", "G"), f" {EVM}", EVM.lower() + "\n"]
)
def test_what_is_no_address_of_any_chain_is_refused(written: str) -> None:
    for frame in ({**CALL, "token": {**TOKEN_OF_BASE, "address": written}}, {**PRICE, "token": written}):
        with pytest.raises(FrameError):
            decode(frame)


def test_a_token_may_be_older_than_solana_elsewhere() -> None:
    born = "2017-06-01T00:00:00Z"
    assert call_of(address=EVM, chain="ethereum", created_at=born).token.created_at == datetime(2017, 6, 1, tzinfo=UTC)
    for token in ({"created_at": born}, {"address": EVM, "chain": "ethereum", "created_at": "2015-07-01T00:00:00Z"}):
        with pytest.raises(FrameError, match="genesis"):
            call_of(**token)


def test_a_figure_may_come_from_elsewhere() -> None:
    token = call_of(origins={"price_usd": {"source": "dexscreener", "at": AT}}).token
    assert token.origins == {"price_usd": Origin("dexscreener", datetime(2026, 11, 20, 11, 59, 30, tzinfo=UTC))}
    late = (NOW + timedelta(minutes=5)).isoformat()
    assert call_of(origins={"holders": {"source": "a b", "at": late}}).token.origins == {"holders": Origin("a b", NOW)}


@pytest.mark.parametrize(
    "origin",
    [
        None,
        7,
        "dexscreener",
        {},
        {"source": "dexscreener"},
        {"at": AT},
        {"source": "", "at": AT},
        {"source": "x" * 41, "at": AT},
        {"source": "DexScreener", "at": AT},
        {"source": "<b>", "at": AT},
        {"source": "d\n", "at": AT},
        {"source": ["d"], "at": AT},
        {"source": "d", "at": "2026-11-20T11:59:30"},
        {"source": "d", "at": "1969-07-20T20:17:40Z"},
        {"source": "d", "at": "2031-01-01T00:00:00Z"},
        {"source": "d", "at": 1_780_000_000},
    ],
)
def test_a_bad_origin_costs_itself(origin: object) -> None:
    good = {"source": "d", "at": AT}
    origins = {"price_usd": origin, "holders": good, "address": good, "chain": good, "unheard_of": good}
    call = call_of(origins=origins)
    assert list(call.token.origins) == ["holders"]
    assert call.token.price_usd == TOKEN["price_usd"]


@given(json_values | st.dictionaries(st.sampled_from(list(TOKEN)), json_values, max_size=4))
def test_whatever_the_origins_are_the_call_is_kept(origins: object) -> None:
    assert replace(call_of(origins=origins).token, origins={}) == call_of().token


def test_of_what_is_not_known_there_is_no_origin() -> None:
    assert call_of(holders=None, origins={"holders": {"source": "d", "at": AT}}).token.origins == {}


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://t.me/alpha/12", True),
        ("https://t.me/alpha/" + "1" * 481, True),
        ("https://t.me/alpha/" + "1" * 482, False),
        ("http://t.me/alpha/12", False),
        ("tg://resolve?domain=alpha", False),
        ("https://t.me@evil.example/12", False),
        ("https://t.me/<b>", False),
        ("javascript:alert(1)", False),
        ("", False),
        (None, False),
        (["https://t.me/alpha/12"], False),
    ],
)
def test_a_call_may_say_where_its_post_is(link: object, kept: bool) -> None:  # noqa: FBT001
    call = decode({**CALL, "link": link})
    assert isinstance(call, Call)
    assert call.link == (link if kept else None)


async def test_a_token_is_asked_for_on_its_chain(feed: FeedSandbox, api_manager: APIRetryManager) -> None:
    source = NativeSource(feed.ws_url, api_url=feed.http_url, token=feed.token, api=api_manager)
    at = datetime.now(UTC)
    figures = Token(address=EVM.lower(), chain="base", holders=3, origins={"holders": Origin("goplus", at)})
    feed.publish(replace(a_call(), token=replace(figures, address=EVM)))
    assert await source.token(EVM.lower(), "base") == figures
    assert await source.token(EVM.lower()) == figures, "of whose chain nothing is known"
    assert await source.token(EVM.lower(), "bsc") is None


def test_what_the_sandbox_says_survives_the_wire() -> None:
    token = Token(address=EVM.lower(), chain="bsc", price_usd=0.1, origins={"price_usd": Origin("gecko terminal", NOW)})
    call = replace(a_call("look"), token=token, link="https://t.me/c/1/2", received_at=NOW, called_at=NOW, cursor=3)
    assert NativeSource("ws://127.0.0.1:1/").decode(feed_wire.call_frame(call, 3), NOW) == call


def test_a_call_that_was_stored_before_there_were_other_chains_is_on_solana() -> None:
    stored = (
        f'{{"id":"1","token":{{"address":"{MINT}"}},"channel":{{"id":"@a"}},"called_at":"{AT}","received_at":"{AT}"}}'
    )
    call = msgspec.json.decode(stored, type=Call)
    assert (call.token, call.link) == (Token(address=MINT, chain="solana"), None)
