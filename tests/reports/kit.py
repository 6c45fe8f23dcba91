"""Calls in PostgreSQL with what became of them, and the way from a due time to a chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.calls.events import Call, Channel, Token
from domain.reports.pictures import Picture
from domain.stored.journal import DecidedCall, DeliveryRecord
from domain.subscribers.subscriber import Subscriber
from managers.pictures.maker import PictureMaker
from managers.storage.postgres import PostgresManager
from sandbox.telegram.people import SandboxUser
from services.cards.names import Names
from services.reports.composing import ReportComposer
from services.reports.drawing import Drawing
from services.reports.figures import ReportFigures
from services.reports.pictures import PictureWords
from services.reports.rows import ReportRows
from services.reports.schedule import ReportSchedule
from services.schedule.schedule import Schedule
from services.stores.journal_rows import Kind as JournalKind
from services.stores.journal_rows import writes_of
from tests.delivery.kit import Way
from texts import Texts

EVENING = datetime(2026, 11, 27, 20, tzinfo=UTC)
"""A Friday, at which the daily report is due in UTC."""
PRESET = "early_gems"


class FakePng(PictureMaker):
    """Draws nothing, and says what it was asked for: how a picture looks is tested where it is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Picture] = []

    async def draw(self, picture: Picture, *, dark: bool) -> bytes:
        del dark
        self.asked.append(picture)
        return b"\x89PNG\r\n\x1a\n" + bytes(50)


@dataclass
class Shelf:
    """What PostgreSQL holds of calls, as a test says."""

    postgres: PostgresManager
    calls: int = 0
    numbers: dict[str, int] = field(default_factory=dict[str, int])

    async def put(self, kind: JournalKind, document: msgspec.Struct) -> None:
        for statement, values in writes_of(kind, msgspec.json.encode(document), EVENING):
            await self.postgres.execute(statement, *values)

    async def call(
        self,
        peak: float,
        *told: int,
        at: datetime = EVENING - timedelta(hours=3),
        token: str = "",
        channel: str = "@alpha",
        name: str | None = None,
        ended: bool = False,
        after_a_day: float | None = None,
        reachable: float | None = None,
        peaked_after: timedelta = timedelta(minutes=40),
    ) -> str:
        """Store a call that is tracked, and the alerts that told these people of it; returns its id."""
        self.calls += 1
        call_id, address = f"c{self.calls}", token or f"{self.calls:044}"
        figures = Token(address=address, symbol=name or f"T{self.calls}", price_usd=1.0, market_cap_usd=20_000.0)
        call = Call(id=call_id, token=figures, channel=Channel(id=channel), called_at=at, received_at=at)
        decided = DecidedCall(call=call, decided_at=at, reason="first_check", checked_channels=())
        async with self.postgres.transaction() as both:  # a bot that runs finds the outcome of what it finds
            for statement, values in writes_of("call", msgspec.json.encode(decided), EVENING):
                await both.execute(statement, *values)
            row = await both.fetch_row("SELECT number FROM calls WHERE call_id = $1", call_id)
            assert row
            await both.execute(
                "INSERT INTO outcomes (call_id, number, token_address, channel_id, called_at, opened_at, measure,"
                " price_usd, market_cap_usd, peak_multiple, peak_at, return_24h, reachable_multiple, ended_at, ending,"
                " entry_at) VALUES ($1, $2, $3, $4, $5, $5, 'price', 1, 20000, $6, $7, $8, $9, $10, $11, $5)",
                *(call_id, row["number"], address, channel, at, peak),
                *(at + peaked_after, after_a_day, reachable),
                *(at + timedelta(hours=2) if ended else None, "liquidity" if ended else None),
            )
        self.numbers[call_id] = row["number"]
        for rung in (2.0, 5.0, 10.0):
            if peak >= rung:
                await self.postgres.execute(
                    "INSERT INTO milestones (call_id, rung, number, multiple, reached_at, confirmed_at, late, verified,"
                    " look_at) VALUES ($1, $2, $3, $2, $4, $4, false, true, $4)",
                    *(call_id, rung, row["number"], at + timedelta(minutes=rung)),
                )
        for user_id in told:
            await self.alert(call_id, user_id, at)
        return call_id

    async def alert(self, call_id: str, user_id: int, at: datetime, kind: str = "alert") -> None:
        record = DeliveryRecord(
            call_id=call_id,
            user_id=user_id,
            kind=kind,
            set_number=1,
            status="sent",
            message_id=1,
            chat_id=user_id,
            decided_at=at,
            sent_at=at,
        )
        await self.put("delivery", record)

    async def some(self, user_id: int, peaks: Sequence[float] = (1.2, 1.5, 2.5, 3.0, 12.4, 1.1), **more: Any) -> None:
        for peak in peaks:
            await self.call(peak, user_id, **more)


@dataclass
class Reports:
    """One bot; another one on the same stores is another process."""

    way: Way
    shelf: Shelf
    pictures: FakePng
    figures: ReportFigures
    schedule: ReportSchedule
    rows: Schedule

    async def person(self, **preferences: Any) -> SandboxUser:
        """Somebody who subscribed with /start and then chose these preferences."""
        person = await self.way.person()
        subscriber = await self.way.store.find(person.id)
        assert subscriber
        await self.schedule.changed(subscriber, None)
        await self.choose(person, **preferences)
        return person

    async def choose(self, person: SandboxUser, **preferences: Any) -> Subscriber:
        return await self.way.users.subscribers.change_preferences(person.id, lambda p: replace(p, **preferences))

    async def send(self) -> int:
        """Do what is due, and deliver what that put; returns how many were put."""
        before = sum(self.schedule.put.values())
        await self.rows.poll()
        await self.way.deliver()
        return sum(self.schedule.put.values()) - before


def reports_on(way: Way, postgres: PostgresManager) -> Reports:
    way.clock.now = EVENING - timedelta(hours=2)
    pictures, texts = FakePng(), Texts.load()
    figures = ReportFigures(ReportRows(postgres), clock=way.clock, presets=lambda: [(PRESET, PRESET)])
    drawing = Drawing(pictures, PictureWords(lambda: "filter_bot"), way.files)
    schedule = ReportSchedule(
        figures=figures,
        subscribers=way.users.subscribers,
        putting=way.putting,
        due_times=way.due_times,
        postgres=postgres,
        clock=way.clock,
        held=lambda: way.delivery.held,
    )
    way.users.subscribers.saved = schedule.changed
    way.kinds.add(ReportComposer(Names(texts), drawing).row())
    rows = Schedule(schedule.jobs(), due_times=way.due_times, clock=way.clock)
    return Reports(way, Shelf(postgres), pictures, figures, schedule, rows)
