"""How people pay, and keep trying where the bot lets them wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from solders.pubkey import Pubkey
from solders.signature import Signature

from domain.payments.invoices import Invoice
from domain.payments.stars import invoice_id_in
from handlers.payments.buttons import BuyWithStars, ShowOffers
from sandbox.payments.nowpayments.ipn import Forgery
from sandbox.payments.nowpayments.records import Status
from sandbox.payments.solana import programs
from sandbox.payments.solana.cluster import CONFIRMED_AFTER, FINALIZED_AFTER
from sandbox.payments.solana.wallet.wallet import Wallet
from tests.faults.payments.crowd import Payer
from web.payments import NOWPAYMENTS_PATH

if TYPE_CHECKING:
    from sandbox.telegram.people import SandboxUser
    from sandbox.telegram.updates import JsonObject
    from tests.faults.payments.shop import Shop

_AGAIN_S: Final = 0.5
_ANSWERED_WITHIN_S: Final = 4.0
_UNITS: Final = {"sol": programs.SOL_DECIMALS, "usdc": programs.USDC_DECIMALS}


class Paying:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.forgeries: list[int | None] = []
        """What the bot answered to each."""
        self.forked = 0
        """Transactions that were confirmed and disappeared."""

    async def all(self, *, over_s: float) -> None:
        """Let everybody pay, evenly over a time; returns when the last one has."""
        people = self._shop.people
        async with asyncio.TaskGroup() as group:
            for one in people:
                group.create_task(self._pay(one))
                await asyncio.sleep(over_s / len(people))

    async def _pay(self, payer: Payer) -> None:
        match payer.way:
            case "stars":
                await self._in_stars(payer)
            case "nowpayments":
                await self._at_the_processor(payer)
            case _:
                await self._on_chain(payer)

    # on the chain

    async def _on_chain(self, payer: Payer) -> None:
        invoice = _invoice_of(payer)
        wallet = self._shop.solana.wallet(sol=50, usdc=1_000)
        units = int(invoice.amount.scaleb(_UNITS[payer.way]))
        reference = [Pubkey.from_string(invoice.reference)]
        match payer.how:
            case "once":
                self._send(payer, wallet, units, reference)
            case "by amount":
                self._send(payer, wallet, units, [])
            case "parts":
                self._send(payer, wallet, units // 2, reference)
                await asyncio.sleep(1.0)
                self._send(payer, wallet, units - units // 2, reference)
            case "forked":
                await self._fork(payer, self._send(payer, wallet, units, reference))
                self._send(payer, wallet, units, reference)
            case "withdrawn":
                await self._fork(payer, self._send(payer, wallet, units, reference))
                return
            case _:
                self._cheat(payer, wallet, units, reference)
                return
        payer.invoices.add(invoice.id)

    async def _fork(self, payer: Payer, signature: Signature) -> None:
        """Let a transaction disappear after most of the network has confirmed it."""
        await asyncio.sleep(self._shop.size.slot_s * (CONFIRMED_AFTER + FINALIZED_AFTER) / 2)
        self._shop.solana.cluster.fork_away(signature)
        self.forked += 1
        payer.arrivals.clear()

    def _send(self, payer: Payer, wallet: Wallet, units: int, references: list[Pubkey]) -> Signature:
        to = self._shop.merchant
        if payer.way == "sol":
            signature, mint = wallet.send_sol(to, units, references=references), "SOL"
        else:
            signature, mint = wallet.send_tokens(to, units, references=references), str(programs.USDC)
        payer.arrivals.add(f"solana:{signature}:{mint}")
        return signature

    def _cheat(self, payer: Payer, wallet: Wallet, units: int, references: list[Pubkey]) -> None:
        to = self._shop.merchant
        match payer.how:
            case "failed":
                wallet.fail(to, mint=programs.USDC if payer.way == "usdc" else None, references=references)
            case "foreign":
                mint = self._shop.solana.faucet.create_mint(programs.USDC_DECIMALS)
                self._shop.solana.faucet.give_tokens(wallet.address, mint, units)
                wallet.send_tokens(to, units, mint=mint, references=references)
            case _:
                wallet.flood(to, 3, references=references)

    # at the processor

    async def _at_the_processor(self, payer: Payer) -> None:
        invoice, desk = _invoice_of(payer), self._shop.nowpayments.desk
        payment = self._shop.nowpayments.payment(invoice.payment_id)
        if payer.how == "forged":
            await self._forge(invoice)
            return
        halves = payment.pay_amount / 2 if payer.how == "parts" else payment.pay_amount
        came = desk.deposit(payment, halves.quantize(Decimal("0.01")) if payer.how == "parts" else None)
        assert came
        payer.arrivals.add(f"nowpayments:{came.id}")
        if payer.how == "parts":
            while payment.status is not Status.PARTIALLY_PAID:  # noqa: ASYNC110 - the sandbox tells the bot, nobody here
                await asyncio.sleep(0.1)
            rest = desk.deposit(payment, payment.pay_amount - payment.actually_paid)
            assert rest
            payer.arrivals.add(f"nowpayments:{rest.id}")
        payer.invoices.add(invoice.id)

    async def _forge(self, invoice: Invoice) -> None:
        """Tell the bot in every way that the payment is finished."""
        sender, payment = self._shop.nowpayments.ipns, self._shop.nowpayments.payment(invoice.payment_id)
        url = f"http://{self._shop.ipns.authority}{NOWPAYMENTS_PATH}"
        paid = {"payment_status": "finished", "actually_paid": float(invoice.amount)}
        for forgery in Forgery:
            if forgery is not Forgery.UNSORTED:  # that one is rightly signed where the body is sorted
                self.forgeries.append(await sender.post(sender.forge(payment, forgery, url=url, changes=paid)))

    # in Stars

    async def _in_stars(self, payer: Payer) -> None:
        person = self._shop.stage.person(payer.user_id)
        person.wallet.top_up(100_000)
        while True:
            with suppress(TimeoutError):
                outcome = await person.wallet.pay(await self._invoice_in_stars(payer, person))
                if outcome.charge_id or self._was_charged(payer):
                    break
            if self._was_charged(payer):
                break
            await asyncio.sleep(_AGAIN_S)
        for charge in self._shop.stage.telegram.stars.ledger.charges.values():
            if charge.payer["id"] == payer.user_id:
                payer.arrivals.add(f"stars:{charge.id}")
                payer.invoices.add(invoice_id_in(charge.invoice.payload))

    async def _invoice_in_stars(self, payer: Payer, person: SandboxUser) -> JsonObject:
        """Choose in the chat; `TimeoutError` where the bot does not answer."""
        await person.send("/plan")
        plans = await person.next_message(where=lambda m: "reply_markup" in m, timeout_s=_ANSWERED_WITHIN_S)
        offer = payer.offer
        await person.tap_data(plans, ShowOffers(offer.plan).pack(), timeout_s=_ANSWERED_WITHIN_S)
        await person.tap_data(plans, BuyWithStars(offer.plan, offer.months).pack(), timeout_s=_ANSWERED_WITHIN_S)
        return await person.next_message(where=lambda m: "invoice" in m, timeout_s=_ANSWERED_WITHIN_S)

    def _was_charged(self, payer: Payer) -> bool:
        charges = self._shop.stage.telegram.stars.ledger.charges.values()
        return any(charge.payer["id"] == payer.user_id for charge in charges)


def _invoice_of(payer: Payer) -> Invoice:
    assert payer.invoice
    return payer.invoice
