"""What the tests of Telegram Stars share: something to sell, and the bot's side of a payment."""

from __future__ import annotations

import asyncio
from typing import Any

from telegram import Bot, LabeledPrice, Update

from sandbox.telegram.people import SandboxUser
from sandbox.telegram.stars.checkout import Outcome
from sandbox.telegram.stars.invoices import PERIOD_S

PRICE = 250
MONTH: dict[str, Any] = {
    "title": "Pro, one month",
    "description": "Everything, for thirty days",
    "payload": "inv_7f3a",
    "currency": "XTR",
    "prices": [LabeledPrice("Pro", PRICE)],
}
PERIODIC: dict[str, Any] = {**MONTH, "payload": "sub_1", "subscription_period": PERIOD_S}


class Till:
    """Reads the bot's updates in order, acknowledging what it has seen."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self._offset = 0

    async def updates(self) -> list[Update]:
        """Return everything that waits."""
        return await self._take(limit=100, timeout_s=0)

    async def _take(self, *, limit: int, timeout_s: int) -> list[Update]:
        updates = await self.bot.get_updates(offset=self._offset, limit=limit, timeout=timeout_s)
        if updates:
            self._offset = updates[-1].update_id + 1
        return list(updates)

    async def next(self) -> Update:
        """Await the update that comes next."""
        (update,) = await self._take(limit=1, timeout_s=10)
        return update

    async def sell(self, payer: SandboxUser, invoice: dict[str, Any] | str) -> tuple[Outcome, Update]:
        """Let somebody pay and the bot agree; how it ended for the payer, and the bot's update."""
        await self.updates()
        paying = asyncio.create_task(payer.wallet.pay(invoice))
        query = (await self.next()).pre_checkout_query
        assert query is not None
        await query.answer(ok=True)
        return await paying, await self.next()
