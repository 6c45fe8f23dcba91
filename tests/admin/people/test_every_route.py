"""Whatever an admin can do, nobody else can: made from the routes, so that no new one escapes."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from structlog.testing import capture_logs

from bot.telegram_bot import TelegramBot
from domain.admins.roles import ROLES, AdminRole, allows
from domain.buttons.data import CallbackData
from domain.reading.nearest import one_slip_from
from handlers.admin.people.buttons import Ban
from handlers.conversation.guard import Sure
from handlers.conversation.routing import CallbackRoute, CommandRoute, InputRoute, collect
from services.administration.confirmations import Confirmations
from tests.admin.people.house import BROADCAST, BY_LOOKING, OTHER, OUTSIDER, OWNER, READER, SUPPORT, VICTIM, House
from tests.conversation.telegram_wire import Person, Said

ROUTES = collect(TelegramBot)
COMMANDS = [one for one in ROUTES.commands.values() if one.admin]
CALLBACKS = [one for one in ROUTES.callbacks.values() if one.admin]
INPUTS = [one for one in ROUTES.inputs.values() if one.admin]
WHO: dict[AdminRole, int] = {"read_only": READER, "support": SUPPORT, "owner": OWNER}
ORIGIN = {"type": "user", "date": 1, "sender_user": {"id": OTHER, "is_bot": False, "first_name": "Other"}}
GROUP = {"id": -5, "type": "supergroup", "title": "g"}
TYPED = "30 because it is so"
PLAUSIBLE: dict[str, object] = {
    "user_id": VICTIM,
    "to_id": OTHER,
    "admin_id": 0,
    "page": 0,
    "number": 1,
    "days": 30,
    "plan": "pro",
    "action": "dismiss",
    "invoice_id": "ABCD2345",
    "which": "unmatched",
    "role": "support",
    "what": "status",
    "preset_key": "everything",
    "after": "",
    "price": "",
    "up_to": "0-1",
    "entry_id": "0-1",
    "name": "health",
    "broadcast_id": BROADCAST,
    "segment": "paying",
    "language": "",
    "at_s": 4_000_000_000,
    "control": "feature",
    "subject": "backtest",
    "source": "native",
    "cache": "channels",
    "part": "redis",
    "level": "INFO",
    "report": "best",
    "whom": "wanting",
    "cursor": 0,
    "channel": "@alpha",
}


def plausible(kind: type[CallbackData], house: House, user_id: int = VICTIM) -> CallbackData:
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        usual = next(iter(get_args(field.type)), None) or {int: 1, str: "x", bool: True}[field.type]
        values[field.name] = house.handle if field.name == "handle" else PLAUSIBLE.get(field.name, usual)
    return kind(**values | ({"user_id": user_id} if "user_id" in values else {}))


def payload_of(route: InputRoute, house: House) -> str:
    """The packed button of the mixin that asks; which of them, the payload's own reader says."""
    asking = {
        "preset_new": "newpreset", "preset_name": "namepreset", "preset_about": "aboutpreset",
        "payments_invoice": "payfor", "payments_ruling": "paynote", "correct_price": "corask",
        "user_note": "asknote", "user_write": "askwrite", "user_grant": "askgrant", "user_revoke": "askrevoke",
        "user_move": "askmove", "cache_key": "askkey", "report_whom": "reportwhom",
        "broadcast_text": "bctext", "broadcast_when": "bcwhen",
    }  # fmt: skip
    prefix = asking.get(route.kind)
    return plausible(ROUTES.callbacks[prefix].data, house).pack() if prefix else ""


async def asked(house: House, user_id: int, data: CallbackData) -> str:
    """The button that says yes to it, as they would have been shown it."""
    return Sure(await house.made.of(Confirmations).ask(user_id, data.pack(), TYPED)).pack()


def heard(said: list[Said]) -> list[tuple[str, str | None]]:
    return [(one.how, one.text) for one in said]


def to_nothing(name: str, unknown: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Return the answer to a command that there is not: it may be a slip of one that everybody has."""
    near = one_slip_from(name, (route.name for route in ROUTES.commands_for(None)))
    return [("sent", f"I don't know /{name}. Did you mean /{near}?")] if near else unknown


async def expects(house: House, user_id: int, route: InputRoute) -> None:
    await house.made.bot.services.conversation.inputs.expect(user_id, route.kind, payload_of(route, house))


def test_everything_in_the_rooms_of_admins_is_for_admins() -> None:
    named = {one.method: one for one in (*COMMANDS, *CALLBACKS, *INPUTS)}
    for mixin in TelegramBot.__mro__:
        if mixin.__module__.startswith("handlers.admin"):
            for name, method in vars(mixin).items():
                if hasattr(method, "__route__"):
                    assert name in named, f"{mixin.__name__}.{name} says no role"


def test_what_needs_more_than_a_look_and_does_not_act_asks() -> None:
    """So that an act whose effect no store shows is marked as well."""
    for route in (*COMMANDS, *CALLBACKS, *INPUTS):
        if route.admin != "read_only" and (isinstance(route, CommandRoute) or not route.acts):
            assert route.method.startswith(("ask", "typed")), route


def test_there_are_routes_to_look_at() -> None:
    assert len(COMMANDS) >= 10
    assert len(CALLBACKS) >= 50
    assert len(INPUTS) >= 10
    assert {one.topic for one in COMMANDS} == {"people", "money", "calls", "bot"}


async def test_an_outsider_gets_what_an_unknown_command_gets(house: House, outsider: Person) -> None:
    unknown = heard(await outsider.writes("/nothing_of_this_name"))
    before = await house.state()
    for route in COMMANDS:
        for text in (f"/{route.name}", f"/{route.name} {VICTIM}"):
            nothing = to_nothing(route.name, unknown)
            assert heard(await outsider.writes(text)) == nothing, text
            assert heard(await outsider.writes(text, forward_origin=ORIGIN)) == nothing, text
            assert await outsider.writes(text, chat=GROUP) == [], text
    assert await house.state() == before


async def test_an_outsider_gets_what_a_stale_button_gets(house: House, outsider: Person) -> None:
    stale = heard(await outsider.taps("nothing:1"))
    before = await house.state()
    for route in CALLBACKS:
        data = plausible(route.data, house)
        for packed in (data.pack(), await asked(house, OUTSIDER, data), await asked(house, OWNER, data)):
            assert heard(await outsider.taps(packed)) == stale, packed
            menu = outsider.message("menu", message_id=10, forward_origin=ORIGIN)
            assert heard(await outsider.taps(packed, message=menu)) == stale, packed
            assert heard(await outsider.taps(packed, message=outsider.message("menu", chat=GROUP))) == stale, packed
    assert await house.state() == before


async def test_an_outsider_answers_no_question_of_an_admin(house: House, outsider: Person) -> None:
    unasked = heard(await outsider.writes(TYPED))
    before = await house.state()
    for route in INPUTS:
        for more in ({}, {"forward_origin": ORIGIN}):
            await expects(house, OUTSIDER, route)
            assert heard(await outsider.writes(TYPED, **more)) == unasked, route.kind
        assert await outsider.writes(TYPED, chat=GROUP) == [], route.kind
    assert await house.state() == before


async def test_what_is_forwarded_or_said_in_a_group_is_no_admins_word(house: House, owner: Person) -> None:
    unknown, stale = heard(await owner.writes("/nothing_of_this_name")), heard(await owner.taps("nothing:1"))
    unasked = heard(await owner.writes(TYPED))
    before = await house.state()
    for route in COMMANDS:
        said = heard(await owner.writes(f"/{route.name}", forward_origin=ORIGIN))
        assert said == to_nothing(route.name, unknown)
        assert await owner.writes(f"/{route.name}", chat=GROUP) == []
    for route in CALLBACKS:
        data = plausible(route.data, house)
        for packed in (data.pack(), await asked(house, OWNER, data)):
            menu = owner.message("menu", message_id=10, forward_origin=ORIGIN)
            assert heard(await owner.taps(packed, message=menu)) == stale, packed
            assert heard(await owner.taps(packed, message=owner.message("menu", chat=GROUP))) == stale, packed
    for route in INPUTS:
        await expects(house, OWNER, route)
        said = heard(await owner.writes(TYPED, forward_origin=ORIGIN))
        assert (said == unasked) != route.forwards, route.kind
    assert await house.state() == before


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_does_what_it_may_and_is_told_what_it_may_not(house: House, role: AdminRole) -> None:
    person = house.person(WHO[role])
    refused = {house.made.bot.services.conversation.texts.plain(
        "admin.role_needed", needs=needs, has=role.replace("_", "-")) for needs in ("support", "owner")}  # fmt: skip
    before = await house.state()
    for route in (*COMMANDS, *CALLBACKS, *INPUTS):
        if allows(role, route.admin or "owner"):
            continue
        said = await use(house, person, WHO[role], route)
        assert next(one.text for one in said if one.how in {"sent", "alerted"}) in refused, route
    assert await house.state() == before


async def test_what_does_not_say_that_it_acts_changes_nothing(house: House, owner: Person) -> None:
    """A route that acts and is not marked so would be seen here: what it does is kept somewhere.

    One of the two people is banned, so that to lift that would be seen as well.
    """
    await owner.taps(await asked(house, OWNER, Ban(OTHER)))
    assert (await house.subscriber(OTHER)).banned_at
    await house.written()
    looking = [one for one in (*COMMANDS, *CALLBACKS, *INPUTS) if isinstance(one, CommandRoute) or not one.acts]
    before = await house.state()
    with capture_logs() as logs:
        for route in looking:
            for user_id in (VICTIM, OTHER):
                assert await use(house, owner, OWNER, route, user_id), route
    after = await house.state()
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert not {key for key in changed if not key.startswith(BY_LOOKING)}
    assert not [one for one in logs if one["log_level"] in {"error", "critical"}]


async def test_whatever_acts_is_written_down_before_and_after(house: House, owner: Person) -> None:
    acting = [one for one in (*CALLBACKS, *INPUTS) if one.acts]
    assert len(acting) >= 15
    for route in acting:
        known = {one.number for one in await house.deeds()}
        await use(house, owner, OWNER, route)
        (deed,) = [one for one in await house.deeds() if one.number not in known]
        assert (deed.admin_id, deed.role, deed.action) == (OWNER, "owner", route.acts)
        assert deed.outcome in {"done", "refused"}, (route, deed)
        named = plausible(route.data, house) if isinstance(route, CallbackRoute) else None
        if named is not None and "user_id" in named.__struct_fields__:
            assert deed.user_id == VICTIM, route
        assert deed.details or isinstance(route, CallbackRoute)


async def use(
    house: House,
    person: Person,
    user_id: int,
    route: CommandRoute | CallbackRoute | InputRoute,
    about: int = VICTIM,
) -> list[Said]:
    """Do what the route is for, as its own menus would have it."""
    match route:
        case CommandRoute():
            return await person.writes(f"/{route.name}")
        case CallbackRoute():
            data = plausible(route.data, house, about)
            return await person.taps(await asked(house, user_id, data) if route.confirmed else data.pack())
        case InputRoute():
            await expects(house, user_id, route)
            return await person.writes(TYPED)


async def test_what_is_asked_twice_is_not_done_by_one_tap(house: House, owner: Person) -> None:
    stale = heard(await owner.taps("nothing:1"))
    before = await house.state()
    confirmed = [one for one in CALLBACKS if one.confirmed]
    assert {one.data.prefix for one in confirmed} >= {"ban", "grant", "revoke", "movesub", "setrole"}
    for route in confirmed:
        assert heard(await owner.taps(plausible(route.data, house).pack())) == stale
    assert await house.state() == before
