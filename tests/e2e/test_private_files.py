"""What lies in DATA_DIR is for nobody else to read, whoever started the bot and however."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from runtime.private_files import keep_private
from tests.e2e.bot_process import BotProcess

WIDE_OPEN = ("/bin/sh", "-c", 'umask 000; exec "$@"', "sh")
IS_ROOT = os.geteuid() == 0


def modes(data_dir: Path) -> dict[str, int]:
    """Of the directory and of everything below it, links left out."""
    paths = [data_dir, *data_dir.rglob("*")]
    return {
        str(path.relative_to(data_dir)): stat.S_IMODE(path.lstat().st_mode) for path in paths if not path.is_symlink()
    }


def too_wide(data_dir: Path) -> dict[str, str]:
    """Whatever somebody else may do more with than pass to PostgreSQL's directory."""
    on_the_way = {".", "postgres"} if IS_ROOT else set[str]()
    return {
        path: f"{mode:04o}"
        for path, mode in modes(data_dir).items()
        if mode & 0o077 & ~(0o001 if path in on_the_way else 0)
    }


def open_to_all(data_dir: Path) -> None:
    for path in [data_dir, *data_dir.rglob("*")]:
        if "cluster" not in path.parts:  # PostgreSQL itself refuses to start on one that others may read
            path.chmod(0o755 if path.is_dir() else 0o644)


async def run_once(data_dir: Path) -> None:
    environment = {"DATA_DIR": str(data_dir), "HTTP_PORT": "0", "SANDBOX_PORT": "0", "SANDBOX_CALLS_PER_MINUTE": "240"}
    async with BotProcess(environment, before=WIDE_OPEN) as bot:
        await bot.says(r"→ demo .*\d ms")
        assert not too_wide(data_dir)
        bot.interrupt()
        assert await bot.exit_code() == 0, bot.output


async def test_everything_is_private_while_it_runs_and_afterwards(data_dir: Path) -> None:
    open_to_all(data_dir)
    await run_once(data_dir)
    assert not too_wide(data_dir)
    written = modes(data_dir)
    expected = {"instance", "local.sqlite", "logs/bot.log", "redis/redis.log", "postgres/postgres.log"}
    assert expected <= written.keys(), "the test looked at too little"


@pytest.mark.thorough
async def test_what_an_earlier_version_left_wider_is_narrowed(data_dir: Path) -> None:
    await run_once(data_dir)
    open_to_all(data_dir)
    assert too_wide(data_dir)
    await run_once(data_dir)
    assert not too_wide(data_dir)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    outside, data_dir = tmp_path / "outside", tmp_path / "data"
    outside.mkdir(mode=0o755)
    data_dir.mkdir()
    (data_dir / "link").symlink_to(outside)
    (data_dir / "gone").symlink_to(tmp_path / "nowhere")
    try:
        keep_private(data_dir)
        assert stat.S_IMODE(outside.stat().st_mode) == 0o755
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    finally:
        os.umask(umask)


@pytest.fixture
def taken(data_dir: Path) -> Path:
    """Where a file stands already."""
    data_dir.mkdir(exist_ok=True)
    path = data_dir / "file"
    path.write_text("")
    return path


@pytest.mark.parametrize(
    ("command", "setting", "below"),
    [("run", "DATA_DIR", "."), ("doctor", "DATA_DIR", "."), ("doctor", "DATA_DIR", "in"), ("run", "LOG_DIR", ".")],
)
async def test_a_directory_that_cannot_be_used_is_told_in_one_sentence(
    data_dir: Path, taken: Path, command: str, setting: str, below: str
) -> None:
    environment = {"DATA_DIR": str(data_dir / "data"), "HTTP_PORT": "0", setting: str(taken / below)}
    async with BotProcess(environment, command) as bot:
        assert await bot.exit_code() == 1
    said = " ".join(" ".join(bot.lines).split())
    assert f"{setting}: " in said
    assert "name a directory that this user may make and write to." in said
    assert "Traceback" not in bot.output
