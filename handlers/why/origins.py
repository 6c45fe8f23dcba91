"""Where the figures came from that a call was decided by: said once where most are of one origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from domain.calls.events import Call
from domain.filters.numbers import show_short
from domain.filters.registry import FIELDS, FilterField
from domain.why.verdicts import SetVerdict, figures_read
from handlers.conversation.menus import View
from services.cards.sources import Sources, shown_age
from services.why.answers import CallExplanation
from texts.markup import Html, join

_SECOND_MS: Final = 1_000
_MINUTE_S: Final = 60.0
FIELDS_BY_KEY: Final = {field.key: field for field in FIELDS}


def common_origin(view: View, one: CallExplanation, sets: Iterable[SetVerdict]) -> tuple[Html, bool]:
    """Where most of the figures came from, and whether all did; empty where no two are of one origin."""
    fields = {
        rule.key: FIELDS_BY_KEY[rule.key]
        for judged in sets
        if judged.verdict.enabled
        for rule in judged.verdict.rules
        if not rule.missing and rule.key in FIELDS_BY_KEY
    }
    origins = Counter(_origin(view, field, one) for field in fields.values())
    [(common, count), *_] = origins.most_common(1) or [(Html(), 0)]
    return (common, len(origins) == 1) if count > 1 else (Html(), False)


def beside_figure(view: View, one: CallExplanation, common: Html, field: FilterField) -> Html:
    """Say of a figure where it came from, unless that is said once for many."""
    origin, sources, token = _origin(view, field, one), Sources(view.texts, view.language), one.shown.token
    beside = Html() if origin == common else view.html("why.origin_beside", origin=origin)
    read = figures_read(field, one.shown)
    notes = (sources.note(name, other) for name, other in token.disputed.items() if name in read)
    return join(" ", (text for text in (beside, *notes) if text))


def _origin(view: View, field: FilterField, one: CallExplanation) -> Html:
    """Say where the value came from and how old it was: the oldest of the figures that it was made of."""
    call = one.shown
    if own_tokens := _own_tokens(field, call):
        return view.html("card.own_record", value=own_tokens)
    decided_at = one.delivery.decided_at if one.late_s is not None and one.delivery else one.decided.decided_at
    read = figures_read(field, call)
    origins = [call.token.origins[name] for name in read if name in call.token.origins]
    oldest = min(origins, key=lambda origin: origin.at, default=None)
    if oldest is None:
        return view.html("why.origin_call", age=shown_age((decided_at - call.received_at).total_seconds()))
    source = Sources(view.texts, view.language).name(oldest.source)
    return view.html("why.origin", source=source, age=shown_age((decided_at - oldest.at).total_seconds()))


def _own_tokens(field: FilterField, call: Call) -> int | None:
    """Of how many tokens the channel's record is that a field looks at, where that is our own and not the source's."""
    if field.group != "channel":
        return None
    record = call.channel.record_30d if field.key.endswith("_30d") else call.channel.record
    return record.own_tokens if record else None


def ago(seconds: float) -> str:
    """Show a span: milliseconds, tenths of a second up to a minute, then its largest units.

    A clock that runs ahead shows 0.
    """
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * _SECOND_MS:.0f} ms"
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else show_short(round(seconds), "duration")
