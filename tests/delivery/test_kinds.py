"""A kind of message joins by a row: everything that the outbox promises holds for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from domain.delivery.policy import Rules, Send
from domain.stored.outgoing import Envelope, read_outgoing
from domain.subscribers.subscriber import Destination, QuietHours, Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.errors import FatalError, TransientError
from services.claims.outbox import OutboxEntry
from services.delivery.kinds import Kinds
from services.delivery.sending import ChatTarget
from services.delivery.turns import QueuedMessage
from tests.delivery.kit import AT_ONCE, NOW, Way, call_of, claim_of, entries_of, texts_of, way_of, whole_way
from tests.delivery.notices import NOTICES, NoticeComposer, notice

LATE = timedelta(hours=1, seconds=1)
ROWS = (
    NoticeComposer().row(),
    NoticeComposer().row("receipt", lane=Lane.PAYMENT),
    NoticeComposer().row("reminder", rules=Rules(fresh_for=timedelta(hours=1), when_stale="mark"), merges=3),
)


@pytest.fixture
async def way(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)
    async with whole_way(redis_url, private=AT_ONCE) as way:
        yield way_of(way.redis, way.telegram, way.manager, ROWS)


def restarted(way: Way) -> Way:
    again = way_of(way.redis, way.telegram, way.manager, ROWS)
    again.clock.now = way.clock.now
    return again


async def fates(way: Way) -> list[tuple[str, str, str | None]]:
    return [(fate.call_id, fate.status, fate.reason) for fate in await way.fates()]


async def test_what_is_put_twice_goes_out_once(way: Way) -> None:
    ann, ben = await way.person(), await way.person()
    assert await way.putting.put(notice(ann.id))
    assert await restarted(way).putting.put(notice(ann.id, "Hello again")) is False
    assert await way.putting.put(notice(ann.id, "Paid", step="paid"))
    assert await way.putting.put(notice(ben.id))
    await way.deliver()
    assert await way.putting.put(notice(ann.id)) is False
    await way.deliver()
    assert sorted(texts_of(ann)) == ["Hello", "Paid"]
    assert texts_of(ben) == ["Hello"]
    [record, *_] = [fate for fate in await way.fates() if fate.user_id == ann.id]
    assert (record.kind, record.call_id, record.status, record.chat_id) == ("notice", "notice:welcome:", "sent", ann.id)
    assert record.message_id == ann.messages[-2]["message_id"]
    assert way.metrics.counts.messages == {("notice", "sent"): 3}
    assert way.metrics.counts.alerts_sent == 0


async def test_what_is_no_call_is_nobody_elses_to_read(way: Way) -> None:
    """Whose alerts go to a group gets their receipts in private."""
    ann = await way.person()
    group = way.telegram.group("Callers", [ann])
    await way.users.subscribers.change_preferences(
        ann.id, lambda p: replace(p, destination=Destination(chat_id=group.chat_id))
    )
    await way.putting.put(notice(ann.id))
    await way.deliver()
    assert texts_of(ann) == ["Hello"]
    assert [record.chat_id for record in await way.fates()] == [ann.id]


async def test_a_kill_between_request_and_settling_marks_it(way: Way) -> None:
    ann = await way.person()
    await way.putting.put(notice(ann.id))
    await way.outbox.begin(await entries_of(way))  # and here the process is killed
    await restarted(way).deliver()
    assert texts_of(ann) == ["Hello (again)"]
    assert [fate.may_repeat for fate in await way.fates()] == [True]
    assert await way.outbox.size() == 0


async def test_what_waited_too_long_is_dropped_or_says_so_by_its_row(way: Way) -> None:
    ann = await way.person()
    await way.putting.put(notice(ann.id))
    await way.putting.put(notice(ann.id, "Two days left", kind="reminder"))
    way.clock.now = NOW + LATE
    await way.deliver()
    assert texts_of(ann) == ["Two days left\nlate"]
    assert await fates(way) == [("notice:welcome:", "withheld", "stale"), ("reminder:welcome:", "sent", None)]
    assert way.metrics.counts.messages == {("notice", "dropped"): 1, ("reminder", "late"): 1}
    assert way.metrics.counts.alerts_withheld == 0


async def test_what_telegram_refuses_for_good_is_a_dead_letter(way: Way) -> None:
    ann = await way.person()
    await way.putting.put(notice(ann.id, "x" * 5_000))
    await way.deliver()
    [reason] = await way.dead_lettered()
    assert "too long" in reason
    assert await fates(way) == [("notice:welcome:", "dead", reason)]
    assert way.metrics.counts.messages == {("notice", "dead"): 1}


def of_an_unknown_kind(envelope: Envelope) -> Envelope:
    return replace(envelope, kind="nobody's")


def with_another_payload(envelope: Envelope) -> Envelope:
    return replace(envelope, payload=msgspec.Raw(b'{"text":1}'))


@pytest.mark.parametrize("spoiled", [of_an_unknown_kind, with_another_payload])
async def test_what_nobody_can_read_costs_itself_alone(way: Way, spoiled: Callable[[Envelope], Envelope]) -> None:
    ann = await way.person()
    await way.putting.put(spoiled(notice(ann.id)))
    await way.putting.put(notice(ann.id, "Paid", step="paid"))
    await way.deliver()
    assert texts_of(ann) == ["Paid"]
    assert len(await way.dead_lettered()) == 1


class Broken(NoticeComposer):
    """It breaks at one step, and Redis goes away once at each."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.passed: set[str] = set()

    def _pass(self, step: str) -> None:
        if step not in self.passed:
            self.passed.add(step)
            raise TransientError("for a moment")
        if step == self.step:
            raise ValueError("it cannot be made")

    async def read(self, waiting: QueuedMessage) -> str | None:
        self._pass("read")
        return await super().read(waiting)

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        self._pass("prepare")
        await super().prepare(waiting, subscriber)


@pytest.mark.parametrize("step", ["read", "prepare", "neither"])
async def test_what_breaks_a_composer_does_not_break_the_sender(way: Way, step: str) -> None:
    ann = await way.person()
    broken = way_of(way.redis, way.telegram, way.manager, [Broken(step).row(), ROWS[1]])
    await way.putting.put(notice(ann.id))
    await way.putting.put(notice(ann.id, "Receipt", kind="receipt"))
    await broken.deliver()
    assert texts_of(ann) == (["Receipt", "Hello"] if step == "neither" else ["Receipt"])
    assert len(await way.dead_lettered()) == (step != "neither")


async def test_who_has_not_paid_gets_what_is_about_that_and_nothing_else(way: Way) -> None:
    ann = await way.person()
    way.clock.pass_(days=31)
    await way.putting.put(notice(ann.id, at=way.clock.now))
    await way.putting.put(notice(ann.id, kind="reminder", at=way.clock.now))
    await way.deliver()
    assert texts_of(ann) == ["Hello"]
    assert way.metrics.counts.messages == {("notice", "sent"): 1, ("reminder", "withheld"): 1}


async def test_who_cannot_be_reached_gets_none_and_holds_nobody_up(way: Way) -> None:
    ann = await way.person()
    ann.block()
    await way.putting.put(notice(ann.id))
    await way.deliver()
    assert await fates(way) == [("notice:welcome:", "withheld", "unreachable")]
    assert (await way.users.subscribers.require(ann.id)).unreachable


async def test_at_night_it_comes_without_a_sound(way: Way) -> None:
    ann = await way.person(quiet=QuietHours(start_minute=12 * 60, end_minute=14 * 60, pass_score=90))
    subscriber, envelope = await way.users.subscribers.require(ann.id), notice(ann.id)
    [verdict] = await way.policy.decide(subscriber, [envelope], [NOTICES], way.clock.now)
    assert verdict == Send(silent=True)
    waiting = QueuedMessage(entry=OutboxEntry(entry_id="1-1", outgoing=envelope), verdict=Send(silent=True))
    assert await way.kinds.read(waiting) is None
    assert way.kinds.message([waiting], subscriber, ChatTarget(ann.id)).message.silent


async def test_earlier_lanes_go_first_and_what_merges_goes_together(way: Way) -> None:
    ann = await way.person()
    for step in "1234":
        await way.putting.put(notice(ann.id, f"Reminder {step}", kind="reminder", step=step))
    await way.claim(claim_of(call_of(1), ann.id))
    await way.putting.put(notice(ann.id, "Receipt", kind="receipt"))
    await way.deliver()
    receipt, alert, first, last = texts_of(ann)
    assert receipt == "Receipt"
    assert "T1" in alert
    assert (first, last) == ("Reminder 1\nReminder 2\nReminder 3", "Reminder 4")
    statuses = {fate.call_id: fate.status for fate in await way.fates()}
    assert [statuses[f"reminder:welcome:{step}"] for step in "1234"] == ["merged"] * 3 + ["sent"]
    assert way.metrics.counts.alerts_merged == 0


async def test_it_can_answer_an_earlier_message(way: Way) -> None:
    ann = await way.person()
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    [alert] = await way.fates()
    await way.putting.put(notice(ann.id, "2x", answers=alert.message_id))
    await way.putting.put(notice(ann.id, "5x", step="5x", answers=9_999))
    await way.deliver()
    two, five = ann.messages[-2:]
    assert two["reply_to_message"]["message_id"] == alert.message_id
    assert "reply_to_message" not in five


def test_a_row_that_cannot_work_is_not_taken() -> None:
    with pytest.raises(FatalError, match="Two kinds of message"):
        Kinds([ROWS[0], ROWS[0]])
    with pytest.raises(ValueError, match="digest"):
        NoticeComposer().row(rules=Rules(is_held=True))


def test_no_two_envelopes_share_a_key() -> None:
    keys = {notice(1, subject=subject, step=step).key for subject, step in (("a:b", ""), ("a", "b:"), ("a%3Ab", ""))}
    assert len(keys) == 3
    envelope = notice(1, "Ünï", subject="a:b")
    assert read_outgoing(msgspec.json.encode(envelope)) == envelope
