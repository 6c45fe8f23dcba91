"""Somebody asks for what is kept of them and gets it as files, in their private chat and nowhere else."""

from __future__ import annotations

import json

from composition import Composition
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from tests.e2e.conftest import text_of
from tests.export.kit import export, files, is_over, table, with_an_alert


async def test_a_person_gets_everything_as_tables(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await with_an_alert(bot, feed, ann, name="=Moon Cat")
    await export(ann, "csv")
    summary = text_of(await is_over(ann))
    assert "Alerts: 1" in summary
    got = files(telegram, ann)
    assert {"alerts.csv", "settings.csv", "settings-history.csv", "entitlements.csv"} <= set(got)
    (alert,) = table(got["alerts.csv"])
    assert (alert["token_name"], alert["status"], alert["market_cap_usd"]) == ("'=Moon Cat", "sent", "123456.0")
    assert alert["sent_at"].endswith("Z")
    (settings,) = table(got["settings.csv"])
    assert json.loads(settings["document"])["user_id"] == ann.id
    assert "again in 60 min" in (await export(ann, "jsonl"))["text"]


async def test_in_a_group_nothing_is_sent(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    group = telegram.group("Friends", [ann])
    await group.send(ann, "/export")
    await ann.send("/help")
    await ann.next_message(where=lambda m: "/export" in text_of(m))
    assert not [m for m in group.messages if m["from"]["is_bot"]]
