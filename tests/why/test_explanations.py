"""The verdict that was given, found again in what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count, product

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from domain.calls.addresses import call_tag
from domain.calls.events import Call
from domain.filters.registry import FilterSet, Range, Rule
from domain.stored.journal import DeliveryRecord, DeliveryStatus
from domain.subscribers.limits import fitted
from domain.subscribers.partitions import partition_of
from handlers.conversation.menus import View
from handlers.why.cards import explanation_card
from runtime.errors import UserFacingError
from services.claims.claiming import ClaimRequest
from services.claims.outbox import OutboxEntry
from services.stores import keys
from services.why.answers import Explanation, Outcome
from tests.why.support import World, encoded, mint
from texts import Texts

HOLDERS: dict[str, Rule] = {"holders": Range(minimum=100.0)}
WAITS: dict[str, Rule] = {"lp_locked_percent": Range(minimum=90.0, missing="wait", wait_minutes=10)}
_numbers = count(1)


async def settled(world: World, *, drain: bool) -> None:
    """Let the journal reach PostgreSQL, or not."""
    if drain:
        await world.journal.drain_all()


async def taken(world: World) -> list[OutboxEntry]:
    await world.outbox.recover("anna")
    return await world.outbox.read("anna", 100, 1)


# the property

limits = st.sampled_from([0.0, 50.0, 100.0, 150.0])
rules = st.dictionaries(
    st.sampled_from(["holders", "market_cap_usd"]),
    st.builds(Range, limits, st.none() | limits, st.sampled_from(["fail", "pass"])),
    max_size=2,
)
figures = st.none() | st.sampled_from([49, 50, 100, 120, 151])


class Changed(Struct, frozen=True):
    user: int
    sets: list[dict[str, Rule]]


class Paused(Struct, frozen=True):
    user: int
    paused: bool


class Called(Struct, frozen=True):
    token: int
    channel: str
    holders: int | None
    market_cap_usd: int | None


class Drained(Struct, frozen=True):
    """The journal reached PostgreSQL."""


Step = Changed | Paused | Called | Drained
steps = st.lists(
    st.one_of(
        st.builds(Changed, st.integers(0, 2), st.lists(rules, max_size=2)),
        st.builds(Paused, st.integers(0, 2), st.booleans()),
        st.builds(Called, st.integers(0, 1), st.sampled_from(["@alpha", "@beta"]), figures, figures),
        st.builds(Drained),
    ),
    min_size=4,
    max_size=16,
)


class Past:
    """Three subscribers, what they did, and what was given to whom."""

    def __init__(self, world: World) -> None:
        base = next(_numbers) * 1000
        self.world = world
        self.users = [base + number for number in range(3)]
        self.mints = [mint(base), mint(base + 1)]
        self.calls: list[Call] = []
        self.accepted: set[tuple[int, str]] = set()
        self.revisions: dict[tuple[int, str], int] = {}

    async def live(self, steps: Sequence[Step]) -> None:
        for user in self.users:
            await self.world.joins(user)
        for step in steps:
            # Redis orders changes by the millisecond; what is decided in the same one is another test.
            await self.world.tick()
            match step:
                case Changed(user, sets):
                    await self.world.changes(self.users[user], *sets)
                case Paused(user, paused):
                    await self.world.edits(self.users[user], paused=paused)
                case Called(token, channel, holders, market_cap):
                    await self.call(self.mints[token], channel, {"holders": holders, "market_cap_usd": market_cap})
                case Drained():
                    await self.world.journal.drain_all()

    async def call(self, address: str, channel: str, figures: dict[str, int | None]) -> None:
        call = self.world.call(f"c{self.users[0]}.{len(self.revisions)}", address, channel=channel, **figures)
        for request in await self.world.decides(call):
            self.accepted |= {(user, call.id) for user, _ in request.accepted}
            self.calls.append(call)
        for user in self.users:
            self.revisions[user, call.id] = (await self.world.users.subscribers.require(user)).revision


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_the_explanation_is_the_verdict_that_was_given(world: World, steps: Sequence[Step]) -> None:
    past = Past(world)
    await past.live(steps)
    for call, user in product(past.calls, past.users):
        why = await world.why(user, call)
        assert (why.outcome == "accepted") == ((user, call.id) in past.accepted)
        assert why.outcome not in {"not_checked", "waiting", "gave_up", "not_subscribed", "stale"}
        assert why.judged.subscriber is not None
        assert why.judged.subscriber.revision == past.revisions[user, call.id]
        verdicts = [one.verdict.passed for one in why.judged.sets]
        assert any(verdicts) or why.outcome not in {"accepted", "sent_earlier", "checked_before"}
        assert not any(verdicts) or why.outcome != "failed"
    for user in past.users:
        missed = (await world.explanations.near_misses(user)).found
        assert not {(user, miss.decided.call.id) for miss in missed} & past.accepted


# when it was decided


@pytest.mark.parametrize("drain", [True, False])
async def test_the_settings_of_then_count(world: World, *, drain: bool) -> None:
    await world.joins(7, HOLDERS)
    await world.tick()
    call = world.call("c1", mint(1), holders=50)
    await world.decides(call)
    await world.tick()
    await world.changes(7, {"holders": Range(minimum=10.0)})
    await settled(world, drain=drain)
    why = await world.why(7, call)
    assert why.outcome == "failed"
    (rule,) = why.judged.sets[0].verdict.rules
    assert (rule.seen, rule.rule, rule.outcome) == (50.0, Range(minimum=100.0), "failed")


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"paused": True}, "paused"),
        ({"unreachable": True}, "unreachable"),
        ({"paid_until": None}, "expired"),
        ({"filter_sets": ()}, "no_sets"),
    ],
)
async def test_who_could_not_receive_then(world: World, changed: dict[str, object], outcome: Outcome) -> None:
    before = await world.joins(7, HOLDERS)
    await world.edits(7, **changed)
    await world.tick()
    call = world.call("c1", mint(1), holders=500)
    await world.decides(call)
    await world.tick()
    await world.edits(7, paused=False, unreachable=False, paid_until=before.paid_until, filter_sets=before.filter_sets)
    assert (await world.why(7, call)).outcome == outcome


async def test_a_filter_that_the_plan_paused_was_off_and_says_why(world: World) -> None:
    before = await world.joins(7, {"holders": Range(minimum=1_000.0)}, HOLDERS)
    await world.edits(7, plan="free", filter_sets=fitted(before.filter_sets, 1))
    await world.tick()
    call = world.call("c1", mint(1), holders=500)
    assert not any(request.accepted for request in await world.decides(call))
    await world.tick()
    await world.edits(7, plan="pro", filter_sets=before.filter_sets)
    why = await world.why(7, call)
    assert why.outcome == "failed"
    assert [one.filter_set.paused_by_plan for one in why.judged.sets] == [False, True]
    assert [one.verdict.outcome for one in why.judged.sets] == ["failed", "failed"]
    view = View(texts=Texts.load(), language="en")
    found = Explanation(address=mint(1), calls=(why,), subscriber=await world.users.subscribers.require(7))
    assert "was paused: your plan held fewer filters" in explanation_card(view, found, world.clock()).html


async def test_the_free_tier_and_the_days_of_grace_receive(world: World) -> None:
    await world.joins(7, HOLDERS, paid_until=world.clock() - timedelta(days=1))
    await world.joins(8, HOLDERS, paid_until=world.clock() - timedelta(days=1), plan="pro")
    await world.joins(9, HOLDERS, paid_until=world.clock() - timedelta(days=9), plan="free")
    await world.joins(10, HOLDERS, paid_until=world.clock() - timedelta(days=9), plan="pro")
    await world.tick()
    call = world.call("c1", mint(1), holders=500)
    await world.decides(call)
    await world.tick()
    outcomes = {user_id: (await world.why(user_id, call)).outcome for user_id in (7, 8, 9, 10)}
    assert outcomes == {7: "expired", 8: "accepted", 9: "accepted", 10: "expired"}


async def test_who_came_later_and_what_came_late(world: World) -> None:
    await world.joins(8, HOLDERS)
    call = world.call("c1", mint(1), holders=500)
    stale = replace(world.call("c2", mint(2), holders=500), called_at=world.clock() - timedelta(hours=1))
    await world.decides(call, stale)
    # Close to each other in time, only what was given could tell; nothing was given to this one.
    world.clock.ahead = timedelta(hours=1)
    await world.joins(7, HOLDERS)
    world.clock.ahead = timedelta()
    assert (await world.why(7, call)).outcome == "not_subscribed"
    assert (await world.why(8, call)).outcome == "accepted"
    assert (await world.why(8, stale)).outcome == "stale"


async def test_a_change_in_the_same_instant_is_told_apart_by_what_was_given(world: World) -> None:
    await world.joins(7, HOLDERS)
    call = world.call("c1", mint(1), holders=50)
    # The new rules are stored, the matcher has not heard of them yet: it decides by the old ones.
    before = await world.users.subscribers.require(7)
    wide = FilterSet(user_id=7, number=1, name="wide", rules={})
    await world.store.save(replace(before, revision=before.revision + 1, filter_sets=(wide,)))
    await world.tick()
    requests = await world.decides(call)
    assert requests[0].accepted == ()
    why = await world.why(7, call)
    assert (why.outcome, why.judged.judgement) == ("failed", "failed")
    assert why.judged.subscriber is not None
    assert why.judged.subscriber.revision == before.revision


async def test_a_changed_preset_counts_before_its_followers_documents_do(world: World) -> None:
    await world.joins(7)
    await world.users.sets.apply_preset(7, "careful")
    await world.tick()
    # The matcher has the preset's new rules; the document still says the old ones.
    world.matcher.put_subscriber(
        7, [FilterSet(user_id=7, number=1, name="careful", rules={"holders": Range(minimum=10.0)}, follows="careful")]
    )
    call = world.call("c1", mint(1), holders=50)
    await world.decides(call)
    await world.tick()
    await world.presets.change("careful", lambda preset: replace(preset, rules={"holders": Range(minimum=10.0)}), 1)
    for saved in (False, True):
        if saved:
            await world.users.loading.follow_preset("careful")
        why = await world.why(7, call)
        assert (why.outcome, why.judged.judgement) == ("accepted", "passed")


# although it passed


async def test_a_token_comes_once(world: World) -> None:
    await world.joins(7, HOLDERS)
    first = world.call("c1", mint(1), holders=500)
    second = world.call("c2", mint(1), channel="@beta", holders=500)
    await world.decides(first, second)
    why = await world.why(7, second)
    assert why.outcome == "sent_earlier"
    assert why.earlier is not None
    assert (why.earlier.call_id, why.earlier.channel) == ("c1", "The @alpha")
    assert (await world.why(7, first)).outcome == "accepted"


async def test_the_same_channel_counts_again_after_an_hour(world: World) -> None:
    await world.joins(7, HOLDERS)
    await world.joins(8, {"holders": Range(minimum=1000.0)})
    await world.decides(world.call("c1", mint(1), holders=50))
    await world.tick()
    await world.changes(8, {"holders": Range(minimum=900.0)})
    await world.tick()
    # Decided for the second subscriber only: the first one's settings are as old as the last check.
    call = world.call("c2", mint(1), holders=500)
    (request,) = await world.decides(call)
    assert msgspec.json.decode(request.decided_payload)["reason"] == "newcomers"
    why = await world.why(7, call)
    assert why.outcome == "checked_before"
    assert why.earlier is not None
    assert why.earlier.call_id == "c1"
    assert (await world.why(8, call)).outcome == "failed"


# the delivery


async def test_an_alert_is_followed_to_its_end(world: World) -> None:
    await world.joins(7, HOLDERS)
    call = world.call("c1", mint(1), holders=500)
    await world.decides(call)
    assert await delivered(world, call) == ("queued", None)
    (entry,) = await taken(world)
    await world.outbox.begin([entry])
    assert await delivered(world, call) == ("in_flight", None)
    await world.outbox.finish([entry], [record(entry, "sent")])
    for drain in (False, True):
        await settled(world, drain=drain)
        why = await world.why(7, call)
        assert why.delivery is not None
        assert (why.delivery.status, why.delivery.latency_s) == ("sent", 0.5)
        assert why.delivery.sent_at == entry.alert.decided_at + timedelta(seconds=0.1)


@pytest.mark.parametrize(
    ("status", "reason"),
    [("digest", "quiet"), ("withheld", "muted"), ("merged", None), ("dead", "no rights")],
)
async def test_what_became_of_it_instead(world: World, status: DeliveryStatus, reason: str | None) -> None:
    await world.joins(7, HOLDERS)
    call = world.call("c1", mint(1), holders=500)
    await world.decides(call)
    (entry,) = await taken(world)
    await world.outbox.finish([entry], [record(entry, status, reason)])
    assert await delivered(world, call) == (status, reason)


async def delivered(world: World, call: Call) -> tuple[str, str | None]:
    why = await world.why(7, call)
    assert why.outcome == "accepted"
    assert why.delivery is not None
    return why.delivery.status, why.delivery.reason


def record(entry: OutboxEntry, status: DeliveryStatus, reason: str | None = None) -> DeliveryRecord:
    alert = entry.alert
    return DeliveryRecord(
        call_id=alert.call_id,
        user_id=alert.user_id,
        set_number=alert.set_number,
        status=status,
        decided_at=alert.decided_at,
        sent_at=alert.decided_at + timedelta(seconds=0.1) if status in {"sent", "merged"} else None,
        latency_s=0.5,
        reason=reason,
    )


# waiting


async def test_what_passed_late_is_explained_by_the_figures_that_came(world: World) -> None:
    await world.joins(7, {**HOLDERS, **WAITS})
    await world.tick()
    call = world.call("c1", mint(1), holders=500)
    await world.decides(call)
    why = await world.why(7, call)
    assert why.outcome == "waiting"
    assert why.judged.sets[0].waits_until == call.called_at + timedelta(minutes=10)
    late_at = world.clock().replace(microsecond=0) + timedelta(minutes=3)
    known = replace(call, token=replace(call.token, lp_locked_percent=95.0))
    await world.outbox.claim(
        [
            ClaimRequest(
                call_id=call.id,
                token_address=call.token.address,
                call_payload=encoded(known),
                accepted=[(7, 1)],
                accepted_record=b'{"call_id":"c1"}',
                received_at=call.received_at,
                decided_at=late_at,
                late_s=180.0,
            )
        ]
    )
    for drain in (False, True):
        await settled(world, drain=drain)
        why = await world.why(7, call)
        assert (why.outcome, why.judged.judgement) == ("accepted", "passed")
        assert why.shown == known
        assert why.late_s == pytest.approx((late_at - call.called_at).total_seconds())


async def test_what_waited_in_vain(world: World) -> None:
    await world.joins(7, WAITS)
    await world.tick()
    call = world.call("c1", mint(1))
    await world.decides(call)
    assert (await world.why(7, call)).outcome == "waiting"
    await world.redis.delete(keys.WAITING_CALL.of(partition_of(7), "c1"))
    assert (await world.why(7, call)).outcome == "gave_up"


# near misses


@pytest.mark.parametrize("drain", [True, False])
async def test_near_misses_failed_one_rule_only(world: World, *, drain: bool) -> None:
    both: dict[str, Rule] = {**HOLDERS, "market_cap_usd": Range(minimum=1000.0)}
    await world.joins(7, both)
    await world.tick()
    await world.decides(
        world.call("c1", mint(1), holders=99, market_cap_usd=5000.0),
        world.call("c2", mint(2), holders=99, market_cap_usd=5.0),
        world.call("c3", mint(3), holders=200, market_cap_usd=5000.0),
        world.call("c4", mint(4), market_cap_usd=5000.0),
        world.call("c5", mint(3), channel="@beta", holders=99, market_cap_usd=5000.0),
        world.call("c6", mint(1), channel="@beta", holders=98, market_cap_usd=5000.0),
    )
    await settled(world, drain=drain)
    misses = await world.explanations.near_misses(7)
    assert [(miss.decided.call.id, miss.rule.key, miss.rule.seen) for miss in misses.found] == [
        ("c6", "holders", 98.0),
        ("c4", "holders", None),
    ]
    assert (misses.calls_checked, misses.complete) == (6, True)


async def test_near_misses_begin_at_the_midnight_of_the_subscriber(world: World) -> None:
    await world.joins(7, HOLDERS)
    await world.decides(world.call("c1", mint(1), holders=99))
    world.clock.ahead = timedelta(days=1)
    assert (await world.explanations.near_misses(7)).found == ()


async def test_who_was_paused_missed_nothing_by_a_rule(world: World) -> None:
    await world.joins(7, HOLDERS, paused=True)
    await world.tick()
    await world.decides(world.call("c1", mint(1), holders=99))
    misses = await world.explanations.near_misses(7)
    assert (misses.found, misses.calls_checked) == ((), 0)


@pytest.mark.parametrize("drain", [True, False])
async def test_calls_count_as_checked_since_the_first_filter_was_on(world: World, *, drain: bool) -> None:
    await world.decides(*(world.call(f"before{n}", mint(10 + n), holders=99) for n in range(3)))
    await world.joins(7)
    await world.tick()
    await world.decides(world.call("without", mint(1), holders=99))
    await settled(world, drain=drain)
    misses = await world.explanations.near_misses(7)
    assert (misses.calls_checked, misses.since) == (0, None)
    before = world.clock()
    await world.changes(7, HOLDERS)
    await world.tick()
    await world.decides(world.call("with", mint(2), holders=99))
    await world.tick()
    await world.changes(7, HOLDERS, {})
    await settled(world, drain=drain)
    misses = await world.explanations.near_misses(7)
    assert ([miss.decided.call.id for miss in misses.found], misses.calls_checked) == (["with"], 1)
    assert misses.since is not None
    assert abs(misses.since - before) < timedelta(seconds=5)


async def test_who_had_a_filter_before_counts_from_midnight(world: World) -> None:
    await world.joins(7, HOLDERS)
    world.clock.ahead = timedelta(days=1)
    midnight = world.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    assert (await world.explanations.near_misses(7)).since == midnight


# whose


async def test_only_what_is_the_callers_own_is_read(world: World) -> None:
    await world.joins(7, HOLDERS)
    await world.joins(8, {"holders": Range(minimum=1.0)})
    await world.tick()
    call = world.call("c1", mint(1), holders=50)
    await world.decides(call)
    for drain in (False, True):
        await settled(world, drain=drain)
        why = await world.explanations.why_call(7, mint(1), call_tag("c1"))
        assert why is not None
        assert (why.calls[0].outcome, why.calls[0].delivery) == ("failed", None)
        assert {one.filter_set.user_id for one in why.calls[0].judged.sets} == {7}
        assert (await world.why(8, call)).outcome == "accepted"


async def test_what_is_not_there(world: World) -> None:
    with pytest.raises(UserFacingError, match=r"user\.unknown"):
        await world.explanations.why_token(7, mint(1))
    await world.joins(7, HOLDERS)
    await world.decides(world.call("c1", mint(1)))
    assert await world.explanations.why_token(7, mint(2)) is None
    assert await world.explanations.why_call(7, mint(1), call_tag("c2")) is None


async def test_the_call_that_brought_the_alert_is_found_behind_newer_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.why.explanations.MAX_CALLS", 2)
    await world.joins(7, HOLDERS)
    await world.decides(*(world.call(f"c{n}", mint(1), channel=f"@{n}", holders=500) for n in range(5)))
    await world.journal.drain_all()
    found = await world.explanations.why_call(7, mint(1), call_tag("c0"))
    assert found is not None
    assert found.calls[0].outcome == "accepted"
    token = await world.explanations.why_token(7, mint(1))
    assert token is not None
    assert [one.decided.call.id for one in token.calls] == ["c4", "c3", "c0"]
