from __future__ import annotations

import asyncio

import pytest

from managers.storage.cache import CACHES, SmartCache


def cache_of(*entries: tuple[str, int], max_entries: int = 100) -> SmartCache[str, int | None]:
    cache = SmartCache[str, int | None]("test", ttl_s=100, max_entries=max_entries)
    for key, value in entries:
        cache.put(key, value)
    return cache


@pytest.mark.parametrize("name", CACHES)
def test_every_declared_cache_can_be_built(name: str) -> None:
    cache = SmartCache[str, str].of(name)
    assert cache.name == name
    assert len(cache) == 0


def test_hits_are_counted() -> None:
    cache = cache_of(("a", 1))
    assert cache.get("a") == 1
    assert cache.get("b") is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_it_is_bounded_and_forgets_on_demand() -> None:
    cache = cache_of(*((str(n), n) for n in range(50)), max_entries=10)
    assert len(cache) == 10
    cache.invalidate("49")
    cache.invalidate("never there")
    assert cache.get("49") is None
    cache.clear()
    assert len(cache) == 0


async def test_values_expire() -> None:
    cache = SmartCache[str, int]("test", ttl_s=0.01, max_entries=5)
    cache.put("a", 1)
    await asyncio.sleep(0.02)
    assert cache.get("a") is None
    assert len(cache) == 0


class Loader:
    def __init__(self) -> None:
        self.calls = 0
        self.started = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, key: str) -> int | None:
        self.calls += 1
        self.started.set()
        await self.go.wait()
        return self.calls


async def test_a_stampede_loads_once() -> None:
    cache, load = cache_of(), Loader()
    load.go.set()
    assert await asyncio.gather(*(cache.get_or_load("a", load) for _ in range(100))) == [1] * 100
    assert await cache.get_or_load("a", load) == 1
    assert load.calls == 1


async def test_nothing_is_a_value_too() -> None:
    cache = cache_of()
    calls = 0

    async def load(key: str) -> None:
        nonlocal calls
        calls += 1

    assert await cache.get_or_load("a", load) is None
    assert await cache.get_or_load("a", load) is None
    assert calls == 1


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    cache = cache_of()
    calls = 0

    async def fail(key: str) -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        raise LookupError(key)

    results = await asyncio.gather(*(cache.get_or_load("a", fail) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 5
    assert calls == 1
    with pytest.raises(LookupError):
        await cache.get_or_load("a", fail)
    assert calls == 2


async def test_who_gives_up_does_not_take_the_others_along() -> None:
    cache, load = cache_of(), Loader()
    first = asyncio.create_task(cache.get_or_load("a", load))
    await load.started.wait()
    others = [asyncio.create_task(cache.get_or_load("a", load)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    load.go.set()
    assert await asyncio.gather(*others) == [2, 2, 2]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_was_invalidated_while_loading_is_not_kept() -> None:
    cache, load = cache_of(), Loader()
    loading = asyncio.create_task(cache.get_or_load("a", load))
    await load.started.wait()
    cache.invalidate("a")
    load.go.set()
    assert await loading == 1
    assert cache.get("a") is None


async def test_what_was_put_while_loading_stays() -> None:
    cache, load = cache_of(), Loader()
    loading = asyncio.create_task(cache.get_or_load("a", load))
    await load.started.wait()
    cache.put("a", 99)
    load.go.set()
    await loading
    assert cache.get("a") == 99
