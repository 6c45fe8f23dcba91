"""Where the sandbox's money is: a chain with a shop's wallet and somebody's to pay from, and a payment processor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SLOT_S, SolanaSandbox
from sandbox.payments.solana.wallet.page import WalletPage

STAGE_S = 2.0
"""How long each step of a payment at the processor takes."""
MERCHANT = "sandbox-merchant.json"
"""Where in the data directory the shop's wallet is: invoices outlive the chain that they are paid on."""
PROCESSOR = "sandbox-nowpayments.json"
"""Where there the processor's payments are: an address that it has given out stays one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidChain:
    chain: SolanaSandbox
    merchant: str
    """The address that is paid."""
    wallet: WalletPage
    """Of somebody who pays."""

    @property
    def usdc_mint(self) -> str:
        return str(programs.USDC)


@asynccontextmanager
async def open_chain(data_dir: Path, *, slot_s: float | None = SLOT_S) -> AsyncGenerator[PaidChain]:
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(SolanaSandbox(slot_s=slot_s))
        merchant = chain.wallet(sol=0, keypair=_merchant(data_dir / MERCHANT))
        chain.open_wallet(merchant.address)
        chain.open_token_account(merchant.address)
        yield PaidChain(
            chain=chain,
            merchant=str(merchant.address),
            wallet=await chain.open_wallet_page(),
        )


def open_processor(data_dir: Path | None) -> NowPaymentsSandbox:
    """`None`: it forgets its payments."""
    return NowPaymentsSandbox(stage_s=STAGE_S, kept_at=data_dir / PROCESSOR if data_dir else None)


def _merchant(path: Path) -> Keypair:
    if path.exists():
        return Keypair.from_json(path.read_text())
    keypair = Keypair()
    path.touch(mode=0o600)
    path.write_text(keypair.to_json())
    return keypair
