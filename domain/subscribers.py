"""Who receives calls: one immutable document per person, replaced as a whole at every change."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from domain.filters import FilterSet


class Subscriber(Struct, frozen=True, kw_only=True, omit_defaults=True):
    user_id: int
    """Telegram user id."""
    chat_id: int
    """Where alerts go; the private chat has the id of the user."""
    name: str
    """Attacker-controlled display name."""
    language: str = "en"
    created_at: datetime
    revision: int = 1
    """Grows by one at every change; a store keeps the higher one."""
    plan: str = "trial"
    paid_until: datetime | None = None
    """End of the trial or of the paid time. Alerts stop after it, settings stay."""
    paused: bool = False
    """The person asked for silence."""
    unreachable: bool = False
    """Telegram answers 403: nothing is sent until the person speaks again. Paid time is not touched."""
    filter_sets: tuple[FilterSet, ...] = ()

    def receives_at(self, now: datetime) -> bool:
        """Whether calls are held against this subscriber's filters at `now`."""
        entitled = self.paid_until is not None and now < self.paid_until
        return entitled and not self.paused and not self.unreachable

    def filter_set(self, number: int) -> FilterSet | None:
        return next((s for s in self.filter_sets if s.number == number), None)
