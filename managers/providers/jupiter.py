"""Jupiter: prices (v3) and what it knows of tokens (v2), and the price of SOL kept from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import msgspec
import structlog

from domain.calls.events import Origin, Token
from domain.prices.readings import PriceReading, TokenRef, checked_reading
from managers.feed.sources.base import NAME_LIMIT, SYMBOL_LIMIT, positive, venue
from managers.feed.sources.links import media_link, telegram_handle, web_link, x_handle
from managers.http.answers import Shape
from managers.http.api import ATTEMPTS
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.bodies import HUNDRED, Body
from managers.providers.provider import Provider
from runtime.clock import now
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

SOL_MINT = "So11111111111111111111111111111111111111112"
TOKENS_PER_REQUEST = 100
KEYLESS = Limit(30, 60.0)

_PRICES_PER_REQUEST = 50
_PRICES_TIMEOUT_S = 5.0
_TOKENS_TIMEOUT_S = 2.0
"""A call waits for the answer and goes on without it."""
_SOL_PRICE_LIFETIME = timedelta(minutes=10)

_PRICES_SHAPE: Final[Shape] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FOUND_SHAPE: Final[Shape] = msgspec.json.Decoder(list[msgspec.Raw])
_prices = msgspec.json.Decoder(dict[str, Any])
_found = msgspec.json.Decoder(list[Any])


class JupiterManager(Provider):
    """Works without a key, within the keyless limit. Every method raises `TransientError`."""

    name: str = "jupiter"
    base_url = "https://api.jup.ag"
    limit: Limit = KEYLESS
    tokens_per_request: int = _PRICES_PER_REQUEST

    def covers(self, token: TokenRef) -> bool:
        return token.chain == "solana"

    async def read(self, tokens: Sequence[TokenRef]) -> list[PriceReading]:
        """Prices of at most `tokens_per_request` tokens, asked once; those without a reliable price are absent."""
        ids = ",".join(token.address for token in tokens)
        document = decoded(
            _prices, await self._get("/price/v3", {"ids": ids}, _PRICES_SHAPE, _PRICES_TIMEOUT_S, attempts=1)
        )
        self._note_unreadable(document[token.address] for token in tokens if token.address in document)
        at = self._clock()
        bodies = ((token, Body(document.get(token.address))) for token in tokens)
        readings = (
            checked_reading(
                token, body.number("usdPrice"), at=at, source=self.name, liquidity_usd=body.number("liquidity")
            )
            for token, body in bodies
        )
        return [reading for reading in readings if reading is not None]

    async def prices_usd(self, mints: Iterable[str]) -> dict[str, float]:
        """US dollars per token by mint; a mint without a reliable price is absent."""
        prices: dict[str, float] = {}
        for page in _pages(mints, _PRICES_PER_REQUEST):
            body = await self._get("/price/v3", {"ids": ",".join(page)}, _PRICES_SHAPE, _PRICES_TIMEOUT_S)
            document = decoded(_prices, body)
            self._note_unreadable(document[mint] for mint in page if mint in document)
            found = ((mint, _price(document.get(mint))) for mint in page)
            prices |= {mint: price for mint, price in found if price is not None}
        return prices

    async def sol_usd(self) -> Decimal:
        """Return US dollars for one SOL."""
        prices = await self.prices_usd([SOL_MINT])
        if SOL_MINT not in prices:
            raise TransientError("Jupiter does not know the price of SOL")
        return Decimal(str(prices[SOL_MINT]))

    async def tokens(self, mints: Iterable[str], *, attempts: int = ATTEMPTS) -> dict[str, Token]:
        """Whatever Jupiter knows, by mint; a mint that it does not know is absent.

        Every figure has an origin: Jupiter, at the moment at which it says it updated the token. A figure that
        makes no sense is left out, and does not cost the others.
        """
        tokens: dict[str, Token] = {}
        for page in _pages(mints, TOKENS_PER_REQUEST):
            query = {"query": ",".join(page)}
            body = await self._get("/tokens/v2/search", query, _FOUND_SHAPE, _TOKENS_TIMEOUT_S, attempts=attempts)
            asked, now = set(page), self._clock()
            entries = decoded(_found, body)
            self._note_unreadable(entries)
            for entry in entries:
                mint = Body(entry).get("id")
                if isinstance(mint, str) and mint in asked:
                    tokens[mint] = read_token(mint, entry, now)
        return tokens

    def _note_unreadable(self, entries: Iterable[object]) -> None:
        if unreadable := sum(not isinstance(entry, dict) for entry in entries):
            self.unreadable += unreadable
            log.warning("jupiter_entries_skipped", entries=unreadable)

    async def _get(
        self, path: str, params: dict[str, str], shape: Shape, timeout_s: float, *, attempts: int = ATTEMPTS
    ) -> bytes:
        url = self._url + path
        body = await self._api.get(url, params=params, timeout_s=timeout_s, attempts=attempts, shape=shape)
        if body is None:
            raise TransientError("HTTP 404 from Jupiter")
        return body


class SolPrice:
    """US dollars for one SOL. A value older than ten minutes is no value."""

    def __init__(self, jupiter: JupiterManager, *, clock: Callable[[], datetime] = now) -> None:
        self._jupiter = jupiter
        self._clock = clock
        self._value: float | None = None
        self._read_at: datetime | None = None

    async def refresh(self) -> None:
        """Ask once. `TransientError`, also when Jupiter has no price; the earlier value then stays."""
        prices = await self._jupiter.prices_usd([SOL_MINT])
        if SOL_MINT not in prices:
            raise TransientError("the price API does not know the price of SOL")
        self._value = prices[SOL_MINT]
        self._read_at = self._clock()

    def value(self) -> float | None:
        if self._read_at is None or self._clock() - self._read_at > _SOL_PRICE_LIFETIME:
            return None
        return self._value


def _pages(mints: Iterable[str], size: int) -> Iterator[Sequence[str]]:
    """Each mint once, in pages of at most `size`."""
    pending = iter(dict.fromkeys(mints))
    while page := list(islice(pending, size)):
        yield page


def _price(entry: object) -> float | None:
    return positive(Body(entry).get("usdPrice"))


def read_token(mint: str, entry: object, now: datetime) -> Token:
    """Read one entry of the answer, untyped as it came."""
    body = Body(entry)
    audit, hour = body.body("audit"), body.body("stats1h")
    figures: dict[str, Any] = {
        "name": body.string("name", NAME_LIMIT),
        "symbol": body.string("symbol", SYMBOL_LIMIT),
        "price_usd": positive(body.get("usdPrice")),
        "market_cap_usd": positive(body.get("mcap")),
        "fdv_usd": positive(body.get("fdv")),
        "liquidity_usd": body.number("liquidity"),
        "buys_1h": hour.count("numBuys"),
        "sells_1h": hour.count("numSells"),
        "holders": body.count("holderCount") or None,  # somebody has been given the supply
        "created_at": body.body("firstPool").moment("createdAt", now),
        "top10_percent": audit.number("topHoldersPercentage", at_most=100),
        "developer_percent": audit.number("devBalancePercentage", at_most=100),
        "mint_revoked": audit.flag("mintAuthorityDisabled"),
        "freeze_revoked": audit.flag("freezeAuthorityDisabled"),
        "risk_score": HUNDRED if audit.flag("isSus") is True else None,
        "launchpad": venue(body.get("launchpad")),
        "website": web_link(body.get("website")),
        "x_handle": x_handle(body.get("twitter")),
        "telegram": telegram_handle(body.get("telegram")),
        "image_url": media_link(body.get("icon")),
    }
    for window in ("5m", "1h", "24h"):
        stats = body.body(f"stats{window}")
        figures[f"volume_{window}_usd"] = _sum(stats.number("buyVolume"), stats.number("sellVolume"))
        figures[f"price_change_{window}_percent"] = stats.number("priceChange", at_least=-100)
    updated_at = body.moment("updatedAt", now)
    origin = Origin("jupiter", now if updated_at is None else min(updated_at, now))
    known = {name: value for name, value in figures.items() if value is not None}
    return Token(address=mint, **known, origins=dict.fromkeys(known, origin))


def _sum(bought: float | None, sold: float | None) -> float | None:
    """Both sides of the trade; one that is absent where the other is there has not happened."""
    if bought is None and sold is None:
        return None
    total = (bought or 0.0) + (sold or 0.0)
    return total if math.isfinite(total) else None
