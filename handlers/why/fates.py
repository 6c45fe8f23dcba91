"""What became of an alert, in words: sent, on its way, or held, and then when its digest comes or came."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from domain.calls.lifetimes import FRESH_FOR
from domain.filters.shown import shown_speed
from domain.subscribers.zones import show_zone
from handlers.conversation.menus import View
from handlers.why.moments import clock_or_day, shown_moment
from services.why.answers import CallExplanation, Delivery
from texts.markup import Html, join

_FATES: Final[dict[str, str]] = {
    "queued": "why.delivery_queued",
    "in_flight": "why.delivery_in_flight",
    "sent": "why.delivery_sent",
    "merged": "why.delivery_merged",
    "withheld": "why.delivery_withheld",
    "dead": "why.delivery_dead",
    "unrecorded": "why.delivery_unrecorded",
}
_DIGESTS: Final[dict[str, str]] = {
    "waits": "why.held_waits",
    "on_its_way": "why.held_on_its_way",
    "sent": "why.held_told",
    "withheld": "why.held_withheld",
    "dead": "why.held_dead",
    "unrecorded": "why.delivery_unrecorded",
}
_REASONS: Final[dict[str, str]] = {
    "quiet": "why.reason_quiet",
    "cap": "why.reason_cap",
    "kept": "why.reason_kept",
    "stale": "why.reason_stale",
    "unknown": "why.reason_unknown",
    "banned": "why.reason_banned",
    "expired": "why.reason_expired",
    "paused": "why.reason_paused",
    "unreachable": "why.reason_unreachable",
    "snoozed": "why.reason_snoozed",
    "muted": "why.reason_muted",
}


def fate_line(view: View, one: CallExplanation, now: datetime, zone: str) -> Html:
    """Say in one sentence what became of the alert; nothing of a call that did not pass."""
    if one.outcome != "accepted":
        return Html()
    delivery = one.delivery
    if delivery is None:
        return view.html("why.delivery_unknown")
    if delivery.status == "digest":
        return _held(view, delivery, now, zone)
    return view.html(
        _FATES[delivery.status],
        at=shown_moment(delivery.sent_at, zone) if delivery.sent_at else "?",
        reason=_reason(view, delivery.reason),
    )


def fate(view: View, one: CallExplanation, now: datetime, zone: str) -> Html:
    """Say it in full."""
    line, delivery = fate_line(view, one, now, zone), one.delivery
    if delivery is None or not line:
        return line
    speed = shown_speed(delivery.latency_s) if one.late_s is None else None
    lines = [line, *([view.html("why.speed", value=speed)] if speed else [])]
    lines += [view.html("why.may_repeat")] if delivery.may_repeat else []
    return join("\n", lines)


def _held(view: View, delivery: Delivery, now: datetime, zone: str) -> Html:
    digest = delivery.digest
    key = _DIGESTS[digest.status]
    if digest.status == "waits" and digest.at is None:
        key = "why.held_waits_openly"
    return view.html(
        key,
        reason=_reason(view, delivery.reason),
        at=f"{clock_or_day(digest.at, now, zone)} ({show_zone(zone)})" if digest.at else "?",
        why=_reason(view, digest.reason),
    )


def _reason(view: View, reason: str | None) -> str:
    if reason not in _REASONS:
        return reason or ""
    return view.plain(_REASONS[reason], minutes=FRESH_FOR // timedelta(minutes=1))
