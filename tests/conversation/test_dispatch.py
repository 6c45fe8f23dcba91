"""Updates reach the one method they are for, and every error becomes a sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import ClassVar

import pytest
import structlog
from structlog.testing import LogCapture
from telegram import Update

from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from handlers.conversation.base import BotBase, Services, Turn
from handlers.conversation.dispatch import Dispatcher
from handlers.conversation.routing import callback, command, membership, otherwise, text_input
from managers.telegram.updates import Excess
from runtime.errors import (
    FatalError,
    MessageRefusedError,
    OutcomeUnknownError,
    RecipientGoneError,
    TransientError,
    UserFacingError,
)
from services.subscribers.inputs import Expected
from tests.conversation.telegram_wire import ADMIN_ID, AnyApplication, Person, RecordedConversation, Said, application
from tests.conversation.wiring import services_of
from texts import Texts

TEXTS = Texts.load()


class Poke(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "poke"
    how: str


class Aside(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "aside"


class Secret(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "secret"


ERRORS: dict[str, Exception] = {
    "user": UserFacingError("preset.unknown", typed="<b>@x"),
    "transient": TransientError("away"),
    "unknown_outcome": OutcomeUnknownError("time-out"),
    "unexpected": RuntimeError("a bug"),
    "fatal": FatalError("broken"),
    "no_text": UserFacingError("no.such.text"),
    "no_argument": UserFacingError("preset.unknown"),
    "gone": RecipientGoneError("blocked"),
}


class Mixin(BotBase):
    @command("status", help="help.status", takes=True)
    async def status(self, turn: Turn) -> None:
        await self.reply(turn, Message(html=f"{turn.name} says {turn.text}"))

    @command("health", help="help.health", admin="read_only", topic="bot")
    async def health(self, turn: Turn) -> None:
        await self.reply(turn, Message(html="secret"))

    @command("plan", help="help.plan", takes=True)
    async def fail(self, turn: Turn) -> None:
        raise ERRORS[turn.text.split()[1]]

    @callback(Poke)
    async def poke(self, turn: Turn, data: Poke) -> str | None:
        if data.how in ERRORS:
            raise ERRORS[data.how]
        await self.show(turn, Message(html=f"poked {data.how}"))
        return "done" if data.how == "toast" else None

    @callback(Aside, aside=True)
    async def aside(self, turn: Turn, _data: Aside) -> None:
        await self.reply(turn, Message(html="why"))

    @callback(Secret, admin="read_only")
    async def secret(self, turn: Turn, _data: Secret) -> None:
        await self.show(turn, Message(html="secret"))

    @text_input("range", unless="@else".__eq__)
    async def typed(self, turn: Turn, payload: str) -> None:
        await self.reply(turn, Message(html=f"{turn.text} answers {payload}"))

    @membership
    async def membership_changed(self, turn: Turn, reachable: bool) -> None:  # noqa: FBT001 - a route's argument
        await self.reply(turn, Message(html=f"reachable: {reachable}"))

    @otherwise
    async def anything(self, turn: Turn) -> None:
        await self.reply(turn, Message(html=f"what is {turn.text}?"))


class Bot(Mixin):
    def __init__(self, services: Services) -> None:
        self.services = services


class Inputs:
    """Questions in memory; away when it is told so."""

    def __init__(self) -> None:
        self.expected: Expected | None = None
        self.unavailable = False

    async def take(self, user_id: int) -> Expected | None:
        if self.unavailable:
            raise TransientError("away")
        return self.expected

    async def cancel(self, user_id: int) -> None:
        if self.unavailable:
            raise TransientError("away")
        self.expected = None


@pytest.fixture
def inputs() -> Inputs:
    return Inputs()


@pytest.fixture
def conversation() -> RecordedConversation:
    return RecordedConversation()


@pytest.fixture
async def app(inputs: Inputs, conversation: RecordedConversation) -> AsyncIterator[AnyApplication]:
    services = services_of(
        inputs=inputs,
        telegram=conversation,
        texts=TEXTS,
        admin_chat_ids=frozenset({ADMIN_ID}),
        clock=lambda: datetime(2026, 11, 20, tzinfo=UTC),
    )
    app = application()
    Dispatcher(Bot(services)).install(app)
    async with app:
        yield app


@pytest.fixture
def ann(app: AnyApplication, conversation: RecordedConversation) -> Person:
    return Person(app, conversation)


@pytest.fixture
def admin(app: AnyApplication, conversation: RecordedConversation) -> Person:
    return Person(app, conversation, ADMIN_ID)


@pytest.fixture
def logged() -> Iterator[LogCapture]:
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


def texts_of(said: list[Said]) -> list[str | None]:
    return [one.text for one in said]


async def test_a_command_reaches_its_method(ann: Person) -> None:
    assert texts_of(await ann.writes("/status now")) == ["Ann <b> says /status now"]
    assert texts_of(await ann.writes("/STATUS@filter_bot")) == ["Ann <b> says /STATUS@filter_bot"]


async def test_an_edited_command_does_not_run_again(ann: Person) -> None:
    edited = ann.message("/status", edit_date=1_763_600_001)
    assert texts_of(await ann.does(edited_message=edited)) == [TEXTS.plain("error.edited")]
    assert await ann.does(edited_message=edited) == [], "once for each message"
    assert len(await ann.does(edited_message=edited | {"message_id": 12})) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"edit_date": 1_763_600_000 + 3_601},
        {"text": None, "location": {"latitude": 1.0, "longitude": 2.0}},
        {"chat": {"id": -5, "type": "group", "title": "g"}},
        {"chat": {"id": -5, "type": "supergroup", "title": "g"}},
    ],
)
async def test_what_is_no_late_word_to_the_bot_is_passed_over(ann: Person, fields: dict[str, object]) -> None:
    edited = {**ann.message("hello", edit_date=1_763_600_001), **fields}
    assert await ann.does(edited_message={key: value for key, value in edited.items() if value is not None}) == []


@pytest.mark.parametrize("kind", ["group", "supergroup"])
async def test_groups_are_not_answered(ann: Person, kind: str) -> None:
    group = {"id": -5, "type": kind, "title": "g"}
    assert await ann.writes("/status", chat=group) == []
    assert await ann.writes("hello", chat=group) == []


async def test_admins_are_recognised_by_chat(ann: Person, admin: Person) -> None:
    assert texts_of(await admin.writes("/health")) == ["secret"]
    assert texts_of(await ann.writes("/health")) == ["what is /health?"]
    assert texts_of(await ann.writes("/nothing")) == ["what is /nothing?"]


async def test_an_admin_button_is_for_admins_only(ann: Person, admin: Person) -> None:
    assert [one.how for one in await admin.taps(Secret().pack())] == ["edited", "answered"]
    assert [(one.how, one.text) for one in await ann.taps(Secret().pack())] == [
        ("alerted", TEXTS.plain("callback.stale"))
    ]


async def test_a_text_answers_what_was_asked(ann: Person, inputs: Inputs) -> None:
    inputs.expected = Expected("range", "payload")
    assert texts_of(await ann.writes("20k - 2M")) == ["20k - 2M answers payload"]
    inputs.expected = Expected("forgotten kind", "payload")
    assert texts_of(await ann.writes("20k - 2M")) == ["what is 20k - 2M?"]
    inputs.expected = None
    assert texts_of(await ann.writes("20k - 2M")) == ["what is 20k - 2M?"]


async def test_a_command_or_a_tap_withdraws_the_question(ann: Person, inputs: Inputs) -> None:
    inputs.expected = Expected("range", "payload")
    await ann.writes("/status")
    assert inputs.expected is None
    inputs.expected = Expected("range", "payload")
    await ann.taps(Poke("toast").pack())
    assert inputs.expected is None


async def test_a_tap_below_an_alert_leaves_the_question_open(ann: Person, inputs: Inputs) -> None:
    inputs.expected = Expected("range", "payload")
    await ann.taps(Aside().pack())
    assert texts_of(await ann.writes("2 hours")) == ["2 hours answers payload"]


async def test_what_says_itself_what_it_is_answers_no_question(ann: Person, inputs: Inputs) -> None:
    inputs.expected = Expected("range", "payload")
    assert texts_of(await ann.writes("@else")) == ["what is @else?"]
    assert inputs.expected is not None


async def test_commands_work_while_questions_are_away(ann: Person, inputs: Inputs) -> None:
    inputs.unavailable = True
    assert texts_of(await ann.writes("/status")) == ["Ann <b> says /status"]
    assert texts_of(await ann.writes("20k")) == [TEXTS.render("error.transient")]


async def test_pictures_are_answered_and_service_messages_are_not(ann: Person) -> None:
    location = {"latitude": 1.0, "longitude": 2.0}
    assert texts_of(await ann.writes(None, location=location)) == ["what is ?"]
    assert await ann.writes(None, pinned_message=ann.message("x")) == []


async def test_a_tap_is_answered_once_after_its_method(ann: Person) -> None:
    assert [(one.how, one.text) for one in await ann.taps(Poke("toast").pack())] == [
        ("edited", "poked toast"),
        ("answered", "done"),
    ]
    assert [(one.how, one.text) for one in await ann.taps(Poke("silent").pack())] == [
        ("edited", "poked silent"),
        ("answered", None),
    ]


@pytest.mark.parametrize("data", ["", "foreign", "poke", "poke:a:b", "poke:%41", "x" * 64, None])
async def test_a_foreign_button_is_answered_once(ann: Person, data: str | None) -> None:
    assert [(one.how, one.text) for one in await ann.taps(data)] == [("alerted", TEXTS.plain("callback.stale"))]


async def test_a_button_without_its_message_is_answered_once(ann: Person) -> None:
    said = await ann.taps(Poke("toast").pack(), message=None, inline_message_id="1")
    assert [one.how for one in said] == ["alerted"]


@pytest.mark.parametrize(
    ("error", "key", "event"),
    [
        ("user", "preset.unknown", "update_refused"),
        ("transient", "error.transient", "update_postponed"),
        ("unknown_outcome", "error.transient", "update_postponed"),
        ("unexpected", "error.unexpected", "update_failed"),
        ("fatal", "error.unexpected", "update_failed"),
        ("no_text", "error.unexpected", "error_text_broken"),
        ("no_argument", "error.unexpected", "error_text_broken"),
    ],
)
async def test_every_error_becomes_one_sentence(
    ann: Person, logged: LogCapture, error: str, key: str, event: str
) -> None:
    arguments = {"typed": "<b>@x"}
    written = await ann.writes(f"/plan {error}")
    assert texts_of(written) == [TEXTS.render(key, **arguments)]
    tapped = await ann.taps(Poke(error).pack())
    assert [(one.how, one.text) for one in tapped] == [("alerted", TEXTS.plain(key, **arguments))]
    assert [entry["event"] for entry in logged.entries].count(event) == 2
    assert {entry.get("user_id", 456) for entry in logged.entries} == {456}


async def test_somebody_who_left_is_not_written_to(ann: Person) -> None:
    assert await ann.writes("/plan gone") == []
    assert [one.how for one in await ann.taps(Poke("gone").pack())] == ["alerted"]


@pytest.mark.parametrize("error", [OutcomeUnknownError("x"), RecipientGoneError("x")])
async def test_a_conversation_that_fails_stops_nothing(
    ann: Person, conversation: RecordedConversation, error: Exception
) -> None:
    conversation.fail = lambda _how: error
    assert await ann.writes("/status") == []
    assert await ann.taps(Poke("toast").pack()) == []
    conversation.fail = lambda _how: None
    assert texts_of(await ann.writes("/status")) == ["Ann <b> says /status"]


async def test_a_late_answer_is_not_repeated(ann: Person, conversation: RecordedConversation) -> None:
    tried: list[str] = []

    def fail(how: str) -> Exception | None:
        tried.append(how)
        return OutcomeUnknownError("time-out") if how == "answered" else None

    conversation.fail = fail
    await ann.taps(Poke("toast").pack())
    assert tried == ["edited", "answered"]


async def test_a_menu_that_is_gone_is_sent_anew(ann: Person, conversation: RecordedConversation) -> None:
    conversation.fail = lambda how: MessageRefusedError("message to edit not found") if how == "edited" else None
    assert [one.how for one in await ann.taps(Poke("silent").pack())] == ["sent", "answered"]


@pytest.mark.parametrize(("status", "reachable"), [("kicked", False), ("left", False), ("member", True)])
async def test_blocking_and_unblocking_is_noticed(ann: Person, status: str, reachable: bool) -> None:  # noqa: FBT001 - a case
    assert texts_of(await ann.changes_membership(status)) == [f"reachable: {reachable}"]


async def test_a_command_without_help_is_refused_at_start(
    inputs: Inputs, conversation: RecordedConversation, app: AnyApplication
) -> None:
    class Undocumented(BotBase):
        services = services_of(texts=TEXTS)

        @command("mystery", help="help.mystery")
        async def mystery(self, turn: Turn) -> None: ...

    with pytest.raises(FatalError, match=r"help\.mystery"):
        Dispatcher(Undocumented()).install(application())


async def test_somebody_who_sends_too_much_is_told_in_a_message(
    ann: Person, app: AnyApplication, conversation: RecordedConversation
) -> None:
    too_much = TEXTS.plain("error.too_much_at_once")
    tap = {"id": "77", "from": ann.user, "chat_instance": "1", "data": "x", "message": ann.message("menu")}
    for content in ({"message": ann.message("hi")}, {"callback_query": tap}):
        update = Update.de_json({"update_id": 1, **content}, app.bot)
        await app.process_update(Excess(update))
    assert [(one.how, one.text) for one in conversation.said] == [("sent", too_much)] * 2
    conversation.fail = lambda _how: RecipientGoneError("blocked")
    await app.process_update(Excess(Update.de_json({"update_id": 2, "message": ann.message("hi")}, app.bot)))
