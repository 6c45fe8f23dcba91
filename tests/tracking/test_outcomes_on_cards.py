"""Each alert's card says once what became of its call, and what it said before is still there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import msgspec
import pytest

from composition import Composition
from domain.stored.outgoing import Envelope, read_outgoing
from domain.subscribers.partitions import PARTITIONS
from handlers.delivery.buttons import MuteHere
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from services.claims.putting import Putting
from services.stores import keys
from services.stores.journal import Journal
from services.tracking.records import settled
from services.tracking.records.settled import OutcomeNotice, SettledCalls
from tests.e2e.conftest import bot, data_dir, feed, subscribe, telegram, text_of
from tests.tracking.kit import Desk, Killed
from tests.tracking.test_milestone_replies import alert_of, publish, tracked
from tests.wiring import spool_on

__all__ = ["bot", "data_dir", "feed", "telegram"]

ANN, BEN, CAT, DAN = 1, 2, 3, 4


def settled_calls(desk: Desk) -> SettledCalls:
    putting = Putting(spool_on(desk.redis), Journal(desk.redis, desk.postgres))
    return SettledCalls(postgres=desk.postgres, putting=putting, clock=desk.clock)


async def outcomes(desk: Desk) -> list[tuple[int, str, str | None]]:
    """What waits in the outboxes: person, call, how it ended."""
    found: list[tuple[int, str, str | None]] = []
    async for outgoing in waiting(desk):
        notice = msgspec.json.decode(outgoing.payload, type=OutcomeNotice)
        found.append((outgoing.user_id, notice.call_id, notice.ending))
    return sorted(found, key=lambda one: one[:2])


async def waiting(desk: Desk) -> AsyncIterator[Envelope]:
    for partition in range(PARTITIONS):
        for one in await desk.redis.xrange(keys.OUTBOX.of(partition), count=10_000):
            outgoing = read_outgoing(one.fields["alert"])
            if isinstance(outgoing, Envelope) and outgoing.kind == "outcome":
                yield outgoing


async def end(desk: Desk, call_id: str) -> None:
    statement = "UPDATE outcomes SET ended_at = $2, ending = 'silence', updated_at = $2 WHERE call_id = $1"
    await desk.postgres.execute(statement, call_id, desk.clock())


async def test_each_card_is_edited_once_wherever_it_is_killed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.tracking.take_over()
    first = await desk.call("c1", ANN)
    await desk.call("c2", ANN, token=1)
    await desk.accept(first, BEN)
    await desk.settle(first, BEN, "merged")
    await desk.accept(first, CAT)
    await desk.settle(first, CAT, "digest")
    await desk.settle(first, CAT, "sent", kind="digest")
    await desk.accept(first, DAN)
    await desk.settle(first, DAN, "withheld")
    await desk.tracking.round()
    assert await settled_calls(desk).tell() == 0
    await end(desk, "c1")

    def kill(point: str) -> None:
        raise Killed(point)

    with monkeypatch.context() as patched:
        patched.setattr(settled, "fault_point", kill)
        with pytest.raises(Killed):
            await settled_calls(desk).tell()
    assert await settled_calls(desk).tell() == 1
    assert await settled_calls(desk).tell() == 0
    assert await outcomes(desk) == [(ANN, "c1", "silence")]
    desk.clock.pass_(days=7, minutes=11)
    assert await settled_calls(desk).tell() == 1
    assert await outcomes(desk) == [(ANN, "c1", "silence"), (ANN, "c2", None)]


async def test_what_is_too_old_or_does_not_count_stays_as_it_is(desk: Desk) -> None:
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.call("c2", ANN, token=1)
    await desk.tracking.round()
    await desk.postgres.execute("UPDATE outcomes SET excluded = 'repost' WHERE call_id = 'c2'")
    await end(desk, "c2")
    assert await settled_calls(desk).tell() == 1
    desk.clock.pass_(days=15)
    assert await settled_calls(desk).tell() == 1
    assert await outcomes(desk) == []


ENDED: LiteralString = """
    UPDATE outcomes SET peak_multiple = 4.2, peak_at = called_at + interval '3 hours', ended_at = $1,
        ending = 'liquidity' WHERE call_id = $2
"""


async def sent(bot: Composition) -> None:
    """Wait until PostgreSQL knows of the alert."""
    postgres = bot.connections.postgres
    async with asyncio.timeout(10):
        while not await postgres.fetch("SELECT 1 FROM deliveries WHERE status = 'sent'"):  # noqa: ASYNC110 - a row
            await asyncio.sleep(0.05)


async def test_the_card_of_an_alert_tells_its_outcome(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    call = publish(feed)
    alert = await alert_of(ann, call)
    await tracked(bot, call)
    await bot.connections.postgres.execute(ENDED, datetime.now(UTC) + timedelta(days=1), call.id)
    await sent(bot)
    await bot.of(SettledCalls).tell()
    edited = await ann.next_message(where=lambda message: "🏁" in text_of(message))
    assert edited["message_id"] == alert["message_id"]
    before, _, line = text_of(edited).rpartition("\n")
    assert line == "🏁 Outcome: confirmed peak 4.2x after 3h; died: its pool was emptied"
    latency = re.compile(r"⚡ .* from feed")
    assert latency.sub("", before) == latency.sub("", text_of(alert))
    assert edited["reply_markup"] == alert["reply_markup"]


async def test_a_card_that_tells_its_outcome_still_says_what_is_muted(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    call = publish(feed)
    alert = await alert_of(ann, call)
    await ann.tap_data(alert, MuteHere("token", call.token.address).pack())
    muted = await ann.next_message(where=lambda message: message["message_id"] == alert["message_id"])
    assert muted["reply_markup"] != alert["reply_markup"]
    await tracked(bot, call)
    await sent(bot)
    await bot.connections.postgres.execute(ENDED, datetime.now(UTC) + timedelta(days=1), call.id)
    await bot.of(SettledCalls).tell()
    edited = await ann.next_message(where=lambda message: "🏁" in text_of(message))
    assert (edited["message_id"], edited["reply_markup"]) == (alert["message_id"], muted["reply_markup"])
