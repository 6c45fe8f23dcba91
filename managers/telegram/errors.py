"""What Telegram's refusals mean for whoever wanted something sent.

In python-telegram-bot `BadRequest` and `TimedOut` are kinds of `NetworkError`, although the first is a plain
no and the second says nothing about the outcome; the order of the questions below matters.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)

from managers.telegram.rate_limiter import retry_after_s
from managers.telegram.request import RequestNotSentError
from runtime.errors import (
    BotError,
    ChatMigratedError,
    FatalError,
    FloodError,
    MessageRefusedError,
    NotSentError,
    OutcomeUnknownError,
    RecipientGoneError,
    TopicGoneError,
    TransientError,
)

_CHAT_IS_GONE = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "chat_write_forbidden",
    "chat_restricted",
    "chat_admin_required",
    "channel_private",
    "have no rights to send",
    "not enough rights",
    "need administrator rights",
    "group chat was deactivated",
    "bot is not a member",
    "bot was kicked",
)
"""Parts of 400 answers that are about the chat and not about the message."""

_MEDIA_IS_REFUSED = re.compile(
    r"rights to send (photo|picture|video|animation|gif|media)|chat_send_(photos|videos|gifs|media)_forbidden"
)
"""A group that lets nobody send pictures still takes text."""
_TOPIC_IS_GONE = ("message thread not found", "topic_deleted", "topic_closed", "topic_id_invalid")

_UNKNOWN_BOT = "Telegram does not know this bot: check TELEGRAM_BOT_TOKEN (and TELEGRAM_API_BASE, if that is set)."

_OTHER_CONTENT = ("no text in the message", "no caption in the message")
_HARMLESS = ("message is not modified", "query is too old", "query id is invalid")


def is_harmless(error: BaseException) -> bool:
    """Tell whether nothing is lost: the edit would have changed nothing, or the tap was answered too late."""
    return isinstance(error, BadRequest) and any(part in error.message.lower() for part in _HARMLESS)


def is_other_content(error: BaseException) -> bool:
    """Tell whether there is only a caption where a text was to be edited, or the other way round."""
    return any(part in str(error).lower() for part in _OTHER_CONTENT)


def as_bot_error(error: TelegramError) -> BotError:
    """Say in our own tree what follows from `error`."""
    kind: type[BotError]
    match error:
        case RetryAfter():
            return FloodError(retry_after_s(error))
        case ChatMigrated():
            return ChatMigratedError(error.new_chat_id)
        case InvalidToken() | EndPointNotFound():  # a method that exists is unknown only to the wrong bot
            return FatalError(_UNKNOWN_BOT)
        case Forbidden():
            kind = RecipientGoneError
        case BadRequest():
            kind = _refusal(error.message.lower())
        case RequestNotSentError():
            kind = NotSentError
        case Conflict():
            kind = TransientError
        case _:
            kind = OutcomeUnknownError
    return kind(error.message)


def _refusal(reason: str) -> type[BotError]:
    if _MEDIA_IS_REFUSED.search(reason):
        return MessageRefusedError
    if any(part in reason for part in _TOPIC_IS_GONE):
        return TopicGoneError
    return RecipientGoneError if any(part in reason for part in _CHAT_IS_GONE) else MessageRefusedError


@contextmanager
def telegram_errors() -> Generator[None]:
    """Raise this project's errors in place of the library's."""
    try:
        yield
    except (InvalidToken, EndPointNotFound) as error:
        raise as_bot_error(error) from None  # the library quotes the token
    except TelegramError as error:
        raise as_bot_error(error) from error
