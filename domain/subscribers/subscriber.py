"""Who receives calls: one immutable document per person, replaced as a whole at every change."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, get_args

from msgspec import Struct

from domain.calls.events import Channel
from domain.filters.registry import FilterSet
from domain.filters.rules import without_channels
from domain.payments.entitlements import end_of
from domain.payments.plans import FREE, TRIAL
from domain.tracking.ladder import MILESTONES

MessageKind = Literal["alert", "late", "digest", "milestone", "report"]
CardField = Literal[
    "market_cap",
    "liquidity",
    "age",
    "holders",
    "price",
    "volume",
    "change",
    "links",
    "security",
    "channel",
    "latency",
    "image",
    "later",
    "sources",
]
"""`later`: what became known after the alert. `sources`: whose figures they are, and who says otherwise."""
CardButton = Literal["copy", "chart", "explorer", "why", "mute", "watch", "mute_caller", "buy"]
"""`mute_caller` mutes the channel with one tap. `buy`: the operator's places to buy at."""
ReportName = Literal["daily", "best", "weekly", "presets", "preset_results", "channels"]

NOTHING_PASSES = 101
"""Above the highest score."""
ALL_BUTTONS: Final[tuple[CardButton, ...]] = get_args(CardButton)
USUAL_BUTTONS: Final[tuple[CardButton, ...]] = tuple(button for button in ALL_BUTTONS if button != "mute_caller")
"""That everybody has who has chosen nothing."""

REPORTS: Final[tuple[ReportName, ...]] = get_args(ReportName)
USUAL_REPORTS: Final[tuple[ReportName, ...]] = ("weekly",)
"""That everybody gets who has chosen nothing: one a week annoys nobody."""


class QuietHours(Struct, frozen=True, kw_only=True):
    """From `start_minute` to `end_minute` of the local day (0-1439), over midnight where the end is smaller."""

    start_minute: int
    end_minute: int
    pass_score: int = NOTHING_PASSES
    """Calls that score at least this (0-100, `domain/calls/score.py`) come through."""


class Destination(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group, or a topic in it, that the subscriber administers."""

    chat_id: int
    thread_id: int | None = None
    title: str = ""
    """Attacker-controlled text."""


class Card(Struct, frozen=True, kw_only=True, omit_defaults=True):
    compact: bool = False
    hidden: frozenset[CardField] = frozenset()
    buttons: tuple[CardButton, ...] = USUAL_BUTTONS


class Preferences(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How what passed is delivered."""

    time_zone: str = "UTC"
    """IANA name."""
    quiet: QuietHours | None = None
    quiet_ended_until: datetime | None = None
    """Until when they do not count: somebody has ended those of one night before their time."""
    alerts_per_hour: int | None = None
    """`None`: as many as pass. Beyond it the best by score come, the rest goes into the digest."""
    silent: frozenset[MessageKind] = frozenset({"digest"})
    """Kinds that come without a sound."""
    snoozed_until: datetime | None = None
    muted_tokens: dict[str, datetime] = {}
    """Token address -> until when. At most 200, the ones that end first leave."""
    muted_names: dict[str, str] = {}
    """Of muted tokens, as they were shown. Attacker-controlled text."""
    muted_channels: dict[str, str] = {}
    """Channel id -> its title (attacker-controlled text). No filter takes their calls, until they are unmuted."""
    card: Card = Card()
    destination: Destination | None = None
    """`None`: the private chat."""
    milestones: tuple[float, ...] | None = None
    """Multiples that are told as a reply to their alert; `None`: those that everybody is told."""

    reports: tuple[ReportName, ...] | None = None
    """That come by themselves; `None`: those that everybody gets."""
    light_pictures: bool = False
    """Charts and cards are dark otherwise."""
    news: bool = True
    """What the operator has to say to many comes as well."""

    def has_muted(self, channel: Channel) -> bool:
        """Whether it is muted, by any of its ids."""
        return not self.muted_channels.keys().isdisjoint(channel.ids)

    def wants_report(self, report: ReportName) -> bool:
        return report in (USUAL_REPORTS if self.reports is None else self.reports)

    def wants_milestone(self, multiple: float) -> bool:
        return multiple in (MILESTONES if self.milestones is None else self.milestones)


class Subscriber(Struct, frozen=True, kw_only=True, omit_defaults=True):
    user_id: int
    """Telegram user id."""
    chat_id: int
    """The private chat; it has the id of the user."""
    name: str
    """Attacker-controlled display name."""
    language: str = "en"
    created_at: datetime
    revision: int = 1
    """Grows by one at every change; a store keeps the higher one."""
    plan: str = TRIAL
    """Key of a plan; `free` once everything that was given has ended, where there is a free tier."""
    paid_until: datetime | None = None
    """End of the trial or of the paid time, also when it has passed. Settings stay after it."""
    paused: bool = False
    """The person asked for silence."""
    unreachable: bool = False
    """Telegram answers 403: nothing is sent until the person speaks again. Paid time is not touched."""
    banned_at: datetime | None = None
    """Since when an admin wants them to get nothing: no alert, no answer, and they buy nothing."""
    filter_sets: tuple[FilterSet, ...] = ()
    preferences: Preferences = Preferences()

    @property
    def matched_sets(self) -> tuple[FilterSet, ...]:
        """The filter sets as calls are held against them: without the muted channels."""
        muted = self.preferences.muted_channels
        return tuple(without_channels(one, muted) for one in self.filter_sets) if muted else self.filter_sets

    def receives_at(self, now: datetime) -> bool:
        """Whether calls are held against this subscriber's filters at `now`."""
        return self.has_plan_at(now) and not (self.paused or self.unreachable or self.banned_at)

    def has_plan_at(self, now: datetime) -> bool:
        """Whether they are entitled to calls: paid for, in the days of grace, or free."""
        return self.plan == FREE or (self.ends_at is not None and now < self.ends_at)

    @property
    def ends_at(self) -> datetime | None:
        """When calls stop; `None` where nothing ends."""
        return end_of(self.plan, self.paid_until)

    def filter_set(self, number: int) -> FilterSet | None:
        return next((s for s in self.filter_sets if s.number == number), None)
