"""How often something happens: by the day, or as a count where it has not been counted for a whole one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from handlers.conversation.menus import View
from handlers.why.moments import clock_or_day
from texts.markup import Html

_DAY: Final = timedelta(days=1)


def how_often(view: View, keys: tuple[str, str], since: datetime, now: datetime, **counts: int) -> Html:
    """Say the first key by the day, or the second in whole numbers: a rate of an hour says nothing of a day."""
    by_day, in_all = keys
    days = (now - since) / _DAY
    if days < 1:
        shown = {name: f"{count:,}" for name, count in counts.items()}
        return view.html(in_all, **shown, since=clock_or_day(since, now, "UTC"))
    return view.html(by_day, **{name: f"{count / days:,.1f}" for name, count in counts.items()})
