from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.admin.people.house import OUTSIDER, OWNER, READER, SUPPORT, VICTIM, House, furnish, house_on
from tests.conversation.telegram_wire import Person


@pytest.fixture
async def house(redis_url: str, postgres_dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house_on(redis_url, postgres_dsn, tmp_path) as house:
        await furnish(house)
        yield house


@pytest.fixture
def owner(house: House) -> Person:
    return house.person(OWNER)


@pytest.fixture
def support(house: House) -> Person:
    return house.person(SUPPORT)


@pytest.fixture
def reader(house: House) -> Person:
    return house.person(READER)


@pytest.fixture
def victim(house: House) -> Person:
    return house.person(VICTIM)


@pytest.fixture
def outsider(house: House) -> Person:
    return house.person(OUTSIDER)
