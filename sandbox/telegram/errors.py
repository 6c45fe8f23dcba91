"""Refusals in Telegram's own words."""

from __future__ import annotations

from collections.abc import Mapping

CHAT_NOT_FOUND = "chat not found"
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)
OLD_QUERY = "query is too old and response timeout expired or query ID is invalid"
OTHER_POLLER = "terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_ACTIVE = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
POLL_ENDED_BY_WEBHOOK = "terminated by setWebhook request"


class ApiError(Exception):
    """An answer with `ok: false`; `code` is both `error_code` and the HTTP status."""

    def __init__(self, code: int, description: str, parameters: Mapping[str, int] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad_request(what: str, parameters: Mapping[str, int] | None = None) -> ApiError:
    """400. As Telegram's server does, the first letter is lowered unless the text is a CONSTANT_NAME."""
    if what[:1].isupper() and not (what[1:2] == "_" or what[1:2].isupper()):
        what = what[0].lower() + what[1:]
    return ApiError(400, f"Bad Request: {what}", parameters)


def forbidden(what: str) -> ApiError:
    return ApiError(403, f"Forbidden: {what}")


def conflict(what: str) -> ApiError:
    return ApiError(409, f"Conflict: {what}")


def flood(retry_after_s: int) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {retry_after_s}", {"retry_after": retry_after_s})
