"""The whole way to a chat, with what gives people plans and takes them away."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from domain.filters.registry import FilterSet, Range
from domain.payments.entitlements import Entitlement
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager
from managers.telegram.client import TelegramManager
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from services.cards.names import Names
from services.payments import keys as payment_keys
from services.payments.ledger import Ledger
from services.plans.entitling import EntitlingService
from services.plans.notices import PlanNoticeComposer
from services.plans.reminders import ReminderComposer, RemindersService
from services.schedule.due_times import DueTimes
from services.stores import keys
from services.stores.journal import Journal
from tests.delivery.kit import NOWHERE, PLANS, Clock, Way, texts_of, way_of, whole_way
from tests.wiring import NoMessages, entitling_on
from texts import Texts

DAY = timedelta(days=1)


class Shop(Struct):
    """Where somebody is given plans."""

    way: Way
    entitling: EntitlingService
    ledger: Ledger
    reminders: RemindersService

    @property
    def clock(self) -> Clock:
        return self.way.clock

    async def newcomer(self, sets: int = 0) -> SandboxUser:
        """Somebody who said /start, and has so many filter sets."""
        self.way.names += 1
        person = self.way.telegram.user(f"Ann {self.way.names}")
        await person.send("/start")
        await self.starts(person)
        if sets:
            await self.way.users.subscribers.change(person.id, lambda s: replace(s, filter_sets=_sets(s.user_id, sets)))
        return person

    async def starts(self, person: SandboxUser) -> Subscriber:
        opened = await self.way.users.subscribers.open(
            user_id=person.id, chat_id=person.id, name=person.name, language="en"
        )
        await self.entitling.heal()
        return opened.subscriber

    async def enrols(self, person: SandboxUser, *, plan: str, paid_until: datetime | None = None) -> None:
        """Somebody of whom the ledger knows nothing."""
        opened = await self.way.users.subscribers.open(
            user_id=person.id, chat_id=person.id, name=person.name, language="en"
        )
        await self.way.redis.delete(payment_keys.ENTITLEMENTS.of(person.id), payment_keys.ENTITLED.of())
        as_they_were = replace(opened.subscriber, plan=plan, paid_until=paid_until)
        await self.way.users.subscribers.change(person.id, lambda _: as_they_were)

    async def document(self, person: SandboxUser) -> Subscriber:
        return await self.way.users.subscribers.require(person.id)

    async def gives(self, person: SandboxUser, plan: str, days: int, key: str = "invoice:1") -> None:
        """Credit a payment; the document does not show it yet."""
        self.clock.now += timedelta(seconds=1)
        given = Entitlement(key=key, plan=plan, days=days, price_usd=Decimal(days), at=self.clock())
        await self.ledger.give(person.id, given)

    async def buys(self, person: SandboxUser, plan: str, days: int = 30, key: str = "invoice:1") -> None:
        await self.gives(person, plan, days, key)
        await self.entitling.apply(person.id)

    async def passes(self, span: timedelta, step: timedelta = timedelta(hours=6)) -> None:
        """Let time pass as the bot does, looking at what is due again and again."""
        end = self.clock.now + span
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + step)
            await self.look()

    async def look(self) -> None:
        await self.way.schedule.poll()
        await self.entitling.heal()
        await self.way.deliver()

    def told(self, person: SandboxUser) -> list[str]:
        return texts_of(person)

    async def forgets(self, person: SandboxUser) -> None:
        """Delete somebody's document, as if they had never been there."""
        await self.way.redis.delete(keys.SUBSCRIBER.of(person.id))
        self.way.store.forget(person.id)


@asynccontextmanager
async def open_shop(redis_url: str) -> AsyncGenerator[Shop]:
    async with whole_way(redis_url) as way:
        yield await shop_on(way.redis, way.telegram, way.manager)


async def shop_on(redis: RedisManager, telegram: TelegramSandbox, manager: TelegramManager) -> Shop:
    """May be called again on the same Redis: another process, or the next one."""
    await redis.set(keys.EPOCH.of(), "whole")
    texts = Texts.load()
    way = way_of(redis, telegram, manager, [PlanNoticeComposer(Names(texts)).row(), ReminderComposer(texts).row()])
    journal = Journal(redis, NOWHERE)
    entitling = entitling_on(redis, NOWHERE, journal, way.users, PLANS, way.clock)
    reminders = RemindersService(
        subscribers=way.users.subscribers,
        putting=way.putting,
        due_times=DueTimes(redis),
        postgres=NOWHERE,
        clock=way.clock,
    )
    way.schedule.add(entitling.job())
    way.schedule.add(reminders.job())
    ledger = Ledger(redis, journal, messages=NoMessages(), clock=way.clock)
    return Shop(way=way, entitling=entitling, ledger=ledger, reminders=reminders)


def _sets(user_id: int, count: int) -> tuple[FilterSet, ...]:
    return tuple(
        FilterSet(user_id=user_id, number=number, name=f"Filter {number}", rules={"holders": Range(float(number))})
        for number in range(1, count + 1)
    )


def numbers_on(subscriber: Subscriber) -> list[int]:
    return [one.number for one in subscriber.filter_sets if one.enabled]


def about(texts: Sequence[str], words: str) -> list[str]:
    return [text for text in texts if words in text]


def at(moment: datetime) -> str:
    return moment.strftime("%d %b %Y")
