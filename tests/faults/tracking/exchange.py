"""Where tokens are traded: a feed that ticks, providers that are asked, a clock that all share, and the bot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import aiohttp
from msgspec.structs import replace

from domain.calls.events import Call, Channel, PriceTick, Token
from domain.filters.registry import Choice
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.jupiter import PriceSandbox
from tests.faults.market import FIRST_USER_ID, Pair, taker
from tests.faults.process import Bot
from tests.faults.stage import STARTS_WITHIN_S, Stage
from tests.faults.tracking.books import Books, TrackingCounts
from tests.faults.tracking.fast_clock import FastClock
from tests.faults.tracking.lives import CHANNELS, DAY_S, HOUR_S, STEP_S, SUPPLY, Life, Span

_LOOK_EVERY_S: Final = 0.01
_TAKEN_WITHIN_S: Final = 30.0
PATIENCE_S: Final = 10.0
_FIGURE: Final = re.compile(r"\n(tracking_\w+?)(?:_total)? (\S+)")
_KNOWN_WELL: Final = 30
_MOMENT: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeCall:
    """One that the feed has told."""

    id: str
    life: Life
    at_s: float
    price_usd: float
    people: tuple[int, ...]
    """Who was told; nobody, where another channel has called the token before."""


class Exchange:
    """`async with Exchange(stage, clock, lives) as exchange:` has providers up and everybody enrolled."""

    def __init__(self, stage: Stage, clock: FastClock, lives: Sequence[Life], span: Span) -> None:
        self.stage = stage
        self.clock = clock
        self.lives = lives
        self.tracked_for_s = span.tracked_for_s
        self.takers = {channel: _takers(number) for number, channel in enumerate(CHANNELS)}
        """By channel, who wants its calls. Nobody wants many: Telegram takes a message a second for each chat."""
        self.calls: list[MadeCall] = []
        self.ticks: dict[str, list[tuple[float, float]]] = {life.address: [] for life in lives}
        """What the feed has said: time since the beginning and price, by address."""
        self.unseen_s: list[float] = []
        """When the bot was started anew, or nobody told it any price."""
        self._life_of = {life.address: life for life in lives}
        self.jupiter = PriceSandbox(figures=self._figures, clock=clock.time)
        self.dexscreener = DexScreenerSandbox(figures=self._figures, clock=clock.time)
        self.gecko = GeckoTerminalSandbox(figures=self._figures, clock=clock.time, history=self._history)
        self.repeats = 0
        """How often the feed says each tick again."""
        self.says_old = False
        """It says what cost how much an hour ago, after every tick."""
        self.says_nothing = False
        self.off_by: float | None = None
        """Factor by which it is wrong once for each token, or one by the same factor."""
        self.books = Books(self, tracked_for_s=span.tracked_for_s)
        self._told = 0
        """Ticks, to the bot that runs."""
        self._started = 0
        """Bots by now."""
        self._metrics_url = ""
        self._session: aiohttp.ClientSession | None = None
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for part in (self.jupiter, self.dexscreener, self.gecko):
                await stack.enter_async_context(part)
            self._session = await stack.enter_async_context(aiohttp.ClientSession())
            paid_until = self.clock.now() + timedelta(days=900)
            await self.stage.enrol(
                [
                    replace(taker(user_id, {"channel": Choice(included=frozenset((channel,)))}), paid_until=paid_until)
                    for channel, people in self.takers.items()
                    for user_id in people
                ]
            )
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def at_s(self) -> float:
        """Since the beginning."""
        return self.clock.time() - self.clock.began_s

    @property
    def is_unseen(self) -> bool:
        """Whether nobody says any price."""
        return self.says_nothing and self.jupiter.status != HTTPStatus.OK

    # the bot

    @asynccontextmanager
    async def bot(self, **more: str) -> AsyncGenerator[Bot]:
        async with self.stage.bot(**self.settings(), **more) as bot:
            health = await bot.says(r"Health: (http://\S+)/healthz", timeout_s=STARTS_WITHIN_S)
            self._metrics_url, self._told = f"{health[1]}/metrics", 0
            self._started += 1
            self.unseen_s.append(self.at_s)
            await self._follows()
            yield bot

    def settings(self) -> dict[str, str]:
        return {
            "FAULT_CLOCK_FILE": str(self.clock.path),
            "TRACK_FOR_DAYS": f"{self.tracked_for_s / DAY_S:g}",
            "PRICE_API_URL": self.jupiter.url,
            "DEXSCREENER_URL": self.dexscreener.url,
            "GECKOTERMINAL_URL": self.gecko.url,
        }

    async def finish(self, bot: Bot) -> TrackingCounts:
        """Wait for what is missing, let the bot drain and end, and count."""
        await self.books.complete(patience_s=PATIENCE_S)
        await self.stage.end(bot)
        return await self.books.counts()

    async def figures(self) -> dict[str, float]:
        """What the bot says of its tracking, by name."""
        assert self._session
        async with self._session.get(self._metrics_url) as answer:
            text = await answer.text()
        return {name: float(value) for name, value in _FIGURE.findall(text)}

    async def _follows(self) -> None:
        """Wait until the bot follows all calls that are left: those that it has to take over."""
        async with asyncio.timeout(STARTS_WITHIN_S):
            while (await self.figures()).get("tracking_here") != 1.0:  # noqa: ASYNC110 - a number, no event
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _taken_in(self) -> bool:
        """Wait until the bot has taken in all ticks and looked at everything; `False` where it died instead."""
        started = self._started
        async with asyncio.timeout(STARTS_WITHIN_S):
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                try:
                    figures = await self.figures()
                except aiohttp.ClientError:
                    figures = {}
                if self._started != started:
                    return False
                waiting = figures.get("tracking_parts_due", 1.0) + figures.get("tracking_unwritten", 1.0)
                if not waiting and figures.get("tracking_ticks", 0.0) >= self._told:
                    return True

    # the market

    async def call(self, some: Sequence[tuple[Life, str]]) -> None:
        """Let channels call tokens at this moment; returns when everybody was told and the calls are followed."""
        at_s, now = self.at_s, self.clock.now()
        pairs: set[Pair] = set()
        for life, channel in some:
            call_id = f"made-{len(self.calls)}"
            is_first = life.address not in {made.life.address for made in self.calls}
            people = self.takers[channel] if is_first else ()
            pairs |= {(user_id, life.address) for user_id in people}
            made = Call(
                id=call_id,
                token=life.token(at_s),
                channel=Channel(id=channel, title=channel.removeprefix("@")),
                called_at=now,
                received_at=now,
                text=f"{life.symbol} looks good",
            )
            price = life.price(at_s)
            self.calls.append(MadeCall(id=call_id, life=life, at_s=at_s, price_usd=price, people=people))
            self.stage.feed.publish(made)
        self.stage.ledger.expect(pairs)
        await self.stage.ledger.got(pairs, timeout_s=_TAKEN_WITHIN_S)
        await self._written_down()

    async def _written_down(self) -> None:
        """Wait until PostgreSQL knows who was told, and that every call is followed."""
        told = sum(len(made.people) for made in self.calls)
        async with asyncio.timeout(_TAKEN_WITHIN_S), self.stage.database() as connection:
            while (  # noqa: ASYNC110 - it tells nobody
                await connection.fetchval("SELECT count(*) FROM outcomes") < len(self.calls)
                or await connection.fetchval("SELECT count(*) FROM deliveries WHERE kind = 'alert'") < told
            ):
                await asyncio.sleep(_LOOK_EVERY_S)

    async def tick(self, lives: Sequence[Life]) -> None:
        """Let the feed say what these cost now; returns when the bot has taken it in and looked at everything."""
        at_s, now = self.at_s, self.clock.now()
        off = [_tick(life, life.price(at_s) * self._off(life), now - _MOMENT) for life in lives if self._is_off(life)]
        if not self.is_unseen:
            for life in lives:
                self.ticks[life.address].append((at_s, life.tick(at_s)))
        ticks = [] if self.says_nothing else [_tick(life, life.tick(at_s), now) for life in lives]
        old = [_tick(life, life.tick(at_s - HOUR_S), now - _HOUR) for life in lives if self.says_old]
        more = [said for said in (*(ticks for _ in range(self.repeats)), old) if said]
        for said in (*([off] if off else []), ticks, *more):
            await self._say(said)

    async def _say(self, ticks: Sequence[PriceTick]) -> None:
        for tick in ticks:
            self.stage.feed.publish_tick(tick)
        self._told += len(ticks)
        while not await self._taken_in():
            pass  # another bot goes on: it was told none of this

    def _is_off(self, life: Life) -> bool:
        """Once for each token, when it is known well."""
        return self.off_by is not None and len(self.ticks[life.address]) == _KNOWN_WELL

    def _off(self, life: Life) -> float:
        factor = self.off_by or 1.0
        return factor if life.address < self.lives[0].address else 1 / factor

    async def play(self, for_s: float) -> None:
        """Let so much time pass. Without a bot it stands still until there is one again."""
        until_s = self.at_s + for_s
        while self.at_s < until_s:
            await self.step()

    async def step(self) -> None:
        """Let the clock run to the next tick of everybody who was called, and the calls of that moment be made."""
        at_s = round(self.at_s / STEP_S) * STEP_S + STEP_S
        await self.clock.run_to(self.clock.began_s + at_s)
        called = {made.life.address for made in self.calls}
        await self.tick([life for life in self.lives if life.address in called])
        due = [(life, one.channel) for life in self.lives for one in life.calls if one.at_s == at_s]
        if due:
            await self.call(due)

    def _figures(self, mint: str) -> Token | None:
        life = self._life_of.get(mint)
        return None if life is None else life.token(self.at_s)

    def _history(self, mint: str, at: datetime) -> float | None:
        life = self._life_of.get(mint)
        at_s = (at - datetime.fromtimestamp(self.clock.began_s, UTC)).total_seconds()
        return None if life is None or at_s < 0 else life.price(at_s)


def _tick(life: Life, price: float, at: datetime) -> PriceTick:
    cap = round(price * SUPPLY, 2)
    return PriceTick(token_address=life.address, price_usd=price, market_cap_usd=cap, at=at)


def _takers(number: int) -> tuple[int, ...]:
    return FIRST_USER_ID + 2 * number, FIRST_USER_ID + 2 * number + 1
