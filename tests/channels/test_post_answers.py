"""What `/why` says of the tokens of a post: a pool by what it trades, an address by the chain where it was found."""

from __future__ import annotations

from handlers.conversation.menus import View
from handlers.why.posts import post_card
from services.channels.posts import PostLookup
from services.channels.resolving import Resolver
from tests.channels.support import ALPHA, NOW, Kit, mint
from tests.channels.test_resolving import CONTRACT, OTHER_POOL, POOL, TOKEN, Pools, again, link, pools, post, resolver
from texts import Texts
from texts.markup import to_plain

__all__ = ["pools", "resolver"]


async def card(kit: Kit, number: int) -> str:
    found = await PostLookup(kit.rows).find(ALPHA, number)
    return to_plain(post_card(View(texts=Texts.load(), language="en"), found, [], "UTC", NOW).html)


async def test_a_pool_stands_beside_the_token_that_was_called(kit: Kit, resolver: Resolver, pools: Pools) -> None:
    await kit.look()
    await post(kit, link(POOL))
    before = await card(kit, 1)
    assert "It is not known yet what token" in before
    assert TOKEN not in before
    pools.trades(POOL, TOKEN)
    await again(resolver)
    assert f"{TOKEN} Solana, the token of the pool {POOL}" in await card(kit, 1)


async def test_which_of_several_pools_trades_which_token_is_not_made_up(
    kit: Kit, resolver: Resolver, pools: Pools
) -> None:
    await kit.look()
    pools.trades(POOL, TOKEN)
    await post(kit, f"{link(POOL)} {link(OTHER_POOL)}")
    await again(resolver)
    assert f"{TOKEN} Solana, the token of the pool {POOL}" in await card(kit, 1), "the other one still waits"
    pools.trades(OTHER_POOL, mint(2))
    await again(resolver)
    said = await card(kit, 1)
    assert "the token of the pool" not in said
    of = said.partition("These pools are of: ")[2].partition("\n")[0]
    assert TOKEN in of
    assert mint(2) in of


async def test_an_address_without_a_chain_gets_the_one_that_it_was_found_on(
    kit: Kit, resolver: Resolver, pools: Pools
) -> None:
    await kit.look()
    await post(kit, f"CA: {CONTRACT}")
    assert f"{CONTRACT} some EVM chain" in await card(kit, 1)
    pools.chains[CONTRACT] = "base"
    await again(resolver)
    assert f"{CONTRACT} Base" in await card(kit, 1)
    assert await kit.called() == [(f"t.me/alpha/1/{CONTRACT}", CONTRACT)]
    await post(kit, f"Again {CONTRACT}")
    assert len(await kit.called()) == 1
