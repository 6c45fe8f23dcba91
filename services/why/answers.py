"""What an explanation consists of."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from domain.calls.events import Call
from domain.filters.explanation import RuleVerdict
from domain.filters.registry import FilterSet
from domain.stored.journal import DecidedCall, DeliveryStatus
from domain.subscribers.subscriber import Subscriber
from domain.tracking.outcome import Ending
from domain.why.verdicts import Judged

Outcome = Literal[
    "accepted",
    "waiting",
    "gave_up",
    "failed",
    "stale",
    "blocked",
    "not_subscribed",
    "banned",
    "expired",
    "paused",
    "unreachable",
    "no_sets",
    "muted_channel",
    "sent_earlier",
    "checked_before",
    "not_checked",
]
"""`gave_up`: it waited for a figure that did not come in time, or did not fit. `sent_earlier`: an earlier call of the
token brought the alert. `checked_before`: the same channel's earlier call was checked within the hour. `not_checked`:
it would have passed, but these settings were not loaded yet."""


class EarlierCall(Struct, frozen=True, kw_only=True):
    call_id: str
    channel: str
    """Its title, or its id; attacker-controlled."""
    at: datetime
    state: Literal["told", "waits", "waits_openly", "withheld"] = "told"
    """`waits`: for a digest, which comes at `comes_at` if nothing is changed; `waits_openly`: for one that comes once
    alerts come at all. `withheld`: its alert was not sent, and will not be."""
    comes_at: datetime | None = None


class InDigest(Struct, frozen=True, kw_only=True):
    """Where the digest of a held call is."""

    status: Literal["waits", "on_its_way", "sent", "withheld", "dead", "unrecorded"] = "on_its_way"
    at: datetime | None = None
    """`sent`: when Telegram confirmed it. `waits`: when it comes if nothing is changed; `None`: once alerts come
    at all."""
    reason: str | None = None
    """`withheld`, `dead`: why."""


class Delivery(Struct, frozen=True, kw_only=True):
    """What became of the alert. `status` beyond those of a record: `queued` and `in_flight`."""

    status: DeliveryStatus | Literal["queued", "in_flight"]
    set_number: int
    decided_at: datetime
    """When the alert was decided; later than the call's own decision where it passed late."""
    sent_at: datetime | None = None
    latency_s: float | None = None
    may_repeat: bool = False
    reason: str | None = None
    """Why it was held, withheld or refused."""
    digest: InDigest = InDigest()
    """For `digest`."""


class CallExplanation(Struct, frozen=True, kw_only=True):
    decided: DecidedCall
    shown: Call
    """The call with the figures that decided: those that came later where it passed late."""
    outcome: Outcome
    judged: Judged
    earlier: EarlierCall | None = None
    """For `sent_earlier` and `checked_before`."""
    delivery: Delivery | None = None
    """For `accepted`."""
    late_s: float | None = None
    """For `accepted`: it passed so long after the call, when a missing figure arrived."""


class Death(Struct, frozen=True, kw_only=True):
    """Of a token, as those who follow its calls have seen it."""

    at: datetime
    cause: Ending
    """Anything but `age`."""


class Explanation(Struct, frozen=True, kw_only=True):
    address: str
    calls: tuple[CallExplanation, ...]
    """Newest first, never empty."""
    subscriber: Subscriber
    """As they are now."""
    death: Death | None = None
    """Where the newest call waits for figures, or has waited: of a token that is known to be dead none may come."""
    unshown: int = 0
    """Further calls of the token, where one was asked for."""


class NearMiss(Struct, frozen=True, kw_only=True):
    decided: DecidedCall
    filter_set: FilterSet
    rule: RuleVerdict
    """The only one that failed."""


class NearMisses(Struct, frozen=True, kw_only=True):
    found: tuple[NearMiss, ...]
    """Newest first."""
    calls_checked: int
    """Held against a filter of theirs that was on."""
    complete: bool
    """Whether that was everything of today."""
    since: datetime | None
    """From then on: midnight, or later the first filter that was on; `None` where none was today."""
    time_zone: str
