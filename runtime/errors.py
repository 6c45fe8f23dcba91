"""One error tree, split by what the caller does about it.

`UserFacingError`: tell the person (text key and arguments), log at INFO.
`UnreadableError`: leave that person, go on with the others.
`TransientError`: back off and try again, log at WARNING.
`FatalError`: end the process, log at CRITICAL.
"""

from __future__ import annotations

from collections.abc import Iterator


class BotError(Exception):
    """Root of every error this project raises on purpose."""


def flatten(group: BaseExceptionGroup[BotError]) -> Iterator[BotError]:
    """The errors in a group and in the groups within it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from flatten(error)
        else:
            yield error


class UserFacingError(BotError):
    """The person can mend it. `key` names a text in `texts/`, `arguments` fill it in."""

    def __init__(self, key: str, **arguments: object) -> None:
        super().__init__(key)
        self.key = key
        self.arguments = arguments


class UnreadableError(BotError):
    """What is stored of somebody cannot be read. It stays as it is until somebody has mended it.

    They are known, and cannot be served now: whoever goes through many goes on with the others, and leaves what is due
    for this one where it is. Where it was found it has been said.
    """

    def __init__(self, user_id: int) -> None:
        super().__init__(f"what is stored of {user_id} cannot be read")
        self.user_id = user_id


class TransientError(BotError):
    """It may work later without anybody changing anything."""


class FatalError(BotError):
    """Going on would lose or repeat something, or cannot work at all."""


class FrameError(BotError):
    """A frame from a feed that is not what its protocol promises; counted and skipped."""


class FeedRefusedError(FrameError):
    """The feed says no on an open connection (PumpPortal: `{"errors": "…"}`)."""


class DeliveryError(BotError):
    """Telegram did not take a message; the subclass says what follows from it."""


class FloodError(DeliveryError):
    """Telegram asks to wait `retry_after_s` before the next message to this chat."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"retry after {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class RecipientGoneError(DeliveryError):
    """Blocked, deactivated, kicked or unknown: stop sending to the chat until it speaks again."""


class ChatMigratedError(DeliveryError):
    """The group became a supergroup; `new_chat_id` replaces the old one."""

    def __init__(self, new_chat_id: int) -> None:
        super().__init__(f"migrated to {new_chat_id}")
        self.new_chat_id = new_chat_id


class MessageRefusedError(DeliveryError):
    """Telegram refuses this very message (markup, length, buttons): sending it again cannot help."""


class TopicGoneError(MessageRefusedError):
    """The forum topic was deleted or closed; the group itself is still there."""


class OutcomeUnknownError(DeliveryError, TransientError):
    """The request left but no answer came, or a 5xx did: the message may have been delivered."""


class NotSentError(DeliveryError, TransientError):
    """The request surely did not reach Telegram (connection refused, pool exhausted)."""
