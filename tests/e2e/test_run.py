"""What a newcomer does: start it with no configuration at all, watch, and stop it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import process_environment, subscribe


async def test_run_with_nothing_configured(data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": "0", "SANDBOX_CALLS_PER_MINUTE": "900"}
    async with BotProcess(environment, "run", "--seconds", "12") as bot:
        await bot.says("Telegram .*sandbox")
        await bot.says(r"→ demo .*\d ms", timeout_s=60)
        assert await bot.exit_code() == 0, bot.output
    assert "came from the feed" in bot.output
    assert "Traceback" not in bot.output


async def test_ctrl_c_drains_and_sums_up(data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": "0"}
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        bot.interrupt()
        assert await bot.exit_code() == 0, bot.output
    assert "sent twice" in bot.output


async def told(session: aiohttp.ClientSession, user_id: int, containing: str) -> list[str]:
    """Return what was said in somebody's chat, as soon as there is this in it."""
    async with asyncio.timeout(20):
        while True:
            async with session.get(f"/sandbox/api/users/{user_id}/chat") as answer:
                texts = [message["text"] for message in (await answer.json())["messages"]]
            if any(containing in text for text in texts):
                return texts
            await asyncio.sleep(0.1)


async def say(session: aiohttp.ClientSession, user_id: int, text: str) -> None:
    async with session.post(f"/sandbox/api/users/{user_id}/messages", json={"text": text}) as answer:
        assert answer.status == 201


@pytest.mark.thorough
async def test_people_and_chats_survive_a_restart_and_nobody_counts_as_blocked(data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": "0", "SANDBOX_CALLS_PER_MINUTE": "1"}
    async with BotProcess(environment) as bot:
        url = (await bot.says(r"Chat page: (http://\S+?)/?$"))[1]
        async with aiohttp.ClientSession(url) as session:
            async with session.post("/sandbox/api/users", json={"name": "Ann"}) as answer:
                ann = (await answer.json())["id"]
            await say(session, ann, "/start")
            before = await told(session, ann, "Hi Ann!")
        bot.interrupt()
        assert await bot.exit_code() == 0, bot.output
    async with BotProcess(environment) as bot:
        url = (await bot.says(r"Chat page: (http://\S+?)/?$"))[1]
        async with aiohttp.ClientSession(url) as session:
            async with session.get("/sandbox/api/users") as answer:
                people = {each["id"]: each for each in (await answer.json())["users"]}
            assert (people[ann]["name"], people[ann]["blocked"]) == ("Ann", False)
            await say(session, ann, "/plan")
            after = await told(session, ann, "Your plan")
            assert after[: len(before)] == before


@pytest.mark.thorough
async def test_after_the_machine_went_down_redis_is_filled_from_postgres(data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": "0", "SANDBOX_CALLS_PER_MINUTE": "120"}
    async with BotProcess(environment) as bot:
        await bot.says(r"→ demo .*\d ms", timeout_s=60)
        await bot.kill()
    (data_dir / "redis" / "boot").write_text("an earlier life of the machine")
    async with BotProcess(environment, "run", "--seconds", "5") as bot:
        await bot.says("The machine went down")
        await bot.says("Redis filled")
        assert await bot.exit_code() == 0, bot.output
    async with BotProcess(environment, "run", "--seconds", "1") as bot:
        assert await bot.exit_code() == 0, bot.output
    assert "The machine went down" not in bot.output


async def test_doctor_finds_a_whole_sandbox_well(data_dir: Path) -> None:
    async with BotProcess({"DATA_DIR": str(data_dir), "SANDBOX_PORT": "0"}, "doctor") as bot:
        assert await bot.exit_code() == 0, bot.output
    assert "unwell" not in bot.output


@pytest.mark.thorough
async def test_doctor_names_what_is_wrong_and_how_to_mend_it(data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "SANDBOX_PORT": "0", "REDIS_URL": "redis://127.0.0.1:1/0"}
    async with BotProcess(environment, "doctor") as bot:
        assert await bot.exit_code() == 1, bot.output
    assert "check REDIS_URL" in bot.output


async def test_a_bad_configuration_is_reported_whole(data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "banana", "FEED_URL": "nonsense"}
    async with BotProcess(environment) as bot:
        assert await bot.exit_code() == 1
    assert "HTTP_PORT" in bot.output
    assert "FEED_URL" in bot.output
    assert "Traceback" not in bot.output


async def test_migrate(postgres_dsn: str, data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "SANDBOX_PORT": "0", "DATABASE_URL": postgres_dsn}
    async with BotProcess(environment, "migrate") as bot:
        assert await bot.exit_code() == 0, bot.output


async def test_updates_come_by_webhook(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = process_environment(
        telegram=telegram,
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        data_dir=data_dir,
        FEED_URL=feed.ws_url,
        HTTP_PORT=str(port),
        PUBLIC_URL=f"http://127.0.0.1:{port}",
        TELEGRAM_WEBHOOK_SECRET="s3cret_of_the_hook",
    )
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        ann = telegram.user("Ann")
        await subscribe(ann, "everything")
        await feed.someone_listens.wait()
        (call,) = await feed.burst(1)
        await ann.next_message(where=lambda m: call.token.address in copied_addresses(m))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                assert (await answer.json())["ok"], await answer.text()
            async with session.post(f"http://127.0.0.1:{port}/telegram/webhook", json={"update_id": 1}) as forged:
                assert forged.status == 403
    assert telegram.stats.requests["getUpdates"] == 0
