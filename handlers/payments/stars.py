"""Telegram Stars: whether somebody may pay, and what was paid or paid back."""

from __future__ import annotations

from domain.delivery.messages import Message
from domain.payments.stars import PreCheckout, StarPayment
from handlers.conversation.base import BotBase
from handlers.conversation.routing import checkout, payment
from services.payments.stars import StarsService
from texts.renderer import FALLBACK_LANGUAGE


class StarsMixin(BotBase):
    @checkout
    async def stars_checkout(self, query: PreCheckout) -> None:
        stars = self.services.of(StarsService)
        refusal = await stars.refusal(query)
        texts, language = self.services.conversation.texts, query.language or FALLBACK_LANGUAGE
        await stars.answer(query, refusal and texts.plain(f"stars.refused.{refusal}", language))

    @payment
    async def stars_paid(self, paid: StarPayment) -> Message | None:
        """Say what the ledger tells nobody: that it fits nothing."""
        if not await self.services.of(StarsService).arrived(paid):
            return None
        key = "stars.unmatched_refunded" if paid.is_refunded else "stars.unmatched"
        language = paid.language or FALLBACK_LANGUAGE
        html = self.services.conversation.texts.render(key, language, stars=f"{paid.amount:,}", charge=paid.charge_id)
        return Message(html=str(html))
