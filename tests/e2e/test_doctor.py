"""`doctor` and the start: what stands in the way is said in one sentence, with what to do about it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.bot_process import BotProcess

Ports = Callable[[], int]
_LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def sentences(output: str) -> str:
    return " ".join(output.replace("│", " ").split())


async def test_it_names_typos_a_taken_port_and_what_cannot_be_reached_in_a_table_and_nothing_else(
    data_dir: Path, taken: int, unused_tcp_port: int
) -> None:
    nobody = f"127.0.0.1:{unused_tcp_port}"
    environment = {
        "DATA_DIR": str(data_dir),
        "HTTP_PORT": str(taken),
        "TELEGRAM_BOT_TOKEN": "1234567:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "TELEGRAM_API_BASE": f"http://{nobody}",
        "FEED_URL": f"ws://{nobody}/",
        "FEED_SOURCE": "native",
        "REDIS_URL": f"redis://{nobody}",
        "SANDBOX_PRT": "1",
    }
    async with BotProcess(environment, "doctor") as bot:
        assert await bot.exit_code() == 1, bot.output
    said = sentences(bot.output)
    assert "SANDBOX_PRT (environment) is no variable of the bot: did you mean SANDBOX_PORT?" in said
    assert f"Port {taken} on 127.0.0.1 is taken, by a bot that is running already or by another program" in said
    assert "set HTTP_PORT to another port" in said
    assert "Telegram cannot be reached (nothing listens there): check the network" in said
    assert "Redis does not answer (nothing listens there): check REDIS_URL" in said
    assert "The feed cannot be read (nothing listens there): check FEED_URL" in said
    assert bot.lines[0].startswith("┏"), bot.output
    assert not [line for line in bot.lines if _LOG_LINE.match(line)]


async def test_it_looks_at_everything_beside_a_running_bot(data_dir: Path, unused_tcp_port_factory: Ports) -> None:
    port, page = unused_tcp_port_factory(), unused_tcp_port_factory()
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": str(port), "SANDBOX_PORT": str(page)}
    async with BotProcess(environment) as bot:
        await bot.says("Ready after")
        async with BotProcess(environment, "doctor") as doctor:
            assert await doctor.exit_code() == 0, doctor.output
        said = sentences(doctor.output)
        assert f"A bot is running already on 127.0.0.1:{port}: end it before you start another" in said
        assert f"127.0.0.1:{page} is taken, as it is while a bot runs" in said
        assert said.count("version ") == 2, "Redis and PostgreSQL of the bot that runs"
        async with BotProcess(environment, "run") as second:
            assert await second.exit_code() == 1
        assert "A bot is running already on" in second.output
        assert "end it first" in second.output
        assert len(second.lines) == 1, second.output
        bot.interrupt()
        assert await bot.exit_code() == 0, bot.output
    assert "starting it again" not in bot.output


@pytest.mark.thorough
async def test_a_start_on_a_taken_port_says_which_and_what_to_do(data_dir: Path, taken: int) -> None:
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": str(taken), "LOG_LEVL": "INFO"}
    async with BotProcess(environment) as bot:
        assert await bot.exit_code() == 1
    assert f"Port {taken} on 127.0.0.1 is taken" in bot.output
    assert "set SANDBOX_PORT to another port" in bot.output
    assert "did you mean LOG_LEVEL?" in bot.output
    assert "Traceback" not in bot.output
