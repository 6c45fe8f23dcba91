"""What earlier versions left in Redis and in the local store, this version finishes: nothing lost, nothing twice."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.subscribers.partitions import ALL
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.claims.dead_letters import DeadLetters
from services.monitoring.metrics import Metrics
from services.schedule.due_times import DIGEST, DueTimes, Place
from tests.claims.alert_path import pair_of, process_on
from tests.stores.recording import FATES, RECORDED, TO_COME, restore

ROOT = Path(__file__).parent.parent.parent
NAMES = sorted(path.stem for path in RECORDED.glob("*.sql"))


@pytest.mark.parametrize("name", NAMES)
async def test_what_an_earlier_version_left(
    name: str, redis_url: str, redis_manager: RedisManager, postgres_manager: PostgresManager, path: Path
) -> None:
    await restore(name, path, redis_manager)
    async with process_on(redis_url, postgres_manager, path) as process:
        logged = process.spool.waiting
        await process.start()
        assert (process.spool.waiting, process.store.refused) == (0, 0), f"{logged} were written down"

        # What nobody got for sure comes, once, and says whether somebody may have got it.
        await process.hands.read()
        entries = [*await process.hands.read()]
        assert Counter(map(pair_of, entries)) == Counter(TO_COME.keys())
        assert {pair_of(entry): entry.may_repeat for entry in entries} == TO_COME
        await process.outbox.begin(entries)
        await process.finish(*entries)
        await process.spool.replay_all()
        assert await process.hands.read() == []
        assert await process.outbox.size() == 0

        # What had happened has happened, once.
        dead_letters = (await DeadLetters(redis_manager, Metrics()).page()).dead_letters
        assert sorted((letter.outgoing.user_id, letter.outgoing.key) for letter in dead_letters if letter.outgoing) == [
            pair for pair, fate in sorted(FATES.items()) if fate == "dead"
        ]
        held = [(user, call.call_id) for user, _ in FATES for call in await process.held.of(user)]
        assert set(held) == {pair for pair, fate in FATES.items() if fate == "digest"}
        places, later = [Place(DIGEST, partition) for partition in ALL], datetime.now(UTC) + timedelta(days=1)
        assert {due.user_id for due in await DueTimes(redis_manager).due(places, later)} == {user for user, _ in held}
        await process.journal.drain_all()
        assert await process.fates() == FATES | dict.fromkeys(TO_COME, "sent")
        accepted = await process.postgres.fetch("SELECT user_id, call_id FROM claims")
        assert sorted(tuple(row) for row in accepted) == sorted({*FATES, *TO_COME})
    assert rows(path, "SELECT count(*) FROM scripts") == [(0,)]


def test_a_recording_has_other_scripts_than_today() -> None:
    """So it is shown that what is executed is what was written down."""
    todays = {path.read_text(encoding="utf-8") for path in ROOT.glob("services/**/*.lua")}
    recording = sqlite3.connect(":memory:")
    recording.executescript((RECORDED / "positional_arguments.sql").read_text(encoding="utf-8"))
    sources = [source for (source,) in recording.execute("SELECT source FROM scripts")]
    recording.close()
    assert sources
    assert not any(today in source for today in todays for source in sources)


def rows(path: Path, statement: str) -> list[tuple[int, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(statement).fetchall()
    connection.close()
    return found
