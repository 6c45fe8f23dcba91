"""A kind of message that the bot does not have: what a new kind takes is all here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from domain.delivery.messages import Message
from domain.delivery.policy import Rules
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from tests.delivery.kit import NOW

NOTICES = Rules(needs_plan=False, fresh_for=timedelta(hours=1), when_stale="drop")


class Notice(Struct, frozen=True, kw_only=True):
    text: str
    answers: int | None = None


class NoticeComposer(Composer):
    def row(
        self, name: str = "notice", *, lane: Lane = Lane.FOLLOW_UP, rules: Rules = NOTICES, merges: int = 1
    ) -> Kind:
        return Kind(name=name, payload=Notice, lane=lane, rules=rules, composer=self, merges=merges)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        notices = [waiting.payload_as(Notice) for waiting in together]
        lines = [f"{one.text}{' (again)' * w.may_repeat}" for one, w in zip(notices, together, strict=True)]
        if together[0].verdict.is_late:
            lines.append("late")
        return Composed(Message(html="\n".join(lines), reply_to=notices[0].answers), tuple(together))


def notice(
    user_id: int,
    text: str = "Hello",
    *,
    kind: str = "notice",
    subject: str = "welcome",
    step: str = "",
    answers: int | None = None,
    at: datetime = NOW,
) -> Envelope:
    payload = Notice(text=text, answers=answers)
    return Envelope.of(kind, payload, user_id=user_id, subject=subject, step=step, decided_at=at)
