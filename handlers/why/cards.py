"""How a verdict reads: rule by rule, then what came of it, then the clock. Pure, and never longer than one message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Final

from domain.buttons.cards import ShowWhy
from domain.calls.events import Call, Token
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.delivery.messages import Message
from domain.delivery.quiet import show_minute
from domain.filters.explanation import RuleVerdict
from domain.filters.numbers import show_apart, show_short, show_value
from domain.filters.registry import Choice, FilterField, Range, Rule, Words
from domain.subscribers.subscriber import Subscriber
from domain.subscribers.zones import show_zone
from domain.why.verdicts import SetVerdict
from handlers.conversation.menus import Keyboard, View, message
from handlers.why.buttons import WhyToken
from handlers.why.fates import fate, fate_line
from handlers.why.moments import clock_or_day, shown_clock, shown_day, shown_exactly, shown_moment
from handlers.why.origins import FIELDS_BY_KEY, ago, beside_figure, common_origin
from services.cards.pieces import chain_of
from services.why.answers import CallExplanation, Death, Explanation, Outcome
from texts.markup import Html, join, to_plain, utf16_length

SETS_BUDGET_UTF16: Final = 2_600
"""For the rules of all sets, of the 4096 units of a message."""
MAX_SETS: Final = 12
MAX_OTHER_CALLS: Final = 6
_ORDER: Final = ("failed", "waiting", "passed")
"""Of the rules of one set: what decided it comes first."""
_TITLES: Final = {"passed": "why.set_passed", "waiting": "why.set_waiting", "failed": "why.set_failed"}
_TITLES_OF_ONE: Final = {
    "passed": "why.set_passed_one",
    "waiting": "why.set_waiting_one",
    "failed": "why.set_failed_one",
}
"""Of a filter with one rule."""
_RANKS: Final = tuple(_TITLES)
"""Of the sets."""

_Beside = Callable[[FilterField], Html]
_OUTCOMES: Final[dict[Outcome, str]] = {
    "accepted": "why.accepted",
    "waiting": "why.waiting",
    "gave_up": "why.gave_up",
    "failed": "why.failed",
    "stale": "why.stale",
    "blocked": "why.blocked",
    "not_subscribed": "why.not_subscribed",
    "banned": "why.banned",
    "expired": "why.expired",
    "paused": "why.paused",
    "unreachable": "why.unreachable",
    "no_sets": "why.no_sets",
    "muted_channel": "why.muted_channel",
    "sent_earlier": "why.sent_earlier",
    "checked_before": "why.checked_before",
    "not_checked": "why.not_checked",
}
_EARLIER: Final[dict[str, str]] = {
    "told": "why.sent_earlier",
    "waits": "why.held_earlier",
    "waits_openly": "why.held_earlier_openly",
    "withheld": "why.withheld_earlier",
}
_SIGNS: Final[dict[Outcome, str]] = {"accepted": "✓", "waiting": "…", "failed": "✗", "gave_up": "✗"}


def outcome_line(view: View, found: Explanation, now: datetime) -> Html:
    """Say what came of the newest call, for the person, and of its alert."""
    newest, zone = found.calls[0], found.subscriber.preferences.time_zone
    return join(
        "\n", (line for line in (_outcome(view, newest, now, zone), fate_line(view, newest, now, zone)) if line)
    )


def verdict_and_fate(view: View, one: CallExplanation, now: datetime, zone: str) -> Html:
    return join(" ", (line for line in (verdict_line(view, one, now, zone), fate_line(view, one, now, zone)) if line))


def explanation_card(view: View, found: Explanation, now: datetime) -> Message:
    """Explain the newest call in full; the others are a button each."""
    newest, *others = found.calls
    preferences = found.subscriber.preferences
    return message(
        _title(view, newest.decided.call),
        _outcome(view, newest, now, preferences.time_zone),
        _passed_before(view, newest, others, preferences.time_zone),
        _death(view, found.death, preferences.time_zone),
        *_sets(view, newest, now, preferences.time_zone),
        fate(view, newest, now, preferences.time_zone),
        _times(view, newest, preferences.time_zone),
        view.html("why.signs") if others else Html(),
        keyboard=_all_calls(view, found) if found.unshown else _other_calls(view, others, now),
    )


def _title(view: View, call: Call) -> Html:
    channel = call.channel.title or call.channel.id
    title = view.html("why.title", name=token_name(view, call.token), address=call.token.address, channel=channel)
    chain = chain_of(view.texts, call.token, view.language)
    return join("\n", (line for line in (title, chain) if line))


def token_name(view: View, token: Token) -> str:
    return token.symbol or token.name or view.plain("value.unnamed_token")


def verdict_line(view: View, one: CallExplanation, now: datetime, zone: str) -> Html:
    """Say in one sentence what came of a call for the person."""
    until = max((s.waits_until for s in one.judged.sets if s.waits_until), default=None)
    earlier, key = one.earlier, _OUTCOMES[one.outcome]
    if earlier and one.outcome == "sent_earlier":
        key = _EARLIER[earlier.state]
    until = (earlier and earlier.comes_at) or until or now
    return view.html(
        key,
        until=f"{clock_or_day(until, now, zone)} ({show_zone(zone)})",
        age=ago((one.decided.decided_at - one.decided.call.called_at).total_seconds()),
        channel=earlier.channel if earlier else one.decided.call.channel.title or one.decided.call.channel.id,
        at=f"{shown_moment(earlier.at, zone)} ({show_zone(zone)})" if earlier else "",
        days=ACCEPTED_FOR.days,
    )


def _outcome(view: View, one: CallExplanation, now: datetime, zone: str) -> Html:
    text = verdict_line(view, one, now, zone)
    late = Html() if one.late_s is None else view.html("why.late", late=ago(one.late_s))
    return join("\n", (line for line in (text, late, _account(view, one)) if line))


def _passed_before(view: View, newest: CallExplanation, others: Iterable[CallExplanation], zone: str) -> Html:
    """Say that another call of the token did pass, where what is said of the newest may sound as if none had."""
    passed = next((one for one in others if one.outcome == "accepted"), None)
    if passed is None or newest.outcome in {"accepted", "sent_earlier"}:
        return Html()
    call, at = passed.decided.call, f"{shown_moment(passed.decided.decided_at, zone)} ({show_zone(zone)})"
    return view.html("why.passed_before", channel=call.channel.title or call.channel.id, at=at)


def _death(view: View, death: Death | None, zone: str) -> Html:
    if death is None:
        return Html()
    why, at = view.plain(f"value.died.{death.cause}"), f"{shown_moment(death.at, zone)} ({show_zone(zone)})"
    return view.html("why.died", at=at, why=why)


def _account(view: View, one: CallExplanation) -> Html:
    """Say what held besides the rules, by the settings of then."""
    subscriber = one.judged.subscriber
    return Html() if subscriber is None else join(" · ", _holding(view, subscriber, one))


def _holding(view: View, subscriber: Subscriber, one: CallExplanation) -> Iterator[Html]:
    preferences, zone = subscriber.preferences, subscriber.preferences.time_zone
    at = one.decided.decided_at
    ends = subscriber.ends_at is not None and subscriber.paid_until
    until = shown_day(ends, zone) if ends else "–"
    yield view.html("why.plan", plan=view.label("plan", subscriber.plan), until=until)
    muted_until = preferences.muted_tokens.get(one.decided.call.token.address)
    if muted_until and muted_until > at:
        yield view.html("why.muted_until", until=shown_moment(muted_until, zone))
    if preferences.has_muted(one.decided.call.channel):
        yield view.html("why.channel_muted")
    if preferences.snoozed_until and preferences.snoozed_until > at:
        yield view.html("why.snoozed_until", until=shown_moment(preferences.snoozed_until, zone))
    if preferences.quiet:
        start, end = show_minute(preferences.quiet.start_minute), show_minute(preferences.quiet.end_minute)
        yield view.html("why.quiet_hours", start=start, end=end)
    if preferences.alerts_per_hour is not None:
        yield view.html("why.cap", count=preferences.alerts_per_hour)


def _sets(view: View, one: CallExplanation, now: datetime, zone: str) -> Iterator[Html]:
    """The set that let the call pass first. They share the room; what one does not need is the next one's."""
    sets, left = one.judged.sets, SETS_BUDGET_UTF16
    if len(sets) > MAX_SETS:
        sets = tuple(sorted(sets, key=_distance)[:MAX_SETS])
    common, is_of_all = common_origin(view, one, sets)
    beside = partial(beside_figure, view, one, common)
    for place, judged in enumerate(sorted(sets, key=_rank)):
        block = _set(view, judged, beside, now, zone, room=left // (len(sets) - place))
        left = max(0, left - _length(block))
        yield block
    if len(one.judged.sets) > len(sets):
        yield view.html("why.more_sets", count=len(one.judged.sets) - len(sets))
    if common:
        yield view.html("why.origin_of_all" if is_of_all else "why.origin_of_most", origin=common)


def _rank(judged: SetVerdict) -> int:
    return len(_RANKS) if not judged.verdict.enabled else _RANKS.index(judged.verdict.outcome)


def _distance(judged: SetVerdict) -> tuple[bool, int]:
    """Say how far a set was from letting the call pass."""
    return not judged.verdict.enabled, sum(rule.outcome != "passed" for rule in judged.verdict.rules)


def _set(view: View, judged: SetVerdict, beside: _Beside, now: datetime, zone: str, *, room: int) -> Html:
    rules = sorted(judged.verdict.rules, key=lambda rule: _ORDER.index(rule.outcome))
    lines = [_set_title(view, judged)]
    if not judged.verdict.enabled:
        return lines[0]
    if not rules:
        return join("\n", (*lines, view.html("rule.none")))
    more = view.html("why.more_rules", count=len(rules))
    room -= _length(lines[0]) + _length(more)
    for place, rule in enumerate(rules):
        line = _rule(view, rule, beside, _waits_until(judged, now, zone), is_over=_is_over(judged, now))
        room -= _length(line) + 1
        if room < 0:
            lines.append(view.html("why.more_rules", count=len(rules) - place))
            break
        lines.append(line)
    return join("\n", lines)


def _set_title(view: View, judged: SetVerdict) -> Html:
    name, outcome = view.set_name(judged.filter_set), judged.verdict.outcome
    if not judged.verdict.enabled:
        return view.html("why.set_paused" if judged.filter_set.paused_by_plan else "why.set_off", name=name)
    total = len(judged.verdict.rules)
    titles = _TITLES if total > 1 else _TITLES_OF_ONE
    key = titles[outcome] if total else "why.set_open"
    return view.html(key, name=name, count=sum(rule.outcome == outcome for rule in judged.verdict.rules), rules=total)


def _waits_until(judged: SetVerdict, now: datetime, zone: str) -> str:
    return shown_clock(judged.waits_until or now, zone)


def _is_over(judged: SetVerdict, now: datetime) -> bool:
    return judged.waits_until is None or judged.waits_until <= now


def _rule(view: View, rule: RuleVerdict, beside: _Beside, until: str, *, is_over: bool) -> Html:
    field, label = FIELDS_BY_KEY.get(rule.key), view.label("filter", rule.key)
    if field is None:
        return view.html("why.rule_gone", label=label)
    needs = needed(view, rule.rule, field)
    if rule.outcome == "waiting":
        return view.html("why.rule_waited" if is_over else "why.rule_waiting", label=label, until=until)
    if rule.missing:
        key = "why.rule_let_pass" if rule.outcome == "passed" else "why.rule_unknown"
        return view.html(key, label=label, rule=needs)
    if rule.outcome == "failed":
        line = view.html("why.rule_failed", label=label, value=seen_beside(rule, field), rule=needs)
    else:
        both = isinstance(rule.rule, Range) and rule.rule.minimum is not None and rule.rule.maximum is not None
        key = "why.rule_within" if both and field.unit != "flag" else "why.rule_passed"
        line = view.html(key, label=label, value=seen_beside(rule, field), rule=needs)
    return join(" ", (text for text in (line, beside(field)) if text))


def seen_beside(rule: RuleVerdict, field: FilterField) -> str:
    """Show what was seen as cards do; where it is none of the limits it does not read like one."""
    limits = (rule.rule.minimum, rule.rule.maximum) if isinstance(rule.rule, Range) else ()
    others = [show_value(limit, field.unit) for limit in limits if limit is not None and limit != rule.seen]
    return show_apart(rule.seen, field.unit, others)


def needed(view: View, rule: Rule, field: FilterField) -> str:
    """Say what a rule wants, in words that stand after `needs`."""
    wanted = view.full_rule(rule, field)
    excludes_only = isinstance(rule, Choice | Words) and not rule.included
    return view.plain("why.to_be", rule=wanted) if excludes_only else wanted


def _times(view: View, one: CallExplanation, zone: str) -> Html:
    """Lay the clock of the call out: each moment, and how long after the one before it came."""
    call, delivery = one.decided.call, one.delivery
    moments: list[tuple[str, datetime]] = [
        ("why.time_called", call.called_at),
        ("why.time_received", call.received_at),
        ("why.time_decided", one.decided.decided_at),
    ]
    if delivery and one.late_s is not None:
        moments.append(("why.time_decided_late", delivery.decided_at))
    if delivery and delivery.sent_at:
        speed_s, confirmed_s = delivery.latency_s, (delivery.sent_at - call.received_at).total_seconds()
        if speed_s is not None and 0 <= speed_s <= confirmed_s:
            moments.append(("why.time_handed", call.received_at + timedelta(seconds=speed_s)))
        moments.append(("why.time_sent", delivery.sent_at))
    if delivery and delivery.digest.status == "sent" and delivery.digest.at:
        moments.append(("why.time_digest", delivery.digest.at))
    lines = [view.html(moments[0][0], at=shown_moment(moments[0][1], zone, exact=True))]
    for (_, before), (key, at) in pairwise(moments):
        after = f"{(at - before).total_seconds() * 1000:+,.0f}"
        lines.append(view.html(key, at=shown_exactly(at, zone), after=after))
    lines.append(view.html("why.times_of", zone=show_zone(zone)))
    return join("\n", lines)


def _all_calls(view: View, found: Explanation) -> Keyboard:
    return ((view.button("button.why_all", WhyToken(found.address)),),)


def _other_calls(view: View, others: Sequence[CallExplanation], now: datetime) -> Keyboard:
    """The newest, and in any case the one that passed."""
    passed = next((one for one in others[MAX_OTHER_CALLS:] if one.outcome == "accepted"), None)
    shown = others[:MAX_OTHER_CALLS] if passed is None else (*others[: MAX_OTHER_CALLS - 1], passed)
    return tuple(
        (
            view.button(
                "button.why_call",
                ShowWhy.of(one.decided.call.token.address, one.decided.call.id),
                sign=_SIGNS.get(one.outcome, "⊘"),
                channel=one.decided.call.channel.title or one.decided.call.channel.id,
                ago=show_short(max(0, round((now - one.decided.decided_at).total_seconds())), "duration"),
            ),
        )
        for one in shown
    )


def _length(html: Html) -> int:
    return utf16_length(to_plain(html)) + 2
