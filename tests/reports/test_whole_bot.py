"""The whole bot: it is asked for a report, draws its picture with the real process, and Telegram takes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from composition import Composition
from domain.buttons.reports import ShareCall
from managers.pictures.canvas import WIDTH
from managers.storage.postgres import PostgresManager
from sandbox.telegram.server import TelegramSandbox
from services.reports.schedule import job_of
from services.schedule.due_times import DueTimes, Place
from tests.e2e.conftest import bot, data_dir, feed, telegram, text_of
from tests.reports.kit import Shelf

__all__ = ["bot", "data_dir", "feed", "telegram"]


async def test_a_report_and_its_pictures(
    bot: Composition, telegram: TelegramSandbox, postgres_manager: PostgresManager
) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    shelf = Shelf(postgres_manager)
    await shelf.some(ann.id, at=datetime.now(UTC) - timedelta(hours=3))
    await shelf.call(40, ann.id, at=datetime.now(UTC) - timedelta(hours=2), name="狗狗币 🚀 مرحبا")
    await ann.send("/recap")
    report = await ann.next_message(where=lambda m: "Your alerts" in text_of(m))
    assert "Tokens: 7 · calls in your alerts and digests: 7" in text_of(report)
    await ann.tap_data(report, ShareCall(shelf.numbers["c7"]).pack())
    card = await ann.next_message(where=lambda m: "photo" in m, timeout_s=60)
    assert card["photo"][-1]["width"] == WIDTH
    assert "狗狗币" in text_of(card)
    assert bot.metrics.registry.get_sample_value("pictures_total", {"outcome": "drawn"}) == 1
    week = datetime.now(UTC) + timedelta(days=8)
    due = await bot.of(DueTimes).due([Place(job_of("weekly"), partition) for partition in range(16)], week)
    assert [one.user_id for one in due] == [ann.id]
