"""The limits of providers, divided among the processes that live."""

from __future__ import annotations

import pytest

from managers.redis.client import RedisManager
from services.cluster.asking import share_of_limits
from services.cluster.members import ALL_ROLES, Members, Role


async def test_whoever_lives_has_a_share_and_all_have_one_limit(redis_manager: RedisManager) -> None:
    roles: tuple[Role, ...] = ("gateway", "listen", "ingest", "match", "track", "send")
    members = [Members(redis_manager, role, [role]) for role in roles]
    for one in members:
        await one.join()
    for one in members:
        await one.beat()
    shares = {one.owner: share_of_limits(one) for one in members if one.owner != "send"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["track"] > shares["gateway"] > 0
    await members[1].leave()
    for one in members:
        if one.owner != "listen":
            await one.beat()
    assert share_of_limits(members[2]) > shares["ingest"], "what somebody had who has gone is the others'"


async def test_who_is_alone_has_it_all(redis_manager: RedisManager) -> None:
    alone = Members(redis_manager, "bot", ALL_ROLES)
    assert share_of_limits(alone) == 1.0
    await alone.join()
    assert share_of_limits(alone) == 1.0
