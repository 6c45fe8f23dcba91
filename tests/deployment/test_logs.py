"""Logs under the machine's own logrotate, by the file that is installed: no line is lost, whoever rotates."""

from __future__ import annotations

import gzip
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from config.logging import FILES
from tests.e2e.bot_process import ROOT

RULES: Final = ROOT / "deploy" / "logrotate" / "token-filter-bot"
WRITER: Final = """
import os, sys
from pathlib import Path
import structlog
import config.logging
from config.logging import configure_logging
config.logging.MAX_FILE_BYTES = int(sys.argv[2])
os.umask(0o077)  # as keep_private does
configure_logging(level="INFO", directory=Path(sys.argv[1]))
log = structlog.get_logger("services.payments.x")
for number, _ in enumerate(sys.stdin):
    log.info("it_happened", number=number)
    print(number, flush=True)
"""
"""Logs a line for each that it reads, and says so when it has."""
LOGROTATE: Final = shutil.which("logrotate") or "/usr/sbin/logrotate"

needs_logrotate = pytest.mark.skipif(
    not Path(LOGROTATE).exists(), reason="there is no logrotate here (Debian: apt-get install logrotate)"
)
Write = Callable[[int], None]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Where the rules of this test look for them."""
    directory = tmp_path / "token-filter-bot" / "logs"
    directory.mkdir(parents=True)
    return directory


def rotate(logs: Path) -> None:
    """Rotate as if a day had passed."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    rules = RULES.read_text().replace("/var/lib", str(logs.parents[1]))
    rules = rules.replace("su tokenfilterbot tokenfilterbot", f"su {user} {user}")
    path = logs.parents[1] / "rules"
    path.write_text(rules)
    path.chmod(0o644)
    state = logs.parents[1] / "state"
    # Two within the same second would have the same name, which no two days have; the second is left alone.
    while list(logs.glob(f"*-{int(time.time())}*")):
        time.sleep(0.01)
    done = subprocess.run(
        [LOGROTATE, "--force", "--state", str(state), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def numbers(logs: Path, name: str) -> list[int]:
    """Return what stands in a file and in all that were made from it."""
    found: list[int] = []
    for path in logs.glob(f"{name}*"):
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        found += [json.loads(line)["number"] for line in text.splitlines()]
    return sorted(found)


def write(logs: Path, *, times: int, of: int, max_bytes: int, between: Callable[[], None]) -> None:
    """Let a process write `of` lines, `times` times; while it writes, something happens to the files."""
    command = [sys.executable, "-c", WRITER, str(logs), str(max_bytes)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(times):
            process.stdin.write("x\n" * of)
            process.stdin.flush()
            between()
            for _ in range(of):
                process.stdout.readline()
        process.stdin.close()


@needs_logrotate
def test_no_line_is_lost_when_logrotate_comes(logs: Path) -> None:
    write(logs, times=3, of=2_000, max_bytes=20_000_000, between=lambda: rotate(logs))
    assert numbers(logs, "bot.log") == list(range(6_000))
    assert numbers(logs, "payments.log") == list(range(6_000))
    compressed = list(logs.glob("bot.log-*.gz"))
    assert compressed, "all but the latest are compressed"
    assert list(logs.glob("bot.log-*")) != compressed
    assert all(path.stat().st_mode & 0o077 == 0 for path in logs.glob("*.log"))


@needs_logrotate
def test_nor_when_the_bot_rotates_by_itself_meanwhile(logs: Path) -> None:
    """Its own files have names that logrotate's never have; as many of them are kept as there are here."""
    write(logs, times=2, of=500, max_bytes=60_000, between=lambda: rotate(logs))
    assert (logs / "bot.log.1").exists()
    assert numbers(logs, "bot.log") == list(range(1_000))


def test_a_file_that_was_removed_is_begun_anew(logs: Path) -> None:
    turns = iter(range(3))

    def remove_once() -> None:
        if next(turns) == 1:
            (logs / "bot.log").unlink()

    write(logs, times=3, of=10, max_bytes=20_000_000, between=remove_once)
    assert set(numbers(logs, "bot.log")) >= set(range(20, 30))


@needs_logrotate
def test_every_file_of_the_bot_and_of_each_role_is_rotated(logs: Path) -> None:
    of_role = logs.parent / "match" / "logs"
    of_role.mkdir(parents=True)
    paths = [directory / name for directory in (logs, of_role) for name in ("bot.log", *FILES)]
    for path in paths:
        path.write_text("{}\n")
    rotate(logs)
    assert not [path for path in paths if path.exists()]
    assert all(list(path.parent.glob(f"{path.name}-*")) for path in paths)
