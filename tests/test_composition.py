"""Builders are joined by what they give: what is missing, given twice or not declared is refused at the start."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from bot.core import TokenFilterBot
from bot.jobs import JobRow, JobSpec, Phase, jobs_table
from bot.lifecycle import Lifecycle
from bot.roles import ROLES, Role
from composition import Composition, ProcessConfig
from composition.bot import BUILDERS, job_specs
from composition.feature import Base
from managers.redis.client import RedisManager
from runtime.errors import FatalError
from runtime.supervision import Progress
from services.cluster.leases import Leases
from services.cluster.ownership import Ownership
from services.subscribers.group import SubscriberServices
from tests.conversation.wiring import services_of
from tests.e2e.conftest import composed


async def nothing(progress: Progress) -> None:
    progress()


def row(name: str, phase: Phase = "working", *roles: Role) -> JobRow:
    return JobSpec(name=name, does="does nothing", phase=phase, roles=frozenset(roles or ROLES)).run_by(nothing)


@pytest.mark.parametrize("role", ROLES)
async def test_every_role_is_composed_and_handlers_find_every_group(
    redis_url: str, postgres_dsn: str, role: Role
) -> None:
    async with AsyncExitStack() as stack:
        made = await composed(stack, redis_url, postgres_dsn, ProcessConfig(role=role, owner=role))
        assert made.bot.services.of(SubscriberServices) is made.bot.services.subscribers
        assert made.of(Ownership).is_whole == (role == "all")


async def test_what_no_builder_gave_before_is_refused(redis_url: str, postgres_dsn: str) -> None:
    async with AsyncExitStack() as stack:
        made = await composed(stack, redis_url, postgres_dsn)
        with pytest.raises(FatalError, match="Lifecycle"):
            made.of(Lifecycle)
        with pytest.raises(FatalError, match="Two builders give a Ownership"):
            base_of(made).give(made.of(Ownership))


def base_of(made: Composition) -> Base:
    return made._base  # pyright: ignore[reportPrivateUsage] - builders alone see it


def bot_of(redis: RedisManager, role: Role, *jobs: JobRow) -> TokenFilterBot:
    return TokenFilterBot(
        services_of(), jobs=jobs, steps=[], lifecycle=Lifecycle(), leases=Leases(redis, "ada"), role=role
    )


def test_the_jobs_of_a_role_are_run_and_two_of_one_name_refused(redis_manager: RedisManager) -> None:
    ours, theirs = row("tides", "working", "match"), row("tides", "intake", "send")
    assert bot_of(redis_manager, "match", ours, theirs).watched_jobs() == {"tides"}
    assert bot_of(redis_manager, "ingest", ours, theirs).watched_jobs() == set()
    with pytest.raises(FatalError, match="tides"):
        bot_of(redis_manager, "send", theirs, row("tides"))


def test_the_table_has_every_row_of_every_builder() -> None:
    lines = jobs_table(job_specs()).splitlines()[2:]
    assert len(lines) == sum(len(builder.JOBS) for builder in BUILDERS)
    assert all(any(f"`{spec.name}`" in line and spec.does in line for line in lines) for spec in job_specs())


def test_a_table_row_names_roles_and_lease() -> None:
    spec = JobSpec(name="tides", does="rises and falls", roles=frozenset({"send", "gateway"}), lease="moon")
    assert jobs_table([spec]).splitlines()[-1] == (
        "| `tides` (under the lease `moon`) | rises and falls | gateway, send | work |"
    )
