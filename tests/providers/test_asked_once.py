"""Where each token costs a request, two providers share the work; whoever has just failed is not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp

from domain.calls.events import Token
from domain.prices.readings import TokenRef
from managers.http.api import APIRetryManager
from managers.providers.goplus import GoPlusSolanaManager
from managers.providers.rugcheck import RugCheckManager
from runtime.clock import now
from sandbox.market.market import Market
from sandbox.providers.goplus import GoPlusSandbox
from sandbox.providers.rugcheck import RugCheckSandbox
from services.providers.figures import FAILED_PAUSE_S, FiguresService

TOLD_BY_BOTH = frozenset({"mint_revoked"})


def tokens(count: int) -> dict[str, Token]:
    market, at = Market(seed=3), datetime.now(UTC)
    found: dict[str, Token] = {}
    while len(found) < count:
        token = market.token(market.next_call(at).token.address, at)
        if token is not None and token.mint_revoked is not None:
            found[token.address] = token
    return found


@asynccontextmanager
async def asked(rugcheck: RugCheckSandbox, goplus: GoPlusSandbox) -> AsyncGenerator[FiguresService]:
    async with rugcheck, goplus, aiohttp.ClientSession() as session:
        api = APIRetryManager(session)
        service = FiguresService([RugCheckManager(api, rugcheck.url), GoPlusSolanaManager(api, goplus.url)], now)
        running = asyncio.create_task(service.run(lambda: None))
        try:
            yield service
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_two_that_tell_of_one_token_a_request_share_them() -> None:
    known = tokens(20)
    rugcheck, goplus = RugCheckSandbox(figures=known.get), GoPlusSandbox(figures=known.get)
    rugcheck.delay_s = goplus.delay_s = 0.02
    async with asked(rugcheck, goplus) as service:
        found = await service.of(map(TokenRef, known), waits_for=TOLD_BY_BOTH, within_s=10)
        made = rugcheck.requests + goplus.requests
    assert len(found) == len(known)
    assert made <= len(known) + 2
    assert min(rugcheck.requests, goplus.requests) > len(known) / 4


async def test_who_has_just_failed_is_not_waited_for() -> None:
    known = tokens(2)
    first, second = map(TokenRef, known)
    rugcheck, goplus = RugCheckSandbox(figures=known.get), GoPlusSandbox(figures=known.get)
    rugcheck.status = 503
    async with asked(rugcheck, goplus) as service:
        await service.of([first], within_s=10)
        async with asyncio.timeout(FAILED_PAUSE_S / 2):
            found = await service.of([second], within_s=FAILED_PAUSE_S - 0.5)
    assert found.keys() == {second.key}
