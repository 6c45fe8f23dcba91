"""While Redis is unavailable nobody is promised anything; afterwards everything goes on."""

from __future__ import annotations

from tests.faults.proxy import FaultProxy
from tests.payments.buying.kit import invoice_id, open_shop, words


async def test_nothing_is_promised_without_redis(redis_url: str, postgres_dsn: str) -> None:
    async with FaultProxy(redis_url) as proxy, open_shop(proxy.redis_url, postgres_dsn) as shop:
        ann = await shop.person()
        invoice = await ann.buys("◎ SOL")
        number = invoice_id(invoice)
        url, coins = await shop.url(number), await ann.coins()
        seen = len(ann.user.messages)
        await proxy.refuse()
        for way in ("buysolana:pro:3:sol", "buysolana:pro:3:usdc"):
            answer = await ann.user.tap_data(coins, way, timeout_s=30)
            assert "I cannot make an invoice right now, so please send nothing" in answer["text"]
        answer = await ann.user.tap_data(coins, "buycoin:pro:3:usdttrc20", timeout_s=30)
        assert "please send nothing" in answer["text"]
        answer = await ann.user.tap_data(coins, f"checkinvoice:{number}", timeout_s=30)
        assert "I cannot look right now" in answer["text"]
        assert len(ann.user.messages) == seen
        assert shop.processor.desk.payments == {}
        await proxy.repair()
        shop.wallet.pay(url)
        shop.chain.finalize()
        await ann.user.next_message(timeout_s=60, where=lambda message: "Paid:" in words(message))
        await ann.has("pro")
        assert await ann.receipts() == 1
