"""People and a broadcast on its way to their chats. What the journal says is brought to PostgreSQL by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from msgspec.structs import replace

from domain.broadcasts.segments import Audience
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Subscriber
from handlers.admin.broadcasts.screen import BroadcastScreen
from managers.storage.postgres import PostgresManager
from managers.telegram.conversation import TelegramConversation
from sandbox.telegram.people import SandboxUser
from services.broadcasts.broadcasts import BroadcastService
from services.broadcasts.composing import BROADCAST, News, NewsComposer
from services.broadcasts.rows import BroadcastRows, Counts
from services.broadcasts.spreading import SHOWN_EVERY, Spreading
from services.schedule.schedule import Schedule
from services.stores import keys
from services.stores.journal_rows import writes_of
from tests.delivery.kit import NOW, Way, texts_of
from texts import Texts

SAID = "<b>News</b> of today"
READ = "News of today"
EVERYBODY = Audience("everybody")
PROBE = Envelope.of(BROADCAST, News(html=""), user_id=1, subject="", decided_at=NOW)
ROOM = 10
"""How many of it may wait."""


@dataclass
class Broadcasts:
    """One bot; another one on the same stores is another process."""

    way: Way
    postgres: PostgresManager
    rows: BroadcastRows
    service: BroadcastService
    spreading: Spreading
    schedule: Schedule

    async def people(self, count: int, **preferences: object) -> list[SandboxUser]:
        return [await self.way.person(**preferences) for _ in range(count)]

    async def written(self) -> None:
        """Let PostgreSQL know all that the journal says."""
        for one in await self.way.redis.xrange(keys.JOURNAL.of(), count=100_000):
            for statement, values in writes_of(one.fields["kind"].decode(), one.fields["data"], self.way.clock.now):
                await self.postgres.execute(statement, *values)

    async def begun(self, audience: Audience = EVERYBODY) -> str:
        """Write one and let it begin for those that it is for."""
        await self.written()
        broadcast_id = await self.service.draft(SAID, 1)
        await self.service.aim(broadcast_id, audience)
        await self.service.begin(broadcast_id)
        return broadcast_id

    async def step(self) -> bool:
        """One look of the job, late enough that what it shows may be shown."""
        self.way.clock.now += SHOWN_EVERY
        return await self.spreading.step()

    async def counts(self, broadcast_id: str) -> Counts:
        await self.written()
        return (await self.service.standing(broadcast_id)).counts

    async def to_the_end(self, *, looks: int = 100) -> None:
        """Put and deliver until nothing goes on."""
        for _ in range(looks):
            if not await self.step():
                return
            await self.way.deliver()
            await self.written()
        raise AssertionError("it does not end")

    async def change(self, person: SandboxUser, **fields: object) -> Subscriber:
        return await self.way.users.subscribers.change(person.id, lambda s: replace(s, **fields))

    async def document(self, person: SandboxUser) -> Subscriber:
        return await self.way.users.subscribers.require(person.id)


def heard(people: Sequence[SandboxUser]) -> list[int]:
    """How often each of them got it."""
    return [sum(READ in text for text in texts_of(person)) for person in people]


def broadcasts_on(way: Way, postgres: PostgresManager, *, room: int = ROOM) -> Broadcasts:
    texts, rows = Texts.load(), BroadcastRows(postgres)
    service = BroadcastService(rows, way.due_times, way.clock)
    spreading = Spreading(
        rows=rows,
        service=service,
        subscribers=way.users.subscribers,
        putting=way.putting,
        waiting=way.outbox.size,
        screen=BroadcastScreen(TelegramConversation(way.manager), texts),
        clock=way.clock,
        max_waiting=room,
    )
    kind = NewsComposer(texts).row()
    if way.kinds.find(PROBE) is None:
        way.kinds.add(kind)
    schedule = Schedule([service.job()], due_times=way.due_times, clock=way.clock)
    way.clock.now += timedelta(hours=1)
    return Broadcasts(way, postgres, rows, service, spreading, schedule)
