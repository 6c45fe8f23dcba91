import pytest
from telegram.error import BadRequest, Conflict, NetworkError, TelegramError, TimedOut

from managers.telegram.errors import as_bot_error, is_harmless
from runtime.errors import (
    BotError,
    MessageRefusedError,
    OutcomeUnknownError,
    RecipientGoneError,
    TopicGoneError,
    TransientError,
)


@pytest.mark.parametrize(
    ("error", "harmless"),
    [
        (BadRequest("Message is not modified: specified new message content and reply markup are the same"), True),
        (BadRequest("Query is too old and response timeout expired or query id is invalid"), True),
        (BadRequest("Message to edit not found"), False),
        (NetworkError("Message is not modified"), False),
        (ValueError("message is not modified"), False),
    ],
)
def test_an_edit_without_effect_and_a_late_answer_are_harmless(error: Exception, *, harmless: bool) -> None:
    assert is_harmless(error) is harmless


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimedOut(), OutcomeUnknownError),
        (NetworkError("Bad Gateway"), OutcomeUnknownError),
        (TelegramError("Invalid server response"), OutcomeUnknownError),
        (Conflict("terminated by other getUpdates request"), TransientError),
        (BadRequest("Message thread not found"), TopicGoneError),
        (BadRequest("Not enough rights to send photos to the chat"), MessageRefusedError),
        (BadRequest("Have no rights to send a message"), RecipientGoneError),
        (BadRequest("CHAT_SEND_PHOTOS_FORBIDDEN"), MessageRefusedError),
    ],
)
def test_no_kind_of_network_error_is_taken_for_another(error: TelegramError, kind: type[BotError]) -> None:
    assert type(as_bot_error(error)) is kind
