"""Each alarm of the composition is provoked for real: told once, over by itself, and told so.

The table is in `provocations.py`. Freezing Redis is played every time, the others are `thorough`.
"""

from __future__ import annotations

import importlib
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.roles import ROLES
from composition import ProcessConfig
from services.monitoring.alarms import AlarmsService
from tests.alarms.kit import Servers, opened
from tests.alarms.provocations import PROVOKED
from tests.e2e.bot_process import ROOT
from tests.e2e.conftest import composed
from tests.faults.small_disk import SmallDisk

PAGE = ROOT / "docs" / "alerts.md"


PLAYED = [
    pytest.param(name, id=name, marks=() if one.is_quick else pytest.mark.thorough) for name, one in PROVOKED.items()
]


@pytest.mark.parametrize("name", PLAYED)
async def test_it_is_told_and_it_is_over(
    name: str, servers: Servers, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provoked = PROVOKED[name]
    for constant, value in {**provoked.stage.limits, **provoked.stage.times}.items():
        module, _, attribute = constant.partition(":")
        monkeypatch.setattr(importlib.import_module(module), attribute, value)
    async with AsyncExitStack() as stack:
        disk = None
        if name == "disk":
            if not SmallDisk.is_possible():
                pytest.skip("nothing can be mounted here")
            disk = await stack.enter_async_context(SmallDisk(data_dir))
            data_dir = disk.path
        scene = await stack.enter_async_context(opened(provoked.stage, servers, data_dir))
        scene.parts["disk"] = disk
        async with provoked.wrong(scene):
            began = await scene.told("🔴", name)
        if provoked.then is None:
            ended = await scene.told("🟢", name)
            assert scene.said_of(name) == [began, ended], "once each"
            return
    async with opened(provoked.then, servers, data_dir) as after:
        ended = await after.told("🟢", name)
        assert (scene.said_of(name), after.said_of(name)) == ([began], [ended])


def test_what_provocations_shorten_is_there() -> None:
    for provoked in PROVOKED.values():
        for constant in (*provoked.stage.limits, *provoked.stage.times):
            module, _, attribute = constant.partition(":")
            assert hasattr(importlib.import_module(module), attribute), constant


async def alarms_of_every_role(redis_url: str, postgres_dsn: str) -> set[str]:
    found: set[str] = set()
    for role in ROLES:
        async with AsyncExitStack() as stack:
            made = await composed(stack, redis_url, postgres_dsn, ProcessConfig(role=role, owner=role), whole=True)
            found |= set(made.of(AlarmsService).watched)
    return found


async def test_no_alarm_is_without_its_provocation(redis_url: str, postgres_dsn: str) -> None:
    assert await alarms_of_every_role(redis_url, postgres_dsn) == set(PROVOKED)


async def test_no_alarm_is_without_its_section(redis_url: str, postgres_dsn: str) -> None:
    """What it means, what to look at, what to do."""
    sections = dict(re.findall(r"^### (.+)\n((?:(?!^##).*\n?)*)", PAGE.read_text("utf-8"), re.MULTILINE))
    assert await alarms_of_every_role(redis_url, postgres_dsn) == set(sections)
    lacking = {
        name: part
        for name, text in sections.items()
        for part in ("**Means:**", "**Look at:**", "**Do:**")
        if part not in text
    }
    assert not lacking
