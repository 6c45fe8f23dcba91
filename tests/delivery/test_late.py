"""A call that waits for a figure passes late, once, whatever happens meanwhile."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from msgspec.structs import replace

from domain.calls.events import Token
from domain.matching.matcher import Matcher
from domain.stored.alerts import WaitingCall
from domain.subscribers.partitions import PARTITIONS, partition_of
from services.calls.late import LateService, newest
from services.cluster.leases import Leases
from services.cluster.members import ALL_ROLES
from services.cluster.ownership import Ownership
from services.stores import keys
from tests.delivery.kit import NOW, Way, call_of, claim_of, texts_of
from tests.delivery.kit import waiting_for_holders as holders


def late_service(way: Way, matcher: Matcher | None = None, *, is_loaded: bool = True) -> LateService:
    ownership = Ownership(Leases(way.redis, "test"), ALL_ROLES)
    ownership.is_loaded = is_loaded
    return LateService(
        redis=way.redis,
        outbox=way.outbox,
        matcher=matcher or way.matcher,
        tokens=way.market,
        metrics=way.metrics,
        clock=way.clock,
        ownership=ownership,
    )


async def decided(way: Way, *users: int) -> None:
    """Decide a call whose number of holders nobody knows yet."""
    for user in users:
        way.matcher.put_subscriber(user, [holders(user)])
    decision = way.matcher.decide(call_of(1), NOW)
    assert decision.accepted == ()
    assert len(decision.waiting) == len(users)
    await way.claim(claim_of(call_of(1), waiting=decision.waiting))


async def waiting_keys(way: Way) -> int:
    """How many keys say that somebody waits for the call."""
    parts = range(PARTITIONS)
    names = [keys.WAITING_CALL.of(part, "c1") for part in parts] + [keys.WAITING_CALLS.of(part) for part in parts]
    return await way.redis.exists(*names)


def known(way: Way, holders: int) -> None:
    address = call_of(1).token.address
    way.market.tokens[address] = Token(address=address, holders=holders)


async def test_a_claim_that_another_owner_refuses_is_made_at_the_next_look(way: Way) -> None:
    ann = await way.person()
    await decided(way, ann.id)
    known(way, 500)
    way.clock.pass_(minutes=3)
    fences = {"match:0": 1}
    way.outbox._match_fences = lambda: fences  # pyright: ignore[reportPrivateUsage] - as if its lease had been taken
    await way.redis.hset(keys.FENCES.of(), {"match:0": "2"})
    late = late_service(way)
    assert await late.poll() == 0
    assert await way.outbox.size() == 0
    assert await waiting_keys(way) > 0
    fences["match:0"] = 2
    way.clock.pass_(minutes=3)
    assert await late.poll() == 1
    assert await waiting_keys(way) == 0


async def test_a_figure_that_arrives_in_time_lets_the_call_pass(way: Way) -> None:
    ann = await way.person()
    await decided(way, ann.id)
    late = late_service(way)
    assert await late.poll() == 0
    way.clock.pass_(minutes=3)
    known(way, 500)
    assert await late.poll() == 1
    assert await late.poll() == 0
    assert await waiting_keys(way) == 0
    await way.deliver()
    [text] = texts_of(ann)
    assert "Passed 3m after the call" in text
    assert "Holders  500" in text
    assert way.metrics.counts.alerts_late == 1


async def test_a_late_card_names_all_filters_that_passed_and_are_still_there(way: Way) -> None:
    ann = await way.person()
    sets = [
        replace(holders(ann.id), number=number, name=name) for number, name in enumerate(("One", "Two", "Three"), 1)
    ]
    way.matcher.put_subscriber(ann.id, sets)
    waiting = way.matcher.decide(call_of(1), NOW).waiting
    await way.claim(claim_of(call_of(1), waiting=waiting))
    known(way, 500)
    way.clock.pass_(minutes=3)
    assert await late_service(way).poll() == 1
    await way.store.save(replace(await way.users.subscribers.require(ann.id), revision=2, filter_sets=tuple(sets[1:])))
    await way.deliver()
    [text] = texts_of(ann)
    assert "✓ Two, Three\n" in text.replace("<i>", "").replace("</i>", "")


async def test_a_figure_that_fails_the_rule_ends_the_waiting(way: Way) -> None:
    ann = await way.person()
    await decided(way, ann.id)
    known(way, 3)
    assert await late_service(way).poll() == 0
    assert await waiting_keys(way) == 0
    assert await way.outbox.size() == 0


async def test_patience_ends(way: Way) -> None:
    ann = await way.person()
    await decided(way, ann.id)
    way.clock.pass_(minutes=11)
    known(way, 500)
    assert await late_service(way).poll() == 0
    assert await waiting_keys(way) == 0


async def test_a_kill_loses_nobody_who_waits(way: Way) -> None:
    ann, ben = await way.person(), await way.person()
    await decided(way, ann.id, ben.id)
    fresh = Matcher()
    fresh.load([holders(ann.id), holders(ben.id)])
    known(way, 500)
    assert await late_service(way, fresh).poll() == 2
    # Killed before the answer: the claim is in Redis, the next process finds nobody waiting and claims nothing.
    again = Matcher()
    again.load([holders(ann.id), holders(ben.id)])
    assert await late_service(way, again).poll() == 0
    assert await way.outbox.size() == 2


async def test_the_same_claim_again_changes_nothing(way: Way) -> None:
    ann = await way.person()
    decision_of = call_of(1)
    way.matcher.put_subscriber(ann.id, [holders(ann.id)])
    waiting = way.matcher.decide(decision_of, NOW).waiting
    first = claim_of(decision_of, waiting=waiting)
    late = replace(claim_of(decision_of, ann.id, late_s=60.0), ends_waiting=(partition_of(ann.id),))
    for request in (first, first, late, late, first, late):
        await way.claim(request)
    assert await way.outbox.size() == 1
    assert await waiting_keys(way) == 0


async def test_a_token_that_stays_unknown_is_asked_about_less_and_less(way: Way) -> None:
    ann = await way.person()
    await decided(way, ann.id)
    late = late_service(way)
    for _ in range(120):
        await late.poll()
        way.clock.pass_(seconds=3)
    assert 10 < len(way.market.asked) < 30


async def test_an_unreadable_waiting_call_blocks_nobody(way: Way) -> None:
    ann = await way.person()
    partition = partition_of(ann.id)
    await way.redis.set(keys.WAITING_CALL.of(partition, "c0"), b"\xff")
    await way.redis.transaction([("ZADD", keys.WAITING_CALLS.of(partition), 1, "c0")])
    await decided(way, ann.id)
    known(way, 500)
    assert await late_service(way).poll() == 1
    assert await way.redis.exists(keys.WAITING_CALLS.of(partition)) == 0


async def test_what_waits_is_stored_with_the_claim(way: Way) -> None:
    ann = await way.person()
    await decided(way, ann.id)
    document = await way.redis.get(keys.WAITING_CALL.of(partition_of(ann.id), "c1"))
    stored = msgspec.json.decode(document or b"", type=WaitingCall)
    assert stored.call == call_of(1)
    assert [pair.user_id for pair in stored.pairs] == [ann.id]
    assert stored.until == NOW + timedelta(minutes=10)


def test_newer_figures_replace_older_ones_and_keep_the_rest() -> None:
    known = Token(address="So1", holders=3, price_usd=1.0, symbol="A")
    latest = Token(address="So1", holders=9, liquidity_usd=5.0)
    assert newest(known, latest) == Token(address="So1", holders=9, price_usd=1.0, symbol="A", liquidity_usd=5.0)
