"""A chain with a shop's wallet for benchmarks: who pays when, and when a server first said so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec import Struct
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sandbox.payments.solana import programs
from sandbox.payments.solana.cluster import Commitment
from sandbox.payments.solana.node import RpcNode
from sandbox.payments.solana.server import SLOT_S, SolanaSandbox
from sandbox.payments.solana.wallet.wallet import Wallet
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.jupiter import PriceSandbox

SERVERS: Final = 2
FOREIGN_LAMPORTS: Final = 20_000_000
"""What strangers send: more than dust, and no invoice's amount."""


class Way(Struct, frozen=True, array_like=True):
    """Of one payment; microseconds since the epoch."""

    paid_at_us: int
    final_at_us: int
    """The slot in which it is became final."""
    told_at_us: int
    """A server said for the first time that it is final."""


class Asked(Struct, frozen=True, array_like=True):
    """By server: in how many requests a second."""

    requests: list[int]
    busiest_second: list[int]


class ChainPart:
    """Lives in a process of its own, see `benchmarks/kit/processes.py`."""

    def __init__(self, solana: SolanaSandbox, prices: PriceSandbox, dexscreener: DexScreenerSandbox) -> None:
        self._solana = solana
        self._merchant = Keypair().pubkey()
        self._stranger: Wallet = solana.wallet(sol=1_000_000)
        self._paid: dict[str, int] = {}
        self._slots: dict[str, int] = {}
        self._final: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._seconds: list[Counter[int]] = [Counter() for _ in solana.nodes]
        self.urls = [node.url for node in solana.nodes]
        self.merchant = str(self._merchant)
        self.usdc_mint = str(programs.USDC)
        self.price_url = prices.url
        self.dexscreener_url = dexscreener.url
        solana.cluster.write(self._merchant, Account(programs.LAMPORTS_PER_SOL, b"", programs.SYSTEM))
        solana.open_token_account(self._merchant)
        solana.cluster.observers.append(self._look)
        for node, seconds in zip(solana.nodes, self._seconds, strict=True):
            self._listen(node, seconds)

    def pay(self, url: str) -> str:
        """Pay a Solana Pay address; returns the signature."""
        signature = str(self._solana.wallet(sol=100, usdc=10_000).pay(url))
        self._paid[signature], self._slots[signature] = _now_us(), self._solana.cluster.slot
        return signature

    def transfer(self, index: int) -> None:
        """Let a stranger send something that fits nothing."""
        self._stranger.send_sol(self._merchant, FOREIGN_LAMPORTS + index, references=[Pubkey.new_unique()])

    def ways(self) -> dict[str, Way]:
        """Of those payments that a server has shown as final, by signature."""
        return {key: Way(self._paid[key], self._final[key], self._told[key]) for key in self._paid if key in self._told}

    def begin_counting(self) -> None:
        for seconds in self._seconds:
            seconds.clear()

    def asked(self) -> Asked:
        """What was asked since the counting began."""
        return Asked([one.total() for one in self._seconds], [max(one.values(), default=0) for one in self._seconds])

    def _look(self) -> None:
        final_slot, now_us = self._solana.cluster.slot_at(Commitment.FINALIZED), _now_us()
        for signature in [key for key, slot in self._slots.items() if slot <= final_slot]:
            del self._slots[signature]
            self._final[signature] = now_us

    def _listen(self, node: RpcNode, seconds: Counter[int]) -> None:
        def note(method: str, result: Any) -> Any:
            seconds[int(time.time())] += 1
            if method == "getSignaturesForAddress":
                for one in result:
                    if one["confirmationStatus"] == "finalized" and one["signature"] in self._paid:
                        self._told.setdefault(one["signature"], _now_us())
            return result

        node.faults.rewrite = note


def _now_us() -> int:
    return time.time_ns() // 1000


@asynccontextmanager
async def chain_part(slot_s: float = SLOT_S) -> AsyncGenerator[ChainPart]:
    async with (
        SolanaSandbox(slot_s=slot_s) as solana,
        PriceSandbox(requests_per_minute=1_000) as prices,
        DexScreenerSandbox() as dexscreener,
    ):
        while len(solana.nodes) < SERVERS:
            await solana.add_node()
        yield ChainPart(solana, prices, dexscreener)
