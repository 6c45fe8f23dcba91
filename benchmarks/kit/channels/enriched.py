"""A thousand new tokens at once: how long until all providers together have told of them, each within its limit.

Time is simulated, requests are real, and the stand-ins refuse whatever exceeds what is documented (or guessed, where
nothing is). Beside it whoever asks every provider about one token after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import aiohttp
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.kit.report import Row, at_most, for_comparison
from benchmarks.kit.virtual_time import run as run_in_virtual_time
from domain.calls.events import Token
from domain.prices.readings import TokenRef
from managers.http.api import APIRetryManager, NotAskedError
from managers.http.request_budget import Room
from managers.providers.dexscreener_figures import DexScreenerFigures
from managers.providers.figures import FigureProvider
from managers.providers.geckoterminal_figures import GeckoTerminalFigures
from managers.providers.goplus import GoPlusSolanaManager
from managers.providers.jupiter import JupiterManager
from managers.providers.jupiter_figures import JupiterFigures
from managers.providers.rugcheck import RugCheckManager
from runtime.errors import TransientError
from sandbox.market.market import Market
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.goplus import GoPlusSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.providers.rugcheck import RugCheckSandbox
from sandbox.providers.stand_in import StandIn
from services.providers.figures import FiguresService

TOKENS: Final = 1_000
LIMITS: Final = {"dexscreener": 300, "geckoterminal": 30, "jupiter": 30, "rugcheck": 30, "goplus": 30}
MARKET: Final = ("price_usd", "market_cap_usd", "liquidity_usd")
POWERS: Final = ("mint_revoked", "freeze_revoked", "top10_percent")
"""Of security, what somebody tells of many tokens at once."""
METADATA: Final = ("metadata_immutable",)
"""What is told of one token a request alone, by two."""
KINDS: Final = {"market figures": MARKET, "mint, freeze, top 10": POWERS, "whether metadata can change": METADATA}
MOST: Final = 0.95
DELAY_S: Final = 0.2
_BEGAN: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
_AGAIN_S: Final = 5.0
_LONGEST_S: Final = 3 * 3_600.0


class Told(Struct):
    took_s: dict[str, float]
    """By kind of figures: until all tokens had them."""
    most_took_s: dict[str, float]
    """Until `MOST` of them had."""
    requests: dict[str, int]
    most_in_a_minute: dict[str, int]
    refused: int


def rows(tokens: int = TOKENS) -> list[Row]:
    ours, single = run_in_virtual_time(_measure(tokens, _together)), run_in_virtual_time(_measure(tokens, _one_by_one))
    found: list[Row] = []
    for kind in KINDS:
        found.append(
            at_most(f"{tokens:,} new tokens: until all have {kind}", ours.took_s[kind], "s", single.took_s[kind])
        )
        found.append(for_comparison(f"asked one by one: until all have {kind}", single.took_s[kind], "s"))
    for kind in list(KINDS)[-1:]:
        found.append(
            at_most(
                f"{tokens:,} new tokens: until 95 % have it: {kind}",
                ours.most_took_s[kind],
                "s",
                single.most_took_s[kind],
            )
        )
        found.append(for_comparison(f"asked one by one: until 95 % have it: {kind}", single.most_took_s[kind], "s"))
    for name, limit in LIMITS.items():
        most = ours.most_in_a_minute[name]
        found.append(at_most(f"{name}: requests in its fullest minute", most, "", limit))
        found.append(
            for_comparison(
                f"{name}: requests, all in all (one by one)", ours.requests[name], f"({single.requests[name]:,})"
            )
        )
    found.append(at_most("requests refused for the limit", ours.refused, "", 0))
    return found


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _now() -> datetime:
    return _BEGAN + timedelta(seconds=_now_s())


class _Noting:
    """A provider, and what it was the first to tell."""

    def __init__(
        self, provider: FigureProvider, missing: dict[str, dict[str, set[str]]], told: Callable[[], None]
    ) -> None:
        self._provider = provider
        self._missing = missing
        self._told = told
        self.name, self.gives = provider.name, provider.gives
        self.tokens_per_request = provider.tokens_per_request

    def covers(self, token: TokenRef) -> bool:
        return self._provider.covers(token)

    def room(self) -> Room:
        return self._provider.room()

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        found = await self._provider.figures(tokens)
        for key, token in found.items():
            for missing in self._missing.values():
                lacking = missing.get(key)
                if lacking is None:
                    continue
                lacking -= {name for name in lacking if getattr(token, name) is not None}
                if not lacking:
                    del missing[key]
        self._told()
        return found


Asking = Callable[[Sequence[_Noting], Sequence[TokenRef]], Coroutine[None, None, None]]


async def _measure(count: int, asking: Asking) -> Told:
    tokens = _tokens(count)
    async with _stand_ins({token.address: token for token in tokens}) as stand_ins, aiohttp.ClientSession() as session:
        refs = [TokenRef(token.address) for token in tokens]
        missing = {kind: {ref.key: set[str](names) for ref in refs} for kind, names in KINDS.items()}
        took_s: dict[str, float] = {}
        most_took_s: dict[str, float] = {}

        def told() -> None:
            few = (1 - MOST) * count
            most_took_s.update(
                {kind: _now_s() for kind, left in missing.items() if len(left) <= few and kind not in most_took_s}
            )
            took_s.update({kind: _now_s() for kind, left in missing.items() if not left and kind not in took_s})

        api = APIRetryManager(session, clock=_now_s)
        providers = [_Noting(one, missing, told) for one in _providers(api, stand_ins)]
        task = asyncio.ensure_future(asking(providers, refs))
        while len(took_s) < len(KINDS) and _now_s() < _LONGEST_S:  # noqa: ASYNC110 - time is simulated
            await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return Told(
            {kind: took_s.get(kind, _LONGEST_S) for kind in KINDS},
            {kind: most_took_s.get(kind, _LONGEST_S) for kind in KINDS},
            {name: one.requests for name, one in stand_ins.items()},
            {name: one.most_in_a_window for name, one in stand_ins.items()},
            sum(one.refused for one in stand_ins.values()),
        )


async def _together(providers: Sequence[_Noting], tokens: Sequence[TokenRef]) -> None:
    """As calls of all of them at one moment are enriched."""
    service = FiguresService(providers, _now)
    async with asyncio.TaskGroup() as group:
        group.create_task(service.run(lambda: None))
        await service.of(tokens, within_s=_LONGEST_S)


async def _one_by_one(providers: Sequence[_Noting], tokens: Sequence[TokenRef]) -> None:
    async def ask(provider: _Noting) -> None:
        for token in tokens:
            while True:
                try:
                    await provider.figures([token])
                    break
                except NotAskedError as error:
                    await asyncio.sleep(max(0.01, error.again_in_s))
                except TransientError:
                    await asyncio.sleep(_AGAIN_S)

    async with asyncio.TaskGroup() as group:
        for provider in providers:
            group.create_task(ask(provider))


def _tokens(count: int) -> list[Token]:
    """Tokens of whom everything is known to somebody."""
    market, at, found = Market(seed=19), _BEGAN, dict[str, Token]()
    random = Random(19)
    while len(found) < count:
        token = market.next_call(at).token
        whole = market.token(token.address, at) or token
        told = {
            "mint_revoked": True,
            "freeze_revoked": True,
            "top10_percent": 20.0,
            "lp_locked_percent": random.uniform(0, 100),
        }
        found[token.address] = replace(
            whole, **{name: value for name, value in told.items() if getattr(whole, name) is None}
        )
    return list(found.values())


@asynccontextmanager
async def _stand_ins(tokens: dict[str, Token]) -> AsyncGenerator[dict[str, StandIn]]:
    makers = (DexScreenerSandbox, GeckoTerminalSandbox, PriceSandbox, RugCheckSandbox, GoPlusSandbox)
    async with AsyncExitStack() as stack:
        found: dict[str, StandIn] = {}
        for (name, limit), maker in zip(LIMITS.items(), makers, strict=True):
            one = maker(figures=tokens.get, requests_per_minute=limit, clock=lambda: _now().timestamp())
            one.delay_s = DELAY_S
            found[name] = await stack.enter_async_context(one)
        yield found


def _providers(api: APIRetryManager, at: dict[str, StandIn]) -> list[FigureProvider]:
    return [
        DexScreenerFigures(api, at["dexscreener"].url, clock=_now),
        GeckoTerminalFigures(api, at["geckoterminal"].url, clock=_now),
        JupiterFigures(JupiterManager(api, at["jupiter"].url, clock=_now)),
        RugCheckManager(api, at["rugcheck"].url, clock=_now),
        GoPlusSolanaManager(api, at["goplus"].url, clock=_now),
    ]
