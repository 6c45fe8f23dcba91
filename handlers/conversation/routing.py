"""Routes stand beside their handlers; this collects them from a composed class and refuses a confusing one.

    @command("settings", help="help.settings")
    async def settings(self, turn: Turn) -> None: ...

`/help`, Telegram's command menu, the admin guard and the dispatcher derive from what is collected here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from types import FunctionType
from typing import Any, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from domain.admins.roles import AdminRole, allows
from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from domain.payments.stars import PreCheckout, StarPayment
from handlers.conversation.base import BotBase, Turn
from runtime.errors import FatalError
from texts.renderer import FALLBACK_LANGUAGE, Texts

Bot = TypeVar("Bot", bound=BotBase)
Data = TypeVar("Data", bound=CallbackData)

TurnMethod = Callable[[Bot, Turn], Coroutine[Any, Any, None]]
"""Answers by itself."""
TapMethod = Callable[[Bot, Turn, Data], Coroutine[Any, Any, str | None]]
"""Returns the plain text of a toast, or `None` for no toast; the dispatcher answers the tap with it."""
InputMethod = Callable[[Bot, Turn, str], Coroutine[Any, Any, None]]
"""Gets the payload that was stored with the question."""
TextMethod = Callable[[Bot, Turn, str], Coroutine[Any, Any, None]]
"""Gets what was recognised in the text."""
MembershipMethod = Callable[[Bot, Turn, bool], Coroutine[Any, Any, None]]
"""Gets whether the bot may still write to the chat."""
CheckoutMethod = Callable[[Bot, PreCheckout], Coroutine[Any, Any, None]]
"""Answers by itself, without anything that takes long."""
PaymentMethod = Callable[[Bot, StarPayment], Coroutine[Any, Any, Message | None]]
"""Returns when it is written down, with what is to be said to who paid. Otherwise it raises a `TransientError`."""

_ROUTE = "__route__"
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_PREFIX = re.compile(r"[a-z]{1,16}")


Topic = Literal["people", "money", "calls", "bot"]
"""What an admin's command is about: under this title it stands in `/admin`."""


class CommandRoute(Struct, frozen=True, kw_only=True):
    name: str
    help: str
    """Key of the text that says in a few words what it does."""
    admin: AdminRole | None = None
    """Which role it needs; `None`: it is everybody's."""
    topic: Topic | None = None
    groups: bool = False
    """Answered in groups too; everything else belongs into the private chat."""
    needs: type | None = None
    """A group of services that may not be configured: without it nobody knows the command."""
    takes: bool = False
    """Reads what is typed after it."""
    goes_on: bool = False
    """In read-only mode as well: it changes nothing that is somebody's, or is about money on its way; below, too."""
    method: str


class CallbackRoute(Struct, frozen=True, kw_only=True):
    data: type[CallbackData]
    admin: AdminRole | None = None
    acts: str | None = None
    """Under which name it is written down that an admin did it; `None`: it changes nothing."""
    confirmed: bool = False
    """Reached only by the second tap, on a question of `confirming.asked_twice`."""
    goes_on: bool = False
    aside: bool = False
    """Stands under messages that ask for nothing typed: what was asked elsewhere stays open."""
    method: str


class InputRoute(Struct, frozen=True, kw_only=True):
    kind: str
    method: str
    admin: AdminRole | None = None
    acts: str | None = None
    forwards: bool = False
    """A forwarded message answers it as well: by whose it was, not by what it says."""
    goes_on: bool = False
    unless: Callable[[str], bool] | None = None
    """What says by itself that it is something else, and answers nothing."""


class TextRoute(Struct, frozen=True, kw_only=True):
    recognise: Callable[[str], str | None]
    needs: type | None = None
    goes_on: bool = True
    method: str


class MembershipRoute(Struct, frozen=True, kw_only=True):
    method: str


class OtherwiseRoute(Struct, frozen=True, kw_only=True):
    method: str


class CheckoutRoute(Struct, frozen=True, kw_only=True):
    method: str


class PaymentRoute(Struct, frozen=True, kw_only=True):
    method: str


Route = (
    CommandRoute
    | CallbackRoute
    | InputRoute
    | TextRoute
    | MembershipRoute
    | OtherwiseRoute
    | CheckoutRoute
    | PaymentRoute
)


def command(
    name: str,
    *,
    help: str,  # noqa: A002 - at every use the word says what follows
    admin: AdminRole | None = None,
    topic: Topic | None = None,
    groups: bool = False,
    needs: type | None = None,
    takes: bool = False,
    goes_on: bool = False,
) -> Callable[[TurnMethod[Bot]], TurnMethod[Bot]]:
    def mark(method: TurnMethod[Bot]) -> TurnMethod[Bot]:
        route = CommandRoute(
            name=name,
            help=help,
            admin=admin,
            topic=topic,
            groups=groups,
            needs=needs,
            takes=takes,
            goes_on=goes_on,
            method=_name(method),
        )
        return _marked(method, route)

    return mark


def callback(
    data: type[Data],
    *,
    admin: AdminRole | None = None,
    acts: str | None = None,
    confirmed: bool = False,
    goes_on: bool = False,
    aside: bool = False,
) -> Callable[[TapMethod[Bot, Data]], TapMethod[Bot, Data]]:
    """Mark what handles a button. `acts`: what an admin changes by it, as it is written down."""

    def mark(method: TapMethod[Bot, Data]) -> TapMethod[Bot, Data]:
        route = CallbackRoute(
            data=data,
            admin=admin,
            acts=acts,
            confirmed=confirmed,
            goes_on=goes_on,
            aside=aside,
            method=_name(method),
        )
        return _marked(method, route)

    return mark


def text_input(
    kind: str,
    *,
    admin: AdminRole | None = None,
    acts: str | None = None,
    forwards: bool = False,
    unless: Callable[[str], bool] | None = None,
) -> Callable[[InputMethod[Bot]], InputMethod[Bot]]:
    """Mark what handles a text that answers a question asked with `InputsService.expect(…, kind, …)`."""

    def mark(method: InputMethod[Bot]) -> InputMethod[Bot]:
        route = InputRoute(kind=kind, method=_name(method), admin=admin, acts=acts, forwards=forwards, unless=unless)
        return _marked(method, route)

    return mark


def recognised(
    recognise: Callable[[str], str | None], *, needs: type | None = None, goes_on: bool = True
) -> Callable[[TextMethod[Bot]], TextMethod[Bot]]:
    """Mark what handles a text that says by itself what it is, where no question waits for one."""

    def mark(method: TextMethod[Bot]) -> TextMethod[Bot]:
        return _marked(method, TextRoute(recognise=recognise, needs=needs, goes_on=goes_on, method=_name(method)))

    return mark


def membership(method: MembershipMethod[Bot]) -> MembershipMethod[Bot]:
    """Mark what handles a person blocking or unblocking the bot."""
    return _marked(method, MembershipRoute(method=_name(method)))


def checkout(method: CheckoutMethod[Bot]) -> CheckoutMethod[Bot]:
    """Mark what says whether somebody may pay."""
    return _marked(method, CheckoutRoute(method=_name(method)))


def payment(method: PaymentMethod[Bot]) -> PaymentMethod[Bot]:
    """Mark what writes down that somebody has paid, or was paid back."""
    return _marked(method, PaymentRoute(method=_name(method)))


def otherwise(method: TurnMethod[Bot]) -> TurnMethod[Bot]:
    """Mark what answers a message that nothing else answers."""
    return _marked(method, OtherwiseRoute(method=_name(method)))


class Routes(Struct, frozen=True, kw_only=True):
    commands: dict[str, CommandRoute]
    """By name, in the order in which `/help` lists them."""
    callbacks: dict[str, CallbackRoute]
    """By prefix."""
    inputs: dict[str, InputRoute]
    """By kind."""
    texts: tuple[TextRoute, ...]
    """The first that recognises a text gets it."""
    membership: MembershipRoute | None
    otherwise: OtherwiseRoute | None
    checkout: CheckoutRoute | None
    payment: PaymentRoute | None

    def where(self, find: Callable[[type], object | None]) -> Routes:
        """Leave out the commands whose services are not configured."""
        known = {
            name: route for name, route in self.commands.items() if route.needs is None or find(route.needs) is not None
        }
        return replace(self, commands=known)

    def commands_for(self, role: AdminRole | None) -> tuple[CommandRoute, ...]:
        """List what this person may use: everybody's commands first, then those of an admin."""
        allowed = (route for route in self.commands.values() if route.admin is None or allows(role, route.admin))
        return tuple(sorted(allowed, key=lambda route: route.admin is not None))

    def menu(self, texts: Texts, role: AdminRole | None, language: str = FALLBACK_LANGUAGE) -> dict[str, str]:
        """Describe each command in a few words, for `/help` and Telegram's command menu."""
        return {route.name: texts.plain(route.help, language) for route in self.commands_for(role)}


@cache
def collect(bot_class: type[BotBase]) -> Routes:
    """Walk the MRO for routes. Raises `FatalError` with everything that is ambiguous or hidden."""
    problems = list(_hidden(bot_class))
    found: dict[tuple[type[Route], str], Route] = {}
    for owner in bot_class.__mro__:
        for method in vars(owner).values():
            route: Route | None = getattr(method, _ROUTE, None) if isinstance(method, FunctionType) else None
            if route is None:
                continue
            key = (type(route), _address(route))
            if key in found:
                what = " ".join(filter(None, (type(route).__name__, key[1])))
                problems.append(f"{what} leads to both {found[key].method} and {route.method}")
            problems += _malformed(route)
            found[key] = route
    if problems:
        raise FatalError(f"routes of {bot_class.__name__}: " + "; ".join(problems))
    routes = tuple(found.values())
    return Routes(
        commands={route.name: route for route in routes if isinstance(route, CommandRoute)},
        callbacks={route.data.prefix: route for route in routes if isinstance(route, CallbackRoute)},
        inputs={route.kind: route for route in routes if isinstance(route, InputRoute)},
        texts=tuple(route for route in routes if isinstance(route, TextRoute)),
        membership=next((route for route in routes if isinstance(route, MembershipRoute)), None),
        otherwise=next((route for route in routes if isinstance(route, OtherwiseRoute)), None),
        checkout=next((route for route in routes if isinstance(route, CheckoutRoute)), None),
        payment=next((route for route in routes if isinstance(route, PaymentRoute)), None),
    )


def _hidden(bot_class: type) -> Iterator[str]:
    owners: dict[str, type] = {}
    for owner in bot_class.__mro__[:-1]:
        for name, value in vars(owner).items():
            behaves = inspect.isroutine(value) or isinstance(value, property)
            if not behaves or (name.startswith("__") and name.endswith("__")):
                continue
            if name in owners:
                yield f"{owners[name].__name__}.{name} hides {owner.__name__}.{name}"
            else:
                owners[name] = owner


def _address(route: Route) -> str:
    """Tell what reaches this route; unique among its kind."""
    match route:
        case CommandRoute():
            return route.name
        case CallbackRoute():
            return route.data.prefix
        case InputRoute():
            return route.kind
        case TextRoute():
            return route.method
        case MembershipRoute() | OtherwiseRoute() | CheckoutRoute() | PaymentRoute():
            return ""


def _malformed(route: Route) -> Iterator[str]:
    if isinstance(route, CommandRoute) and not _COMMAND.fullmatch(route.name):
        yield f"/{route.name} is not a command that Telegram takes"
    if isinstance(route, CallbackRoute) and not _PREFIX.fullmatch(route.data.prefix):
        yield f"{route.data.__name__}.prefix {route.data.prefix!r} is not 1-16 small letters"
    if isinstance(route, CommandRoute) and (route.admin is None) != (route.topic is None):
        yield f"/{route.name}: what admins alone can do has a topic, and nothing else"
    if isinstance(route, CallbackRoute | InputRoute):
        if route.acts is not None and (route.admin is None or route.admin == "read_only"):
            yield f"{route.method} acts: that needs more than a look"
        if isinstance(route, InputRoute) and route.forwards and route.acts is not None:
            yield f"{route.method} acts by what somebody else may have written"


def _name(method: Callable[..., object]) -> str:
    return method.__name__


Method = TypeVar("Method", bound=Callable[..., object])


def _marked(method: Method, route: Route) -> Method:
    vars(method)[_ROUTE] = route
    return method
