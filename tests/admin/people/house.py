"""The whole bot on real stores, with everything in them that admins look at; its Telegram only listens."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace as with_
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from bot.telegram_bot import TelegramBot
from composition import Composition, ProcessConfig
from config.settings import Settings
from domain.admins.deeds import Deed
from domain.admins.roles import AdminRole
from domain.payments.invoices import Arrival, Invoice
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import ConversationServices
from handlers.conversation.dispatch import Dispatcher
from handlers.conversation.routing import Routes, collect
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.administration.activity import ActivityService
from services.administration.admins import AdminsService
from services.administration.audit import AuditService, Whose
from services.administration.audit_file import AuditFile
from services.broadcasts.statements import DRAFT
from services.channels.listed import ListedChannels
from services.export.files import ExportDirectory
from services.payments.group import SettlingServices
from services.payments.ledger import Ledger
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from tests.conversation.telegram_wire import AnyApplication, Person, RecordedConversation, application
from tests.e2e.conftest import composed

OWNER: Final = 789
SUPPORT: Final = 791
READER: Final = 792
VICTIM: Final = 457
OTHER: Final = 458
OUTSIDER: Final = 456
BROADCAST: Final = "d5a9b0c1e2f3"
ARRIVAL: Final = "nowpayments:4711"
PASSING: Final = ("input:", "held_input:", "confirm:")
"""What a conversation remembers for minutes."""
BY_LOOKING: Final = ("arrival_handle:", "payment_handle:", "handle:")


class Files:
    """Documents that were sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str, bytes]] = []

    async def send_document(self, chat_id: int, path: Path, name: str, caption: str) -> int:
        assert caption
        self.sent.append((chat_id, name, path.read_bytes()))  # noqa: ASYNC240 - a few kilobytes
        return 12


class House(Struct, kw_only=True):
    made: Composition
    app: AnyApplication
    conversation: RecordedConversation
    redis: RedisManager
    postgres: PostgresManager
    files: Files
    handle: str

    @property
    def routes(self) -> Routes:
        return collect(TelegramBot)

    def person(self, user_id: int) -> Person:
        return Person(self.app, self.conversation, user_id)

    async def subscriber(self, user_id: int = VICTIM) -> Subscriber:
        return await self.made.of(SubscriberServices).subscribers.require(user_id)

    async def written(self) -> None:
        """Let PostgreSQL know everything."""
        await self.made.of(Journal).drain_all()
        await self.made.of(ActivityService).write()

    async def deeds(self) -> list[Deed]:
        """What admins did, the earliest first."""
        await self.written()
        return list(reversed((await self.made.of(AuditService).page(Whose(), 0, 1_000)).deeds))

    async def state(self) -> dict[str, str]:
        """A digest of all that is kept, but for what a conversation remembers for minutes."""
        found: dict[str, str] = {}
        async for names in self.redis.scan("*", count=1_000):
            for name in names:
                if not name.startswith(PASSING):
                    found[name] = repr(await self._value(name))
        tables = await self.postgres.fetch(
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()"
        )
        for name in sorted(row["name"] for row in tables):
            rows = await self.postgres.fetch(f'SELECT t::text AS row FROM "{name}" t ORDER BY 1')  # noqa: S608  # pyright: ignore[reportArgumentType] - the name of a table
            found[name] = hashlib.sha256("\n".join(row["row"] for row in rows).encode()).hexdigest()
        return found

    async def _value(self, name: str) -> Any:
        """A stream is what stands in it; of all else the very bytes count."""
        (kind,) = await self.redis.transaction([("TYPE", name)])
        read = ("XRANGE", name, "-", "+") if kind in (b"stream", "stream") else ("DUMP", name)
        return (await self.redis.transaction([read]))[0]


@asynccontextmanager
async def house_on(redis_url: str, postgres_dsn: str, directory: Path, owner: str = "ada") -> AsyncGenerator[House]:
    async with AsyncExitStack() as stack:
        settings = Settings(admin_chat_ids=frozenset({OWNER}))
        place = ProcessConfig(role="gateway", owner=owner)
        made = await composed(stack, redis_url, postgres_dsn, place, settings)
        conversation = RecordedConversation()
        bot = made.bot
        heard, files = with_(bot.services.conversation, telegram=conversation), Files()
        audit_file = AuditFile(made.of(AuditService), files, ExportDirectory(directory))
        groups = {**bot.services.groups, ConversationServices: heard, AuditFile: audit_file}
        bot.services = with_(bot.services, conversation=heard, groups=groups)
        app = application()
        Dispatcher(bot).install(app)
        await stack.enter_async_context(app)
        made.of(AdminsService).changed = None  # Telegram's menu of commands is somewhere else
        house = House(
            made=made,
            app=app,
            conversation=conversation,
            redis=made.connections.redis,
            postgres=made.connections.postgres,
            files=files,
            handle="",
        )
        yield house


async def furnish(house: House) -> None:
    """Let there be people with filters, admins of each role, a preset, money that waits."""
    for user_id in (OWNER, SUPPORT, READER, VICTIM, OTHER, OUTSIDER):
        person = house.person(user_id)
        await person.writes("/start")
        await person.taps("addset")
    await house.made.of(ListedChannels).configured(["@alpha"])
    await appoint(house, SUPPORT, "support")
    await appoint(house, READER, "read_only")
    now = datetime.now(UTC)
    ledger = house.made.of(Ledger)
    await ledger.open(invoice("ABCD2345", now), told_by_amount=True)
    await ledger.arrived(Arrival(key=ARRIVAL, asset="SOL", amount=Decimal("0.2"), at=now, stage="final"), None)
    await house.postgres.execute(DRAFT, BROADCAST, OWNER, now, "<b>News</b>")
    await house.written()
    house.handle = await house.made.of(SettlingServices).search.handle_of(ARRIVAL)


async def appoint(house: House, user_id: int, role: AdminRole) -> None:
    await house.made.of(AdminsService).put(user_id, role, OWNER)


def invoice(invoice_id: str, now: datetime) -> Invoice:
    return Invoice(
        id=invoice_id,
        user_id=VICTIM,
        plan="pro",
        days=30,
        price_usd=Decimal("50.00"),
        method="sol",
        asset="SOL",
        amount=Decimal("0.5"),
        rate_usd=Decimal(100),
        created_at=now,
        expires_at=now + timedelta(hours=1),
        address="Wallet",
        reference="ref",
    )
