"""Updates that Telegram has not sent, those that it sends about somebody else's money, and taps of outsiders."""

from __future__ import annotations

import asyncio
from typing import Any

from domain.payments.invoices import Arrival, Invoice
from handlers.admin.buttons import AskRuling, ConfirmRuling, NoteRuling
from handlers.conversation.guard import Sure
from runtime.clock import now
from services.administration.confirmations import Confirmations
from services.payments.group import SettlingServices
from services.payments.ledger import Ledger
from tests.payments.forged.kit import ADMIN, HOOK_HEADER, HOOK_SECRET, Scene, message, stars
from web.telegram_webhook import PATH

BUY = "buystars:pro:12"
GROUP = {"id": -100_500, "type": "supergroup", "title": "Admins"}


def paid_by(user_id: int, invoice: Invoice, charge_id: str = "c1", **changes: Any) -> dict[str, Any]:
    told = stars(invoice.id, int(invoice.amount), charge_id) | changes
    return message(user_id, successful_payment=told)


async def given(scene: Scene, user_id: int) -> int:
    return await scene.days(user_id)


async def settled(scene: Scene) -> None:
    """Wait until what was brought before is handled: updates of one person keep their order."""

    def answers() -> int:
        return sum(int(one["chat_id"]) == 4_000 for one in scene.telegram.calls("sendMessage"))

    before = answers()
    await scene.writes(4_000, "/start")
    await scene.until(lambda: asyncio.sleep(0, answers() > before))


async def test_without_the_secret_nothing_is_an_update(scene: Scene) -> None:
    ann = await scene.buys(1, BUY)
    update = {"update_id": 10_000, "message": paid_by(1, ann)}
    headers: list[dict[str, str]] = [
        {},
        {HOOK_HEADER: ""},
        {HOOK_HEADER: HOOK_SECRET[:-1]},
        {HOOK_HEADER: HOOK_SECRET + " x"},
        {HOOK_HEADER: "ÿ"},
        {"Authorization": HOOK_SECRET},
    ]
    answers = [await scene.posts(PATH, update, one) for one in headers]
    answers += [await scene.posts(PATH, body) for body in (b"", b"{", b"x" * 900_000)]
    answers += [await scene.posts(f"{PATH}?secret_token={HOOK_SECRET}", update)]
    assert len(set(answers)) == 1, answers
    assert answers[0].status == 403
    assert await given(scene, 1) == 0
    assert (await scene.posts(PATH, update, {HOOK_HEADER: HOOK_SECRET})).status == 200
    assert await given(scene, 1) == 365
    for _ in range(3):
        assert (await scene.posts(PATH, update, {HOOK_HEADER: HOOK_SECRET})).status == 200
        assert (await scene.updates(message=paid_by(1, ann))).status == 200
    assert await given(scene, 1) == 365


async def test_money_of_somebody_else_or_of_another_kind_gives_nothing(scene: Scene) -> None:
    ann, sol = await scene.buys(1, BUY), await scene.buys(1)
    told = [
        paid_by(2, ann, "c1"),
        paid_by(1, ann, "c2", total_amount=1),
        paid_by(1, ann, "c3", currency="USD"),
        paid_by(1, ann, "c4", invoice_payload=sol.id),
        paid_by(1, ann, "c5", invoice_payload=f"{ann.id}:arrivals"),
        paid_by(1, ann, "c6", total_amount=-int(ann.amount)),
    ]
    for one in told:
        assert (await scene.updates(message=one)).status == 200
    ledger = scene.bot.of(Ledger)
    assert {record.arrival.key for record in await ledger.unmatched()} == {f"stars:c{n}" for n in range(1, 7)}
    assert [await given(scene, user_id) for user_id in (1, 2)] == [0, 0]


async def test_what_is_quoted_edited_or_posted_elsewhere_is_no_payment(scene: Scene) -> None:
    ann = await scene.buys(1, BUY)
    paid = paid_by(1, ann)
    quoting: list[dict[str, Any]] = [
        {"message": message(1, text="look", reply_to_message=paid)},
        {"message": message(1, pinned_message=paid)},
        {"message": message(1, text=str(paid))},
        {"edited_message": paid},
        {"channel_post": paid},
        {"edited_channel_post": paid},
        {"business_message": paid},
        {"callback_query": {"id": "1", "from": paid["from"], "message": paid, "chat_instance": "1", "data": "x"}},
    ]
    for one in quoting:
        assert (await scene.updates(**one)).status == 200
    await settled(scene)
    assert await given(scene, 1) == 0
    assert await scene.bot.of(Ledger).unmatched() == []


async def test_nobody_may_pay_what_is_not_theirs_and_none_is_told_why(scene: Scene) -> None:
    ann, sol = await scene.buys(1, BUY), await scene.buys(1)
    price = int(ann.amount)
    asked = [
        (2, ann.id, price, "XTR"),
        (1, ann.id, price + 1, "XTR"),
        (1, ann.id, price, "USD"),
        (1, sol.id, price, "XTR"),
        (1, f"{ann.id}:version", price, "XTR"),
        (1, "", price, "XTR"),
        (1, ann.id, price, "XTR"),
    ]
    for number, (user_id, payload, amount, currency) in enumerate(asked, 1):
        query = {"id": f"q{number}", "from": message(user_id)["from"], "currency": currency, "total_amount": amount}
        assert (await scene.updates(pre_checkout_query=query | {"invoice_payload": payload})).status == 200
        await scene.telegram.until_asked("answerPreCheckoutQuery", number)
    *refused, accepted = scene.telegram.calls("answerPreCheckoutQuery")
    assert accepted["pre_checkout_query_id"] == "q7"
    assert accepted["ok"] == "true"
    assert {answer["ok"] for answer in refused} == {"false"}
    assert len({answer["error_message"] for answer in refused}) == 1


async def test_a_refund_gives_back_once_and_the_payment_told_again_gives_nothing(scene: Scene) -> None:
    ann = await scene.buys(1, BUY)
    told = stars(ann.id, int(ann.amount), "c1")
    for kind in ("successful_payment", "refunded_payment", "successful_payment", "refunded_payment"):
        assert (await scene.updates(message=message(1, **{kind: told}))).status == 200
    assert await given(scene, 1) == 0
    [file] = [one for one in await scene.invoices(1) if one.invoice.id == ann.id]
    assert file.stands.state == "refunded"


async def test_outsiders_groups_and_old_buttons_settle_nothing(scene: Scene) -> None:
    eve, ledger, search = await scene.buys(666), scene.bot.of(Ledger), scene.bot.of(SettlingServices).search
    came = Arrival(key="solana:stray:SOL", asset="SOL", amount=eve.amount, at=now())
    await ledger.arrived(came, None)
    handle = await search.handle_of(came.key)
    asked = scene.bot.of(Confirmations)
    meant = ConfirmRuling("settle", handle, eve.id).pack()
    yes, hers = [Sure(await asked.ask(one, meant)).pack() for one in (ADMIN, 666)]
    ask = AskRuling("settle", handle, eve.id).pack()
    for data in (yes, hers, meant, ask, f"payarrival:{handle}", "payments"):
        await scene.taps(666, data)
        await scene.taps(666, data, GROUP)
        await scene.taps(ADMIN, data, GROUP)
        # Whose chat it is said to be does not make somebody an admin.
        await scene.taps(666, data, {"id": -ADMIN, "type": "group"})
    for data in (meant, hers, f"{yes}:x", f"{yes}x"):
        await scene.taps(ADMIN, data)
    await scene.writes(666, f"/payments {came.key}")
    await scene.writes(666, eve.id)
    in_group = {"text": f"/payments {eve.id}", "entities": [{"type": "bot_command", "offset": 0, "length": 9}]}
    await scene.updates(message=message(ADMIN, **in_group) | {"chat": GROUP})
    edited = message(ADMIN, **in_group)
    await scene.updates(edited_message=edited)
    await settled(scene)
    assert await given(scene, 666) == 0
    [record] = await ledger.unmatched()
    assert record.settled_by is None
    assert not any("stray" in str(one) for one in scene.telegram.asked)
    await scene.taps(ADMIN, yes)
    assert await given(scene, 666) == 30


async def test_an_admin_who_is_none_any_more_answers_no_question(scene: Scene) -> None:
    eve, ledger, settling = await scene.buys(666), scene.bot.of(Ledger), scene.bot.of(SettlingServices)
    await ledger.arrived(Arrival(key="solana:stray:SOL", asset="SOL", amount=eve.amount, at=now()), None)
    handle = await settling.search.handle_of("solana:stray:SOL")
    said = NoteRuling("dismiss", handle, "").pack()
    await scene.bot.bot.services.conversation.inputs.expect(666, "payments_ruling", said)
    await scene.writes(666, "for nothing")
    await settled(scene)
    [record] = await ledger.unmatched()
    assert record.arrival.ruling is None
