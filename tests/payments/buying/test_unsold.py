"""Plans have prices and nobody can pay: admins are told, people are not."""

from __future__ import annotations

from services.monitoring.alarms import AlarmsService
from tests.payments.buying.kit import ADMIN, Shop, buttons, open_shop, words


async def test_admins_are_told_that_nobody_can_pay(redis_url: str, postgres_dsn: str) -> None:
    async with open_shop(redis_url, postgres_dsn, solana=False, nowpayments=False, stars=False) as shop:
        ann = await shop.person()
        plans = await ann.plans()
        assert buttons(plans) == []
        assert "pay" not in words(plans).replace("/paysupport", "").replace("paid", "")
        for data in ("offers:pro", "ways:pro:1", "coins:pro:1:0", "buysolana:pro:1:sol", "buystars:pro:1"):
            assert "not sold" in (await ann.user.tap_data(plans, data))["text"], data
        admin = shop.telegram.user("Admin", user_id=ADMIN)
        told = await admin.next_message(timeout_s=30, where=lambda message: "ways of paying" in words(message))
        assert "plans have prices, and nobody can pay: set PAY_WITH_STARS or PAY_WITH_CRYPTO" in words(told)
        assert not any("nobody can pay" in words(message) for message in ann.user.messages)


async def test_they_are_not_where_something_is_configured(shop: Shop) -> None:
    shop.bot.of(AlarmsService).poll()
    assert "ways of paying" not in {alarm.name for alarm in shop.bot.of(AlarmsService).active()}
