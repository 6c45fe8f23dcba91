"""What admins read while things break and processes end: each alarm once, its end once, and nothing that is not so."""

from __future__ import annotations

import pytest

from sandbox.telegram.people import SandboxUser
from tests.faults.process import Bot
from tests.faults.stage import Stage

ADMIN_ID = 77
TOLD_WITHIN_S = 40.0


@pytest.fixture
def admin(stage: Stage) -> SandboxUser:
    admin = stage.person(ADMIN_ID)
    admin.chat.is_started = True
    return admin


def texts(admin: SandboxUser) -> list[str]:
    """What the bot has said to them, oldest first."""
    return [message["text"] for message in admin.chat.messages.values() if message["from"]["is_bot"]]


async def told(admin: SandboxUser, sign: str, name: str) -> None:
    await admin.next_message(where=lambda m: m["text"].startswith(f"{sign} {name}"), timeout_s=TOLD_WITHIN_S)


async def stopped(bot: Bot) -> None:
    bot.terminate()
    await bot.exit_code()


@pytest.mark.thorough
async def test_a_stop_while_redis_is_away_tells_nothing_of_the_feed(stage: Stage, admin: SandboxUser) -> None:
    async with stage.bot(ADMIN_CHAT_IDS=str(ADMIN_ID)) as bot:
        await stage.warm_up()
        await stage.redis_proxy.refuse()
        await told(admin, "🔴", "Redis")
        await stopped(bot)
    assert all("feed" not in text for text in texts(admin)), texts(admin)
    await stage.redis_proxy.repair()
    async with stage.bot(ADMIN_CHAT_IDS=str(ADMIN_ID)):
        await told(admin, "🟢", "Redis")


@pytest.mark.thorough
@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_the_end_of_an_alarm_is_told_after_a_restart(end: str, stage: Stage, admin: SandboxUser) -> None:
    async with stage.bot(ADMIN_CHAT_IDS=str(ADMIN_ID)) as bot:
        await stage.warm_up()
        await stage.postgres.kill()
        await told(admin, "🔴", "PostgreSQL")
        await (bot.kill() if end == "killed" else stopped(bot))
    await stage.postgres.restart()
    async with stage.bot(ADMIN_CHAT_IDS=str(ADMIN_ID)) as bot:
        await told(admin, "🟢", "PostgreSQL")
        await stopped(bot)
    async with stage.bot(ADMIN_CHAT_IDS=str(ADMIN_ID)) as bot:
        await stage.play(5)
        await stage.complete(bot)
    assert [text.split(" ")[:2] for text in texts(admin) if "PostgreSQL" in text] == [
        ["🔴", "PostgreSQL"],
        ["🟢", "PostgreSQL"],
    ]
