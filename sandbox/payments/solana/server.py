"""A Solana cluster on loopback, as tests and the demo hold it: nodes to ask, a faucet, wallets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sandbox.payments.solana import programs
from sandbox.payments.solana.cluster import Cluster
from sandbox.payments.solana.faucet import Faucet
from sandbox.payments.solana.faults import NodeFaults
from sandbox.payments.solana.node import RpcNode
from sandbox.payments.solana.wallet.page import WalletPage
from sandbox.payments.solana.wallet.wallet import Wallet

SLOT_S = 0.4
"""How long a slot takes on mainnet."""


class SolanaSandbox:
    """`async with SolanaSandbox() as solana:` then ask `solana.url`.

    Without `slot_s` time stands still until the test calls `advance` or `finalize`.
    """

    def __init__(
        self,
        *,
        slot_s: float | None = None,
        clock: Callable[[], float] = time.time,
        requests_per_10s: int | None = None,
        port: int = 0,
    ) -> None:
        self.cluster = Cluster(clock=clock)
        self.faucet = Faucet(self.cluster)
        self.nodes = [RpcNode(self.cluster, self.faucet, requests_per_10s=requests_per_10s, port=port)]
        self._slot_s = slot_s
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.nodes[0])
            if self._slot_s is not None:
                pacer = asyncio.create_task(self._pace(self._slot_s), name="solana slots")
                stack.push_async_callback(_end, pacer)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._resources.aclose()

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def ws_url(self) -> str:
        return self.nodes[0].ws_url

    @property
    def faults(self) -> NodeFaults:
        """Those of the first node."""
        return self.nodes[0].faults

    async def add_node(self, *, lag_slots: int = 0) -> RpcNode:
        """Start another node before the same cluster."""
        node = await self._resources.enter_async_context(RpcNode(self.cluster, self.faucet))
        node.faults.lag_slots = lag_slots
        self.nodes.append(node)
        return node

    def advance(self, slots: int = 1) -> None:
        self.cluster.advance(slots)

    def finalize(self) -> None:
        self.cluster.finalize()

    def wallet(self, *, sol: float = 10, usdc: float = 0, keypair: Keypair | None = None) -> Wallet:
        """Make somebody who has this much."""
        wallet = Wallet(self.cluster, keypair or Keypair())
        if sol:
            self.faucet.airdrop(wallet.address, round(sol * programs.LAMPORTS_PER_SOL))
        if usdc:
            self.faucet.give_tokens(wallet.address, programs.USDC, round(usdc * 10**programs.USDC_DECIMALS))
        return wallet

    def open_wallet(self, owner: Pubkey, *, sol: float = 1) -> None:
        """Let `owner` have this much without a transaction: nobody takes it for a payment."""
        self.cluster.write(owner, Account(round(sol * programs.LAMPORTS_PER_SOL), b"", programs.SYSTEM))

    def open_token_account(self, owner: Pubkey, mint: Pubkey = programs.USDC) -> Pubkey:
        """Give `owner` an empty account for a mint, as a merchant has from the start."""
        return self.faucet.give_tokens(owner, mint, 0)

    async def open_wallet_page(self, *, sol: float = 100, usdc: float = 10_000, port: int = 0) -> WalletPage:
        """Start a wallet in the browser, of somebody who has this much."""
        page = WalletPage(self.cluster, self.faucet, self.wallet(sol=sol, usdc=usdc), port=port)
        return await self._resources.enter_async_context(page)

    async def _pace(self, slot_s: float) -> None:
        while True:
            await asyncio.sleep(slot_s)
            self.cluster.advance()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
