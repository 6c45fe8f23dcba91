"""A seeded token market: channels of different skill, tokens that launch, pump and die. No input, no output.

Whoever asks says what time it is, so the same seed and the same questions give the same market.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from random import Random

from msgspec import Struct
from msgspec.structs import replace
from solders.pubkey import Pubkey

from domain.calls.events import Call, Channel, PriceTick, Token
from domain.calls.figures import NO_FIGURES
from sandbox.market import words as market_words
from sandbox.market.figures import describe
from sandbox.market.lives import SUPPLY, Caller, LiveCall, TokenLife, draw_life

_REMEMBERED_TOKENS = 20_000
_RECENT_TOKENS = 200
_REMEMBERED_OUTCOMES = 20_000
_LOWEST_WIN_RATE, _HIGHEST_WIN_RATE = 0.06, 0.5
_TERSE_SHARE, _LEFT_OUT_SHARE = 0.1, 0.5
_ALWAYS_TOLD = frozenset(("address", "chain", "name", "symbol", "price_usd", "image_url", "animation_url", "video_url"))
_LEFT_OUT_BY_THE_TERSE = tuple(figure for figure in Token.__struct_fields__ if figure not in _ALWAYS_TOLD | NO_FIGURES)
_TRIES = 6


class Outcome(Struct, frozen=True):
    """What became of one call, entered into its channel's record when the token died."""

    call_id: str
    channel_id: str
    best_multiple: float


class Market:
    """At most 20,000 tokens are remembered; when more launch, the oldest are settled early and forgotten."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.outcomes: deque[Outcome] = deque(maxlen=_REMEMBERED_OUTCOMES)
        """The latest ones, oldest first."""
        self.media_url: str | None = None
        """Where the tokens' pictures are served; without it they have none."""
        self._random = Random(seed)
        self._details = Random(f"{seed} details")
        self._callers = self._draw_callers()
        self._weights = [caller.weight for caller in self._callers]
        self._by_id = {caller.id: caller for caller in self._callers}
        self._tokens: OrderedDict[str, TokenLife] = OrderedDict()
        self._recent: deque[TokenLife] = deque(maxlen=_RECENT_TOKENS)
        self._alive = 0
        self._living: list[TokenLife] = []
        """May still hold settled ones, as may the two heaps below; `_compact` bounds how many."""
        self._peaks: list[tuple[float, str, TokenLife]] = []
        self._deaths: list[tuple[float, str, TokenLife]] = []
        self._calls = 0
        self._began_s: float | None = None
        self._now_s = 0.0
        """The latest time that anybody has said it is."""

    @property
    def channel_ids(self) -> tuple[str, ...]:
        return tuple(self._by_id)

    def next_call(self, at: datetime) -> Call:
        """Let some channel call some token at `at`."""
        at_s = self._pass_time(at)
        [caller] = self._random.choices(self._callers, self._weights)
        life = self._find_to_repost(caller, at_s) if self._random.random() < caller.repost_share else None
        is_repost = life is not None
        if life is None:
            life = self._launch(caller, at_s)
        self._calls += 1
        call_id = f"market-{self.seed}-{self._calls}"
        life.calls.append(LiveCall(call_id, caller, at_s, life.price_at(at_s)))
        text = market_words.post(self._random, name=life.name, symbol=life.symbol, mint=life.mint, is_repost=is_repost)
        return Call(
            id=call_id,
            token=self._as_posted(life, at_s),
            channel=Channel(id=caller.id, title=caller.title),
            called_at=at,
            received_at=at,
            text=text,
        )

    def next_tick(self, at: datetime) -> PriceTick | None:
        """Let some living token trade; a peak that has been reached is reported first, with its own time."""
        at_s = self._pass_time(at)
        while self._peaks and self._peaks[0][0] <= at_s:
            peak_s, _, life = heappop(self._peaks)
            if not life.settled:
                return _tick(life, life.peak_price_usd, peak_s)
        for _ in range(_TRIES):
            if not self._living:
                return None
            # The young trade more than the old.
            life = self._living[int(len(self._living) * self._random.random() ** 0.5)]
            if not life.settled:
                return _tick(life, life.price_at(at_s), at_s)
        return None

    def events(
        self, started_at: datetime, *, calls_per_s: float = 1.5, ticks_per_s: float = 10.0
    ) -> Iterator[Call | PriceTick]:
        """Yield the market as one endless sequence in time (Poisson arrivals), as fast as it is read."""
        at = started_at
        rate = calls_per_s + ticks_per_s
        while True:
            at += timedelta(seconds=self._random.expovariate(rate))
            if self._random.random() * rate < calls_per_s:
                yield self.next_call(at)
            elif tick := self.next_tick(at):
                yield tick

    def channel(self, channel_id: str) -> Channel | None:
        """Describe a channel with its record by now, the latest time that was mentioned."""
        caller = self._by_id.get(channel_id)
        return caller and Channel(
            id=caller.id,
            title=caller.title,
            record=caller.record(),
            record_30d=caller.record_30d(self._since_beginning_s()),
        )

    def token(self, address: str, at: datetime) -> Token | None:
        """Describe a token as completely as anybody can at that time."""
        life = self._tokens.get(address)
        return life and describe(life, at.timestamp(), self.media_url)

    def _pass_time(self, at: datetime) -> float:
        """Let everything happen that is due by `at`; returns it as Unix time."""
        at_s = at.timestamp()
        if self._began_s is None:
            self._began_s = at_s
        self._now_s = max(self._now_s, at_s)
        while self._deaths and self._deaths[0][0] <= at_s:
            self._settle(heappop(self._deaths)[2])
        return at_s

    def _since_beginning_s(self) -> float:
        return 0.0 if self._began_s is None else self._now_s - self._began_s

    def _draw_callers(self) -> list[Caller]:
        names = list(market_words.CHANNELS)
        self._random.shuffle(names)
        spread = (_HIGHEST_WIN_RATE - _LOWEST_WIN_RATE) / (len(names) - 1)
        return [
            Caller(
                channel_id=channel_id,
                title=title,
                win_rate=_LOWEST_WIN_RATE + rank * spread,
                weight=self._random.lognormvariate(0, 0.7),
                random=self._random,
            )
            for rank, (channel_id, title) in enumerate(names)
        ]

    def _launch(self, caller: Caller, at_s: float) -> TokenLife:
        name, symbol = market_words.token_name(self._random)
        life = draw_life(
            self._random,
            self._details,
            mint=str(Pubkey(self._random.randbytes(32))),
            name=name,
            symbol=symbol,
            at_s=at_s,
            multiple=caller.draw_multiple(self._random),
        )
        self._tokens[life.mint] = life
        self._alive += 1
        self._living.append(life)
        self._recent.append(life)
        heappush(self._peaks, (life.peaks_at_s, life.mint, life))
        heappush(self._deaths, (life.dies_at_s, life.mint, life))
        if len(self._tokens) > _REMEMBERED_TOKENS:
            self._settle(self._tokens.popitem(last=False)[1])
        self._compact()
        return life

    def _find_to_repost(self, caller: Caller, at_s: float) -> TokenLife | None:
        """Find a recent token that this channel has not called; `None` when luck does not find one."""
        for _ in range(min(_TRIES, len(self._recent))):
            life = self._random.choice(self._recent)
            known = any(call.caller is caller for call in life.calls)
            if not known and not life.settled and life.called_at_s < at_s:
                return life
        return None

    def _settle(self, life: TokenLife) -> None:
        """Enter what the token's calls became into the records of those who made them, once."""
        if life.settled:
            return
        life.settled = True
        self._alive -= 1
        for call in life.calls:
            multiple = life.best_multiple(call)
            call.caller.settle(multiple, self._since_beginning_s())
            self.outcomes.append(Outcome(call.id, call.caller.id, multiple))

    def _compact(self) -> None:
        """Drop the settled tokens once they outnumber the living."""
        if len(self._living) <= 2 * self._alive + _RECENT_TOKENS:
            return
        self._living = [life for life in self._living if not life.settled]
        self._peaks = [entry for entry in self._peaks if not entry[2].settled]
        self._deaths = [entry for entry in self._deaths if not entry[2].settled]
        heapify(self._peaks)
        heapify(self._deaths)

    def _as_posted(self, life: TokenLife, at_s: float) -> Token:
        """Describe the token as a channel's post does: now and then it leaves out half of what is known."""
        token = describe(life, at_s, self.media_url)
        if self._details.random() >= _TERSE_SHARE:
            return token
        left_out = [figure for figure in _LEFT_OUT_BY_THE_TERSE if self._details.random() < _LEFT_OUT_SHARE]
        return replace(token, **dict.fromkeys(left_out))


def _tick(life: TokenLife, price_usd: float, at_s: float) -> PriceTick:
    return PriceTick(
        token_address=life.mint,
        price_usd=price_usd,
        market_cap_usd=round(price_usd * SUPPLY, 2),
        at=datetime.fromtimestamp(at_s, UTC),
    )
