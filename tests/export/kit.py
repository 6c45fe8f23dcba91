"""What people do with their data, and where to look for it."""

from __future__ import annotations

import csv
import re
from io import StringIO
from typing import LiteralString, cast

from composition import Composition
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.stores.journal import Journal
from tests.e2e.conftest import subscribe, text_of
from tests.e2e.test_dialogues import called


async def with_an_alert(bot: Composition, feed: FeedSandbox, user: SandboxUser, name: str = "Moon Cat") -> JsonObject:
    """Somebody takes a preset and gets an alert, of which PostgreSQL knows."""
    await subscribe(user, "everything")
    alert = await called(feed, user, name=name, symbol="MCAT", market_cap_usd=123_456.0)
    await bot.of(Journal).drain_all()
    return alert


async def export(user: SandboxUser, form: str) -> JsonObject:
    """Ask for the files; returns what the tap was answered."""
    await user.send("/export")
    menu = await user.next_message(where=lambda m: "Your data" in text_of(m))
    return await user.tap_data(menu, f"export:{form}")


async def is_over(user: SandboxUser) -> JsonObject:
    return await user.next_message(where=lambda m: "That is everything" in text_of(m), timeout_s=30)


def files(telegram: TelegramSandbox, user: SandboxUser) -> dict[str, bytes]:
    """The documents in somebody's chat, by name."""
    found: dict[str, bytes] = {}
    for message in user.messages:
        document = message.get("document")
        if document:
            stored = telegram.cloud.files.get(document["file_id"])
            assert stored
            assert document["file_name"] not in found
            found[document["file_name"]] = stored.data
    return found


def table(data: bytes) -> list[dict[str, str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(StringIO(data.decode("utf-8-sig"), newline="")))


def is_in(user_id: int, text: str) -> bool:
    return re.search(rf"(?<!\d){user_id}(?!\d)", text) is not None


async def found_in_postgres(postgres: PostgresManager, user_id: int) -> set[str]:
    """Names of the tables that have the id in any row, in any column."""
    tables = await postgres.fetch(
        "SELECT relname::text AS name FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"
    )
    found: set[str] = set()
    for row in tables:
        name = row["name"]
        statement = f'SELECT t::text AS row FROM "{name}" t'  # noqa: S608 - the name is PostgreSQL's own word
        rows = await postgres.fetch(cast("LiteralString", statement))
        if any(is_in(user_id, one["row"]) for one in rows):
            found.add(name)
    return found


async def found_in_redis(redis: RedisManager, user_id: int) -> set[str]:
    """Names of the keys that have the id in their name or anywhere in what they hold."""
    found = set[str]()
    async for names in redis.scan("*"):
        for name in names:
            (dump,) = await redis.transaction([("TYPE", name)])
            reads: dict[bytes, tuple[str | int, ...]] = {
                b"string": ("GET", name),
                b"hash": ("HGETALL", name),
                b"set": ("SMEMBERS", name),
                b"zset": ("ZRANGE", name, 0, -1),
                b"stream": ("XRANGE", name, "-", "+"),
            }
            held = await redis.transaction([reads[dump]]) if isinstance(dump, bytes) and dump in reads else []
            if is_in(user_id, name) or is_in(user_id, repr(held)):
                found.add(name)
    return found
