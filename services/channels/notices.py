"""What people are told of channels that they suggested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from domain.channels.names import channel_link
from domain.delivery.messages import Message
from domain.delivery.policy import Rules
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from services.channels.rows import ReadChannel
from services.claims.putting import Putting
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from texts.renderer import Texts

KIND: Final = "suggestion"


class SuggestionNotice(Struct, frozen=True, kw_only=True):
    channel: str
    accepted: bool


class SuggestionNotices:
    def __init__(self, putting: Putting, clock: Callable[[], datetime]) -> None:
        self._putting = putting
        self._clock = clock

    async def tell(self, suggested: ReadChannel, is_accepted: bool, /) -> None:  # noqa: FBT001 - `ListedChannels.decided`
        """Tell who suggested it; once, however often it is tried."""
        if suggested.added_by is None:
            return
        notice = SuggestionNotice(channel=suggested.channel, accepted=is_accepted)
        envelope = Envelope.of(
            KIND,
            notice,
            user_id=suggested.added_by,
            subject=f"{suggested.channel} {suggested.added_at.isoformat()}",
            step="accepted" if is_accepted else "refused",
            decided_at=self._clock(),
        )
        await self._putting.put(envelope)


class SuggestionComposer(Composer):
    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def row(self) -> Kind:
        rules = Rules(needs_plan=False)
        return Kind(name=KIND, lane=Lane.FOLLOW_UP, rules=rules, composer=self, payload=SuggestionNotice)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        notice = together[0].payload_as(SuggestionNotice)
        html = self._texts.render(
            "suggestion.accepted" if notice.accepted else "suggestion.refused",
            subscriber.language,
            channel=notice.channel,
            link=channel_link(notice.channel),
        )
        return Composed(Message(html=str(html)), (together[0],))
