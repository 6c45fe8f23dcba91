"""Buttons that nobody was shown: whatever comes back as data, nobody else's filter is read or changed by it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from domain.buttons.data import CallbackData
from domain.filters.registry import FIELDS, Range
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import Services
from handlers.conversation.routing import collect
from handlers.filters.buttons import channel_tag
from handlers.filters.set_menus import GROUPS
from tests.conversation.conftest import BEN_ID, PRESETS, Bot
from tests.conversation.telegram_wire import USER_ID, Person

ROUTES = collect(Bot).callbacks
PREFIXES = sorted(prefix for prefix, route in ROUTES.items() if not route.admin)
SECRET = "Ben's very own"
NUMBERS = st.one_of(st.integers(-3, 12), st.sampled_from([2**31, 2**63, 10**30, -(10**30)]))
TEXTS = st.one_of(
    st.sampled_from([field.key for field in FIELDS]),
    st.sampled_from(GROUPS),
    st.sampled_from([preset.key for preset in PRESETS]),
    st.sampled_from(["fail", "pass", "wait", "x" * 16, channel_tag("@ben")]),
    st.text(max_size=12),
)
PARTS = {int: NUMBERS, str: TEXTS, bool: st.booleans()}


def packed(data: CallbackData) -> str:
    try:
        return data.pack()
    except ValueError:  # too long for a button, or not writable: what a forger would cut
        return f"{data.prefix}:{data!r}"[:64]


def well_formed(prefix: str) -> st.SearchStrategy[str]:
    """Data that its class takes, with any values."""
    kind = ROUTES[prefix].data
    types: dict[str, Callable[..., object]] = {
        name: {"int": int, "str": str, "bool": bool}[str(kind.__annotations__[name])] for name in kind.__struct_fields__
    }
    return st.builds(kind, **{name: PARTS[one] for name, one in types.items()}).map(packed)  # pyright: ignore[reportArgumentType] - by the declared types


forged = st.one_of(
    st.sampled_from(PREFIXES).flatmap(well_formed),
    st.tuples(st.sampled_from(PREFIXES), st.text(max_size=40)).map(":".join),
    st.text(max_size=64),
)


@pytest.fixture
async def victim(ann: Person, ben: Person, services: Services) -> Subscriber:
    """Ben with two filters; Ann, who forges, has one as well."""
    await ann.writes("/start")
    await ann.taps("addset")
    await ben.writes("/start")
    await ben.taps("addset")
    await services.subscribers.sets.rename_set(BEN_ID, 1, "First")
    await ben.taps("addset")
    await services.subscribers.sets.set_rule(BEN_ID, 2, "market_cap_usd", Range(987_654.0))
    return await services.subscribers.sets.rename_set(BEN_ID, 2, SECRET)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(forged, min_size=1, max_size=4))
async def test_no_forged_button_reaches_somebody_else(
    ann: Person, victim: Subscriber, services: Services, tapped: list[str]
) -> None:
    with capture_logs() as logs:
        for data in tapped:
            said = await ann.taps(data)
            assert [one.how for one in said][-1] in {"answered", "alerted"}
            assert not any(SECRET in (one.text or "") or "$987" in (one.text or "") for one in said)
    assert not [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    assert await services.subscribers.subscribers.require(BEN_ID) == victim
    assert all(s.user_id == USER_ID for s in (await services.subscribers.subscribers.require(USER_ID)).filter_sets)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_number_that_is_not_ones_own_is_refused(
    ann: Person, victim: Subscriber, services: Services, prefix: str
) -> None:
    """Ben's filter 2 exists, Ann's does not: no button of hers opens it."""
    kind = ROUTES[prefix].data
    if "number" not in kind.__struct_fields__:
        return
    values = {"number": 2, "field_key": "holders", "group": "size", "preset_key": PRESETS[0].key, "enabled": True}
    values |= {"page": 0, "tag": channel_tag("@a"), "revision": 3, "missing": "pass", "wait_minutes": 0}
    values |= {"value": True, "place": 0, "becomes": "in"}
    if prefix == "value":
        values |= {"field_key": "chain", "value": "solana"}
    if prefix == "flag":
        values["field_key"] = "mint_revoked"
    before = await services.subscribers.subscribers.require(USER_ID)
    data = kind(**{name: values[name] for name in kind.__struct_fields__}).pack()
    assert [one.how for one in await ann.taps(data)] == ["alerted"]
    assert await services.subscribers.subscribers.require(BEN_ID) == victim
    assert await services.subscribers.subscribers.require(USER_ID) == before
