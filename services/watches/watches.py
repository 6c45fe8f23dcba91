"""What somebody watches: begun, listed and ended by them. Who follows prices asks for it every second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, LiteralString, Protocol

import msgspec
from msgspec import Struct

from domain.calls.events import Token
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.payments.plans import Plans
from domain.subscribers.subscriber import Subscriber
from domain.watches.conditions import Condition, Figures, Side, Subject
from managers.storage.postgres import PostgresManager, Row

FRESH_FOR: Final = timedelta(minutes=3)
"""Older figures are not what a token costs now."""
MAX_FOUND: Final = 5
# Who taps twice before the first tap is answered means one; also where it came to that in between.
_TWICE_S: Final = 10.0
_LIVE: Final[LiteralString] = "SELECT count(*) AS count FROM watches WHERE user_id = $1 AND ended_at IS NULL"
_SAME: Final[LiteralString] = """
    SELECT id, each_time FROM watches
    WHERE user_id = $1 AND token_address = $2 AND subject = $3 AND side = $4 AND value = $5
        AND (ended_at IS NULL OR (ending = 'met' AND created_at > $6))
    ORDER BY ended_at NULLS FIRST LIMIT 1
"""
_BEGIN: Final[LiteralString] = """
    INSERT INTO watches (user_id, token_address, name, subject, side, value, each_time, base_usd, created_at)
    VALUES ($1, $2,
        (SELECT coalesce(nullif(document #>> '{token,symbol}', ''), document #>> '{token,name}') FROM calls
            WHERE token_address = $2 ORDER BY decided_at DESC LIMIT 1),
        $3, $4, $5, $6, $7, $8)
    ON CONFLICT DO NOTHING RETURNING id
"""
# Most who are asked for a price say no market cap: what is known of both when it is begun counts until somebody does.
_PRICED: Final[LiteralString] = """
    INSERT INTO watched_tokens (token_address, price_usd, supply, seen_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (token_address) DO UPDATE SET supply = coalesce(watched_tokens.supply, excluded.supply)
"""
_RETIME: Final[LiteralString] = """
    UPDATE watches SET each_time = $2, changed_at = clock_timestamp() WHERE id = $1 AND ended_at IS NULL
"""
_LIST: Final[LiteralString] = """
    SELECT w.id, w.token_address, w.name, w.subject, w.side, w.value, w.each_time, w.base_usd, w.armed, w.crossings,
        w.created_at, t.price_usd, t.supply, t.seen_at,
        EXISTS (SELECT 1 FROM watch_firings f WHERE f.watch_id = w.id AND f.told_at IS NULL) AS untold
    FROM watches w LEFT JOIN watched_tokens t USING (token_address)
    WHERE w.user_id = $1 AND w.ended_at IS NULL ORDER BY w.created_at, w.id
"""
_END: Final[LiteralString] = """
    UPDATE watches SET ended_at = $3, ending = 'person', changed_at = clock_timestamp()
    WHERE user_id = $1 AND ended_at IS NULL AND ($2::bigint IS NULL OR id = $2) AND created_at <= $4
"""
_UNTOLD: Final[LiteralString] = """
    SELECT count(*) AS count FROM watch_firings f JOIN watches w ON w.id = f.watch_id
    WHERE w.user_id = $1 AND f.told_at IS NULL
"""
_FIND: Final[LiteralString] = """
    SELECT x.token_address AS address, x.name, x.symbol, x.decided_at AS called_at,
        EXISTS (SELECT 1 FROM claims k JOIN calls c USING (call_id)
            WHERE k.user_id = $2 AND c.token_address = x.token_address) AS alerted
    FROM (SELECT DISTINCT ON (token_address) token_address, document #>> '{token,name}' AS name,
            document #>> '{token,symbol}' AS symbol, decided_at FROM calls
        WHERE upper(document #>> '{token,symbol}') = upper($1) AND decided_at >= $3
        ORDER BY token_address, decided_at DESC) AS x
    ORDER BY alerted DESC, x.decided_at DESC LIMIT $4
"""
_NAME: Final[LiteralString] = """
    SELECT coalesce(nullif(document #>> '{token,symbol}', ''), document #>> '{token,name}') AS name FROM calls
    WHERE token_address = $1 ORDER BY decided_at DESC LIMIT 1
"""

Outcome = Literal["begun", "already", "retimed", "full"]


class Tokens(Protocol):
    """`services.calls.tokens.TokensService` in the running bot."""

    async def latest(self, address: str, /) -> Token | None: ...


class Watch(Struct, frozen=True, kw_only=True):
    id: int
    token_address: str
    name: str | None
    """Attacker-controlled text."""
    condition: Condition
    base_usd: float | None
    """The price when it was asked for."""
    armed: bool
    """Else it was met, and the price has not gone back since."""
    crossings: int
    created_at: datetime
    price_usd: float | None
    supply: float | None
    seen_at: datetime | None
    untold: bool
    """It was met, and they have not been told of it."""

    @property
    def target_usd(self) -> float | None:
        return self.condition.target_usd(self.base_usd, self.supply)


class Found(Struct, frozen=True):
    """A token that was called under this ticker."""

    address: str
    name: str | None
    """Attacker-controlled text, as the next."""
    symbol: str | None
    called_at: datetime
    alerted: bool
    """The person got an alert for it."""


class Begun(Struct, frozen=True):
    outcome: Outcome
    limit: int


class WatchesService:
    """Everything raises `TransientError` while PostgreSQL is unavailable."""

    def __init__(
        self, postgres: PostgresManager, *, plans: Plans, tokens: Tokens, clock: Callable[[], datetime]
    ) -> None:
        self._postgres = postgres
        self._plans = plans
        self._tokens = tokens
        self._clock = clock

    def limit(self, subscriber: Subscriber) -> int:
        """How many the person's plan includes."""
        return self._plans.of(subscriber.plan).watches

    async def begin(self, subscriber: Subscriber, address: str, condition: Condition, now: Figures) -> Begun:
        """Watch a token. What is watched already is not watched twice, but told once or each time as asked last."""
        user_id, at, limit = subscriber.user_id, self._clock(), self.limit(subscriber)
        key = (user_id, address, condition.subject, condition.side, condition.value)
        same = await self._postgres.fetch_row(_SAME, *key, at - timedelta(seconds=_TWICE_S))
        if same is not None:
            if same["each_time"] == condition.each_time:
                return Begun("already", limit)
            if await self._postgres.execute(_RETIME, same["id"], condition.each_time) == "UPDATE 1":
                return Begun("retimed", limit)
        if await self._live(user_id) >= limit:
            return Begun("full", limit)
        if now.price_usd is not None:
            supply = None if now.market_cap_usd is None else now.market_cap_usd / now.price_usd
            await self._postgres.execute(_PRICED, address, now.price_usd, supply, at)
        base = now.price_usd if condition.subject == "multiple" else None
        rest = (condition.subject, condition.side, condition.value, condition.each_time, base, at)
        made = await self._postgres.fetch_row(_BEGIN, user_id, address, *rest)
        return Begun("already" if made is None else "begun", limit)

    async def all(self, user_id: int) -> list[Watch]:
        """Return what they watch, oldest first."""
        return [_watch(row) for row in await self._postgres.fetch(_LIST, user_id)]

    async def untold(self, user_id: int) -> int:
        """How often what they watch was met that they have not been told, of what has ended too."""
        row = await self._postgres.fetch_row(_UNTOLD, user_id)
        return row["count"] if row else 0

    async def end(self, user_id: int, watch_id: int) -> bool:
        """End one of theirs; `False` when it has ended already."""
        at = self._clock()
        return await self._postgres.execute(_END, user_id, watch_id, at, at) != "UPDATE 0"

    async def end_all(self, user_id: int, begun_by: datetime) -> int:
        """End all that had begun by then."""
        tag = await self._postgres.execute(_END, user_id, None, self._clock(), begun_by)
        return int(tag.rpartition(" ")[2])

    async def find(self, user_id: int, ticker: str) -> list[Found]:
        """Return who was called under this ticker lately: those of their own alerts first, then the newest."""
        since = self._clock() - ACCEPTED_FOR
        rows = await self._postgres.fetch(_FIND, ticker, user_id, since, MAX_FOUND)
        return [msgspec.convert(dict(row), Found) for row in rows]

    async def name(self, address: str) -> str | None:
        row = await self._postgres.fetch_row(_NAME, address)
        return None if row is None else row["name"]

    async def figures(self, address: str) -> Figures:
        """What the token costs now, as far as anybody can say it."""
        token = await self._tokens.latest(address)
        if token is None:
            return Figures()
        since = self._clock() - FRESH_FOR
        origins = token.origins
        fresh = {name for name, origin in origins.items() if origin.at >= since}
        return Figures(
            price_usd=token.price_usd or None if "price_usd" in fresh else None,
            market_cap_usd=token.market_cap_usd if "market_cap_usd" in fresh else None,
        )

    async def _live(self, user_id: int) -> int:
        row = await self._postgres.fetch_row(_LIVE, user_id)
        return row["count"] if row else 0


def _watch(row: Row) -> Watch:
    return Watch(condition=condition_of(row), **{name: row[name] for name in _FIELDS})


_FIELDS: Final = tuple(name for name in Watch.__struct_fields__ if name != "condition")


def condition_of(row: Row) -> Condition:
    subject: Subject = row["subject"]
    side: Side = row["side"]
    return Condition(subject=subject, side=side, value=row["value"], each_time=row["each_time"])
