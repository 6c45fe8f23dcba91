"""A document that cannot be read costs the one whose it is: the others are served, and it stays as it is until then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest
from cryptography.fernet import Fernet

from composition import Composition
from domain.stored.outgoing import read_outgoing
from domain.subscribers.partitions import PARTITIONS
from domain.subscribers.subscriber import Subscriber
from domain.watches.conditions import Condition
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from runtime.errors import UnreadableError
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from services.claims.dead_letters import DeadLetters
from services.delivery.settling import UNREADABLE_WAITS
from services.schedule.schedule import TRY_AGAIN
from services.stores import keys
from services.stores.journal import Journal
from services.stores.sealing import Sealer
from services.subscribers.store import StaleSubscriberError, SubscribersStore
from tests.delivery.kit import NOW, Way, call_of, claim_of, texts_of, whole_way
from tests.delivery.test_digests import MORNING, NIGHT
from tests.e2e.conftest import ADMIN, bot, data_dir, feed, subscribe, telegram, text_of
from tests.plans.kit import DAY, shop_on
from tests.plans.test_reminders import UNTIL
from tests.reports.kit import EVENING, reports_on
from tests.watches.kit import WatchDesk

__all__ = ["bot", "data_dir", "feed", "telegram"]

BROKEN = [b"", b"{", b"\xff\xfe", b"[]", b'{"user_id":7}', b'{"sealed":5}', b'{"sealed":"gAAAA","key":"00000000"}']
CAP = Condition(subject="market_cap", side="above", value=100_000.0)


class Document:
    """What Redis holds of one person."""

    def __init__(self, store: SubscribersStore, redis: RedisManager, user_id: int) -> None:
        self._store, self._redis, self._name = store, redis, keys.SUBSCRIBER.of(user_id)
        self._whole = b""

    async def breaks(self, broken: bytes = b"{") -> None:
        self._whole = await self.stands()
        await self.put(broken)

    async def mended(self) -> None:
        await self.put(self._whole)

    async def put(self, document: bytes) -> None:
        await self._redis.set(self._name, document)
        self._store.forget_all()

    async def stands(self) -> bytes:
        document = await self._redis.get(self._name)
        assert document is not None
        return document


# Jobs


@dataclass
class Due:
    """Something that a job has to do for each of three people."""

    people: Sequence[int]
    store: SubscribersStore
    look: Callable[[], Awaitable[object]]
    """One look of the job, late enough for one that is left alone."""
    served: Callable[[], Awaitable[list[int]]]


class House:
    def __init__(self, way: Way, postgres: PostgresManager) -> None:
        self.way = way
        self.postgres = postgres

    async def put(self, kind: str) -> list[int]:
        """For whom a message of a kind waits in the outboxes."""
        found: list[int] = []
        for partition in range(PARTITIONS):
            entries = await self.way.redis.xrange(keys.OUTBOX.of(partition), count=1_000)
            outgoing = [read_outgoing(entry.fields["alert"]) for entry in entries]
            found += [one.user_id for one in outgoing if one.kind == kind]
        return sorted(found)


def due_for(people: Sequence[SandboxUser], way: Way, served: Callable[[], Awaitable[list[int]]]) -> Due:
    """What the schedule has to do."""

    async def look() -> None:
        await way.schedule.poll()
        way.clock.now += TRY_AGAIN

    return Due(sorted(person.id for person in people), way.store, look, served)


@pytest.fixture
async def house(redis_url: str, postgres_manager: PostgresManager) -> AsyncIterator[House]:
    async with whole_way(redis_url) as way:
        yield House(way, postgres_manager)


async def desk_of(house: House) -> WatchDesk:
    desk = WatchDesk(house.way.redis, house.postgres)
    for user_id in (1, 2, 3):
        await desk.subscribe(user_id)
    await desk.tracking.take_over()
    await desk.call("c1", 1, 2, 3)
    await desk.tracking.round()
    return desk


async def milestones(house: House) -> Due:
    desk = await desk_of(house)
    desk.clock.pass_(minutes=3)  # everybody's alert has gone out: without the broken document all would be over
    desk.rise(2.1)
    await desk.tracking.round()

    async def look() -> None:
        while await desk.fan_out.tell():
            pass
        desk.clock.pass_(minutes=1)

    return Due((1, 2, 3), desk.store, look, lambda: house.put("milestone"))


async def watches(house: House) -> Due:
    desk = await desk_of(house)
    for user_id in (1, 2, 3):
        await desk.begin(user_id, CAP)
    await desk.evaluator.round()

    async def look() -> None:
        desk.rise(6.0)
        await desk.evaluator.round()
        desk.clock.pass_(minutes=2)

    return Due((1, 2, 3), desk.store, look, lambda: house.put("watch"))


async def digests(house: House) -> Due:
    way = house.way
    people = [await way.person(quiet=NIGHT) for _ in range(3)]
    await way.claim(claim_of(call_of(1), *(person.id for person in people), rated=50))
    await way.deliver()
    way.clock.now = MORNING
    return due_for(people, way, lambda: house.put("digest"))


async def reminders(house: House) -> Due:
    shop = await shop_on(house.way.redis, house.way.telegram, house.way.manager)
    people = [await shop.newcomer() for _ in range(3)]
    for person in people:
        await shop.buys(person, "pro", 30)
    shop.clock.now = UNTIL - 7 * DAY + timedelta(hours=1)
    return due_for(people, shop.way, lambda: house.put("reminder"))


async def entitlements(house: House) -> Due:
    shop = await shop_on(house.way.redis, house.way.telegram, house.way.manager)
    people = [await shop.newcomer() for _ in range(3)]
    for person in people:
        await shop.gives(person, "pro", 30)

    async def served() -> list[int]:
        paying: list[int] = []
        for person in people:
            with suppress(UnreadableError):
                found = await shop.way.store.find(person.id)
                paying += [person.id] if found and found.plan == "pro" else []
        return sorted(paying)

    return Due(sorted(person.id for person in people), shop.way.store, shop.entitling.heal, served)


async def reports(house: House) -> Due:
    reports = reports_on(house.way, house.postgres)
    people = [await reports.person(reports=("daily",)) for _ in range(3)]
    for person in people:
        await reports.shelf.some(person.id)
    for job in reports.schedule.jobs():
        house.way.schedule.add(job)
    house.way.clock.now = EVENING
    return due_for(people, house.way, lambda: house.put("report"))


@pytest.mark.parametrize("prepare", [milestones, watches, digests, reminders, entitlements, reports])
async def test_of_three_the_others_are_served_and_the_one_when_it_can_be_read(
    house: House, prepare: Callable[[House], Awaitable[Due]]
) -> None:
    due = await prepare(house)
    ann, ben, cid = due.people
    document = Document(due.store, house.way.redis, ben)
    await document.breaks()
    for _ in range(2):
        await due.look()
        assert await due.served() == [ann, cid]
    assert await document.stands() == b"{"
    assert due.store.unreadable.standing == (ben,)
    await document.mended()
    await due.look()
    assert await due.served() == [ann, ben, cid]
    assert due.store.unreadable.standing == ()


# Delivery


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.delivery.delivery.UNREADABLE_AGAIN_S", 0.02)
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)


async def test_an_alert_waits_for_whoever_cannot_be_read(house: House, often: None) -> None:
    way = house.way
    ann, ben, cid = [await way.person() for _ in range(3)]
    document = Document(way.store, way.redis, ben.id)
    await document.breaks()
    await way.claim(claim_of(call_of(1), ann.id, ben.id, cid.id))
    async with way.sending():
        for person in (ann, cid):
            assert "T1" in text_of(await person.next_message())
        assert texts_of(ben) == []
        assert await document.stands() == b"{"
        await document.mended()
        assert "T1" in text_of(await ben.next_message())
    assert await way.dead_lettered() == []


async def test_what_has_waited_too_long_waits_among_the_dead_letters(house: House, often: None) -> None:
    way = house.way
    ann, ben = [await way.person() for _ in range(2)]
    document = Document(way.store, way.redis, ben.id)
    await document.breaks()
    way.clock.now += UNREADABLE_WAITS + timedelta(seconds=1)
    await way.claim(claim_of(call_of(1), ann.id, ben.id))
    await way.deliver()
    assert await way.dead_lettered() == ["the settings of whom it is for cannot be read"]
    assert await document.stands() == b"{"
    await document.mended()
    way.clock.now = NOW
    await DeadLetters(way.redis, way.metrics).replay_all()
    await way.deliver()
    assert len(texts_of(ben)) == 1


# The store


def store_on(redis: RedisManager, postgres: PostgresManager, *data_keys: str) -> SubscribersStore:
    cache = SmartCache[int, Subscriber | None].of("settings")
    return SubscribersStore(redis, postgres, Journal(redis, postgres), cache, sealer=Sealer(data_keys))


def person(user_id: int, revision: int = 1) -> Subscriber:
    return Subscriber(user_id=user_id, chat_id=user_id, name=f"U{user_id}", created_at=NOW, revision=revision)


@pytest.mark.parametrize("data_keys", [(), (Fernet.generate_key().decode(),)])
@pytest.mark.parametrize("broken", BROKEN)
async def test_it_is_neither_nobodys_nor_overwritten(
    redis_manager: RedisManager, postgres_manager: PostgresManager, broken: bytes, data_keys: tuple[str, ...]
) -> None:
    store = store_on(redis_manager, postgres_manager, *data_keys)
    await store.save(person(7))
    document = Document(store, redis_manager, 7)
    await document.breaks(broken)
    for _ in range(2):
        with pytest.raises(UnreadableError):
            await store.find(7)
    with pytest.raises((UnreadableError, StaleSubscriberError)):
        await store.save(person(7, revision=1))
    assert await document.stands() == broken
    assert store.unreadable.standing == (7,)
    await document.mended()
    assert await store.find(7) == person(7)
    assert store.unreadable.standing == ()


async def test_it_is_said_once_and_without_what_stands_in_it(
    redis_manager: RedisManager, postgres_manager: PostgresManager, capsys: pytest.CaptureFixture[str]
) -> None:
    store = store_on(redis_manager, postgres_manager)
    await store.save(person(7))
    whole = msgspec.json.decode(await Document(store, redis_manager, 7).stands(), type=dict[str, object])
    secret = msgspec.json.encode({**whole, "preferences": {"muted_tokens": {"SECRET": "SECRET"}}})
    await Document(store, redis_manager, 7).put(secret)
    for _ in range(3):
        with pytest.raises(UnreadableError) as raised:
            await store.find(7)
        assert "SECRET" not in str(raised.value)
    said = [line for line in capsys.readouterr().out.splitlines() if "unreadable" in line]
    assert len(said) == 1
    assert "key=7" in said[0]
    assert "$.preferences.muted_tokens" in said[0]
    assert "SECRET" not in said[0]


async def test_a_redis_that_is_filled_again_gets_it_too_so_that_nobody_is_taken_for_new(
    redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    store = store_on(redis_manager, postgres_manager)
    for user_id in (1, 2, 3):
        await store.save(person(user_id))
    await Journal(redis_manager, postgres_manager).drain_all()
    await postgres_manager.execute("UPDATE subscribers SET document = document || $1 WHERE user_id = 2", '{"plan": 5}')
    await redis_manager.transaction([("FLUSHALL",)])
    again = store_on(redis_manager, postgres_manager)
    assert await again.put_all_back() == 3
    await redis_manager.set(keys.EPOCH.of(), "complete")
    assert await again.find(1) == person(1)
    with pytest.raises(UnreadableError):
        await again.find(2)
    assert [who.user_id async for batch in again.load_all() for who in batch] == [1, 3]


async def test_a_broken_document_in_redis_is_not_replaced_by_an_earlier_one(
    redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    store = store_on(redis_manager, postgres_manager)
    for user_id in (1, 2, 3):
        await store.save(person(user_id))
    await Journal(redis_manager, postgres_manager).drain_all()
    document = Document(store, redis_manager, 2)
    await document.breaks()
    assert await store.put_all_back() == 3
    assert await document.stands() == b"{"


# Those in memory


async def test_whoever_cannot_be_read_at_the_start_is_matched_as_soon_as_they_can_be(house: House) -> None:
    way = house.way
    people = [await way.person() for _ in range(3)]
    ann, ben, cid = [person.id for person in people]
    document = Document(way.store, way.redis, ben)
    await document.breaks()
    users = way.users
    assert await users.loading.load() == 2
    assert set(users.roster.ids()) == {ann, cid}
    assert [who.user_id for who in await users.subscribers.page(0, 9)] == users.roster.ids()
    await users.loading.look_again()
    assert set(users.roster.ids()) == {ann, cid}
    await document.mended()
    await users.loading.look_again()
    assert set(users.roster.ids()) == {ann, ben, cid}


async def test_whoever_is_matched_stays_so_when_what_has_changed_cannot_be_read(house: House) -> None:
    way = house.way
    ann, ben, cid = [(await way.person()).id for _ in range(3)]
    users = way.users
    await users.loading.load()
    document = Document(way.store, way.redis, ben)
    await document.breaks()
    await users.loading.refresh(ben)
    await users.loading.reload()
    assert set(users.roster.ids()) == {ann, ben, cid}
    assert await users.subscribers.named(ben) == str(ben)
    assert {who.user_id for who in await users.subscribers.page(0, 9)} == {ann, cid}


# The dialogue


async def test_they_are_told_so_and_nobody_is_welcomed_anew(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann, ben, cid = [telegram.user(name) for name in ("Ann", "Ben", "Cid")]
    for one in (ann, ben, cid):
        await subscribe(one, "everything")
        await one.next_message(where=lambda message: "reply_markup" in message)
    store, redis = bot.of(SubscribersStore), bot.connections.redis
    document = Document(store, redis, ben.id)
    await document.breaks()
    for said in ("/start", "/settings", "/pause"):
        await ben.send(said)
        assert "cannot read your settings" in text_of(await ben.next_message())
    admin = telegram.user("Admin", user_id=ADMIN)
    await admin.send(f"/user {ben.id}")
    await admin.next_message(where=lambda message: f"What is stored of {ben.id} cannot be read" in text_of(message))
    assert await document.stands() == b"{"
    await ann.send("/pause")
    await ann.next_message(where=lambda message: "aused" in text_of(message))
    await document.mended()
    await ben.send("/pause")
    await ben.next_message(where=lambda message: "aused" in text_of(message))
