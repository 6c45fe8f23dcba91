"""What a process may decide and send follows its leases, in every part of the work."""

from __future__ import annotations

import pytest

from domain.subscribers.partitions import ALL
from managers.redis.client import RedisManager
from services.cluster.fencing import LeaseLostError
from services.cluster.leases import Leases
from services.cluster.members import ALL_ROLES, Role
from services.cluster.ownership import Ownership


@pytest.mark.parametrize("part", sorted(ALL_ROLES))
async def test_a_part_of_the_work_has_what_it_holds_leases_of(redis_manager: RedisManager, part: Role) -> None:
    leases = Leases(redis_manager, "ada")
    ownership = Ownership(leases, {part})
    assert ownership.sendable() == frozenset()
    assert ownership.matched() == (ALL if part == "gateway" else frozenset())
    assert ownership.is_loaded == (part == "match")
    await leases.acquire(["match:3", "send:4"])
    ownership.matching.working.update({3, 5})
    assert ownership.matched() == {"gateway": ALL, "match": {3}}.get(part, frozenset())
    assert ownership.sendable() == {4}
    assert list(ownership.send_fences(4)) == ["send:4"]
    with pytest.raises(LeaseLostError):
        ownership.send_fences(5)


async def test_who_does_everything_shows_that_they_still_do(redis_manager: RedisManager) -> None:
    leases = Leases(redis_manager, "ada")
    ownership = Ownership(leases, ALL_ROLES)
    assert ownership.is_whole
    assert not ownership.is_loaded
    assert ownership.matched() == ownership.sendable() == ALL
    with pytest.raises(LeaseLostError):
        ownership.claim_fences()
    await leases.acquire(["match:0", "match:1"])
    assert list(ownership.claim_fences()) == ["match:0"]


async def test_a_share_of_the_matching_claims_under_all_that_it_matches(redis_manager: RedisManager) -> None:
    leases = Leases(redis_manager, "ada")
    ownership = Ownership(leases, {"match"})
    assert ownership.claim_fences() == {}
    await leases.acquire(["match:3", "match:5"])
    ownership.matching.working.update({3, 5})
    assert set(ownership.claim_fences()) == {"match:3", "match:5"}
