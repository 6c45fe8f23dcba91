"""Which answers are Telegram's own word: only what the Bot API documents.

A proxy's page, an empty 200, a redirect or half a body say nothing about what became of the request, whatever their
status: it may have reached Telegram or not.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from telegram.error import NetworkError, RetryAfter

from managers.http.json_repair import decoded_with_text
from managers.telegram.updates import is_page

T = TypeVar("T")

_DEFAULT_RETRY_AFTER = timedelta(seconds=1)
_MAX_RETRY_AFTER_S = 1e8
_REFUSALS = range(400, 600)
_EXCERPT_BYTES = 80
_TOKEN = re.compile(rb"[0-9]{5,}(?::|%3a)[\w%-]+", re.IGNORECASE)


class ForeignAnswerError(NetworkError):
    """What came back is not Telegram's: nobody can say whether the request reached it."""


class FloodRefusedError(RetryAfter):
    """`RetryAfter` without the deprecation warning that the library's own gives whenever it is made."""

    @property
    def retry_after(self) -> timedelta:
        return self._retry_after


class _File(Struct):
    file_id: str


class _Message(Struct):
    message_id: int
    photo: list[_File] | None = None
    animation: _File | None = None
    video: _File | None = None


class _User(Struct):
    id: int
    is_bot: bool
    first_name: str


class _ChatMember(Struct):
    status: str


class _StarTransactions(Struct):
    transactions: list[msgspec.Raw]


class _Parameters(Struct):
    retry_after: Annotated[float, Meta(ge=0, le=_MAX_RETRY_AFTER_S)] | None = None
    migrate_to_chat_id: int | None = None


class _Answer(Struct, Generic[T]):
    ok: bool
    result: T | UnsetType = UNSET
    error_code: int | None = None
    description: str | None = None
    parameters: _Parameters | None = None


_MESSAGE = """
    sendMessage sendPhoto sendAudio sendDocument sendVideo sendAnimation sendVoice sendVideoNote sendPaidMedia
    sendLocation sendVenue sendContact sendPoll sendDice sendSticker sendInvoice sendGame sendRichMessage forwardMessage
"""
_MESSAGE_OR_TRUE = "editMessageText editMessageCaption editMessageMedia editMessageReplyMarkup setGameScore"
_TRUE = """
    setWebhook deleteWebhook setMyCommands deleteMyCommands answerCallbackQuery answerPreCheckoutQuery
    answerShippingQuery answerInlineQuery sendChatAction deleteMessage deleteMessages pinChatMessage unpinChatMessage
    leaveChat logOut close refundStarPayment editUserStarSubscription
"""
_RESULTS: dict[str, Any] = {
    **dict.fromkeys(_MESSAGE.split(), _Message),
    **dict.fromkeys(_MESSAGE_OR_TRUE.split(), _Message | bool),
    **dict.fromkeys(_TRUE.split(), bool),
    "getMe": _User,
    # Each update is read by itself later: one that cannot be costs only itself.
    "getUpdates": list[msgspec.Raw],
    "getChatMember": _ChatMember,
    "createInvoiceLink": str,
    "getStarTransactions": _StarTransactions,
}
"""What each method gives; of any other, whatever is there."""


def telegrams_own(method: str, status: int, is_json: bool, payload: bytes, retry_after: str) -> tuple[int, bytes]:  # noqa: FBT001
    """Give status and payload as python-telegram-bot may read them: `error_code` is the status of a refusal.

    `is_json`: the answer says so of itself; `retry_after`: its header of that name. Raises `FloodRefusedError`, and
    `ForeignAnswerError` for what is not Telegram's.
    """
    decoder = _decoder(method)
    try:
        answer, payload = decoded_with_text(decoder, payload)
    except (ValueError, RecursionError):
        if method == "getUpdates" and status == HTTPStatus.OK and is_page(payload):
            return status, payload  # one update of it is no JSON: the others are read all the same
        raise _foreign(status, payload) from None
    if answer.ok:
        # A message that has an id was sent, whatever a proxy made of the headers: taking it for unknown repeats it.
        if status != HTTPStatus.OK or answer.result is UNSET or answer.result is None or answer.result is False:
            raise _foreign(status, payload)
        return status, payload
    code, parameters = answer.error_code or 0, answer.parameters
    if not is_json or code not in _REFUSALS or answer.description is None:
        raise _foreign(status, payload)
    told_s = parameters.retry_after if parameters else None
    if code == HTTPStatus.TOO_MANY_REQUESTS or told_s is not None:
        raise FloodRefusedError(_pause(told_s, retry_after))
    return code, payload


def _pause(told_s: float | None, header: str) -> timedelta:
    if told_s is not None:
        return timedelta(seconds=told_s)
    return timedelta(seconds=int(header)) if re.fullmatch("[0-9]{1,5}", header) else _DEFAULT_RETRY_AFTER


@lru_cache(maxsize=64)
def _decoder(method: str) -> msgspec.json.Decoder[_Answer[Any]]:
    return msgspec.json.Decoder(_Answer[_RESULTS.get(method, Any)])


def _foreign(status: int, payload: bytes) -> ForeignAnswerError:
    payload = _TOKEN.sub(b"***", payload)  # pages like to repeat the address that was asked for
    excerpt = payload[:_EXCERPT_BYTES].decode("ascii", "replace").encode("ascii", "replace").decode()
    return ForeignAnswerError(f"not an answer of Telegram's: HTTP {status} {excerpt!r}")
