"""PumpPortal's data feed: launches and migrations on pump.fun and others as calls, trades as price ticks.

Its frames carry no time, no US dollars and, apart from the mint, no field that one may rely on. So times
are the moment of arrival, dollars need the price of SOL from elsewhere, and a field is taken only if it makes
sense.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from domain.calls.addresses import is_mint
from domain.calls.events import Call, Chain, Channel, Event, PriceTick, Token
from managers.feed.sources.base import NAME_LIMIT, REASON_LIMIT, SYMBOL_LIMIT, cut, positive, venue
from managers.feed.sources.links import media_link, telegram_handle, web_link, x_handle
from managers.http.json_repair import decoded
from runtime.errors import FeedRefusedError, FrameError

_URL = "wss://pumpportal.fun/api/data"
_SUPPLY = 1_000_000_000
"""Tokens of every launch on the standard curve."""
_SUPPLY_IS_KNOWN = frozenset({"pump", "pump-amm"})
_PUMP_FUN = "pump.fun"
_LAUNCHPADS = {"pump": _PUMP_FUN, "pump-amm": _PUMP_FUN, "pumpswap": _PUMP_FUN, "raydium": _PUMP_FUN}
"""By pool, where its name is another; on Raydium's first pools it is a migration of 2024."""
_EXCHANGES_OF_MANY = frozenset({"raydium-cpmm"})
"""Pools to which tokens of several launchpads go: they do not tell which."""
_TITLES = {"bonk": "bonk.fun"}
"""By launchpad, where people know it by another name."""
_UNNAMED = "pumpportal"
"""Stands in the name of a channel whose frames name no pool that one can show."""
_EXCHANGES = {
    "pump": _PUMP_FUN,
    "pump-amm": "pumpswap",
    "raydium-cpmm": "raydium",
    "bonk": "launchlab",
}
"""By pool, where its name is another; `pump` is the curve itself."""
_MAX_CHANNELS = 256


class _Frame(Struct, rename="camel"):
    """The fields we read, untyped: a wrong type in one of them must not cost the whole launch."""

    mint: Any = None
    tx_type: Any = None
    signature: Any = None
    name: Any = None
    symbol: Any = None
    pool: Any = None
    market_cap_sol: Any = None
    v_sol_in_bonding_curve: Any = None
    v_tokens_in_bonding_curve: Any = None
    is_mayhem_mode: Any = msgspec.field(default=None, name="is_mayhem_mode")
    image: Any = None
    website: Any = None
    twitter: Any = None
    telegram: Any = None
    message: Any = None
    errors: Any = None


_frames = msgspec.json.Decoder(_Frame)


class PumpPortalSource:
    """Live only: there is no way to ask for the past, nor for channels or tokens."""

    name = "pumpportal"
    replays = False
    unreadable = 0

    def __init__(
        self,
        *,
        sol_price_usd: Callable[[], float | None],
        url: str = _URL,
        api_key: str | None = None,
        idle_timeout_s: float = 60.0,
    ) -> None:
        separator = "&" if "?" in url else "?"
        self.url = f"{url}{separator}{urlencode({'api-key': api_key})}" if api_key else url
        self.idle_timeout_s = idle_timeout_s
        self._sol_price_usd = sol_price_usd

    @property
    def knows_tokens(self) -> bool:
        return False

    def came_back(self) -> None:
        """It has no HTTP side."""

    def subscription(self, cursor: int | None) -> list[str]:  # noqa: ARG002 - nothing can be resumed here
        return ['{"method":"subscribeNewToken"}', '{"method":"subscribeMigration"}']

    def decode(self, frame: bytes, received_at: datetime) -> Event | None:
        try:
            body = decoded(_frames, frame)
        except (ValueError, RecursionError) as error:
            raise FrameError(str(error)[:REASON_LIMIT]) from error
        if body.errors is not None:
            refusal = body.errors if isinstance(body.errors, str) else "refused without a text"
            raise FeedRefusedError(refusal[:REASON_LIMIT])
        if body.mint is None and body.tx_type is None and body.message is not None:
            return None
        mint = body.mint
        if not (isinstance(mint, str) and is_mint(mint)):
            raise FrameError("mint is not the base58 form of 32 bytes")
        match body.tx_type:
            case "create":
                return self._launch(body, mint, received_at)
            case "migrate":
                return _call(body, _migrated(body, mint), _channel(body, "migrations"), received_at)
            case "buy" | "sell":
                return self._tick(body, mint, received_at)
            case _:
                raise FrameError("txType is not one that we know")

    async def calls_since(self, cursor: int, limit: int) -> list[Call]:  # noqa: ARG002 - no HTTP side
        return []

    async def newest_cursor(self) -> int | None:
        return None

    async def channel(self, channel_id: str) -> Channel | None:  # noqa: ARG002 - no HTTP side
        return None

    async def token(self, address: str, chain: Chain | None = None) -> Token | None:  # noqa: ARG002 - no HTTP side
        return None

    def _launch(self, body: _Frame, mint: str, received_at: datetime) -> Call:
        price_usd, market_cap_usd = self._value_usd(body)
        token = Token(
            address=mint,
            name=_text(body.name, NAME_LIMIT),
            symbol=_text(body.symbol, SYMBOL_LIMIT),
            price_usd=price_usd,
            market_cap_usd=market_cap_usd,
            fdv_usd=market_cap_usd,
            created_at=received_at,
            launchpad=_launchpad(body),
            dex=_exchange(body, otherwise=_PUMP_FUN),
            website=web_link(body.website),
            x_handle=x_handle(body.twitter),
            telegram=telegram_handle(body.telegram),
            image_url=media_link(body.image),
        )
        return _call(body, token, _channel(body, "launches"), received_at)

    def _tick(self, body: _Frame, mint: str, received_at: datetime) -> PriceTick | None:
        price_usd, market_cap_usd = self._value_usd(body)
        if price_usd is None:
            return None
        return PriceTick(token_address=mint, price_usd=price_usd, market_cap_usd=market_cap_usd, at=received_at)

    def _value_usd(self, body: _Frame) -> tuple[float | None, float | None]:
        """Price of one token and market cap; both `None` where the frame or the SOL price is silent."""
        sol_usd = self._sol_price_usd()
        value_sol = _value_sol(body)
        if sol_usd is None or value_sol is None:
            return None, None
        price_sol, market_cap_sol = value_sol
        return price_sol * sol_usd, market_cap_sol * sol_usd


def _value_sol(body: _Frame) -> tuple[float, float] | None:
    """Price and market cap in SOL. Frames of 2024 name no pool; they are all from the standard curve."""
    pool = "pump" if body.pool is None else body.pool
    if body.is_mayhem_mode or not isinstance(pool, str) or pool not in _SUPPLY_IS_KNOWN:
        return None
    sol, tokens = positive(body.v_sol_in_bonding_curve), positive(body.v_tokens_in_bonding_curve)
    market_cap = positive(body.market_cap_sol)
    from_reserves = sol / tokens if sol is not None and tokens else None
    if from_reserves is None:
        return None if market_cap is None else (market_cap / _SUPPLY, market_cap)
    if market_cap is None:
        market_cap = from_reserves * _SUPPLY
    # Curves quoted in another currency or of another supply show themselves by not adding up.
    if not math.isclose(market_cap, from_reserves * _SUPPLY, rel_tol=0.01):
        return None
    return from_reserves, market_cap


def _migrated(body: _Frame, mint: str) -> Token:
    return Token(address=mint, launchpad=_launchpad(body), dex=_exchange(body, otherwise=None))


def _launchpad(body: _Frame) -> str | None:
    """Where the token was launched. Frames of 2024 name no pool: there was pump.fun alone."""
    if body.pool is None:
        return _PUMP_FUN
    name = venue(body.pool)
    return None if name in _EXCHANGES_OF_MANY else name and _LAUNCHPADS.get(name, name)


def _channel(body: _Frame, events: str) -> Channel:
    """What the frame counts as a call of: the launches, or migrations, of one launchpad."""
    return _channel_of(_launchpad(body) or venue(body.pool) or _UNNAMED, events)


@lru_cache(_MAX_CHANNELS)
def _channel_of(name: str, events: str) -> Channel:
    return Channel(id=f"{name.replace(' ', '-')}/{events}", title=f"{_TITLES.get(name, name)} {events}")


def _exchange(body: _Frame, *, otherwise: str | None) -> str | None:
    """Where the token trades now; `otherwise` for frames of 2024, which name no pool."""
    name = otherwise if body.pool is None else venue(body.pool)
    return name and _EXCHANGES.get(name, name)


def _call(body: _Frame, token: Token, channel: Channel, received_at: datetime) -> Call:
    signature = body.signature if isinstance(body.signature, str) else ""
    identity = f"{signature}|{token.address}|{body.tx_type}"
    return Call(
        id=f"pp-{blake2b(identity.encode(), digest_size=12).hexdigest()}",
        token=token,
        channel=channel,
        called_at=received_at,
        received_at=received_at,
    )


def _text(value: object, limit: int) -> str | None:
    return cut(value, limit) if isinstance(value, str) else None
