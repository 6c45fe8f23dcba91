"""What a person is told about their plan: it ended, it holds fewer filters or more, and which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from domain.delivery.messages import Message
from domain.delivery.policy import Rules
from domain.delivery.quiet import shown_time
from domain.filters.registry import FilterSet
from domain.payments.entitlements import GRACE
from domain.payments.plans import FREE
from domain.stored.outgoing import Envelope
from domain.subscribers.limits import paused_between, resumed_between
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from services.cards.names import Names
from services.delivery.composing import Composed, Composer
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from texts.markup import Html, join

How = Literal["now", "extended", "taken"]

KIND: Final = "plan"
_NAMED: Final = 20
"""Filters that are named; more are counted."""


_OPENINGS: Final[dict[How, str]] = {
    "now": "plan_notice.now",
    "extended": "plan_notice.extended",
    "taken": "plan_notice.taken",
}


class SetName(Struct, frozen=True):
    number: int
    name: str
    """Attacker-controlled text, or the key of a preset."""


class PlanNotice(Struct, frozen=True, kw_only=True):
    plan: str
    """That they have now."""
    until: datetime | None = None
    how: How = "now"
    """What was done about it: another one came, it lasts longer, what was left was taken back."""
    ended: str | None = None
    """The plan that has ended; `None`: another one has come."""
    paused: tuple[SetName, ...] = ()
    resumed: tuple[SetName, ...] = ()


def ended_notice(before: Subscriber, after: Subscriber, ended: str, until: datetime, now: datetime) -> Envelope:
    notice = _notice(before, after, ended)
    subject = until.isoformat()
    return Envelope.of(KIND, notice, user_id=after.user_id, subject=subject, step="ended", decided_at=now)


def changed_notice(before: Subscriber, after: Subscriber, now: datetime) -> Envelope | None:
    """Return what there is to tell of filters that have to pause, or are on again; `None`: nothing."""
    notice = _notice(before, after, None)
    if not notice.paused and not notice.resumed:
        return None
    until = after.paid_until.isoformat() if after.paid_until else ""
    subject = f"{after.plan} {until} {after.revision}"
    return Envelope.of(KIND, notice, user_id=after.user_id, subject=subject, step="changed", decided_at=now)


def _notice(before: Subscriber, after: Subscriber, ended: str | None) -> PlanNotice:
    return PlanNotice(
        plan=after.plan,
        until=after.paid_until,
        ended=ended,
        paused=_names(paused_between(before.filter_sets, after.filter_sets)),
        resumed=_names(resumed_between(before.filter_sets, after.filter_sets)),
    )


def _names(sets: Iterable[FilterSet]) -> tuple[SetName, ...]:
    return tuple(SetName(one.number, one.name) for one in sets)


class PlanNoticeComposer(Composer):
    def __init__(self, names: Names) -> None:
        self._names = names
        self._texts = names.texts

    def row(self) -> Kind:
        rules = Rules(needs_plan=False)
        return Kind(name=KIND, lane=Lane.FOLLOW_UP, rules=rules, composer=self, payload=PlanNotice)

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        first, language = together[0], subscriber.language
        notice = first.payload_as(PlanNotice)
        paragraphs = [self._opening(notice, subscriber)]
        if notice.paused:
            names = self._listed(notice.paused, language)
            paragraphs.append(self._texts.render("plan_notice.paused", language, names=names))
        if notice.resumed:
            names = self._listed(notice.resumed, language)
            paragraphs.append(self._texts.render("plan_notice.resumed", language, names=names))
        return Composed(Message(html=str(join("\n\n", paragraphs))), (first,))

    def _opening(self, notice: PlanNotice, subscriber: Subscriber) -> Html:
        language = subscriber.language
        if notice.ended is None:
            plan = self._texts.label("plan", notice.plan, language)
            if notice.until is None or notice.plan == FREE:
                return self._texts.render("plan_notice.changed", language, plan=plan)
            zone = subscriber.preferences.time_zone
            until, grace = (shown_time(at, zone) for at in (notice.until, notice.until + GRACE))
            return self._texts.render(_OPENINGS[notice.how], language, plan=plan, until=until, grace=grace)
        plan = self._texts.label("plan", notice.ended, language)
        key = "plan_notice.ended_free" if notice.plan == FREE else "plan_notice.ended"
        return self._texts.render(key, language, plan=plan)

    def _listed(self, sets: Sequence[SetName], language: str) -> Html:
        names = (self._names.shown(one.name, one.number, language) for one in sets[:_NAMED])
        lines = [self._texts.render("plan_notice.set", language, name=name) for name in names]
        if len(sets) > _NAMED:
            lines.append(self._texts.render("list.more", language, count=len(sets) - _NAMED))
        return join("\n", lines)
