"""The real matcher, decisions, outbox and journal on real servers; only the feed's channels are known by heart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from domain.calls.events import Call, Channel, Token
from domain.filters.presets import Preset
from domain.filters.registry import FilterSet, Rule
from domain.matching.matcher import Matcher
from domain.payments.plans import load_plans
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from services.calls.channels import ChannelsService
from services.calls.decisions import DecisionsService
from services.calls.tokens import TokensService
from services.claims.claiming import ClaimRequest
from services.monitoring.metrics import Metrics
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from services.subscribers.presets import PresetsService, PresetsStore
from services.subscribers.sharing import SharingService
from services.subscribers.store import SubscribersStore
from services.subscribers.versions import SubscriberHistory
from services.why.answers import CallExplanation
from services.why.explanations import ExplanationsService
from services.why.history import HistoryStore
from tests.wiring import entitling_on, outbox_on

CONFIG = Path(__file__).parents[2] / "config"
PLANS = load_plans((CONFIG / "plans.toml").read_text(encoding="utf-8"))
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def mint(number: int) -> str:
    """Write a number as an address: base58 of 32 bytes, with capital letters in it."""
    value = (1 << 255) + number * 58**3 + 12_345
    digits: list[str] = []
    while value:
        value, digit = divmod(value, 58)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


class Clock:
    """The real time, as Redis has it too, plus what a test puts it forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class NothingToAdd:
    """Stands for what fills in channels and figures: these calls say everything that shall be known."""

    async def enrich(self, calls: Sequence[Call]) -> list[Call]:
        return list(calls)


class World:
    def __init__(self, redis: RedisManager, postgres: PostgresManager, presets: Sequence[Preset] = ()) -> None:
        self.redis = redis
        self.postgres = postgres
        self.clock = Clock()
        self.is_sure = True
        """Whether the clock is known to be right."""
        self.journal = Journal(redis, postgres)
        self.outbox = outbox_on(redis, postgres, self.journal, clock=self.clock)
        self.matcher = Matcher()
        self.outbox.stood_before = self.matcher.accepted_until
        cache: SmartCache[int, Subscriber | None] = SmartCache("settings", ttl_s=300, max_entries=1000)
        self.store = SubscribersStore(redis, postgres, self.journal, cache)
        self.presets = PresetsService(presets, store=PresetsStore(redis, postgres, self.journal), clock=self.clock)
        self.users = SubscriberServices.on(
            store=self.store,
            matcher=self.matcher,
            presets=self.presets,
            plans=PLANS,
            history=SubscriberHistory(postgres),
            sharing=SharingService(redis=redis, postgres=postgres, journal=self.journal, clock=self.clock),
            clock=self.clock,
        )
        self.entitling = entitling_on(redis, postgres, self.journal, self.users, PLANS, self.clock)
        self.decisions = DecisionsService(
            matcher=self.matcher,
            channels=cast("ChannelsService", NothingToAdd()),
            tokens=cast("TokensService", NothingToAdd()),
            roster=self.users.roster,
            outbox=self.outbox,
            metrics=Metrics(),
            clock=self.clock,
            is_sure=lambda: self.is_sure,
        )
        self.history = HistoryStore(redis, postgres, self.clock)
        self.explanations = ExplanationsService(
            history=self.history, subscribers=self.users.subscribers, clock=self.clock
        )

    async def joins(self, user_id: int, *sets: dict[str, Rule], **changed: Any) -> Subscriber:
        await self.users.subscribers.open(user_id=user_id, chat_id=user_id, name="Ada", language="en")
        return await self.changes(user_id, *sets, **changed)

    async def changes(self, user_id: int, *sets: dict[str, Rule], **changed: Any) -> Subscriber:
        """Give somebody these rules, one set each, and whatever else their document shall say."""
        numbered = tuple(
            FilterSet(user_id=user_id, number=number, name=f"set {number}", rules=rules)
            for number, rules in enumerate(sets, start=1)
        )
        return await self.edits(user_id, filter_sets=numbered, **changed)

    async def edits(self, user_id: int, **changed: Any) -> Subscriber:
        before = await self.users.subscribers.require(user_id)
        after = replace(before, revision=before.revision + 1, **changed)
        await self.store.save(after)
        if after.receives_at(self.clock()):
            self.matcher.put_subscriber(user_id, after.matched_sets)
        else:
            self.matcher.remove_subscriber(user_id)
        return after

    def call(self, call_id: str, address: str, *, channel: str = "@alpha", **figures: Any) -> Call:
        now = self.clock()
        return Call(
            id=call_id,
            token=Token(address=address, name="Coin", symbol="COIN", **figures),
            channel=Channel(id=channel, title=f"The {channel}"),
            called_at=now - timedelta(seconds=1),
            received_at=now - timedelta(milliseconds=400),
        )

    async def decides(self, *calls: Call) -> list[ClaimRequest]:
        requests = await self.decisions.decide(calls)
        await self.decisions.claim(requests, None)
        return requests

    async def tick(self) -> None:
        """Wait until the millisecond of the server is over: what comes next is surely later."""
        started = await self._server_ms()
        while await self._server_ms() <= started:
            pass

    async def _server_ms(self) -> int:
        seconds, micros = cast("list[bytes]", (await self.redis.transaction([("TIME",)]))[0])
        return int(seconds) * 1000 + int(micros) // 1000

    async def why(self, user_id: int, call: Call) -> CallExplanation:
        """Explain a call; it must be there."""
        found = await self.explanations.why_token(user_id, call.token.address)
        assert found is not None
        return next(one for one in found.calls if one.decided.call.id == call.id)


def encoded(call: Call) -> bytes:
    return msgspec.json.encode(call)
