"""What is kept in memory for a while: how full, how often it helps, and forgotten by key or as a whole."""

from __future__ import annotations

from typing import Final

from handlers.admin.running.buttons import AskCacheKey, AskForget, Forget, ShowCache, ShowCaches
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.running.caches import BEHIND, MAX_KEY, Caches
from services.running.processes import CacheState, Processes
from texts.markup import Html

WHICH_KEY: Final = "cache_key"
"""Kind of question; the payload is the packed data of the button that asked."""


class AdminCachesMixin(BotBase):
    @command("cache", help="help.cache", admin="read_only", topic="bot")
    async def cache(self, turn: Turn) -> None:
        view, reports = view_of(self.services, turn), await self.services.of(Processes).all()
        lines = view.listed(
            _line(view, one, report.owner if len(reports) > 1 else "") for report in reports for one in report.caches
        )
        names = self.services.of(Caches).names
        buttons = (view.button("button.cache", ShowCache(name), cache=name) for name in names)
        refresh = (view.button("button.refresh", ShowCaches()),)
        text = view.html("caches.main", caches=lines)
        await self.show(turn, message(text, keyboard=(*in_rows(buttons, 2), refresh)))

    @callback(ShowCaches, admin="read_only")
    async def show_caches(self, turn: Turn, _data: ShowCaches) -> None:
        await self.cache(turn)

    @callback(ShowCache, admin="read_only")
    async def show_cache(self, turn: Turn, data: ShowCache) -> None:
        view, name = view_of(self.services, turn), self._known_cache(data.cache)
        reports = await self.services.of(Processes).all()
        lines = view.listed(
            _line(view, one, report.owner) for report in reports for one in report.caches if one.name == name
        )
        about = view.html("caches.behind" if name in BEHIND else "caches.memory_only")
        keyboard = (
            (
                view.button("button.cache_key", AskCacheKey(name)),
                view.button("button.cache_all", AskForget(name)),
            ),
            (view.button("button.back", ShowCaches()),),
        )
        await self.show(turn, message(lines, view.html(f"caches.key.{name}"), about, keyboard=keyboard))

    @callback(AskForget, admin="owner")
    async def ask_forget(self, turn: Turn, data: AskForget) -> None:
        name, view = self._known_cache(data.cache), view_of(self.services, turn)
        text, yes, back = view.html("caches.sure", cache=name), Forget(name), ShowCache(name)
        asked = await asked_twice(self.services, turn, text, yes_key="button.forget_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(Forget, admin="owner", acts="forget cache", confirmed=True)
    async def forget(self, turn: Turn, data: Forget) -> str:
        gone = await self.services.of(Caches).forget(self._known_cache(data.cache))
        await self.cache(turn)
        return view_of(self.services, turn).plain("value.forgotten", count=f"{gone:,}")

    @callback(AskCacheKey, admin="owner")
    async def ask_cache_key(self, turn: Turn, data: AskCacheKey) -> None:
        name, view = self._known_cache(data.cache), view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, WHICH_KEY, data.pack())
        back = (view.button("button.back", ShowCache(name)),)
        await self.show(turn, message(view.html(f"caches.key.{name}"), view.html("caches.ask_key"), keyboard=(back,)))

    @text_input(WHICH_KEY, admin="owner", acts="forget cache key")
    async def typed_cache_key(self, turn: Turn, payload: str) -> None:
        name, key = self._known_cache(AskCacheKey.unpack(payload).cache), turn.text.strip()
        if len(key) > MAX_KEY:
            await self.ask_again(turn, UserFacingError("caches.key_too_long", limit=MAX_KEY))
            return
        gone = await self.services.of(Caches).forget(name, key)
        await self.services.conversation.inputs.cancel(turn.user_id)
        view = view_of(self.services, turn)
        back = (view.button("button.back", ShowCache(name)),)
        await self.reply(turn, message(view.html("caches.key_forgotten", key=key, count=gone), keyboard=(back,)))

    def _known_cache(self, name: str) -> str:
        if name not in self.services.of(Caches).names:
            raise UserFacingError("callback.stale")
        return name


def _line(view: View, one: CacheState, owner: str) -> Html:
    asked = one.hits + one.misses
    rate = f"{100 * one.hits / asked:.1f}%" if asked else "–"
    return view.html(
        "caches.line",
        cache=one.name,
        entries=f"{one.entries:,}",
        limit=f"{one.max_entries:,}",
        rate=rate,
        asked=f"{asked:,}",
        owner=owner,
    )
