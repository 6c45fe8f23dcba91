"""No number in /metrics says of whom it is: neither people nor tokens, calls or addresses are labels."""

from __future__ import annotations

import asyncio

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from composition import Composition
from config.redaction import Redactor
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from services.monitoring.alarms import AlarmsService
from services.monitoring.metrics import STAGES
from tests.e2e.conftest import ADMIN, bot, feed, subscribe, telegram

__all__ = ["bot", "feed", "telegram"]

LABELS = {
    *("le", "kind", "outcome", "dependency", "cache", "lane", "host", "source", "why", "how", "report", "percentile"),
    *("stage", "alarm", "name", "role"),
}
"""Each has few values, and none of them grows with the number of people or calls."""
MOST_VALUES = 60


async def test_labels_tell_nothing_of_anybody(bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox) -> None:
    people = [telegram.user(f"Person {number}") for number in range(3)]
    for user in people:
        await subscribe(user, "everything")
    calls = await feed.burst(20)
    for user in people:
        await user.next_message(where=lambda m: any(call.token.address in str(m) for call in calls))
    await people[0].send("/health")
    await people[0].send("/export")
    shown = generate_latest(bot.metrics.registry).decode()
    samples = [one for family in text_string_to_metric_families(shown) for one in family.samples]
    assert {name for one in samples for name in one.labels} <= LABELS
    values: dict[str, set[str]] = {}
    for one in samples:
        for name, value in one.labels.items():
            values.setdefault(name, set()).add(value)
    assert max(len(found) for found in values.values()) <= MOST_VALUES
    everything = {value for found in values.values() for value in found}
    forbidden = {str(user.id) for user in people} | {user.name for user in people} | {str(ADMIN)}
    forbidden |= {call.token.address for call in calls} | {call.id for call in calls}
    assert not everything & forbidden
    redactor = Redactor()
    assert {value for value in everything if redactor.text(value) != value} == set()


async def test_each_stage_of_the_way_is_measured(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    await feed.someone_listens.wait()
    (call,) = await feed.burst(1)
    await ann.next_message(where=lambda m: call.token.address in str(m))
    value = bot.metrics.registry.get_sample_value
    async with asyncio.timeout(10):
        while not value("stage_seconds_count", {"stage": "settle"}):  # noqa: ASYNC110 - it is written after the message
            await asyncio.sleep(0.01)
    counts = {stage: value("stage_seconds_count", {"stage": stage}) for stage in STAGES}
    assert min(count or 0 for count in counts.values()) >= 1, counts
    assert value("sends_total", {"outcome": "taken"}) == 1
    assert value("bot_info", {"role": "all"}) == 1
    shown = {name: value("alarm_active", {"alarm": name}) for name in bot.of(AlarmsService).watched}
    assert set(shown.values()) == {0.0}
