"""A shop with a crowd before it, and what came of it in the table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from tests.faults.market import Workload
from tests.faults.payments.books import PaymentCounts, judge
from tests.faults.payments.crowd import EVERYBODY, Mix
from tests.faults.payments.shop import Shop
from tests.faults.payments.table import PROPERTY, PaymentRow
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.stage import Size, Stage

PaymentVerdict = Callable[..., None]


@pytest.fixture
async def stage(size: Size, fault_servers: tuple[BreakableRedis, BreakablePostgres]) -> AsyncIterator[Stage]:
    """Without calls: what is told here is about money."""
    redis, postgres = fault_servers
    async with Stage(
        size=size, seed=1, redis=redis, postgres=postgres, workload=Workload(seed=1, users=0, calls=0)
    ) as stage:
        yield stage


@pytest.fixture
async def shop(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[Shop]:
    """`@pytest.mark.parametrize("shop", [ON_CHAIN], indirect=True)` for one with another crowd."""
    mix: Mix = getattr(request, "param", EVERYBODY)
    async with Shop(stage, mix) as shop:
        yield shop


@pytest.fixture
def verdict(request: pytest.FixtureRequest, stage: Stage) -> PaymentVerdict:
    """Say what was broken, print what came of it, and fail if anybody got less or more than they paid for."""

    def give(what: str, counts: PaymentCounts, *, repeats: int = 0) -> None:
        row = PaymentRow(what=what, counts=counts, repeats=repeats)
        request.node.user_properties.append((PROPERTY, msgspec.json.encode(row).decode()))
        print(row.line)  # noqa: T201 - the counts
        judge(counts, repeats=repeats)
        assert not stage.complaints, "\n".join([counts.line(), *stage.complaints])

    return give
