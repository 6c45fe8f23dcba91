"""How statistics read, and what their pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Final

from domain.filters.shown import shown_figure
from domain.reports.pictures import Heading, Series, SeriesByDay
from handlers.conversation.menus import View
from services.statistics.statistics import WINDOWS, ByDay, Revenue, Summary, What
from texts.markup import Html, join

MAX_PARTS: Final = 5
"""That a picture tells apart; the smaller ones are one."""
_STACKED: Final = frozenset({"people", "revenue", "alerts"})


def summary_text(view: View, summary: Summary) -> Html:
    people = {name: f"{getattr(summary.people, name):,}" for name in summary.people.__struct_fields__}
    plans = [
        view.html("stats.plan", plan=view.label("plan", one.plan), people=f"{one.people:,}", active=f"{one.active:,}")
        for one in summary.plans
    ]
    renewals, delivered = summary.renewals, summary.delivered
    churn = "–" if summary.churn is None else f"{100 * summary.churn:.1f}%"
    parts = (
        view.html("stats.people", **people, plans=view.listed(plans) or view.html("stats.none")),
        view.html("stats.revenue", windows=join("\n", (_window(view, days, summary.revenue) for days in WINDOWS))),
        view.html(
            "stats.renewals",
            first=f"{renewals.first:,}",
            renewed=f"{renewals.renewed:,}",
            refunded=f"{renewals.refunded:,}",
            lapsed=f"{renewals.lapsed:,}",
            churn=churn,
        ),
        view.html(
            "stats.alerts",
            sent=f"{delivered.sent:,}",
            in_digests=f"{delivered.in_digests:,}",
            withheld=f"{delivered.withheld:,}",
            dead=f"{delivered.dead:,}",
            measured=f"{delivered.measured:,}",
            p50=shown_latency(delivered.p50_s),
            p99=shown_latency(delivered.p99_s),
        ),
    )
    return join("\n\n", (*parts, view.html("stats.as_of", at=f"{summary.at.astimezone(UTC):%d %b %Y, %H:%M:%S}")))


def shown_latency(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{1000 * seconds:,.0f} ms" if seconds < 10 else shown_figure(seconds, "duration") or "–"  # noqa: PLR2004 - seconds


def picture_of(view: View, what: What, found: ByDay) -> SeriesByDay | None:
    """`None`: there is nothing to show."""
    parts = _largest(view, what, found)
    if not any(any(part.values) for part in parts):
        return None
    return SeriesByDay(
        heading=Heading(
            title=view.plain(f"stats.title.{what}"),
            subtitle=view.plain("stats.days", first=f"{found.days[0]:%d %b}", last=f"{found.days[-1]:%d %b %Y}"),
            note=view.plain(f"stats.note.{what}"),
        ),
        days=found.days,
        parts=parts,
        y_label=view.plain(f"stats.y.{what}"),
        stacked=what in _STACKED,
    )


def _window(view: View, days: int, revenue: Sequence[Revenue]) -> Html:
    its = [one for one in revenue if one.days == days]
    ways = ", ".join(
        view.plain(
            "value.stats_stars" if one.method == "stars" else "value.stats_way",
            way=view.label("stats_way", one.method),
            payments=f"{one.payments:,}",
            usd=_usd(one.usd),
            stars=f"{one.stars:,}",
        )
        for one in its
    )
    total = _usd(sum((one.usd for one in its), Decimal(0)))
    return view.html("stats.window", days=days, usd=total, ways=ways or "–")


def _usd(amount: Decimal) -> str:
    return f"${amount:,.2f}"


def _largest(view: View, what: What, found: ByDay) -> tuple[Series, ...]:
    """The parts that matter most, the largest first; latencies as they are, in milliseconds."""
    if what == "latency":
        return tuple(
            Series(label=part, values=tuple(value and 1000 * value for value in its))
            for part, its in found.parts.items()
        )
    family = {"people": "plan", "revenue": "stats_way", "alerts": "stats_part"}[what]
    ordered = sorted(found.parts.items(), key=lambda item: -sum(filter(None, item[1])))
    kept, others = ordered[:MAX_PARTS], ordered[MAX_PARTS:]
    if others:
        kept, others = ordered[: MAX_PARTS - 1], ordered[MAX_PARTS - 1 :]
    parts = [Series(label=view.label(family, part), values=its) for part, its in kept]
    if others:
        values = tuple(sum(filter(None, day)) for day in zip(*(its for _, its in others), strict=True))
        parts.append(Series(label=view.plain("value.stats_others"), values=values))
    return tuple(parts)
