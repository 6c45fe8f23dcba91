"""A shop that watches a cluster, and people who pay it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count

from msgspec import Struct
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from domain.payments.amounts import Asset
from domain.payments.invoices import State, assess
from domain.payments.plans import Offer
from domain.stored.payments import InvoiceFile
from managers.payments.solana_rpc import SolanaRpcManager
from runtime.errors import TransientError
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from services.payments.invoicing import Coin, Invoicing, PaymentRequest, receiver_of
from services.payments.rates import Rates
from services.payments.solana_claims import SolanaClaims
from services.payments.solana_receipts import SolanaReceipts
from services.payments.solana_watcher import OVERLAP_SLOTS, SolanaWatcher
from tests.payments.ledger_kit import Clock, Stores, Told

_USERS = count(100)


class Price:
    """A source of the price of SOL that says what a test wants."""

    def __init__(self, usd: str | None = "100") -> None:
        self.usd = usd

    async def sol_usd(self) -> Decimal:
        if self.usd is None:
            raise TransientError("away")
        return Decimal(self.usd)


class Shop(Struct, kw_only=True):
    stores: Stores
    solana: SolanaSandbox
    address: Pubkey
    rpc: SolanaRpcManager
    price: Price
    invoicing: Invoicing
    receipts: SolanaReceipts
    watcher: SolanaWatcher
    claims: SolanaClaims

    @property
    def clock(self) -> Clock:
        return self.stores.clock

    async def invoice(self, coin: Coin = "sol", *, user_id: int | None = None, usd: str = "50") -> PaymentRequest:
        offer = Offer(plan="pro", months=1, days=30, price_usd=Decimal(usd))
        return await self.invoicing.make(next(_USERS) if user_id is None else user_id, offer, coin)

    async def final(self) -> None:
        """Everything becomes final, and is seen."""
        self.solana.finalize()
        await self.watcher.poll()

    async def old(self) -> None:
        """So much time passes that the cursor may follow."""
        self.solana.advance(OVERLAP_SLOTS + 40)
        self.clock.pass_(seconds=60)
        await self.watcher.poll()

    async def file(self, request: PaymentRequest) -> InvoiceFile:
        file = await self.stores.ledger.find(request.invoice.id)
        assert file is not None
        return file

    async def state(self, request: PaymentRequest) -> State:
        file = await self.file(request)
        return assess(
            file.invoice, file.arrivals, self.clock.now, credited=file.is_credited, taken_back=file.is_taken_back
        ).state

    async def credited(self, request: PaymentRequest) -> bool:
        return (await self.file(request)).is_credited

    async def unmatched(self) -> list[tuple[str, str]]:
        records = await self.stores.ledger.unmatched()
        return [(record.arrival.asset, f"{record.arrival.amount.normalize():f}") for record in records]

    async def told(self, request: PaymentRequest) -> list[Told]:
        return [one for one in await self.stores.told() if one.notice.invoice_id == request.invoice.id]


def units(amount: Decimal, asset: Asset) -> int:
    return int(amount.scaleb(asset.decimals))


@asynccontextmanager
async def shop_on(
    stores: Stores,
    solana: SolanaSandbox,
    address: Pubkey,
    *,
    page: int = 100,
    servers: int = 1,
    price: Price | None = None,
) -> AsyncGenerator[Shop]:
    """A process that watches."""
    receiver, price = receiver_of(str(address), str(programs.USDC)), price or Price()
    rates = Rates(one=price, other=price, clock=stores.clock)
    urls = [node.url for node in solana.nodes][:servers]
    async with SolanaRpcManager(urls, requests_per_s=10_000, clock=stores.clock.timestamp) as rpc:
        receipts = SolanaReceipts(rpc=rpc, ledger=stores.ledger, rates=rates, receiver=receiver, clock=stores.clock)
        yield Shop(
            stores=stores,
            solana=solana,
            address=address,
            rpc=rpc,
            price=price,
            invoicing=Invoicing(
                ledger=stores.ledger, rates=rates, receiver=receiver, label="Token filters", clock=stores.clock
            ),
            receipts=receipts,
            watcher=SolanaWatcher(
                rpc=rpc, ledger=stores.ledger, receipts=receipts, receiver=receiver, clock=stores.clock, page=page
            ),
            claims=SolanaClaims(ledger=stores.ledger, receipts=receipts),
        )


def new_address() -> Pubkey:
    return Keypair().pubkey()
