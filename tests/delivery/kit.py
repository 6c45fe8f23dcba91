"""A subscriber, calls that pass, and the whole way from the claim to a chat of the sandbox's Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from domain.calls.events import Call, Channel, Token
from domain.calls.score import score
from domain.filters.registry import FilterSet, Range
from domain.matching.matcher import Matcher, PendingPair
from domain.payments.plans import load_plans
from domain.stored.alerts import WaitingCall
from domain.stored.journal import DeliveryRecord
from domain.subscribers.partitions import PARTITIONS
from domain.subscribers.subscriber import Preferences, Subscriber
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from managers.telegram.client import TelegramManager
from managers.telegram.rate_limiter import Limit, TelegramRateLimiter
from managers.telegram.send_windows import PRIVATE
from runtime.cancellation import end
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from services.cards.names import Names
from services.claims.claiming import ClaimRequest
from services.claims.dead_letters import DeadLetters
from services.claims.outbox import Outbox, OutboxEntry
from services.claims.putting import Putting
from services.delivery.alert_composer import AlertComposer
from services.delivery.card_keyboards import CardKeyboards
from services.delivery.delayed import DelayedAlerts
from services.delivery.delivery import DeliveryService, Sent
from services.delivery.digest_lines import DigestLines
from services.delivery.digest_order import DigestOrder
from services.delivery.digests import DigestComposer, DigestsService
from services.delivery.held import HeldCalls
from services.delivery.kinds import Kind, Kinds
from services.delivery.media import MediaFiles
from services.delivery.policy import PolicyService
from services.delivery.sending import Sender
from services.delivery.settling import Settler
from services.delivery.sorting import Sorter
from services.monitoring.metrics import Metrics
from services.plans.used_up import UsedUpComposer, UsedUpNotices
from services.schedule.due_times import DIGEST, DueTimes, Place
from services.schedule.schedule import Schedule
from services.stores import keys
from services.stores.journal import Journal
from services.stores.sealing import Sealer
from services.subscribers.group import SubscriberServices
from services.subscribers.presets import PresetsService, PresetsStore
from services.subscribers.sharing import SharingService
from services.subscribers.store import SubscribersStore
from services.subscribers.versions import SubscriberHistory
from tests.wiring import held_calls_on, outbox_on, spool_on
from texts import Texts

AT_ONCE = Limit(1_000, 1.0)
"""For tests that are not about the pace."""
NOW = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
NOWHERE = PostgresManager("postgresql://postgres@/postgres?host=/nonexistent")
CONFIG = Path(__file__).parents[2] / "config"
PLANS = load_plans((CONFIG / "plans.toml").read_text("utf-8"))
ADDRESS = "7GCihgDB8fe6KNjn2MYtkzZcRjQy3t9GHdC8uHYmW2hr"


class Clock:
    """Passes only when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


class Market:
    """What is known about tokens after their calls."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}
        self.peaks: dict[str, float] = {}
        self.asked: list[str] = []

    async def latest(self, address: str) -> Token | None:
        self.asked.append(address)
        return self.tokens.get(address)

    async def peak_market_cap(self, address: str, since: datetime) -> float | None:
        del since
        return self.peaks.get(address)


def subscribers_store(redis: RedisManager) -> SubscribersStore:
    cache = SmartCache[int, Subscriber | None].of("settings")
    return SubscribersStore(redis, NOWHERE, Journal(redis, NOWHERE), cache)


Returned = Callable[[int, datetime], Awaitable[None]]


def users_service(
    redis: RedisManager, store: SubscribersStore, clock: Clock, matcher: Matcher, returned: Returned | None = None
) -> SubscriberServices:
    """Subscribers in memory and Redis; nobody asks PostgreSQL for one who stands there."""
    journal = Journal(redis, NOWHERE)
    return SubscriberServices.on(
        store=store,
        matcher=matcher,
        presets=PresetsService((), store=PresetsStore(redis, NOWHERE, journal), clock=clock),
        plans=PLANS,
        history=SubscriberHistory(NOWHERE),
        sharing=SharingService(redis=redis, postgres=NOWHERE, journal=journal, clock=clock),
        clock=clock,
        returned=returned,
    )


def call_of(number: int, **token: Any) -> Call:
    return Call(
        id=f"c{number}",
        token=Token(address=f"{ADDRESS[:-4]}{number:04}", symbol=f"T{number}", market_cap_usd=50_000, **token),
        channel=Channel(id="@alpha", title="Alpha"),
        called_at=NOW,
        received_at=NOW,
    )


def claim_of(
    call: Call,
    *users: int,
    rated: int | None = None,
    late_s: float | None = None,
    waiting: Sequence[PendingPair] = (),
    decided_at: datetime | None = None,
) -> ClaimRequest:
    return ClaimRequest(
        call_id=call.id,
        token_address=call.token.address,
        call_payload=msgspec.json.encode(call),
        accepted=[(user, 1) for user in users],
        accepted_record=b'{"status":"accepted"}',
        received_at=call.received_at,
        decided_at=decided_at or call.received_at,
        score=score(call) if rated is None else rated,
        late_s=late_s,
        waiting=WaitingCall(call=call, pairs=tuple(waiting)) if waiting else None,
    )


class Way(Struct):
    """Everything between a claim and a chat."""

    telegram: TelegramSandbox
    redis: RedisManager
    manager: TelegramManager
    outbox: Outbox
    store: SubscribersStore
    users: SubscriberServices
    matcher: Matcher
    held: HeldCalls
    delayed: DelayedAlerts
    policy: PolicyService
    kinds: Kinds
    putting: Putting
    files: MediaFiles
    schedule: Schedule
    due_times: DueTimes
    delivery: DeliveryService
    settler: Settler
    metrics: Metrics
    market: Market
    clock: Clock
    sent: list[Sent]
    names: int = 0

    async def person(self, **preferences: Any) -> SandboxUser:
        """Somebody who subscribed and wants their alerts this way."""
        self.names += 1
        person = self.telegram.user(f"Ann {self.names}")
        await person.send("/start")
        await self.store.save(
            Subscriber(
                user_id=person.id,
                chat_id=person.id,
                name=person.name,
                created_at=NOW,
                paid_until=NOW + timedelta(days=30),
                preferences=Preferences(**preferences),
            )
        )
        return person

    async def claim(self, *requests: ClaimRequest) -> None:
        await self.outbox.claim(requests)

    @asynccontextmanager
    async def sending(self) -> AsyncGenerator[None]:
        """Let the sender work until the block ends."""
        task = asyncio.create_task(self.delivery.run(lambda: None))
        try:
            yield
        finally:
            await end([task])

    async def deliver(self) -> None:
        """Let the sender work until nothing is left."""
        if await self.outbox.size() == 0:
            return  # a sender without work would wait for some
        async with self.sending(), asyncio.timeout(20):
            await self.delivery.drained()

    async def recover_and_deliver(self) -> None:
        """`deliver` for what a test has taken out of the outbox by hand."""
        again = way_of(self.redis, self.telegram, self.manager)
        again.clock.now = self.clock.now
        await again.deliver()

    async def due(self, at: datetime) -> list[int]:
        """Whose digest is due."""
        due = await self.due_times.due([Place(DIGEST, partition) for partition in range(PARTITIONS)], at)
        return [one.user_id for one in due]

    async def dead_lettered(self) -> list[str]:
        """Why each of the dead letters is one."""
        page = await DeadLetters(self.redis, self.metrics).page()
        return [letter.reason for letter in page.dead_letters]

    async def fates(self) -> list[DeliveryRecord]:
        """What the journal says became of alerts, in order."""
        entries = await self.redis.xrange(keys.JOURNAL.of(), count=10_000)
        return [
            msgspec.json.decode(e.fields["data"], type=DeliveryRecord)
            for e in entries
            if e.fields["kind"] == b"delivery"
        ]


async def entries_of(way: Way) -> list[OutboxEntry]:
    """Take what waits in the outbox, as a sender does."""
    return await way.outbox.recover("sender") + await way.outbox.read("sender", count=99, block_ms=10)


def texts_of(person: SandboxUser) -> list[str]:
    """What the bot wrote to somebody."""
    return [m.get("text") or m.get("caption") or "" for m in person.messages if m["from"]["is_bot"]]


@asynccontextmanager
async def whole_way(redis_url: str, *, answer_timeout_s: float = 15.0, private: Limit = PRIVATE) -> AsyncGenerator[Way]:
    limiter = TelegramRateLimiter(private=private)
    async with (
        RedisManager(redis_url) as redis,
        TelegramSandbox(limits=FloodLimits.off()) as telegram,
        TelegramManager(
            token=telegram.token, api_base=telegram.url, limiter=limiter, answer_timeout_s=answer_timeout_s
        ) as manager,
    ):
        yield way_of(redis, telegram, manager)


def way_of(
    redis: RedisManager, telegram: TelegramSandbox, manager: TelegramManager, further: Sequence[Kind] = ()
) -> Way:
    """`further`: kinds beside alerts and digests."""
    clock, metrics, matcher, market, texts = Clock(), Metrics(), Matcher(), Market(), Texts.load()
    outbox, held = outbox_on(redis, NOWHERE), held_calls_on(redis, NOWHERE)
    delayed = DelayedAlerts(redis, spool_on(redis), metrics, clock)
    putting, due_times = Putting(spool_on(redis), Journal(redis, NOWHERE)), DueTimes(redis)
    store, policy = subscribers_store(redis), PolicyService(redis, PLANS)
    users = users_service(redis, store, clock, matcher, held.bring_forward)
    files = MediaFiles(redis, SmartCache[str, str | None].of("media"))
    alerts = AlertComposer(outbox=outbox, names=Names(texts), clock=clock)
    lines = DigestLines(prices=market, texts=texts, metrics=metrics)
    digests = DigestComposer(outbox=outbox, order=DigestOrder(redis, metrics), lines=lines, texts=texts)
    kinds = Kinds([alerts.row(), digests.row(), UsedUpComposer(texts).row(), *further])
    job = DigestsService(held=held, subscribers=users.subscribers, clock=clock).job()
    sender = Sender(messenger=manager, files=files, keyboards=CardKeyboards(redis, Sealer(), metrics), metrics=metrics)
    sent: list[Sent] = []
    settler = Settler(
        outbox=outbox,
        subscribers=users.subscribers,
        sender=sender,
        kinds=kinds,
        policy=policy,
        texts=texts,
        metrics=metrics,
        clock=clock,
    )
    sorter = Sorter(
        kinds=kinds,
        subscribers=users.subscribers,
        policy=policy,
        held=held,
        delayed=delayed,
        settler=settler,
        metrics=metrics,
        clock=clock,
        used_up=UsedUpNotices(putting, policy).tell,
    )
    delivery = DeliveryService(
        outbox=outbox,
        kinds=kinds,
        sorter=sorter,
        sender=sender,
        settler=settler,
        metrics=metrics,
        on_sent=sent.append,
        consumer="sender",
    )
    delivery.take_over(range(PARTITIONS))
    return Way(
        telegram=telegram,
        redis=redis,
        manager=manager,
        outbox=outbox,
        store=store,
        users=users,
        matcher=matcher,
        held=held,
        delayed=delayed,
        policy=policy,
        kinds=kinds,
        putting=putting,
        files=files,
        schedule=Schedule([job, delayed.job()], due_times=due_times, clock=clock),
        due_times=due_times,
        delivery=delivery,
        settler=settler,
        metrics=metrics,
        market=market,
        clock=clock,
        sent=sent,
    )


def waiting_for_holders(user_id: int) -> FilterSet:
    """Wants 100 holders, and waits ten minutes for the number."""
    rule = Range(minimum=100, missing="wait", wait_minutes=10)
    return FilterSet(user_id=user_id, number=1, name="Mine", rules={"holders": rule})
