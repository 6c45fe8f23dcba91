"""Of whom a broadcast is for PostgreSQL says the same as the definition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
from msgspec.structs import replace

from domain.broadcasts.segments import SEGMENTS, Audience, audience_of, is_meant, may_hear
from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Preferences, Subscriber
from managers.storage.postgres import PostgresManager
from services.broadcasts.rows import BroadcastRows
from services.stores.journal_rows import writes_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEOPLE = 600
ENDS = (None, timedelta(days=-3), timedelta(days=-2), timedelta(days=-1), timedelta(0), timedelta(seconds=1))


def somebody(random: Random, user_id: int) -> Subscriber:
    ends = random.choice(ENDS)
    sets = tuple(
        FilterSet(user_id=user_id, number=number, name="s", enabled=random.random() < 0.5)
        for number in range(1, 1 + random.choice((0, 1, 2)))
    )
    return Subscriber(
        user_id=user_id,
        chat_id=user_id,
        name="x",
        language=random.choice(("en", "de", "pt-br")),
        created_at=NOW,
        plan=random.choice(("trial", "free", "pro", "basic")),
        paid_until=None if ends is None else NOW + ends,
        paused=random.random() < 0.2,
        unreachable=random.random() < 0.1,
        banned_at=NOW if random.random() < 0.1 else None,
        filter_sets=sets,
        preferences=Preferences(news=random.random() < 0.9),
    )


async def test_the_statement_answers_as_the_definition_does(postgres_manager: PostgresManager) -> None:
    random = Random(1)
    people = [somebody(random, user_id) for user_id in range(1, PEOPLE + 1)]
    for one in people:
        for statement, values in writes_of("subscriber", msgspec.json.encode(one), NOW):
            await postgres_manager.execute(statement, *values)
    rows = BroadcastRows(postgres_manager)
    languages = await rows.languages()
    assert set(languages) == {"en", "de", "pt-br"}
    audiences = [
        *(Audience(one) for one in SEGMENTS if one != "language"),
        *(Audience("language", x) for x in languages),
    ]
    for audience in audiences:
        meant = [one.user_id for one in people if may_hear(one) and is_meant(audience, one, NOW)]
        assert meant, audience
        assert await rows.who(audience, NOW) == meant, audience
        assert await rows.count(audience, NOW) == len(meant)


def test_who_hears_nothing_is_in_no_segment() -> None:
    one = somebody(Random(1), 1)
    hears = replace(one, banned_at=None, unreachable=False, preferences=Preferences())
    assert may_hear(hears)
    for deaf in (
        replace(hears, banned_at=NOW),
        replace(hears, unreachable=True),
        replace(hears, preferences=Preferences(news=False)),
    ):
        assert not may_hear(deaf)


def test_a_button_of_another_version_names_no_segment() -> None:
    assert audience_of("paying", "") == Audience("paying")
    assert audience_of("language", "de") == Audience("language", "de")
    assert audience_of("language", "") is audience_of("paying", "de") is audience_of("all", "") is None
