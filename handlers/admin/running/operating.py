"""Connections of all processes: made anew, hosts tried again, how much is logged."""

from __future__ import annotations

from config.logging import LEVELS
from handlers.admin.running.buttons import AskControl, LetIn, Reconnect, SetLogLevel, ShowMaintenance, ShowOperating
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import callback
from runtime.errors import UserFacingError
from services.running.operating import PARTS, Operating
from services.running.processes import Processes, ProcessReport
from texts.markup import Html

MAX_HOST = 40
"""Characters of its name that a button carries."""


class AdminOperatingMixin(BotBase):
    @callback(ShowOperating, admin="read_only")
    async def show_operating(self, turn: Turn, _data: ShowOperating) -> None:
        await self._show_operating(turn)

    async def _show_operating(self, turn: Turn) -> None:
        view, reports = view_of(self.services, turn), await self.services.of(Processes).all()
        out = _shut_out(reports)
        hosts = view.listed(_host(view, host, problem) for host, problem in out.items())
        levels = ", ".join(sorted({one.log_level for one in reports if one.log_level}))
        text = view.html("operating.main", hosts=hosts or view.html("operating.no_hosts"), level=levels or "?")
        reconnect = (view.button(f"button.reconnect.{part}", Reconnect(part)) for part in PARTS)
        let_in = (view.button("button.let_in", LetIn(host[:MAX_HOST]), host=host) for host in out)
        level = (view.button("button.log_level", SetLogLevel(one), level=one) for one in LEVELS)
        drain = view.button("button.drain", AskControl("drain", ""))
        keyboard = (
            *in_rows(reconnect, 1),
            *in_rows(let_in, 1),
            *in_rows(level, 2),
            (drain, view.button("button.maintenance", ShowMaintenance())),
            (view.button("button.refresh", ShowOperating()),),
        )
        await self.show(turn, message(text, keyboard=keyboard))

    @callback(Reconnect, admin="owner", acts="reconnect")
    async def reconnect(self, turn: Turn, data: Reconnect) -> str:
        if data.part not in PARTS:
            raise UserFacingError("callback.stale")
        heard = await self.services.of(Operating).reconnect(data.part)
        return self._ordered(turn, heard=heard)

    @callback(LetIn, admin="owner", acts="reset breaker")
    async def let_in(self, turn: Turn, data: LetIn) -> str:
        out = _shut_out(await self.services.of(Processes).all())
        host = next((one for one in out if one[:MAX_HOST] == data.host), None)
        if host is None:
            raise UserFacingError("operating.is_in")
        heard = await self.services.of(Operating).let_in(host)
        await self._show_operating(turn)
        return self._ordered(turn, heard=heard)

    @callback(SetLogLevel, admin="owner", acts="set log level")
    async def set_log_level(self, turn: Turn, data: SetLogLevel) -> str:
        if data.level not in LEVELS:
            raise UserFacingError("callback.stale")
        heard = await self.services.of(Operating).log_from(data.level)
        await self._show_operating(turn)
        return self._ordered(turn, heard=heard)

    def _ordered(self, turn: Turn, *, heard: bool) -> str:
        return view_of(self.services, turn).plain("value.ordered" if heard else "value.ordered_here")


def _shut_out(reports: list[ProcessReport]) -> dict[str, str]:
    return {one.host: one.problem or "" for report in reports for one in report.shut_out}


def _host(view: View, host: str, problem: str) -> Html:
    return view.html("operating.host", host=host, problem=problem)
