"""The whole bot with `DATA_KEY`: nobody notices, whoever reads Redis reads no filters, and the key is exchanged."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet

from config.settings import Settings
from managers.redis.client import RedisManager
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from services.stores import keys
from services.stores.sealing import UnknownKeyError, fingerprint_of
from tests.e2e.conftest import running, subscribe

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
NEW_KEY = fingerprint_of(NEW).encode()


def with_keys(*its_keys: str) -> Settings:
    return Settings.model_validate({"data_key": ",".join(its_keys)})


async def test_a_dialogue_goes_on_under_another_key(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, redis_manager: RedisManager, postgres_dsn: str
) -> None:
    ann = telegram.user("Ann")

    async def stored() -> bytes:
        document = await redis_manager.get(keys.SUBSCRIBER.of(ann.id))
        assert document is not None
        return document

    async with running(telegram, feed, redis_url, postgres_dsn, with_keys(OLD)):
        await subscribe(ann, "everything")
        await feed.someone_listens.wait()
        call = feed.market.next_call(datetime.now(UTC))
        feed.publish(call)
        await ann.next_message(where=lambda message: call.token.address in copied_addresses(message))
        before = await stored()
        assert b"filter_sets" not in before
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.timeout(20), running(telegram, feed, redis_url, postgres_dsn, with_keys(NEW)):
            await asyncio.Event().wait()  # it ends by itself
    assert ended.value.subgroup(UnknownKeyError) is not None
    assert await stored() == before
    async with running(telegram, feed, redis_url, postgres_dsn, with_keys(NEW, OLD)):
        await ann.send("/pause")
        await ann.next_message(where=lambda message: "ause" in message["text"])
        assert b"filter_sets" not in await stored()
        assert NEW_KEY in await stored()


@pytest.mark.parametrize("its_keys", [(), (NEW,)])
async def test_who_lacks_the_key_does_not_even_stand_by(
    telegram: TelegramSandbox,
    feed: FeedSandbox,
    redis_url: str,
    redis_manager: RedisManager,
    postgres_dsn: str,
    its_keys: tuple[str, ...],
) -> None:
    async with running(telegram, feed, redis_url, postgres_dsn, with_keys(OLD)):
        await subscribe(telegram.user("Ann"), "everything")
        assert await redis_manager.hget(keys.SEALED_BY.of(), fingerprint_of(OLD)) is not None
        with pytest.raises(ExceptionGroup) as ended:
            async with asyncio.timeout(20), running(telegram, feed, redis_url, postgres_dsn, with_keys(*its_keys)):
                await asyncio.Event().wait()
    assert ended.value.subgroup(UnknownKeyError) is not None
