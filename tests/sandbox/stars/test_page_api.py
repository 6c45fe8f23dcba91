"""The HTTP side of the chat page's wallet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.sandbox.stars.kit import MONTH, PERIODIC, PRICE, Till
from tests.sandbox.telegram_kit import ptb_bot, started
from tests.sandbox.test_telegram_page_api import get, page, post


async def test_an_invoice_is_shown_topped_up_for_and_paid() -> None:
    async with page() as (telegram, session), ptb_bot(telegram) as bot:
        ann, ben = await started(telegram), telegram.user("Ben")
        sent = await bot.send_invoice(ann.id, **MONTH)
        place = {"chat_id": ann.id, "message_id": sent.message_id}
        till = Till(bot)
        await till.updates()
        for user in (ann, ben):
            stars = f"/users/{user.id}/stars"
            assert await post(session, f"{stars}/invoice", place) == (
                200,
                {
                    "title": "Pro, one month",
                    "description": "Everything, for thirty days",
                    "amount": PRICE,
                    "period_s": 0,
                    "balance": 0,
                },
            )
            _, refused = await post(session, f"{stars}/payments", place)
            assert (refused["status"], refused["error"]) == ("failed", "BALANCE_TOO_LOW")
            assert (await post(session, f"{stars}/top-ups", {"amount": PRICE}))[1]["balance"] == PRICE
            paying = asyncio.create_task(post(session, f"{stars}/payments", place))
            query = (await till.next()).pre_checkout_query
            assert query is not None
            assert query.from_user.id == user.id
            await query.answer(ok=True)
            status, outcome = await paying
            assert (status, outcome["status"]) == (200, "paid")
            await till.next()
            _, wallet = await get(session, stars)
            assert wallet["balance"] == 0
            paid_at = wallet["payments"][outcome["charge_id"]].pop("paid_at")
            assert abs(paid_at - telegram.stars.now_s()) < 60
            assert wallet["payments"] == {
                outcome["charge_id"]: {"title": "Pro, one month", "amount": PRICE, "is_refunded": False, **place}
            }
            assert (await get(session, f"/users/{user.id}/chat"))[1]["stars"]["balance"] == 0


async def test_subscriptions_are_changed() -> None:
    async with page() as (telegram, session), ptb_bot(telegram) as bot:
        ann = await started(telegram)
        ann.wallet.top_up(10 * PRICE)
        outcome, _ = await Till(bot).sell(ann, await bot.create_invoice_link(**PERIODIC))
        path = f"/users/{ann.id}/stars/subscriptions/{outcome.charge_id}"

        async def change(what: str) -> dict[str, Any]:
            status, wallet = await post(session, path, {"change": what})
            assert status == 200
            (subscription,) = wallet["subscriptions"]
            return subscription

        assert (await change("cancel"))["is_canceled"]
        assert not (await change("resume"))["is_canceled"]
        before = ann.wallet.subscriptions[0].until_s
        assert (await change("renew"))["until"] == before + PERIODIC["subscription_period"]
        assert ann.wallet.balance == 8 * PRICE
        await change("cancel")
        assert (await change("renew"))["has_lapsed"]
        assert (await post(session, path, {"change": "resume"}))[0] == 404
        assert (await post(session, path, {"change": "explode"}))[0] == 400


async def test_a_payment_meets_the_fault_that_was_chosen() -> None:
    async with page() as (telegram, session), ptb_bot(telegram) as bot:
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        await till.updates()
        body = {"link": await bot.create_invoice_link(**MONTH), "fault": "says_cancelled"}
        paying = asyncio.create_task(post(session, f"/users/{ann.id}/stars/payments", body))
        query = (await till.next()).pre_checkout_query
        assert query is not None
        await query.answer(ok=True)
        assert (await paying)[1]["status"] == "cancelled"
        assert ann.wallet.balance == 0
        change = {"rates": {"twice": 0.5}, "next": ["late"], "late_s": 2.5, "seed": 3}
        expected = (200, {"rates": {"twice": 0.5}, "next": ["late"], "late_s": 2.5})
        assert await post(session, "/stars/faults", change) == expected
        assert await get(session, "/stars/faults") == expected


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/users/{ann}/stars/top-ups", {"amount": 0}, 400),
        ("/users/{ann}/stars/top-ups", {"amount": "much"}, 400),
        ("/users/5/stars/top-ups", {"amount": 1}, 404),
        ("/users/{ann}/stars/invoice", {"link": "https://t.me/$none"}, 404),
        ("/users/{ann}/stars/invoice", {"chat_id": 5, "message_id": 1}, 404),
        ("/users/{ann}/stars/payments", {"link": "https://t.me/$none"}, 404),
        ("/users/{ann}/stars/payments", {"link": "x", "fault": "explode"}, 400),
        ("/users/{ann}/stars/subscriptions/stx", {"change": "cancel"}, 404),
        ("/stars/faults", {"rates": {"twice": 2}}, 400),
        ("/stars/faults", {"nonsense": 1}, 400),
    ],
)
async def test_bad_requests_are_refused(path: str, body: object, status: int) -> None:
    async with page() as (telegram, session):
        ann = await started(telegram)
        answer = await post(session, path.format(ann=ann.id), body)
        assert answer[0] == status
        assert isinstance(answer[1]["error"], str)


async def test_only_the_page_itself_may_pay() -> None:
    async with page() as (telegram, session):
        ann = await started(telegram)
        path = f"/users/{ann.id}/stars/top-ups"
        assert (await post(session, path, {"amount": 1}, headers={"Origin": "https://example.com"}))[0] == 403
        assert ann.wallet.balance == 0


async def test_files_of_the_page_lie_in_rooms() -> None:
    async with page() as (_, session):
        for name, status in (("stars/stars.js", 200), ("stars/none.js", 404), ("stars/../../server.py", 404)):
            async with session.get(f"/page/{name}") as response:
                assert response.status == status
        async with session.get("/page/stars%2F..%2F..%2Fserver.py") as response:
            assert response.status == 404


async def test_the_people_list_tells_of_money() -> None:
    async with page() as (telegram, session), ptb_bot(telegram) as bot:
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)

        async def last() -> str:
            return (await get(session, "/users"))[1]["users"][0]["last_text"]

        sent = await bot.send_invoice(ann.id, **MONTH)
        assert await last() == "Pro, one month"
        outcome, _ = await Till(bot).sell(ann, sent.to_dict())
        assert await last() == "⭐ 250 paid"
        await bot.refund_star_payment(ann.id, outcome.charge_id)
        assert await last() == "⭐ 250 refunded"
