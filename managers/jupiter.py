"""Jupiter's price API v3, and the price of SOL kept from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, cast

import aiohttp
import msgspec

from domain.errors import TransientError
from managers.sources.base import positive
from managers.sources.http import get

SOL_MINT = "So11111111111111111111111111111111111111112"

_IDS_PER_REQUEST = 50
_TIMEOUT_S = 5.0
_SOL_PRICE_LIFETIME = timedelta(minutes=10)

_prices = msgspec.json.Decoder(dict[str, Any])


class JupiterManager:
    """Works without a key; the keyless limit is 30 requests a minute."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str = "https://api.jup.ag") -> None:
        self._session = session
        self._url = f"{base_url.rstrip('/')}/price/v3"

    async def prices_usd(self, mints: Iterable[str]) -> dict[str, float]:
        """US dollars per token by mint; a mint without a reliable price is absent. `TransientError`."""
        prices: dict[str, float] = {}
        pending = iter(dict.fromkeys(mints))
        while page := list(islice(pending, _IDS_PER_REQUEST)):
            prices |= await self._page(page)
        return prices

    async def _page(self, mints: Sequence[str]) -> dict[str, float]:
        body = await get(self._session, self._url, params={"ids": ",".join(mints)}, timeout_s=_TIMEOUT_S)
        if body is None:
            raise TransientError("HTTP 404 from the price API")
        try:
            document = _prices.decode(body)
        except (ValueError, RecursionError) as error:
            raise TransientError(f"the price API's answer is unreadable: {error}"[:200]) from error
        found = ((mint, _price(document.get(mint))) for mint in mints)
        return {mint: price for mint, price in found if price is not None}


class SolPrice:
    """US dollars for one SOL. A value older than ten minutes is no value."""

    def __init__(self, jupiter: JupiterManager, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
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


def _price(entry: object) -> float | None:
    return positive(cast("dict[str, object]", entry).get("usdPrice")) if isinstance(entry, dict) else None
