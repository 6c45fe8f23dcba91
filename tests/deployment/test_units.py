"""What systemd's own tools say of the units, and what they have in common."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.deployment.units import UNITS, Unit
from tests.e2e.bot_process import ROOT

MAX_EXPOSURE: Final = 2.0
SYSTEMS_OWN: Final = Path("/lib/systemd/system")
NAMES: Final = sorted(path.name for path in UNITS.glob("*.service"))
BOT, ROLE, MIGRATE = "token-filter-bot.service", "token-filter-bot@.service", "token-filter-bot-migrate.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here (Debian: apt-get install systemd)"
)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units where they are looked for, and something to execute where they say it is."""
    root = tmp_path_factory.mktemp("root")
    units = root / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(UNITS / name, units)
    shutil.copytree(SYSTEMS_OWN, root / SYSTEMS_OWN.relative_to("/"), symlinks=True)
    for link in ("current", "next"):
        python = root / "opt" / "token-filter-bot" / link / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text("#!/bin/sh\n")
        python.chmod(0o755)
    return root


def test_there_is_one_for_everything_one_for_a_role_and_one_for_the_schema() -> None:
    assert set(NAMES) == {BOT, ROLE, MIGRATE}


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_to_complain_of(machine: Path, name: str) -> None:
    installed = name.replace("@.", "@match.")
    if installed != name:
        (machine / "etc/systemd/system" / installed).symlink_to(name)
    said = analyze("verify", f"--root={machine}", "--man=no", installed)
    ours = [line for line in said.stderr.splitlines() if "token-filter-bot" in line]
    assert not ours, said.stderr


@needs_systemd
def test_it_would_find_something(machine: Path) -> None:
    wrong = machine / "etc/systemd/system/token-filter-bot-wrong.service"
    wrong.write_text((UNITS / BOT).read_text().replace("KillMode=mixed", "KillMode=kindly"))
    said = analyze("verify", f"--root={machine}", "--man=no", wrong.name)
    assert "kindly" in said.stderr


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_hardly_anything_of_the_machine_is_exposed(name: str) -> None:
    said = analyze("security", "--offline=true", "--no-pager", f"--threshold={MAX_EXPOSURE * 10:.0f}", UNITS / name)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "Overall exposure level" in said.stdout


@needs_systemd
def test_without_its_sandbox_it_would_be_exposed(tmp_path: Path) -> None:
    open_to_all = tmp_path / BOT
    bare = (UNITS / BOT).read_text().replace("SystemCallFilter", "#").replace("Protect", "#").replace("Restrict", "#")
    open_to_all.write_text(bare)
    said = analyze("security", "--offline=true", "--no-pager", f"--threshold={MAX_EXPOSURE * 10:.0f}", open_to_all)
    assert said.returncode != 0


def test_the_three_differ_where_they_say_so() -> None:
    bot, role, migrate = (Unit.read(UNITS / name).settings("Service") for name in (BOT, ROLE, MIGRATE))
    told_apart = {"Environment", "EnvironmentFile", "StateDirectory", "ExecStart"}
    assert {name for name, _ in set(bot) ^ set(role)} == told_apart
    meaningless_there = {"Type", "NotifyAccess", "TimeoutStartSec", "Restart", "RestartSec", "WatchdogSec", "OOMPolicy"}
    of_another_release = {"WorkingDirectory", "ExecStart", "EnvironmentFile"}
    assert {name for name, _ in set(bot) ^ set(migrate)} == meaningless_there | of_another_release


def test_the_stop_has_more_time_than_the_bot_takes() -> None:
    drain = re.search(r"^DRAIN_S = ([\d.]+)$", (ROOT / "main.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert drain
    unit = Unit.read(UNITS / BOT)
    assert unit.seconds("TimeoutStopSec") > float(drain[1])
    assert f"stop_grace_period: {unit.seconds('TimeoutStopSec'):.0f}s" in (ROOT / "docker-compose.yml").read_text()
