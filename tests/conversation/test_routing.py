from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest

from domain.buttons.data import CallbackData
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.routing import callback, collect, command, membership, otherwise, text_input
from runtime.errors import FatalError
from texts import Texts


class Tap(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "tap"


class SamePrefix(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "tap"


class NoPrefix(CallbackData, frozen=True, array_like=True):
    pass


class First(BotBase):
    @command("status", help="help.status")
    async def status(self, turn: Turn) -> None: ...

    @callback(Tap)
    async def tapped(self, turn: Turn, data: Tap) -> None: ...


class Second(BotBase):
    @command("health", help="help.health", admin="read_only", topic="bot")
    async def health(self, turn: Turn) -> None: ...

    @command("help", help="help.help")
    async def help(self, turn: Turn) -> None: ...

    @text_input("range")
    async def typed(self, turn: Turn, payload: str) -> None: ...

    @membership
    async def membership_changed(self, turn: Turn, reachable: bool) -> None: ...  # noqa: FBT001 - a route's argument

    @otherwise
    async def anything(self, turn: Turn) -> None: ...


class Composed(First, Second):
    pass


def refused(*mixins: type[BotBase]) -> str:
    with pytest.raises(FatalError) as error:
        collect(type("Composed", mixins, {}))
    return str(error.value)


def test_routes_stand_beside_their_handlers() -> None:
    routes = collect(Composed)
    assert set(routes.commands) == {"status", "health", "help"}
    assert routes.callbacks["tap"].method == "tapped"
    assert routes.inputs["range"].method == "typed"
    assert routes.membership
    assert routes.membership.method == "membership_changed"
    assert routes.otherwise
    assert routes.otherwise.method == "anything"


def test_a_person_sees_what_he_may_use() -> None:
    routes, texts = collect(Composed), Texts.load()
    assert [route.name for route in routes.commands_for(None)] == ["status", "help"]
    assert [route.name for route in routes.commands_for("read_only")] == ["status", "help", "health"]
    assert routes.menu(texts, None) == {
        "status": texts.plain("help.status"),
        "help": texts.plain("help.help"),
    }


def test_a_command_used_twice_is_refused() -> None:
    class Other(BotBase):
        @command("status", help="help.status")
        async def other(self, turn: Turn) -> None: ...

    assert "status leads to both status and other" in refused(First, Other)


def test_a_prefix_used_twice_is_refused() -> None:
    class Other(BotBase):
        @callback(SamePrefix)
        async def other(self, turn: Turn, data: SamePrefix) -> None: ...

    assert "tap leads to both tapped and other" in refused(First, Other)


@pytest.mark.parametrize("mark", [otherwise, membership, text_input("range")])
def test_other_routes_used_twice_are_refused(mark: Callable[[object], object]) -> None:
    async def other(*arguments: object) -> None: ...

    twice = type("Twice", (BotBase,), {"other": mark(other)})
    assert "and other" in refused(Second, twice)


def test_a_hidden_method_is_refused() -> None:
    class Other(BotBase):
        async def status(self) -> None: ...

    assert "Other.status hides First.status" in refused(Other, First)


def test_private_helpers_do_not_hide_each_other_either() -> None:
    class One(BotBase):
        async def _show(self) -> None: ...

    class Other(BotBase):
        @property
        def _show(self) -> int:
            return 1

    assert "One._show hides Other._show" in refused(One, Other)


def test_the_base_is_not_hidden() -> None:
    class Other(BotBase):
        async def reply(self, turn: Turn) -> None: ...  # type: ignore[override]

    assert "Other.reply hides BotBase.reply" in refused(Other)


@pytest.mark.parametrize("name", ["", "Status", "with space", "x" * 33, "тест"])
def test_a_command_that_telegram_refuses_is_refused(name: str) -> None:
    class Other(BotBase):
        @command(name, help="help.status")
        async def other(self, turn: Turn) -> None: ...

    assert "not a command" in refused(Other)


def test_a_prefix_is_needed() -> None:
    class Other(BotBase):
        @callback(NoPrefix)
        async def other(self, turn: Turn, data: NoPrefix) -> None: ...

    assert "NoPrefix" in refused(Other)


def test_all_problems_are_reported_together() -> None:
    class Other(BotBase):
        @command("status", help="help.status")
        async def status(self, turn: Turn) -> None: ...

        @command("Bad", help="help.status")
        async def bad(self, turn: Turn) -> None: ...

    problems = refused(Other, First)
    assert "hides" in problems
    assert "leads to both" in problems
    assert "/Bad" in problems
