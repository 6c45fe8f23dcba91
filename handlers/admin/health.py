"""How every part of the bot is doing, for its admins."""

from __future__ import annotations

from domain.numbers import show_short
from handlers import callbacks, menus
from handlers.base import BotBase, Turn
from handlers.menus import View, view_of
from handlers.routing import callback, command
from services.monitoring import HealthReport, PartHealth
from texts.markup import Html, columns

_WHOLE_FROM_MS = 10
_SECOND_MS = 1_000


class AdminHealthMixin(BotBase):
    @command("health", help="help.health", admin=True)
    async def health(self, turn: Turn) -> None:
        view = view_of(self.services, turn)
        report = await self.services.monitoring.health()
        refresh = view.button("button.refresh", callbacks.RefreshHealth())
        await self.show(turn, menus.message(_report(view, report), keyboard=((refresh,),)))

    @callback(callbacks.RefreshHealth, admin=True)
    async def refresh_health(self, turn: Turn, _data: callbacks.RefreshHealth) -> None:
        await self.health(turn)


def _report(view: View, report: HealthReport) -> Html:
    parts = [_part(view, part) for part in report.parts] or [view.html("health.no_parts")]
    counts = columns(
        (view.html("health.counter", name=name.replace("_", " ")), view.html("health.count", value=f"{value:,}"))
        for name, value in report.counters.items()
    )
    return view.html(
        "health.main",
        uptime=show_short(report.uptime_s, "duration"),
        p50=_latency(report.latency_p50_ms),
        p99=_latency(report.latency_p99_ms),
        parts=view.listed(parts),
        counts=counts or view.html("health.no_counters"),
    )


def _part(view: View, part: PartHealth) -> Html:
    key = "health.part_ok" if part.ok else "health.part_failing"
    latency = "" if part.latency_ms is None else _latency(part.latency_ms)
    return view.html(key, name=part.name, detail=f"{latency} {part.detail}")


def _latency(latency_ms: float | None) -> str:
    if latency_ms is None:
        return "?"
    if latency_ms >= _SECOND_MS:
        return f"{latency_ms / _SECOND_MS:,.1f} s"
    return f"{latency_ms:.1f} ms" if latency_ms < _WHOLE_FROM_MS else f"{latency_ms:.0f} ms"
