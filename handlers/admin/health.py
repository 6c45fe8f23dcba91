"""How every part of the bot is doing, for its admins."""

from __future__ import annotations

from collections.abc import Iterable

from domain.filters.numbers import show_short
from handlers.admin.buttons import RefreshHealth
from handlers.admin.running.buttons import ShowOperating
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import callback, command
from services.monitoring.alarms import ActiveAlarm
from services.monitoring.health import HealthReport, MemberHealth, PartHealth, ProcessHealth
from texts.markup import Html, columns, join

_WHOLE_FROM_MS = 10
_SECOND_MS = 1_000
MEMBERS_SHOWN = 12
_NONE = "–"


class AdminHealthMixin(BotBase):
    @command("health", help="help.health", admin="read_only", topic="bot")
    async def health(self, turn: Turn) -> None:
        view = view_of(self.services, turn)
        report = await self.services.monitoring.monitor.health()
        refresh = view.button("button.refresh", RefreshHealth())
        act = view.button("button.operate", ShowOperating())
        await self.show(turn, message(_report(view, report), keyboard=((act, refresh),)))

    @callback(RefreshHealth, admin="read_only")
    async def refresh_health(self, turn: Turn, _data: RefreshHealth) -> None:
        await self.health(turn)


def _report(view: View, report: HealthReport) -> Html:
    parts = view.listed([_part(view, part) for part in report.parts] or [view.html("health.no_parts")])
    about = [_process(view, report.process)] if report.process else []
    counts = columns(
        (view.html("health.counter", name=name.replace("_", " ")), view.html("health.count", value=f"{value:,}"))
        for name, value in report.counters.items()
    )
    alarms = [_alarm(view, alarm) for alarm in report.alarms] or [view.html("health.no_alarms")]
    return view.html(
        "health.main",
        uptime=show_short(report.uptime_s, "duration"),
        confirmed=_confirmed(view, report),
        parts=join("\n\n", (parts, *about)),
        alarms=view.listed(alarms),
        counts=counts or view.html("health.no_counters"),
    )


def _confirmed(view: View, report: HealthReport) -> Html:
    if report.latency_p50_ms is None:
        return view.html("health.none_confirmed")
    p50, alerts = _latency(report.latency_p50_ms), f"{report.latency_count:,}"
    if report.latency_p99_ms is None:
        return view.html("health.few_confirmed", p50=p50, alerts=alerts)
    return view.html("health.confirmed", p50=p50, p99=_latency(report.latency_p99_ms), alerts=alerts)


def _part(view: View, part: PartHealth) -> Html:
    key = "health.part_ok" if part.ok else "health.part_failing"
    latency = "" if part.latency_ms is None else _latency(part.latency_ms)
    return view.html(key, name=part.name, detail=f"{latency} {part.detail}")


def _process(view: View, process: ProcessHealth) -> Html:
    members = [_member(view, member) for member in process.members] or [view.html("health.nobody")]
    left_out = len(members) - MEMBERS_SHOWN
    more = [view.html("list.more", count=left_out)] if left_out > 0 else []
    return view.html(
        "health.process",
        role=process.role,
        state=process.state,
        matching=_ranges(process.matching),
        sending=_ranges(process.sending),
        leases=_leases(process.leases),
        members=join("\n", (*members[:MEMBERS_SHOWN], *more)),
    )


def _member(view: View, member: MemberHealth) -> Html:
    share = f" {member.share.replace('/', ' of ')}" if member.share else ""  # “/2” would be a command
    return view.html(
        "health.member",
        owner=member.owner,
        roles=", ".join(member.roles) + share,
        uptime=show_short(member.uptime_s, "duration"),
    )


def _leases(names: Iterable[str]) -> str:
    """Name leases, those of partitions together: `journal, match 0–15`."""
    partitions: dict[str, list[int]] = {}
    for name in names:
        part, _, partition = name.partition(":")
        partitions.setdefault(part, []).extend([int(partition)] if partition else [])
    shown = (f"{part} {_ranges(those)}" if those else part for part, those in partitions.items())
    return ", ".join(shown) or _NONE


def _ranges(numbers: Iterable[int]) -> str:
    """Show numbers as ranges: `0–3, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs) or _NONE


def _alarm(view: View, alarm: ActiveAlarm) -> Html:
    return view.html("health.alarm", name=alarm.name, reason=alarm.reason, lasted=show_short(alarm.for_s, "duration"))


def _latency(latency_ms: float) -> str:
    if latency_ms >= _SECOND_MS:
        return f"{latency_ms / _SECOND_MS:,.1f} s"
    return f"{latency_ms:.1f} ms" if latency_ms < _WHOLE_FROM_MS else f"{latency_ms:.0f} ms"
