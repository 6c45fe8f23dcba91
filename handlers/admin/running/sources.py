"""Feeds and providers: how they are, paused and resumed, and the feed's past fetched once more."""

from __future__ import annotations

from typing import Final

from domain.filters.numbers import show_short
from handlers.admin.running.buttons import (
    AskPauseSource,
    AskReplay,
    PauseSource,
    Replay,
    ResumeSource,
    ShowSources,
)
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.running.processes import SourceState
from services.running.sources import Sources
from texts.markup import Html, join

FROM_WHERE: Final = "replay_from"
"""Kind of question."""


class AdminSourcesMixin(BotBase):
    @command("sources", help="help.sources", admin="read_only", topic="bot")
    async def sources(self, turn: Turn) -> None:
        view, sources = view_of(self.services, turn), self.services.of(Sources)
        states = await sources.states()
        rests = {state.name: state.rests for _, state in states}
        buttons = (
            view.button("button.source_resume", ResumeSource(name), source=name)
            if resting
            else view.button("button.source_pause", AskPauseSource(name), source=name)
            for name, resting in rests.items()
        )
        replay = (view.button("button.replay", AskReplay()),) if sources.replays else ()
        keyboard = (*in_rows(buttons, 2), (*replay, view.button("button.refresh", ShowSources())))
        lines = view.listed((line_of(view, owner, state) for owner, state in states), "\n\n")
        await self.show(turn, message(view.html("sources.main", sources=lines), keyboard=keyboard))

    @callback(ShowSources, admin="read_only")
    async def show_sources(self, turn: Turn, _data: ShowSources) -> None:
        await self.sources(turn)

    @callback(AskPauseSource, admin="owner")
    async def ask_pause_source(self, turn: Turn, data: AskPauseSource) -> None:
        sources, view = self.services.of(Sources), view_of(self.services, turn)
        name = await sources.require(data.source)
        kind = await sources.kind_of(name)
        kind = "feed_without_past" if kind == "feed" and not sources.replays else kind
        text, yes = view.html(f"sources.sure.{kind}", source=name), PauseSource(name)
        back = ShowSources()
        asked = await asked_twice(self.services, turn, text, yes_key="button.source_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(PauseSource, admin="owner", acts="pause source", confirmed=True)
    async def pause_source(self, turn: Turn, data: PauseSource) -> str:
        await self.services.of(Sources).pause(data.source, turn.user_id)
        await self.sources(turn)
        return view_of(self.services, turn).plain("value.control_put")

    @callback(ResumeSource, admin="owner", acts="resume source")
    async def resume_source(self, turn: Turn, data: ResumeSource) -> str:
        rested = await self.services.of(Sources).resume(data.source, turn.user_id)
        await self.sources(turn)
        return view_of(self.services, turn).plain("value.control_lifted" if rested else "value.control_stood_not")

    @callback(AskReplay, admin="owner")
    async def ask_replay(self, turn: Turn, _data: AskReplay) -> None:
        view = view_of(self.services, turn)
        if not self.services.of(Sources).replays:
            raise UserFacingError("sources.no_past")
        await self.services.conversation.inputs.expect(turn.user_id, FROM_WHERE, "")
        back = (view.button("button.back", ShowSources()),)
        await self.show(turn, message(view.html("sources.ask_replay"), keyboard=(back,)))

    @text_input(FROM_WHERE, admin="owner")
    async def typed_replay(self, turn: Turn, _payload: str) -> None:
        try:
            cursor = await self.services.of(Sources).cursor_of(turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        text = view_of(self.services, turn).html("sources.sure_replay", cursor=cursor, typed=turn.text.strip())
        yes, back = Replay(cursor), ShowSources()
        asked = await asked_twice(self.services, turn, text, yes_key="button.replay_yes", yes=yes, back=back)
        await self.reply(turn, asked)

    @callback(Replay, admin="owner", acts="replay feed", confirmed=True)
    async def replay_feed(self, turn: Turn, data: Replay) -> str:
        if not self.services.of(Sources).replays:
            raise UserFacingError("sources.no_past")
        heard = await self.services.of(Sources).replay(data.cursor)
        await self.sources(turn)
        return view_of(self.services, turn).plain("value.ordered" if heard else "value.ordered_here")


def line_of(view: View, owner: str, state: SourceState) -> Html:
    if not state.kind:
        return view.html("sources.unseen", sign="⏸" if state.rests else "❓", source=state.name)
    lines = [_head(view, owner, state)]
    if state.used is not None and state.limit is not None and state.period_s is not None:
        left, period = max(0, state.limit - state.used), f"{state.period_s:g}"
        lines.append(view.html("sources.budget", used=state.used, limit=state.limit, left=left, period=period))
    if state.problem and not state.ok:
        lines.append(view.html("sources.problem", problem=state.problem))
    return join("\n", lines)


def _head(view: View, owner: str, state: SourceState) -> Html:
    return view.html(
        f"sources.{state.kind}",
        sign="⏸" if state.rests else "🟢" if state.ok else "🔴",
        source=state.name,
        owner=owner,
        age="–" if state.age_s is None else show_short(state.age_s, "duration"),
        asked=f"{state.asked:,}",
    )
