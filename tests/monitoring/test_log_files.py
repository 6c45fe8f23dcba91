"""Files that are moved away are begun anew, the level changes while it runs, and a call is found from end to end."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import structlog

from config import logging as config_logging
from config.logging import configure_logging, current_level
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from services.monitoring.log_level import LogLevelService
from tests.e2e.bot_process import BotProcess
from tests.e2e.conftest import data_dir, feed, process_environment, subscribe, telegram
from tests.monitoring.test_logging import log_directory

__all__ = ["data_dir", "feed", "log_directory", "telegram"]

LOGROTATE = shutil.which("logrotate")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def say(number: int) -> None:
    structlog.get_logger("x").warning("said", number=number)


def numbers(path: Path) -> list[int]:
    return [line["number"] for line in lines(path)]


def test_a_file_that_is_moved_away_is_begun_anew(log_directory: Path) -> None:
    log = log_directory / "bot.log"
    say(1)
    log.rename(log_directory / "bot.log.1")
    say(2)
    log.unlink()
    say(3)
    assert (numbers(log_directory / "bot.log.1"), numbers(log)) == ([1], [3])


def test_one_that_is_cut_short_goes_on(log_directory: Path) -> None:
    """`copytruncate`, which some prefer."""
    say(1)
    os.truncate(log_directory / "bot.log", 0)
    say(2)
    assert numbers(log_directory / "bot.log") == [2]


@pytest.mark.skipif(LOGROTATE is None, reason="logrotate is not installed here")
def test_logrotate_itself_loses_no_line(log_directory: Path, tmp_path: Path) -> None:
    assert LOGROTATE
    rules = tmp_path / "rules"
    rules.write_text(f"{log_directory}/*.log {{\n  rotate 9\n  missingok\n  nocompress\n}}\n")
    rules.chmod(0o600)
    for number in range(6):
        say(number)
        turn = [LOGROTATE, "--force", "--state", str(tmp_path / "state"), str(rules)]
        subprocess.run(turn, check=True, capture_output=True)
    say(6)
    files = sorted(log_directory.glob("bot.log*"))
    assert len(files) == 7
    assert sorted(number for file in files for number in numbers(file)) == list(range(7))


def test_without_it_a_long_file_is_rotated_here(log_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = next(h for h in config_logging.logging.getLogger().handlers if isinstance(h, config_logging._File))
    monkeypatch.setattr(handler, "maxBytes", 2_000)
    for number in range(40):
        say(number)
    kept = [number for file in sorted(log_directory.glob("bot.log*"), reverse=True) for number in numbers(file)]
    assert kept == list(range(40))
    assert (log_directory / "bot.log.1").exists()


def test_the_terminal_may_have_json(tmp_path: Path, log_directory: Path) -> None:
    stream = io.StringIO()
    configure_logging(level="INFO", directory=None, stream=stream, form="json")
    say(7)
    assert json.loads(stream.getvalue())["number"] == 7


async def test_the_level_changes_at_once_and_back_after_a_while(log_directory: Path, tmp_path: Path) -> None:
    levels, log = LogLevelService(lambda: "INFO", tmp_path), structlog.get_logger("services.subscribers.x")
    log.debug("unheard")
    levels.set("DEBUG", for_s=0.05)
    log.debug("heard")
    async with asyncio.timeout(5):
        while levels.current != "INFO":  # noqa: ASYNC110 - a timer of the loop
            await asyncio.sleep(0.01)
    log.debug("unheard")
    heard = [line["event"] for line in lines(log_directory / "user_settings.log")]
    assert heard == ["heard"]
    with pytest.raises(ValueError, match="LOUD"):
        levels.set("LOUD")
    (tmp_path / "log_level").write_text("error\n")
    levels.reread()
    assert current_level() == "ERROR"
    (tmp_path / "log_level").write_text("nonsense")
    levels.reread()
    assert current_level() == "ERROR", "what cannot be read changes nothing"


async def test_one_call_is_followed_from_its_frame_to_its_message(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
    """In the files of a whole bot; SIGHUP makes it say more, without a restart."""
    environment = process_environment(
        telegram=telegram,
        redis_url=redis_url,
        postgres_dsn=postgres_dsn,
        data_dir=data_dir,
        FEED_URL=feed.ws_url,
        FEED_API_URL=feed.http_url,
        FEED_TOKEN=feed.token,
    )
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        ann = telegram.user("Ann")
        await subscribe(ann, "everything")
        await feed.someone_listens.wait()
        (call,) = await feed.burst(1)
        await ann.next_message(where=lambda m: call.token.address in json.dumps(m))
        (data_dir / "log_level").write_text("DEBUG")
        os.kill(bot.pid, signal.SIGHUP)
        log = data_dir / "logs" / "bot.log"
        async with asyncio.timeout(20):
            while not any(line["event"] == "log_level_changed" for line in lines(log)):  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.1)
    about = [line for line in lines(log) if call.id in json.dumps(line)]
    events = [line["event"] for line in about]
    assert events.index("calls_accepted") < events.index("alert_sent")
    decided = [one for line in about if line["event"] == "calls_accepted" for one in line["calls"]]
    assert {one["call_id"] for one in decided} == {call.id}
    assert max(one["accepted"] for one in decided) == 1
    assert all(TOKEN_LIKE not in json.dumps(line) for line in lines(log))


TOKEN_LIKE = "SANDBOX-TOKEN"


@pytest.mark.parametrize("form", ["console", "json"])
def test_an_alarm_is_a_tidy_line_for_people_and_the_heartbeat_is_none(
    log_directory: Path, form: config_logging.Format
) -> None:
    stream = io.StringIO()
    configure_logging(level="INFO", directory=log_directory, stream=stream, form=form)
    log = structlog.get_logger("x")
    log.warning("alarm_began", alarm="feed", reason="not connected\nfor long")
    log.warning("heartbeat", alarms=["feed"], rss_mib=1.5)
    log.info("alarm_ended", alarm="feed", lasted_s=61.4)
    log.info("nobody_needs_to_know")
    log.warning("it_happened", number=1)
    shown = stream.getvalue().splitlines()
    written = [line["event"] for line in lines(log_directory / "bot.log")]
    assert written == ["alarm_began", "heartbeat", "alarm_ended", "nobody_needs_to_know", "it_happened"]
    if form == "json":
        assert [json.loads(line)["event"] for line in shown] == ["alarm_began", "heartbeat", "it_happened"]
        return
    began, ended, other = shown
    assert re.fullmatch(r"\d\d:\d\d:\d\d ⚠ feed: not connected for long; see /health or docs/alerts.md", began)
    assert re.fullmatch(r"\d\d:\d\d:\d\d ✓ feed: over after 0:01:01", ended)
    assert "it_happened" in other
