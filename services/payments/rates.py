"""What a coin costs in dollars: for SOL what two independent sources agree on, for USDC one dollar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

import structlog

from domain.payments.amounts import SOL, USDC
from runtime.errors import TransientError, UserFacingError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_DIFFERENCE: Final = Decimal("0.02")
"""Of the larger price."""
HOLDS_FOR: Final = timedelta(seconds=15)
"""What was agreed on is not asked for again."""


class RateUnknownError(UserFacingError):
    """There is no price that an invoice could be made with."""

    def __init__(self) -> None:
        super().__init__("payment.no_rate")


class SolPrices(Protocol):
    async def sol_usd(self) -> Decimal:
        """Return US dollars for one SOL. Raises `TransientError`."""
        ...


class Rates:
    def __init__(self, *, one: SolPrices, other: SolPrices, clock: Callable[[], datetime]) -> None:
        self._sources = (one, other)
        self._clock = clock
        self._agreed: Decimal | None = None
        self._agreed_at: datetime | None = None
        self._asking = asyncio.Lock()
        self.disagreements = 0
        """How often both have answered, too far apart."""
        self.problem: str | None = None
        """Why there was no price the last time."""

    async def of(self, asset: str) -> Decimal | None:
        """Return dollars for one coin; `None` where that is not certain."""
        if asset == USDC.code:
            return Decimal(1)
        if asset != SOL.code:
            return None
        async with self._asking:
            now = self._clock()
            if self._agreed_at is None or not now - HOLDS_FOR < self._agreed_at <= now:
                self._agreed, self._agreed_at = await self._ask(), now
            if self._agreed is None:
                self._agreed_at = None
            return self._agreed

    async def require(self, asset: str) -> Decimal:
        """Return dollars for one coin. Raises `RateUnknownError`."""
        rate = await self.of(asset)
        if rate is None:
            raise RateUnknownError
        return rate

    async def _ask(self) -> Decimal | None:
        """Return the mean of what both say, if they agree."""
        found = await asyncio.gather(*(source.sol_usd() for source in self._sources), return_exceptions=True)
        prices: list[Decimal] = []
        for one in found:
            if isinstance(one, TransientError):
                self.problem = str(one)
            elif isinstance(one, BaseException):
                raise one
            else:
                prices.append(one)
        if len(prices) < len(self._sources):
            log.warning("sol_price_unknown", reason=self.problem)
            return None
        low, high = min(prices), max(prices)
        if high - low > high * MAX_DIFFERENCE:
            self.disagreements += 1
            self.problem = f"the sources say {low} and {high}"
            log.warning("sol_prices_differ", low=str(low), high=str(high))
            return None
        self.problem = None
        return (low + high) / 2
