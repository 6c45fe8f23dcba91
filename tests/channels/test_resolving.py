"""Calls that name a pool, or an address without a chain: what they mean is found at once, later, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from domain.posts.pasted import tokens_in
from domain.posts.understanding import Understood
from domain.prices.readings import TokenRef
from managers.http.request_budget import Room
from managers.providers.lookup import ChainFound, PoolFound
from services.channels.resolving import NEW_SIDE_BY_SIDE, Resolver
from services.channels.rows import ChannelRows, ReadElsewhereError
from services.channels.taking import TakingService
from services.channels.wire import CalledToken, call_of
from services.tokens.identifying import Identifying
from tests.channels.conftest import nobody_knows
from tests.channels.support import ALPHA, NOW, Kit, mint

POOL, OTHER_POOL, TOKEN = mint(50), mint(51), mint(1)
CONTRACT = "0x" + "ab" * 20


class Pools:
    """A `TokenLookup` that learns."""

    name = "pools"

    def __init__(self) -> None:
        self.tokens: dict[str, PoolFound] = {}
        self.chains: dict[str, str] = {}

    def room(self) -> Room:
        raise NotImplementedError

    async def chains_of(self, addresses: Sequence[str]) -> dict[str, list[ChainFound]]:
        return {one: [ChainFound(self.chains[one], 1.0, 1)] for one in addresses if one in self.chains}

    async def token_of_pool(self, chain: str | None, pool: str) -> PoolFound | None:
        return self.tokens.get(pool)

    def trades(self, pool: str, token: str, chain: str = "solana") -> None:
        self.tokens[pool] = PoolFound(chain, token, None)


@pytest.fixture
def pools() -> Pools:
    return Pools()


@pytest.fixture
def resolver(kit: Kit, pools: Pools) -> Resolver:
    resolver = Resolver(
        lookups=[pools], rows=kit.rows, is_token=nobody_knows, clock=lambda: NOW, written=kit.history.wake
    )
    kit.taking = TakingService(rows=kit.rows, resolver=resolver, clock=lambda: NOW, written=kit.history.wake)
    return resolver


def link(pool: str, chain: str = "solana") -> str:
    return f"https://dexscreener.com/{chain}/{pool}"


async def post(kit: Kit, *texts: str) -> None:
    for text in texts:
        kit.book.post(ALPHA, text, NOW)
    await kit.look()


async def again(resolver: Resolver) -> None:
    await resolver.look_again(lambda: None)


async def understood(kit: Kit, number: int) -> Understood:
    found = await kit.rows.seen(ALPHA, number)
    assert found is not None
    return found.understood


async def said(kit: Kit, number: int) -> tuple[str, str]:
    found = await understood(kit, number)
    return found.verdict, found.reason


def named(number: int, address: str) -> tuple[str, str]:
    return f"t.me/alpha/{number}/{address}", address


async def test_a_pool_is_called_as_soon_as_somebody_knows_it(kit: Kit, resolver: Resolver, pools: Pools) -> None:
    await kit.look()
    await post(kit, link(POOL))
    await again(resolver)
    assert await kit.called() == []
    pools.trades(POOL, TOKEN)
    await again(resolver)
    assert await kit.called() == [named(1, TOKEN)]
    assert await said(kit, 1) == ("call", "pool_link")


async def everybody_knows(_: TokenRef) -> bool:
    return True


async def test_a_pool_whose_link_has_lost_its_capitals_is_looked_up_and_is_no_token_itself(
    kit: Kit, resolver: Resolver, pools: Pools
) -> None:
    resolver._is_token = everybody_knows  # pyright: ignore[reportPrivateUsage]
    asked = Identifying([pools])
    (one,) = tokens_in(link(POOL.lower()))
    await kit.look()
    await post(kit, link(POOL.lower()))
    await again(resolver)
    assert (await kit.called(), await asked.token(one)) == ([], None)
    pools.trades(POOL.lower(), TOKEN)
    await again(resolver)
    assert await kit.called() == [named(1, TOKEN)]
    assert await asked.token(one) == TokenRef(TOKEN, "solana")


async def test_a_pool_of_a_token_that_was_called_meanwhile_is_no_first_call(
    kit: Kit, resolver: Resolver, pools: Pools
) -> None:
    await kit.look()
    await post(kit, link(POOL))
    await post(kit, f"CA: {TOKEN}")
    pools.trades(POOL, TOKEN)
    await again(resolver)
    assert await kit.called() == [named(2, TOKEN)]
    assert await said(kit, 1) == ("update", "repeated")


async def test_a_token_that_was_found_behind_a_pool_is_known_to_later_posts(
    kit: Kit, resolver: Resolver, pools: Pools
) -> None:
    await kit.look()
    await post(kit, link(POOL))
    pools.trades(POOL, TOKEN)
    pools.trades(OTHER_POOL, TOKEN)
    await again(resolver)
    await post(kit, f"CA: {TOKEN}", link(OTHER_POOL))
    await again(resolver)
    assert await kit.called() == [named(1, TOKEN)]
    assert [await said(kit, number) for number in (2, 3)] == [("update", "repeated")] * 2


async def test_a_token_and_its_pools_in_one_batch_are_one_call(kit: Kit, resolver: Resolver, pools: Pools) -> None:
    pools.trades(POOL, TOKEN)
    pools.trades(OTHER_POOL, TOKEN)
    await kit.look()
    await post(kit, link(POOL), f"CA: {TOKEN}", link(OTHER_POOL))
    await again(resolver)
    assert await kit.called() == [named(2, TOKEN)], "what needs no look-up waits for none"
    assert [await said(kit, number) for number in (1, 3)] == [("update", "repeated")] * 2


async def test_who_settles_while_a_post_is_taken_is_not_overtaken(kit: Kit, resolver: Resolver, pools: Pools) -> None:
    """Another process resolves, of whose work this one is not told."""
    await kit.look()
    await post(kit, link(POOL))
    pools.trades(POOL, TOKEN)
    elsewhere = Resolver(
        lookups=[pools], rows=kit.rows, is_token=nobody_knows, clock=lambda: NOW, written=kit.history.wake
    )
    await again(elsewhere)
    kit.book.post(ALPHA, f"CA: {TOKEN}", NOW)
    for _ in range(2):
        try:
            await kit.look()
        except ReadElsewhereError:
            continue
    assert await kit.called() == [named(1, TOKEN)]
    assert await said(kit, 2) == ("update", "repeated")


@pytest.mark.parametrize("is_known", [True, False], ids=["known at once", "known later"])
async def test_a_token_on_a_chain_that_nobody_follows_says_so(
    kit: Kit, resolver: Resolver, pools: Pools, *, is_known: bool
) -> None:
    await kit.look()
    if is_known:
        pools.chains[CONTRACT] = "arbitrum"
    await post(kit, f"CA: {CONTRACT}")
    pools.chains[CONTRACT] = "arbitrum"
    await again(resolver)
    await post(kit, link(CONTRACT, "polygon"))
    assert await kit.called() == []
    for number in (1, 2):
        found = await understood(kit, number)
        assert (found.verdict, found.reason) == ("none", "unfollowed_chain")
        assert [one.what for one in found.refused if one.reason == "unfollowed_chain"] == [CONTRACT]


async def test_what_nobody_knows_is_given_up_in_the_end_and_asked_about_when_it_is_named_again(
    kit: Kit, resolver: Resolver, pools: Pools
) -> None:
    await kit.look()
    await post(kit, link(POOL))
    resolver._clock = lambda: NOW + timedelta(hours=2)  # pyright: ignore[reportPrivateUsage]
    await again(resolver)
    assert (resolver.given_up, (await kit.rows.waiting()).calls) == (1, 0)
    pools.trades(POOL, TOKEN)
    await post(kit, f"Still here {link(POOL)}")
    await again(resolver)
    assert await kit.called() == [named(2, TOKEN)]


WAYS = {
    "an address without a chain": (f"CA: {CONTRACT}", CONTRACT),
    "a link that holds the token's own address": (link(TOKEN), TOKEN),
    "a pool": (link(POOL), TOKEN),
}
"""What a post says, and the token that it means."""


class Knowing:
    """Somebody asks again, in whichever process; and at some time the token is known."""

    def __init__(self, kit: Kit, pools: Pools) -> None:
        self._kit = kit
        self._pools = pools
        self._is_known = False
        self.now = NOW
        self.restart()

    def restart(self) -> None:
        """Everything that was remembered is gone."""
        kit = self._kit
        rows = ChannelRows(kit.rows._postgres)  # pyright: ignore[reportPrivateUsage]
        self.resolver = Resolver(
            lookups=[self._pools], rows=rows, is_token=self._is_token, clock=lambda: self.now, written=kit.history.wake
        )
        kit.taking = TakingService(rows=rows, resolver=self.resolver, clock=lambda: self.now, written=kit.history.wake)

    def learn(self) -> None:
        self._is_known = True
        self._pools.chains[CONTRACT] = "base"
        self._pools.trades(POOL, TOKEN)

    async def _is_token(self, token: TokenRef) -> bool:
        return self._is_known and token.address == TOKEN

    async def step(self, what: str, text: str) -> None:
        match what:
            case "post":
                await post(self._kit, text)
            case "ask":
                await again(self.resolver)
            case "restart":
                self.restart()
            case "learn":
                self.learn()
            case "two hours":
                self.now += timedelta(hours=2)
            case _:
                raise ValueError(what)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("steps", "number"),
    [
        ("post ask learn ask", 1),
        ("post ask learn restart ask", 1),
        ("post ask post ask learn ask", 1),
        ("post ask restart post learn ask", 1),
        ("post ask learn post ask", 1),
        ("post post learn ask post ask", 1),
        ("post learn post restart ask ask", 1),
        ("post ask two-hours post learn ask", 1),
        ("post ask two-hours ask post learn ask", 2),
        ("post ask two-hours ask restart post ask learn ask post ask", 2),
        ("learn post ask post ask", 1),
    ],
)
async def test_what_waits_is_called_once_it_is_known_and_once(
    kit: Kit, pools: Pools, way: str, steps: str, number: int
) -> None:
    text, token = WAYS[way]
    knowing = Knowing(kit, pools)
    await kit.look()
    for step in steps.split():
        await knowing.step(step.replace("-", " "), text)
    assert await kit.called() == [named(number, token)]
    later = [await said(kit, post.number) for post in kit.book.posts[ALPHA] if post.number > number]
    assert set(later) <= {("update", "repeated")}


async def test_a_second_post_outlives_the_first_that_nobody_knew(kit: Kit, pools: Pools) -> None:
    knowing = Knowing(kit, pools)
    await kit.look()
    await post(kit, f"CA: {CONTRACT}")
    knowing.now += timedelta(minutes=50)
    await post(kit, f"CA: {CONTRACT}")
    knowing.now += timedelta(minutes=20)
    await again(knowing.resolver)
    assert knowing.resolver.given_up == 1
    knowing.learn()
    await again(knowing.resolver)
    assert await kit.called() == [named(2, CONTRACT)]


@pytest.mark.parametrize("first", [1, 2])
async def test_whichever_of_two_posts_is_settled_first_calls_it(kit: Kit, resolver: Resolver, first: int) -> None:
    await kit.look()
    await post(kit, link(POOL), link(POOL))
    waiting = {one.number: one for one, _ in await kit.rows.waiting_for(POOL)}
    for number in (first, 3 - first):
        one = waiting[number]
        await kit.rows.settle(one, call_of(one, CalledToken(TOKEN, "solana")), NOW)
    assert await kit.called() == [named(first, TOKEN)]
    assert await said(kit, 3 - first) == ("update", "repeated")


class Silent(Pools):
    """Answers nobody, until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.hangs: set[str] = set()

    async def token_of_pool(self, chain: str | None, pool: str) -> PoolFound | None:
        self.asked.append(pool)
        if pool in self.hangs:
            await self.answers.wait()
        return await super().token_of_pool(chain, pool)


async def until_called(kit: Kit, calls: int) -> None:
    async with asyncio.timeout(5):
        while len(await kit.called()) < calls:
            await kit.history.came(kit.history.wakes)


async def test_no_call_waits_for_what_another_one_means(kit: Kit) -> None:
    """Neither one that needs no look-up, nor one of another channel whose provider answers."""
    silent, beta, other = Silent(), "@beta_calls", mint(2)
    hanging = [mint(100 + n) for n in range(NEW_SIDE_BY_SIDE + 2)]
    silent.hangs = set(hanging[: NEW_SIDE_BY_SIDE - 1])
    knowing = Knowing(kit, silent)
    await kit.listed.configured([beta])
    for name in (ALPHA, beta):
        await kit.look(name)
    task = asyncio.create_task(knowing.resolver.run(lambda: None))
    try:
        await post(kit, *(link(pool) for pool in hanging), f"CA: {mint(3)}")
        assert await kit.called() == [named(len(hanging) + 1, mint(3))]
        silent.trades(OTHER_POOL, other)
        kit.book.post(beta, link(OTHER_POOL), NOW)
        await kit.look(beta)
        await until_called(kit, 2)
        assert (await kit.called())[1][1] == other
        silent.trades(hanging[0], TOKEN)
        silent.answers.set()
        await until_called(kit, 3)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (await kit.called())[2] == named(1, TOKEN)
