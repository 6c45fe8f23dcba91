"""Dead letters as admins see them, and as nobody else does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from domain.buttons.data import CallbackData
from domain.stored.alerts import Alert, HeldCall
from domain.stored.outgoing import Digest, Envelope, Outgoing
from domain.subscribers.partitions import PARTITIONS
from handlers.account.help import HelpMixin
from handlers.account.start import StartMixin
from handlers.admin import dead_letters as mixin
from handlers.admin.dead_letters import AdminDeadLettersMixin
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from handlers.conversation.routing import collect
from managers.redis.client import RedisManager
from services.claims.dead_letters import DeadLetters
from services.monitoring.metrics import Metrics
from services.stores import keys
from services.subscribers.inputs import InputsService
from tests.conversation.conftest import NOW, Clock
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import ADMIN_ID, AnyApplication, Person, RecordedConversation, Said, application
from tests.conversation.wiring import services_of
from tests.texts.hostile import HOSTILE
from tests.texts.telegram_html import assert_harmless
from tests.wiring import add_entry
from texts import Texts

ADDRESS = "7GCihgDB8fe6KNjn2MYtkzZcRjQy3t9GHdC8uHYmW2hr"
REASON = "Bad Request: message is too long"


class LettersBot(AdminDeadLettersMixin, HelpMixin, StartMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


KINDS = {route.data.prefix: route.data for route in collect(LettersBot).callbacks.values() if route.admin}


@pytest.fixture
def services(redis_manager: RedisManager, clock: Clock, conversation: RecordedConversation) -> Services:
    return services_of(
        dead_letters=DeadLetters(redis_manager, Metrics()),
        inputs=InputsService(redis_manager),
        telegram=conversation,
        texts=Texts.load(),
        admin_chat_ids=frozenset({ADMIN_ID}),
        clock=clock,
    )


@pytest.fixture
async def app(services: Services) -> AsyncIterator[AnyApplication]:
    app = application()
    Dispatcher(LettersBot(services)).install(app)
    async with app:
        yield app


def alert_of(user_id: int, token_address: str = ADDRESS) -> Alert:
    return Alert(
        user_id=user_id, call_id="c1", token_address=token_address, set_number=1, received_at=NOW, decided_at=NOW
    )


async def dead_letter(
    redis: RedisManager,
    dead: Outgoing | bytes,
    reason: str | bytes = REASON,
    at: datetime = NOW - timedelta(minutes=12),
) -> str:
    encoded = dead if isinstance(dead, bytes) else msgspec.json.encode(dead)
    fields = {"alert": encoded, "reason": reason, "buried_at_ms": int(at.timestamp() * 1000)}
    return await add_entry(redis, keys.DEAD_LETTERS.of(), fields)


async def waiting(redis: RedisManager) -> list[int]:
    """Whose alerts are in an outbox."""
    entries = [e for p in range(PARTITIONS) for e in await redis.xrange(keys.OUTBOX.of(p))]
    return sorted(msgspec.json.decode(entry.fields["alert"], type=Alert).user_id for entry in entries)


async def test_nothing_is_dead(admin: Person) -> None:
    said = await admin.writes("/dead_letters")
    assert "none" in words(said)
    assert list(only(said, "sent").buttons) == ["↻ Refresh"]


async def test_a_letter_shows_user_token_reason_and_age(admin: Person, redis_manager: RedisManager) -> None:
    await dead_letter(redis_manager, alert_of(4711))
    shown = words(await admin.writes("/dead_letters"))
    assert re.search(r"Dead letters: 1\b", shown)
    assert all(part in shown for part in ("4711", ADDRESS, REASON, "12m ago"))


async def test_a_digest_shows_how_many_calls_were_in_it(admin: Person, redis_manager: RedisManager) -> None:
    held = HeldCall(
        call_id="c1",
        token_address=ADDRESS,
        set_number=1,
        score=50,
        received_at=NOW,
        decided_at=NOW,
        held_at=NOW,
        due_at=NOW,
        reason="cap",
    )
    await dead_letter(redis_manager, Digest(user_id=4711, decided_at=NOW, held=(held, held)))
    assert "Digest of 2 calls" in words(await admin.writes("/dead_letters"))


async def test_one_letter_is_sent_again_once_however_fast_the_taps(admin: Person, redis_manager: RedisManager) -> None:
    await dead_letter(redis_manager, alert_of(1))
    await dead_letter(redis_manager, alert_of(2))
    data = button(await admin.writes("/dead_letters"), "↻ 1 again")
    first, second = await admin.taps(data), await admin.taps(data)
    assert (toast(first), toast(second)) == ("Sent again.", "It is no longer among the dead letters.")
    assert await waiting(redis_manager) == [2]
    assert re.search(r"Dead letters: 1\b", words(second, "edited"))


async def discard(admin: Person, said: list[Said], label: str) -> list[Said]:
    return await admin.taps(button(await admin.taps(button(said, label)), "Yes, discard"))


async def test_a_letter_is_discarded(admin: Person, redis_manager: RedisManager) -> None:
    await dead_letter(redis_manager, alert_of(1))
    listed = await admin.writes("/dead_letters")
    said = await discard(admin, listed, "Discard 1")
    assert toast(said) == "Discarded."
    assert "none" in words(said, "edited")
    assert "none" in words(await admin.taps(button(listed, "Discard 1")), "edited"), "nothing is left to be asked about"
    assert await waiting(redis_manager) == []


async def test_all_are_sent_again_after_a_question(admin: Person, redis_manager: RedisManager) -> None:
    for user_id in range(1, 8):
        await dead_letter(redis_manager, alert_of(user_id))
    await dead_letter(redis_manager, b"?")
    asked = await admin.taps(button(await admin.writes("/dead_letters"), "↻ Send all again (8)"))
    assert "all of them again (8)" in words(asked, "edited")
    assert await waiting(redis_manager) == []
    # One more dies while the question stands: it was not meant.
    await dead_letter(redis_manager, alert_of(99))
    data = button(asked, "Yes, send all again")
    assert toast(await admin.taps(data)) == "Sent again: 7. Unreadable, so still here: 1"
    assert "was answered" in alert(await admin.taps(data))
    assert await waiting(redis_manager) == list(range(1, 8))


async def test_the_question_can_be_taken_back(admin: Person, redis_manager: RedisManager) -> None:
    await dead_letter(redis_manager, alert_of(1))
    asked = await admin.taps(button(await admin.writes("/dead_letters"), "↻ Send all"))
    assert "4711" not in words(await admin.taps(button(asked, "‹ Back")), "edited")
    assert await waiting(redis_manager) == []


async def test_when_all_are_gone_there_is_nothing_to_ask(admin: Person, redis_manager: RedisManager) -> None:
    await dead_letter(redis_manager, alert_of(1))
    said = await admin.writes("/dead_letters")
    await discard(admin, said, "Discard 1")
    assert "none" in words(await admin.taps(button(said, "↻ Send all")), "edited")


async def test_pages_are_turned_and_kept(admin: Person, redis_manager: RedisManager) -> None:
    for user_id in range(1000, 1012):
        await dead_letter(redis_manager, alert_of(user_id))

    def users(said: list[Said], how: str = "edited") -> list[int]:
        return [int(found) for found in re.findall(r"ago · (\d+)", words(said, how))]

    first = await admin.writes("/dead_letters")
    assert users(first, "sent") == [1011, 1010, 1009, 1008, 1007]
    assert not [label for label in only(first, "sent").buttons if "Newer" in label]
    second = await admin.taps(button(first, "Older"))
    assert users(second) == [1006, 1005, 1004, 1003, 1002]
    third = await admin.taps(button(second, "Older"))
    assert users(third) == [1001, 1000]
    assert not [label for label in only(third, "edited").buttons if "Older" in label]
    assert users(await admin.taps(button(third, "‹ Newer"))) == users(second)
    assert users(await admin.taps(button(second, "‹ Newer"))) == users(first, "sent")
    # What is done on a page leaves the admin there.
    assert users(await admin.taps(button(second, "↻ 1 again"))) == [1005, 1004, 1003, 1002, 1001]
    assert users(await discard(admin, third, "Discard 1")) == [1000]
    # The last letter of the last page: back to the beginning.
    assert users(await discard(admin, third, "Discard 2")) == users(first, "sent")


async def test_an_unreadable_letter_has_one_button(admin: Person, redis_manager: RedisManager) -> None:
    entry_id = await dead_letter(redis_manager, b"\xff", "unreadable: <b>")
    said = await admin.writes("/dead_letters")
    assert "Unreadable" in words(said)
    assert "↻ 1 again" not in only(said, "sent").buttons
    forged = await admin.taps(mixin.ReplayDeadLetter(entry_id, "").pack())
    assert toast(forged) == "It cannot be read, so it can only be discarded."
    await discard(admin, said, "Discard 1")
    assert await redis_manager.xlen(keys.DEAD_LETTERS.of()) == 0


async def test_nobody_else_sees_or_does_anything(ann: Person, redis_manager: RedisManager) -> None:
    entry_id = await dead_letter(redis_manager, alert_of(1))
    assert "Dead letters" not in words(await ann.writes("/dead_letters"))
    for data in (
        mixin.ShowDeadLetters(""),
        mixin.ReplayDeadLetter(entry_id, ""),
        mixin.DiscardDeadLetter(entry_id, ""),
        mixin.AskReplayAll(),
        mixin.ReplayAll(entry_id),
    ):
        assert "out of date" in alert(await ann.taps(data.pack()))
    assert await redis_manager.xlen(keys.DEAD_LETTERS.of()) == 1
    assert await waiting(redis_manager) == []


async def test_only_admins_are_told_of_the_command(ann: Person, admin: Person) -> None:
    assert "/dead_letters" not in words(await ann.writes("/help"))
    assert "/dead_letters" in words(await admin.writes("/help"))


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_comes_from_outside_is_harmless(admin: Person, redis_manager: RedisManager, hostile: str) -> None:
    harmful = hostile.encode("utf-8", "replace").decode()
    dead = replace(alert_of(1), token_address=harmful)
    other = Envelope.of(harmful, dead, user_id=1, subject=harmful, decided_at=NOW)
    reason = hostile.encode("utf-8", "surrogatepass")
    for letter in (dead, dead, other, b"?", dead):
        await dead_letter(redis_manager, letter, reason)
    said = only(await admin.writes("/dead_letters"), "sent")
    assert_harmless((said.text or "").replace("/dead_letters", ""))
    assert "Older ›" not in said.buttons


def test_the_longest_ids_fit_a_button() -> None:
    longest = f"{'9' * 15}-{'9' * 9}"
    for kind in (mixin.ReplayDeadLetter, mixin.DiscardDeadLetter, mixin.ShowDeadLetter, mixin.AskDiscard):
        assert kind(longest, longest).pack()


IDS = st.one_of(
    st.sampled_from(["", "0-0", "-", "+", "1-1", "(1-1", f"{'9' * 15}-{'9' * 9}", f"{'9' * 19}-0"]),
    st.text("0123456789-", max_size=30),
    st.text(max_size=12),
)


def packed(data: CallbackData) -> str:
    try:
        return data.pack()
    except ValueError:  # too long, or not writable: what a forger would cut
        return f"{data.prefix}:{data!r}"[:64]


def well_formed(prefix: str) -> st.SearchStrategy[str]:
    kind = KINDS[prefix]
    return st.builds(kind, **dict.fromkeys(kind.__struct_fields__, IDS)).map(packed)  # pyright: ignore[reportArgumentType] - all are texts


forged = st.one_of(
    st.sampled_from(sorted(KINDS)).flatmap(well_formed),
    st.tuples(st.sampled_from(sorted(KINDS)), st.text(max_size=40)).map(":".join),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(forged)
async def test_forged_buttons_of_an_admin_break_nothing(admin: Person, redis_manager: RedisManager, data: str) -> None:
    await redis_manager.delete(keys.DEAD_LETTERS.of())
    await dead_letter(redis_manager, alert_of(1))
    with capture_logs() as logs:
        said = await admin.taps(data)
    assert [one.how for one in said][-1] in {"answered", "alerted"}
    assert not [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    # No forged id is that of the letter, and without the question nothing is sent again.
    assert await redis_manager.xlen(keys.DEAD_LETTERS.of()) == 1
