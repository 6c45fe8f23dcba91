"""The bot as a service: what it tells systemd, how it ends, what follows when it hangs, fails or takes too much."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil
import pytest

from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from tests.deployment.manager import Service
from tests.deployment.processes import ControlGroup
from tests.deployment.units import UNITS, Unit
from tests.e2e.conftest import subscribe

Play = Callable[..., Service]
Write = Callable[..., Path]
BOT: Final = Unit.read(UNITS / "token-filter-bot.service")
PACE: Final = 15.0
QUICKLY: Final = 100.0
"""For programs that take no time: then the times of the unit need not be waited for either."""
MINUTES: Final = 10.0
CALLS_PER_S: Final = 20.0
READY: Final = "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
say = lambda word: s.sendto(word.encode(), os.environ['NOTIFY_SOCKET']); "


def program(text: str, **settings: str) -> Unit:
    """Our unit, with a small program in place of the bot."""
    python = "/opt/token-filter-bot/current/.venv/bin/python"
    return BOT.having(ExecStart=f'{python} -c "{READY}{text}"', **settings)


async def test_it_says_when_it_is_ready_and_goes_when_it_is_asked(
    played: Play, settings_of: Write, data_dir: Path, telegram: TelegramSandbox, redis_url: str, postgres_dsn: str
) -> None:
    """The token comes by LoadCredential alone."""
    settings_of(data_dir, REDIS_URL=redis_url, DATABASE_URL=postgres_dsn)
    service = played(pace=PACE)
    service.start()
    await service.becomes("active")
    await service.until(lambda: service.told.states.count("WATCHDOG=1") >= 3)
    await service.stop()
    assert (service.state, service.result, service.exit_code) == ("inactive", "success", 0), service.output.read_text()
    assert service.members() == []
    assert service.told.states[0] == "READY=1"
    assert service.told.states.count("STOPPING=1") == 1
    assert telegram.stats.requests["getMe"], "it has logged in with the token"


@pytest.mark.thorough
async def test_one_that_hangs_is_ended_with_all_it_started_and_works_again(
    played: Play, settings_of: Write, data_dir: Path, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    settings_of(data_dir)
    service = played(BOT.having(TimeoutStopSec="15"), pace=PACE)
    service.start()
    await service.becomes("active")
    await subscribe(telegram.user("Ann"), "everything")
    first, before = service.pid, service.members()
    os.kill(first, signal.SIGSTOP)
    await service.until(lambda: service.restarts == 1)
    assert service.result == "watchdog"
    assert not set(before) & set(service.members())
    await service.becomes("active")
    await feed.someone_listens.wait()
    await feed.burst(1)
    async with asyncio.timeout(30):
        await telegram.user("Ann").next_message(where=lambda message: "reply_markup" in message)
    await service.stop()
    assert (service.state, service.exit_code) == ("inactive", 0)


@pytest.mark.thorough
async def test_a_role_is_an_instance_of_the_template(
    played: Play, settings_of: Write, data_dir: Path, redis_url: str, postgres_dsn: str
) -> None:
    """`send-2` has a file of its own, which says what it does; its data are beside those of the others."""
    settings_of(data_dir, REDIS_URL=redis_url, DATABASE_URL=postgres_dsn)
    (data_dir / "etc" / "token-filter-bot" / "send-2.env").write_text("ARGUMENTS=--role send --shard 2/2\n")
    service = played(Unit.read(UNITS / "token-filter-bot@.service"), instance="send-2", pace=PACE)
    service.start()
    await service.becomes("active")
    await service.stop()
    assert (service.state, service.exit_code) == ("inactive", 0), service.output.read_text()
    owner = next((data_dir / "var/lib/token-filter-bot/send-2").glob("redis-written-*"))
    assert owner.name.endswith("-send-2of2")


async def test_one_that_cannot_start_is_tried_a_while_and_left_alone(
    played: Play, settings_of: Write, data_dir: Path
) -> None:
    settings_of(data_dir, HTTP_PORT="banana")
    service = played(BOT.having(StartLimitBurst="1"), pace=QUICKLY)
    service.start()
    await service.becomes("failed")
    assert (service.result, service.exit_code, service.restarts) == ("start-limit-hit", 1, 1)
    assert "READY=1" not in service.told.states
    assert "HTTP_PORT" in service.output.read_text()


async def test_who_ignores_the_signal_is_killed_when_the_time_is_over(played: Play) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); say('READY=1'); time.sleep(60)"
    service = played(program(deaf, TimeoutStopSec="0.3"))
    service.start()
    await service.becomes("active")
    await service.stop()
    assert (service.state, service.result, service.exit_code) == ("failed", "timeout", -signal.SIGKILL)


async def test_only_the_main_process_is_asked_and_nobody_outlives_it(played: Play) -> None:
    child = "['/bin/sh', '-c', 'trap : TERM; sleep 60 & wait']"
    service = played(program(f"import subprocess, time; subprocess.Popen({child}); say('READY=1'); time.sleep(60)"))
    service.start()
    await service.becomes("active")
    assert len(service.members()) >= 2
    await service.stop()
    assert service.exit_code == -signal.SIGTERM
    assert service.members() == []


async def test_what_another_process_says_is_not_believed(played: Play) -> None:
    others = "import time; pid = os.fork(); pid or (say('READY=1'), os._exit(0)); os.waitpid(pid, 0); say('STATUS=x')"
    service = played(program(f"{others}; time.sleep(60)"))
    service.start()
    await service.until(lambda: service.told.states == ["STATUS=x"])
    assert (service.told.refused, service.state) == (1, "activating")


async def test_who_says_nothing_any_more_is_ended(played: Play) -> None:
    service = played(program("import time; say('READY=1'); time.sleep(60)"), pace=QUICKLY)
    service.start()
    await service.until(lambda: service.restarts == 1)
    assert (service.result, service.exit_code) == ("watchdog", -signal.SIGABRT)


@pytest.mark.skipif(not ControlGroup.available(), reason="no control group with a limit on memory can be made here")
async def test_who_takes_more_memory_than_it_may_is_ended_and_started_again(played: Play) -> None:
    eats = "say('READY=1'); eaten = [bytearray(1 << 20) for _ in range(4096)]"
    service = played(program(eats, MemoryMax="64M"), pace=QUICKLY)
    service.start()
    await service.until(lambda: service.restarts == 1)
    assert (service.result, service.exit_code) == ("oom-kill", -signal.SIGKILL)


@pytest.mark.thorough
@pytest.mark.timeout(MINUTES * 60 + 120)
async def test_ten_minutes_idle_and_busy(
    played: Play,
    settings_of: Write,
    data_dir: Path,
    telegram: TelegramSandbox,
    feed: FeedSandbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In real time: the first half without a call, the second with many."""
    settings_of(data_dir)
    service = played()
    service.start()
    await service.becomes("active")
    await subscribe(telegram.user("Ann"), "everything")
    silences_s: list[float] = []
    for calls_per_s in (0.0, CALLS_PER_S):
        feed.set_rate(calls_per_s, calls_per_s)
        service.told.longest_silence_s = 0.0
        await asyncio.sleep(MINUTES * 30)
        silences_s.append(service.told.longest_silence_s)
    feed.set_rate(0, 0)
    names = {psutil.Process(pid).name() for pid in service.members()}
    assert {"valkey-server", "postgres"} <= names, "servers of its own, which nobody but the bot asks to end"
    pings, alerts = service.told.states.count("WATCHDOG=1"), telegram.stats.requests["sendMessage"]
    await service.stop()
    with capsys.disabled():
        idle_s, busy_s = silences_s
        print(  # noqa: T201 - the figures are what it is run for
            f"\n{MINUTES:g} minutes: {pings} pings, at most {idle_s:.1f} s apart idle and {busy_s:.1f} s busy, "
            f"{alerts} messages, exit code {service.exit_code}"
        )
    assert max(silences_s) < BOT.seconds("WatchdogSec") / 3
    assert pings >= MINUTES * 60 / 5 * 0.9
    assert alerts
    assert (service.restarts, service.exit_code, service.told.refused) == (0, 0, 0)
    assert "has ended" not in service.output.read_text(), "no server ended before the bot"
    assert set(service.told.states) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}
