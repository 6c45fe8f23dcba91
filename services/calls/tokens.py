"""What is known of a token beyond the call itself: who called it before, its figures now, its highest market cap.

Figures come from price ticks, from the feed's HTTP side and from providers; the call's own always win. Nothing here
ever fails: what cannot be learned within two seconds stays `None` and is counted as a fallback.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, LiteralString, Protocol, cast

import structlog
from msgspec.structs import replace

from domain.calls import figures
from domain.calls.addresses import is_evm
from domain.calls.events import Call, Chain, Channel, Origin, PriceTick, Token
from domain.calls.lifetimes import FRESH_FOR
from domain.calls.token_history import REMEMBERED_FOR, Past, TokenHistory
from domain.prices.readings import TokenRef
from managers.feed.sources.base import Source
from managers.storage.postgres import PostgresManager, PostgresUnavailableError
from runtime.errors import TransientError
from services.calls.token_answers import Answer, Market, TokenAnswers
from services.monitoring.metrics import Metrics

log = structlog.get_logger(__name__)

_TICK_COUNTS_FOR = timedelta(minutes=1)
_REMEMBERED = 20_000

EARLIER_CALLS: Final[LiteralString] = """
    SELECT token_address, channel_id, called_at, market_cap_usd FROM calls
    WHERE called_at > $1 ORDER BY called_at DESC
"""


@dataclass(slots=True)
class _Seen:
    """What the feed said of one token lately."""

    called: Token | None = None
    called_at: datetime | None = None
    tick: PriceTick | None = None


class Peaks(Protocol):
    async def highest(self, address: str, since: datetime, /) -> float | None: ...


class TokensService:
    """`enrich` awaits nothing for calls about which nobody could say more."""

    def __init__(
        self,
        *,
        source: Source,
        market: Market | None,
        postgres: PostgresManager,
        api_semaphore: asyncio.Semaphore,
        metrics: Metrics,
        clock: Callable[[], datetime],
        mains: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`mains`: the main channel of each that is another one now."""
        self._source = source
        self._postgres = postgres
        self._metrics = metrics
        self._clock = clock
        self._answers = TokenAnswers(
            source=source, market=market, api_semaphore=api_semaphore, metrics=metrics, clock=clock
        )
        self._history = TokenHistory(mains=mains)
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._wanted: set[str] = set()
        self.heard: Callable[[Mapping[str, PriceTick]], None] | None = None
        """Told of every tick that is taken in; whoever tracks calls sets it, as the next one."""
        self.peaks: Peaks | None = None
        self.title_of: Callable[[str], str | None] = lambda _: None
        """By its id, the title of a channel, as far as anybody knows it."""

    @property
    def source_name(self) -> str:
        """Of the feed: whose word a call's own figures are."""
        return self._source.name

    async def restore(self) -> bool:
        """Read the calls of the last 14 days, newest first; `False` when PostgreSQL became unavailable before the end.

        Calls may flow meanwhile, and it may be repeated.
        """
        read = 0
        try:
            async for rows in self._postgres.stream(EARLIER_CALLS, self._clock() - REMEMBERED_FOR):
                for address, channel_id, called_at, market_cap_usd in rows:
                    self._history.restore(address, channel_id, called_at, market_cap_usd)
                read += len(rows)
                await asyncio.sleep(0)  # the calls that flow meanwhile come first
        except PostgresUnavailableError as error:
            self._metrics.counts.fallbacks["token_history"] += 1
            log.warning("token_history_unavailable", reason=str(error), calls=read)
            return False
        log.info("token_history_restored", calls=read, tokens=len(self._history))
        return True

    async def enrich(self, calls: Sequence[Call]) -> list[Call]:
        """Fill in what the calls do not say, in the order given. Never raises; takes two seconds at most."""
        asked = (call.token for call in calls if self._has_to_ask(call))
        lacking: dict[str, Chain | None] = {token.address: token.chain for token in asked}
        if lacking:
            await self._answers.refresh(lacking)
        return [self._fill_in(call) for call in calls]

    def _has_to_ask(self, call: Call) -> bool:
        """Whether somebody may know more about the call's token."""
        if self._answers.asks_nobody:
            return False
        return self._clock() - call.called_at <= FRESH_FOR and self._answers.can_help(call.token)

    async def latest(self, address: str) -> Token | None:
        """Give the newest figures from everywhere, each with its origin; `None` for a token nobody knows."""
        self._wanted.add(address)
        await asyncio.sleep(0)  # what others want in the same moment is asked for together
        wanted = self._wanted if address in self._wanted else {address}
        self._wanted = self._wanted - wanted
        return (await self.latest_of(wanted)).get(address)

    async def latest_of(self, addresses: Iterable[str]) -> dict[str, Token]:
        """`latest` of several tokens, in as few requests as the sources allow."""
        wanted = list(dict.fromkeys(addresses))
        stale = [address for address in wanted if self._answers.fresh(address) is None]
        if stale:
            await self._answers.refresh({address: self._chain(address) for address in stale})
        found = ((address, self._newest(address)) for address in wanted)
        return {address: token for address, token in found if token.origins}

    def feed_came_back(self) -> None:
        """Ask the feed again at once: its socket has just opened."""
        self._answers.feed_came_back()

    async def said_of(self, tokens: Iterable[TokenRef]) -> dict[str, Token]:
        """Give what the feed and the market say now, by `TokenRef.key`; what nobody could be asked about is absent."""
        wanted = {token.address: token for token in tokens}
        stale: dict[str, Chain | None] = {
            address: cast("Chain", token.chain)
            for address, token in wanted.items()
            if self._answers.fresh(address) is None
        }
        if stale:
            await self._answers.refresh(stale)
        found = ((token.key, self._answers.fresh(address)) for address, token in wanted.items())
        return {key: answer.token for key, answer in found if answer is not None}

    async def peak_market_cap(self, address: str, since: datetime) -> float | None:
        """Highest market cap in US dollars that a token called then has reached; `None` where nobody knows."""
        try:
            return None if self.peaks is None else await self.peaks.highest(address, since)
        except TransientError as error:
            self._metrics.counts.fallbacks["peaks"] += 1
            log.warning("peak_unavailable", token=address, reason=str(error))
            return None

    def take_in(self, ticks: Mapping[str, PriceTick]) -> None:
        if self.heard is not None:
            self.heard(ticks)
        for address, tick in ticks.items():
            seen = self._remembered(address)
            if seen.tick is None or seen.tick.at <= tick.at:
                seen.tick = tick

    def _fill_in(self, call: Call) -> Call:
        """Complete the call with what is in memory."""
        token, address = call.token, call.token.address
        seen, answer = self._remembered(address), self._answers.fresh(address)
        if answer is not None or seen.tick is not None:
            token = self._completed(call, seen.tick, answer)
        if seen.called_at is None or seen.called_at <= call.called_at:
            seen.called, seen.called_at = token, call.called_at
        made_by = call.channel.made_by or call.channel.id
        past = self._history.add(address, made_by, call.called_at, token.market_cap_usd)
        return replace(
            call,
            token=token,
            calling_channels=past.calling_channels if call.calling_channels is None else call.calling_channels,
            first_market_cap_usd=(
                past.first_market_cap_usd if call.first_market_cap_usd is None else call.first_market_cap_usd
            ),
            first_channel=call.first_channel or self._first(past, call),
        )

    def _first(self, past: Past, call: Call) -> Channel | None:
        """Name the first of several callers, unless the feed knows of more than we do."""
        if not 1 < past.calling_channels >= (call.calling_channels or 0):
            return None
        first_id = past.first_channel_id
        return Channel(
            id=first_id, title=call.channel.title if first_id == call.channel.id else self.title_of(first_id)
        )

    def _completed(self, call: Call, tick: PriceTick | None, answer: Answer | None) -> Token:
        others: list[Token] = []
        if tick is not None and abs(call.called_at - tick.at) <= _TICK_COUNTS_FOR:
            others.append(figures.of_tick(tick, self._source.name))
        if answer is not None and abs(call.called_at - answer.at) <= FRESH_FOR:
            others.append(answer.token)
        return figures.completed(call.token, *others) if others else call.token

    def _newest(self, address: str) -> Token:
        said: list[Token] = []
        seen, answer = self._seen.get(address), self._answers.last(address)
        if answer is not None:
            said.append(answer.token)
        if seen is not None and seen.tick is not None:
            said.append(figures.of_tick(seen.tick, self._source.name))
        if seen is not None and seen.called is not None and seen.called_at is not None:
            said.append(figures.attributed(seen.called, Origin(self._source.name, seen.called_at)))
        return figures.newest(address, said, self._chain(address) or "solana")

    def _chain(self, address: str) -> Chain | None:
        """On which chain the token lives, as far as anybody has said it."""
        if not is_evm(address):
            return "solana"
        seen, answer = self._seen.get(address), self._answers.last(address)
        if seen is not None and seen.called is not None:
            return seen.called.chain
        return answer.token.chain if answer is not None and answer.token.origins else None

    def _remembered(self, address: str) -> _Seen:
        seen = self._seen.get(address)
        if seen is None:
            seen = self._seen[address] = _Seen()
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        else:
            self._seen.move_to_end(address)
        return seen
