"""Which lines come into which file, and what a full disk does to them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import structlog

from config.logging import FILES, configure_logging
from handlers.conversation.base import Services
from managers.redis.circuit import QUICK_ATTEMPTS
from managers.redis.client import RedisManager, RedisUnavailableError
from tests.delivery.kit import Way, call_of, claim_of, whole_way
from tests.e2e.bot_process import ROOT

PROGRAM = """
import sys
from pathlib import Path
import structlog
from config.logging import configure_logging
configure_logging(level="INFO", directory=Path(sys.argv[1]))
for number in range(100):
    structlog.get_logger("x").warning("it_happened", number=number)
structlog.get_logger("x").info("nobody_needs_to_know")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_costs_lines_and_no_tracebacks(tmp_path: Path) -> None:
    (tmp_path / "bot.log").symlink_to("/dev/full")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stderr.count("it_happened") == 100
    assert len(ran.stderr.splitlines()) == 100


@pytest.fixture
def log_directory(tmp_path: Path) -> Iterator[Path]:
    """Logs of this process go here as those of the bot do, until the test is over."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level, subjects = root.level, [logging.getLogger(name) for names in FILES.values() for name in names]
    configure_logging(level="INFO", directory=tmp_path)
    yield tmp_path
    opened = [handler for logger in (root, *subjects) for handler in logger.handlers]
    for logger in subjects:
        logger.handlers.clear()
    for handler in opened:
        handler.close()
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def events(path: Path) -> set[tuple[str, str]]:
    """Who wrote what."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {(line["logger"], line["event"]) for line in lines}


@pytest.fixture
async def way(redis_url: str) -> AsyncIterator[Way]:
    async with whole_way(redis_url) as way:
        yield way


async def test_each_file_gets_the_lines_of_its_subject(log_directory: Path, way: Way, services: Services) -> None:
    await services.subscribers.subscribers.open(user_id=1, chat_id=1, name="Ben", language="en")
    person = await way.person()
    await way.claim(claim_of(call_of(1), person.id))
    await way.deliver()
    way.redis.latencies.every_s = 0
    await way.redis.ping()
    async with RedisManager("redis://127.0.0.1:1/0") as gone:
        for _ in range(QUICK_ATTEMPTS):
            with pytest.raises(RedisUnavailableError):
                await gone.ping()
    own = {
        "payments.log": {("services.plans.entitling", "trial_granted")},
        "rediserror.log": {("managers.redis.circuit", "redis_lost")},
        "redisperformance.log": {("managers.redis.latencies", "redis_latencies")},
        "sent_notifications.log": {("services.delivery.settling", "alert_sent")},
        "user_settings.log": {("services.subscribers.subscribers", "subscriber_changed")},
    }
    assert own.keys() == FILES.keys()
    assert {name: events(log_directory / name) for name in FILES} == own
    assert events(log_directory / "bot.log") >= set().union(*own.values())


async def test_a_minute_of_redis_is_one_line(redis_manager: RedisManager, log_directory: Path) -> None:
    for _ in range(20):
        await redis_manager.set("a", 1)
    await redis_manager.xread("nothing", after="0", count=1, block_ms=50)
    redis_manager.latencies.every_s = 0
    await redis_manager.get("a")
    [line] = [json.loads(line) for line in (log_directory / "redisperformance.log").read_text("utf-8").splitlines()]
    assert line["round_trips"] >= 21
    assert 0 < line["p50_ms"] <= line["p99_ms"] <= line["max_ms"] < 50, "waiting for a stream is no latency"


def test_the_token_of_a_bot_reaches_no_log(log_directory: Path) -> None:
    token = "123456789:AAF" + "x" * 32
    structlog.get_logger("x").warning("refused", url=f"https://api.telegram.org/bot{token}/getMe", token=token)
    assert token not in (log_directory / "bot.log").read_text("utf-8")


async def test_an_address_that_is_asked_is_no_line_for_its_path_may_be_a_key(log_directory: Path) -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    async with httpx2.AsyncClient(transport=transport) as client:
        await client.post("https://rpc.example/v2/KEY-of-the-server")
    structlog.get_logger("x").info("asked")
    written = (log_directory / "bot.log").read_text("utf-8")
    assert "asked" in written
    assert "KEY-of-the-server" not in written
