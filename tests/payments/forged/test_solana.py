"""What thieves, our own wallet and broken nodes put on the chain, before the whole bot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from domain.payments.amounts import SOL, USDC, to_units
from domain.payments.invoices import Invoice
from services.payments import solana_watcher
from services.payments.invoicing import MAX_OPEN
from services.payments.ledger import Ledger
from tests.payments.forged import chain as chains
from tests.payments.forged.chain import RENT, TOKEN_2022, WRAPPED, Chain, Holding, address, token_account
from tests.payments.forged.kit import Scene

SOLD_IN_SOL = "buysolana:pro:1:sol"

Forge = Callable[[Chain, Invoice], object]


def units(invoice: Invoice) -> int:
    return to_units(invoice.amount, SOL if invoice.asset == "SOL" else USDC)


def ours(chain: Chain, before: int | None, after: int | None, **other: Any) -> Holding:
    here: dict[str, Any] = {"account": chain.usdc_account, "owner": chain.wallet, "before": before, "after": after}
    return Holding(**here | other)


def wrapped(chain: Chain, before: int | None, after: int | None) -> Holding:
    return ours(chain, before, after, account=chain.wsol_account, mint=WRAPPED)


def failed(chain: Chain, invoice: Invoice) -> object:
    error = {"InstructionError": [0, {"Custom": 1}]}
    return chain.pays_usdc(units(invoice), names=[invoice.reference], error=error)


def foreign_mint(chain: Chain, invoice: Invoice) -> object:
    mint = address()
    there = token_account(chain.wallet, mint)
    return chain.lands({}, [ours(chain, 0, units(invoice), account=there, mint=mint)], names=[invoice.reference])


def token_2022(chain: Chain, invoice: Invoice) -> object:
    return chain.lands({}, [ours(chain, 0, units(invoice), program=TOKEN_2022)], names=[invoice.reference])


def dust(chain: Chain, invoice: Invoice) -> object:
    return chain.pays_usdc(1, names=[invoice.reference])


def memo(chain: Chain, invoice: Invoice) -> object:
    said = f"{invoice.id} {invoice.amount} USDC {invoice.reference}"
    return chain.lands({}, names=[invoice.reference, chain.wallet, chain.usdc_account], memo=said)


def to_a_stranger(chain: Chain, invoice: Invoice) -> object:
    owner = address()
    paid = ours(chain, 0, units(invoice), account=token_account(owner, chains.USDC), owner=owner)
    return chain.lands({}, [paid], names=[invoice.reference, chain.wallet, chain.usdc_account])


def there_and_back(chain: Chain, invoice: Invoice) -> object:
    return chain.lands({}, [ours(chain, units(invoice), units(invoice))], names=[invoice.reference])


def sweep(chain: Chain, invoice: Invoice) -> object:
    return chain.lands({}, [ours(chain, units(invoice), 0)], signers=[chain.wallet], names=[invoice.reference])


def closed(chain: Chain, invoice: Invoice) -> object:
    """The rent of an account of ours that is closed comes back to the wallet."""
    lamports = {chain.wallet: (10**9, 10**9 + RENT - 5000), chain.usdc_account: (RENT, 0)}
    return chain.lands(lamports, [ours(chain, 0, None)], signers=[chain.wallet], names=[invoice.reference])


def swapped(chain: Chain, invoice: Invoice) -> object:
    return chain.lands({chain.wallet: (10**12, 10**9)}, [ours(chain, 0, units(invoice))], signers=[chain.wallet])


def wrapped_by_us(chain: Chain, invoice: Invoice) -> object:
    n = units(invoice)
    lamports = {chain.wallet: (10**12, 10**12 - n - 5000), chain.wsol_account: (RENT, RENT + n)}
    return chain.lands(lamports, [wrapped(chain, 0, n)], signers=[chain.wallet])


def unwrapped_by_us(chain: Chain, invoice: Invoice) -> object:
    n = units(invoice)
    lamports = {chain.wallet: (10**12, 10**12 + n), chain.wsol_account: (n, 0)}
    return chain.lands(lamports, [wrapped(chain, n, None)], signers=[address(), chain.wallet])


IN_USDC: list[Forge] = [
    failed,
    foreign_mint,
    token_2022,
    dust,
    memo,
    to_a_stranger,
    there_and_back,
    sweep,
    closed,
    swapped,
]
IN_SOL: list[Forge] = [wrapped_by_us, unwrapped_by_us]


async def test_none_of_this_pays_and_the_honest_payment_after_it_does(scene: Scene) -> None:
    forged: dict[str, Invoice] = {}
    for number, forge in enumerate([*IN_USDC, *IN_SOL]):
        invoice = await scene.buys(1_000 + number, SOLD_IN_SOL if forge in IN_SOL else "buysolana:pro:1:usdc")
        forge(scene.chain, invoice)
        forged[forge.__name__] = invoice
    honest = await scene.buys(2_000)
    newest = scene.chain.pays_usdc(units(honest), names=[honest.reference])
    await scene.paid(honest)
    for invoice in forged.values():
        await scene.taps(invoice.user_id, f"checkinvoice:{invoice.id}")
    await scene.read_to_the_end()
    assert {name for name, one in forged.items() if await scene.days(one.user_id)} == set()
    assert {await scene.state(one) for one in forged.values()} == {"open"}
    ledger = scene.bot.of(Ledger)
    assert await ledger.unmatched() == []
    cursor = await ledger.cursor(f"solana:5eykt4Us:{scene.chain.usdc_account}")
    assert cursor
    assert cursor.position == newest


def inner(chain: Chain, invoice: Invoice) -> object:
    return chain.pays_sol(units(invoice) + 7, names=[invoice.reference], within=True)


def looked_up(chain: Chain, invoice: Invoice) -> object:
    return chain.pays_sol(units(invoice) + 7, by_table=[invoice.reference])


def wrapped_and_opened(chain: Chain, invoice: Invoice) -> object:
    """The payer opens our account for wrapped SOL; its rent is no part of what they pay."""
    lamports = {chain.wsol_account: (0, RENT + units(invoice))}
    return chain.lands(lamports, [wrapped(chain, None, units(invoice))])


def account_handed_over(chain: Chain, invoice: Invoice) -> object:
    """An account becomes ours with what is in it."""
    there, stranger = address(), address()
    before = ours(chain, units(invoice), None, account=there, owner=stranger, mint=WRAPPED)
    after = ours(chain, None, units(invoice), account=there, mint=WRAPPED)
    return chain.lands({}, [before, after], names=[invoice.reference, chain.wallet])


async def test_what_is_sent_in_unusual_ways_pays_once(scene: Scene) -> None:
    paid: list[Invoice] = []
    for number, send in enumerate((inner, looked_up, wrapped_and_opened, account_handed_over)):
        invoice = await scene.buys(1_000 + number, SOLD_IN_SOL)
        send(scene.chain, invoice)
        await scene.paid(invoice)
        await scene.taps(invoice.user_id, f"checkinvoice:{invoice.id}")
        paid.append(invoice)
    await scene.read_to_the_end()
    assert [await scene.days(one.user_id) for one in paid] == [30] * 4
    assert {await scene.state(one) for one in paid} == {"paid"}
    assert await scene.bot.of(Ledger).unmatched() == []


async def test_one_for_two_pays_one_and_two_for_one_pay_it_once(scene: Scene) -> None:
    ann, ben, cem = [await scene.buys(user_id) for user_id in (1, 2, 3)]
    scene.chain.pays_usdc(units(ben), names=[ann.reference, ben.reference])
    for _ in range(2):
        scene.chain.pays_usdc(units(cem), names=[cem.reference])
    await scene.paid(ben)
    await scene.paid(cem)
    await scene.read_to_the_end()
    assert [await scene.days(user_id) for user_id in (1, 2, 3)] == [0, 30, 30]
    assert [await scene.state(one) for one in (ann, ben, cem)] == ["open", "paid", "overpaid"]


async def test_who_pays_late_is_not_robbed_by_whoever_pastes_their_transaction(scene: Scene) -> None:
    """Everybody who buys the same is asked for nearly the same, and everybody sees what arrives."""
    eve = await scene.buys(666)
    ledger, ago = scene.bot.of(Ledger), timedelta(minutes=21)
    ann = replace(
        eve,
        id="ANNSWAYS",
        user_id=7,
        amount=eve.amount + Decimal("0.000999"),
        reference=address(),
        created_at=eve.created_at - ago,
        expires_at=eve.expires_at - ago,
    )
    assert await ledger.open(ann, told_by_amount=True)
    await asyncio.sleep(1.0 - eve.created_at.microsecond / 1e6)  # a block's time has no fractions
    pasted = scene.chain.pays_usdc(units(ann) - 400)  # an exchange kept something
    await scene.until(lambda: _is_unmatched(ledger))
    await scene.writes(666, pasted)

    def is_refused() -> bool:
        return any("fits no open invoice of yours" in one["text"] for one in scene.telegram.calls("sendMessage"))

    await scene.until(lambda: asyncio.sleep(0, is_refused()))
    assert await scene.days(666) == 0
    assert len(await ledger.unmatched()) == 1


async def _is_unmatched(ledger: Ledger) -> bool:
    return bool(await ledger.unmatched())


def impossible_signature(method: str, result: Any) -> Any:
    made_up = {"signature": "x", "slot": 1, "err": None, "blockTime": 1, "confirmationStatus": "finalized"}
    return [made_up, *result] if method == "getSignaturesForAddress" else result


def impossible_time(method: str, result: Any) -> Any:
    if method == "getSignaturesForAddress":
        return [one | {"blockTime": 10**18} for one in result]
    return result


def impossible_time_within(method: str, result: Any) -> Any:
    return result | {"blockTime": -(10**15)} if method == "getTransaction" else result


def impossible_slot(method: str, result: Any) -> Any:
    if method == "getSignaturesForAddress":
        return [one | {"slot": 2**70} for one in result]
    return 2**70 if method == "getSlot" else result


def slots_ahead(method: str, result: Any) -> Any:
    """A failed transaction that nobody has sent, far in the future."""
    if method == "getSlot":
        return result + 10**9
    made_up = {"signature": "1" * 64, "slot": chains.FIRST_SLOT + 10**8, "err": "AccountInUse", "blockTime": None}
    return [made_up | {"confirmationStatus": "finalized"}, *result] if method == "getSignaturesForAddress" else result


@pytest.mark.parametrize(
    "lie", [impossible_signature, impossible_time, impossible_time_within, impossible_slot, slots_ahead]
)
async def test_a_node_that_makes_things_up_ends_nothing_and_hides_nothing(
    scene: Scene, lie: Callable[[str, Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solana_watcher, "SLOT_ASKED_EVERY", timedelta(0))
    before, after = await scene.buys(1), await scene.buys(2)
    told = 0

    def twist(method: str, result: Any) -> Any:
        nonlocal told
        said = lie(method, result)
        told += said != result
        return said

    async def is_told() -> bool:
        cursor = await scene.bot.of(Ledger).cursor(f"solana:5eykt4Us:{scene.chain.usdc_account}")
        return cursor is not None if lie is slots_ahead else told >= 2

    scene.chain.pays_usdc(units(before))
    scene.chain.twist = twist
    await scene.until(is_told)
    scene.chain.twist = lambda _method, result: result
    scene.chain.pays_usdc(units(after))
    await scene.paid(before)
    await scene.paid(after)


async def test_dust_does_not_buy_more_open_invoices(scene: Scene) -> None:
    """Each of them keeps an amount from everybody else."""
    for _ in range(MAX_OPEN):
        invoice = await scene.buys(1)
        scene.chain.pays_usdc(6_000, names=[invoice.reference])

        async def has_come(one: Invoice = invoice) -> bool:
            return await scene.state(one) == "underpaid"

        await scene.until(has_come)
    await scene.taps(1, "buysolana:pro:1:usdc")
    assert f"{MAX_OPEN} open invoices" in scene.telegram.calls("answerCallbackQuery")[-1]["text"]
    assert len(await scene.invoices(1)) == MAX_OPEN
