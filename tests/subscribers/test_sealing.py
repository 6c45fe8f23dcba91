"""What people set and type, encrypted in Redis: found again, given another key, never lost to a wrong one."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.settings import Settings
from domain.delivery.messages import Button
from domain.filters.registry import FilterSet, Range
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from runtime.errors import UnreadableError
from services.administration.confirmations import Confirmations, Meant
from services.delivery.card_keyboards import CardKeyboards
from services.monitoring.metrics import Metrics
from services.recovery.postgres_fill import PostgresFill
from services.stores import keys
from services.stores.database import Database
from services.stores.journal import Journal
from services.stores.sealing import PLAIN, Sealer, UnknownKeyError, fingerprint_of
from services.subscribers.inputs import InputsService
from services.subscribers.resealing import UNUSED_FOR_S, ResealingService
from services.subscribers.sharing import SharingService
from services.subscribers.store import StaleSubscriberError, SubscribersStore

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
OLD, NEW, OTHER = (urlsafe_b64encode(letter * 32).decode() for letter in (b"a", b"b", b"c"))
SECRETS = (b"Ada", b"moonshots", b"market_cap_usd")
MUTED = ((Button(text="moonshots muted · undo", data="munhere:token:Ada"),),)


@dataclass
class Bot:
    """The stores of one process, with its keys."""

    redis: RedisManager
    postgres: PostgresManager
    keys: Sequence[str] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    sealer: Sealer = field(init=False)

    def __post_init__(self) -> None:
        self.sealer = Sealer(self.keys)
        self.journal = Journal(self.redis, self.postgres, self.sealer)
        cache = SmartCache[int, Subscriber | None].of("settings")
        self.store = SubscribersStore(self.redis, self.postgres, self.journal, cache, sealer=self.sealer)
        self.sharing = SharingService(
            redis=self.redis, postgres=self.postgres, journal=self.journal, clock=lambda: NOW, sealer=self.sealer
        )
        self.resealing = ResealingService(self.redis, self.sealer, lambda: self.now)

    async def everybody(self) -> dict[int, Subscriber]:
        return {who.user_id: who async for batch in self.store.load_all() for who in batch}

    async def reseal(self, after: timedelta = timedelta()) -> int:
        self.now += after
        return await self.resealing.reseal(lambda: None)

    async def sealed_by(self) -> set[str]:
        return set(await self.redis.hgetall(keys.SEALED_BY.of()))


@pytest.fixture
def bot(redis_manager: RedisManager, postgres_manager: PostgresManager) -> Bot:
    return Bot(redis_manager, postgres_manager, [OLD])


def again(bot: Bot, *its_keys: str) -> Bot:
    """Another process, or the same with other settings, and nothing in memory."""
    return Bot(bot.redis, bot.postgres, its_keys, bot.now)


def ada(revision: int = 1, *, user_id: int = 7, name: str = "Ada") -> Subscriber:
    wanted = FilterSet(user_id=user_id, number=1, name="moonshots", rules={"market_cap_usd": Range(20_000.0, None)})
    return Subscriber(
        user_id=user_id,
        chat_id=user_id,
        name=name,
        created_at=NOW,
        paid_until=NOW,
        revision=revision,
        filter_sets=(wanted,),
    )


async def everything_in(redis: RedisManager) -> bytes:
    """Return all that somebody who reads this Redis sees, in one."""
    names = [name async for batch in redis.scan("*") for name in batch]
    seen = [name.encode() for name in names]
    for name in names:
        (kind,) = await redis.transaction([("TYPE", name)])
        command = {b"string": ("GET",), b"hash": ("HGETALL",), b"set": ("SMEMBERS",), b"stream": ("XRANGE",)}
        assert isinstance(kind, bytes)
        bounds = ("-", "+") if kind == b"stream" else ()
        seen += map(repr_of, await redis.transaction([(*command[kind], name, *bounds)]))
    return b"\n".join(seen)


def repr_of(reply: object) -> bytes:
    return repr(reply).encode()


# The way there and back


@given(st.binary(max_size=300), st.sampled_from([(), (OLD,), (NEW, OLD), (PLAIN, OLD)]))
def test_what_is_sealed_is_opened(document: bytes, its_keys: tuple[str, ...]) -> None:
    document = b"{" + document  # ours are JSON, and never begin as what is sealed does
    sealer = Sealer(its_keys)
    stored = sealer.seal(document)
    assert sealer.open(stored) == document
    assert sealer.is_current(stored)
    assert (stored == document) == (not its_keys or its_keys[0] == PLAIN)


async def test_whoever_reads_redis_reads_nothing_of_people(bot: Bot) -> None:
    await bot.store.save(ada())
    shared = await bot.sharing.share(ada(), ada().filter_sets[0])
    inputs, confirmations = InputsService(bot.redis, bot.sealer), Confirmations(bot.redis, bot.sealer)
    await inputs.expect(7, "rule", "market_cap_usd of moonshots")
    tag = await inputs.hold(7, "moonshots \x00 Ada")
    token = await confirmations.ask(1, "write:7", "Dear Ada")
    await keyboards_of(bot).keep(7, 70, MUTED)
    seen = await everything_in(bot.redis)
    assert not [word for word in SECRETS if word in seen]
    assert len(await bot.redis.xrange(keys.JOURNAL.of())) == 2

    assert await again(bot, OLD).store.find(7) == ada()
    assert (await again(bot, OLD).sharing.open(shared.code)).name == "moonshots"
    expected = await inputs.take(7)
    assert expected is not None
    assert expected.payload == "market_cap_usd of moonshots"
    assert await inputs.held(7, tag) == "moonshots \x00 Ada"
    assert await confirmations.take(1, token) == Meant("write:7", "Dear Ada")

    assert await bot.everybody() == {7: ada()}
    row = await bot.postgres.fetch_row("SELECT name, document FROM subscribers")
    assert row is not None
    assert row["name"] == "Ada", "PostgreSQL gets it as it is"


async def test_saving_the_same_again_is_no_conflict_and_an_older_one_is(bot: Bot) -> None:
    for _ in range(2):
        await bot.store.save(ada(2))
    assert await bot.redis.xlen(keys.JOURNAL.of()) == 1
    for revision in (1, 2):
        with pytest.raises(StaleSubscriberError) as refusal:
            await bot.store.save(ada(revision, name="Impostor"))
        assert refusal.value.standing == 2
    await bot.store.save(ada(3))
    assert await again(bot, OLD).store.find(7) == ada(3)


async def test_an_emptied_redis_is_filled_with_what_is_sealed(bot: Bot) -> None:
    await bot.store.save(ada())
    await bot.journal.drain_all()
    await bot.redis.transaction([("FLUSHALL",)])
    assert await bot.everybody() == {7: ada()}
    assert b"moonshots" not in await everything_in(bot.redis)
    await bot.store.save(ada(2))


async def test_an_emptied_postgresql_gets_it_as_it_is(bot: Bot) -> None:
    database = Database(bot.redis, bot.postgres)
    await bot.redis.set(keys.EPOCH.of(), "whole")
    await bot.store.save(ada())
    await bot.store.save(ada(user_id=8))
    shared = await bot.sharing.share(ada(), ada().filter_sets[0])
    await database.poll()
    await bot.journal.drain_all()
    await bot.postgres.execute("TRUNCATE subscribers, shared_sets")
    stored = await bot.redis.get(keys.SUBSCRIBER.of(8))
    assert stored is not None
    await bot.redis.set(keys.SUBSCRIBER.of(8), stored.replace(b'"gAAAA', b'"gAAAB'))
    fill = PostgresFill(
        redis=bot.redis,
        postgres=bot.postgres,
        database=database,
        say=lambda _: None,
        clock=lambda: bot.now,
        sealer=bot.sealer,
    )
    assert await fill.poll()
    rows = await bot.postgres.fetch("SELECT document FROM subscribers")
    assert [msgspec.json.decode(row["document"], type=Subscriber) for row in rows] == [ada()]
    row = await bot.postgres.fetch_row("SELECT document->>'name' AS name FROM shared_sets WHERE code = $1", shared.code)
    assert row is not None
    assert row["name"] == "moonshots"


async def test_damage_costs_the_document_alone(bot: Bot) -> None:
    await bot.store.save(ada())
    await bot.store.save(ada(user_id=8))
    stored = await bot.redis.get(keys.SUBSCRIBER.of(7))
    assert stored is not None
    await bot.redis.set(keys.SUBSCRIBER.of(7), stored.replace(b'"gAAAA', b'"gAAAB'))
    with pytest.raises(UnreadableError):
        await again(bot, OLD).store.find(7)
    assert await again(bot, OLD).store.find(8) == ada(user_id=8)


# Another key


async def test_a_key_is_rotated_and_the_old_one_goes(bot: Bot) -> None:
    await bot.resealing.begin()
    for user_id in range(1, 6):
        await bot.store.save(ada(user_id=user_id))
    shared = await bot.sharing.share(ada(), ada().filter_sets[0])
    await keyboards_of(bot).keep(7, 70, MUTED)
    await bot.journal.drain_all()
    await bot.reseal(timedelta(hours=1))

    both = again(bot, NEW, OLD)
    await both.resealing.begin()
    assert await both.store.find(3) == ada(user_id=3)
    await both.store.save(ada(2, user_id=3))  # what is changed is sealed by the new one at once
    assert await both.reseal() == 4 + 1 + 1
    assert await both.reseal() == 0
    assert await both.sealed_by() == {fingerprint_of(OLD), fingerprint_of(NEW)}, (
        "somebody may have sealed by it just now"
    )
    with pytest.raises(UnknownKeyError):
        await again(bot, NEW).resealing.begin()

    await both.journal.drain_all()
    await both.reseal(timedelta(seconds=UNUSED_FOR_S))
    assert await both.sealed_by() == {fingerprint_of(NEW)}
    alone = again(both, NEW)
    await alone.resealing.begin()
    assert [await alone.store.find(user_id) for user_id in (2, 3)] == [ada(user_id=2), ada(2, user_id=3)]
    assert (await alone.sharing.open(shared.code)).name == "moonshots"
    assert await keyboards_of(alone).under(7, 70) == MUTED
    [(left_s,)] = [await alone.redis.transaction([("TTL", keys.CARD_KEYBOARD.of(7, 70))])]
    assert isinstance(left_s, int)
    assert 0 < left_s <= keys.CARD_KEYBOARD.expires_s, "it still goes"


def keyboards_of(bot: Bot) -> CardKeyboards:
    return CardKeyboards(bot.redis, bot.sealer, Metrics())


async def test_a_key_is_kept_while_something_of_it_waits_for_postgresql(bot: Bot) -> None:
    await bot.resealing.begin()
    await bot.store.save(ada())
    both = again(bot, NEW, OLD)
    await both.reseal(timedelta(seconds=UNUSED_FOR_S))
    assert fingerprint_of(OLD) in await both.sealed_by(), "the entry in the journal was sealed by it"
    await both.journal.drain_all()
    await both.reseal()
    assert await both.sealed_by() == {fingerprint_of(NEW)}


async def test_what_was_there_before_is_sealed_and_opened_for_good(bot: Bot) -> None:
    await again(bot).store.save(ada())
    await bot.resealing.begin()
    assert await bot.store.find(7) == ada()
    await bot.journal.drain_all()
    assert await bot.reseal(timedelta(seconds=UNUSED_FOR_S)) == 1
    assert await bot.sealed_by() == {fingerprint_of(OLD)}
    assert b"moonshots" not in await everything_in(bot.redis)

    ending = again(bot, PLAIN, OLD)
    assert await ending.reseal() == 1
    plain = again(ending)
    with pytest.raises(UnknownKeyError):
        await plain.resealing.begin()
    await ending.reseal(timedelta(seconds=UNUSED_FOR_S))
    await plain.resealing.begin()
    assert await plain.store.find(7) == ada()


# A wrong key


@pytest.mark.parametrize("its_keys", [(), (OTHER,), (PLAIN, OTHER)])
async def test_with_a_wrong_key_or_none_nothing_starts_and_nothing_is_overwritten(
    bot: Bot, its_keys: tuple[str, ...]
) -> None:
    await bot.resealing.begin()
    await bot.store.save(ada())
    await bot.journal.drain_all()
    before = await everything_in(bot.redis)
    wrong = again(bot, *its_keys)
    with pytest.raises(UnknownKeyError, match=f"fingerprint {fingerprint_of(OLD)}.*DATA_KEY"):
        await wrong.resealing.begin()
    with pytest.raises(UnknownKeyError):
        await wrong.store.find(7)
    with pytest.raises(UnknownKeyError):
        await wrong.store.save(ada(2, name="Impostor"))
    with pytest.raises(UnknownKeyError):
        await wrong.reseal()
    assert await everything_in(bot.redis) == before


async def test_the_journal_stops_where_it_lacks_the_key_and_loses_nothing(bot: Bot) -> None:
    await bot.store.save(ada())
    with pytest.raises(UnknownKeyError):
        await again(bot, OTHER).journal.drain_all()
    assert await again(bot, OTHER, OLD).journal.drain_all() == 1


@pytest.mark.parametrize("said", ["short", f"{OLD},plain", f"{OLD},x", f"{OLD[:-1]}\n", "plain,plain", OLD + OLD])
def test_what_is_no_key_is_said_before_anything_begins(said: str) -> None:
    with pytest.raises(ValidationError, match="32 random bytes") as refusal:
        Settings(data_key=said)  # type: ignore[arg-type]
    assert OLD not in str(refusal.value.errors(include_input=False))


def test_keys_are_read_in_their_order_and_are_secrets() -> None:
    settings = Settings(data_key=f" {NEW}, {OLD} ")  # type: ignore[arg-type]
    assert settings.data_keys == (NEW, OLD)
    assert {NEW, OLD} <= set(settings.secrets)
