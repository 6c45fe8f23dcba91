"""Who else is there, and what of the work is this process's: leases, members, shares of Telegram's limit."""

from __future__ import annotations

from functools import partial

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import SENDING, parts_of
from composition.feature import Alarm, Base, Feature
from runtime.clock import now
from services.cluster.asked_lately import AskedBefore
from services.cluster.asking import share_of_limits
from services.cluster.changes import Changes
from services.cluster.leases import Leases
from services.cluster.members import Member, Members
from services.cluster.ownership import Ownership
from services.cluster.sent_lately import SentBefore
from services.cluster.slot_leases import SlotLeases
from services.monitoring import conditions

SLOTS_FOR_ALARMS = 1
ROLE_MISSING_S = 15.0
"""A process that was started again is there by then."""

LEASES = JobSpec(name="leases", does="keeps what is leased", phase="connection", watched=False)
MEMBERS = JobSpec(
    name="members", does="says that the process lives, and who else does", phase="connection", watched=False
)
SLOTS = JobSpec(
    name="slots",
    does="keeps a share of Telegram's limit",
    roles=frozenset({"gateway", "send"}),
    phase="connection",
    watched=False,
)
SENT_LATELY = JobSpec(
    name="sent lately",
    does="writes down which requests still count against Telegram's limits, and learns it of others",
    roles=SENDING,
    phase="connection",
    watched=False,
)
ASKED_LATELY = JobSpec(
    name="asked lately",
    does="writes down which requests still count against limits of providers",
    phase="connection",
    watched=False,
)
JOBS = (LEASES, MEMBERS, SLOTS, SENT_LATELY, ASKED_LATELY)


def build(base: Base) -> Feature:
    redis, place = base.connections.redis, base.place
    members = Members(
        redis,
        place.owner,
        parts_of(place.role),
        shard=place.shard,
        clock=now,
        asks_telegram=place.role in SENDING,
    )
    base.connections.api.share = partial(share_of_limits, members)
    asked_before = AskedBefore(redis, base.connections.api, place.owner, clock=now)
    leases = Leases(redis, place.owner, alone=lambda: members.alone)
    ownership = Ownership(leases, parts_of(place.role))
    slots, sent_before = _slots(base, members), _sent_before(base)
    shared = [part for part in (slots, sent_before) if part is not None]

    async def leave() -> None:
        for part in (sent_before, slots):
            if part is not None:
                await part.leave()
        await leases.release_all()
        await members.leave()

    jobs = [LEASES.run_by(leases.run), MEMBERS.run_by(members.run), ASKED_LATELY.run_by(asked_before.run)]
    jobs += [SLOTS.run_by(slots.run)] if slots else []
    jobs += [SENT_LATELY.run_by(sent_before.run)] if sent_before else []
    others = partial(_others, members, place.owner)
    alarms = [Alarm("clock", conditions.clocks_wrong(lambda: now.wrong_by_s, others), is_shared=True)]
    if place.role == "gateway":
        alarms.append(Alarm("processes", conditions.roles_missing(members), ROLE_MISSING_S))
    return Feature(
        parts=[members, leases, ownership, Changes(redis, place.owner), *shared],
        jobs=jobs,
        steps=Steps(prepare=asked_before.take_up, leave=leave),
        alarms=alarms,
    )


def _others(members: Members, owner: str) -> list[Member]:
    return [one for one in members.living() if one.owner != owner]


def _slots(base: Base, members: Members) -> SlotLeases | None:
    """Share Telegram's limit, where several processes do: replies count against it as much as alerts do."""
    if base.place.role not in SLOTS.roles:
        return None
    return SlotLeases(
        redis=base.connections.redis,
        scheduler=base.connections.limiter.scheduler,
        sender=base.place.owner,
        alone=lambda: members.alone,
        without_redis=SLOTS_FOR_ALARMS if base.place.role == "gateway" else 0,
    )


def _sent_before(base: Base) -> SentBefore | None:
    if base.place.role not in SENT_LATELY.roles:
        return None
    scheduler = base.connections.limiter.scheduler
    return SentBefore(base.connections.redis, scheduler, base.place.owner, is_whole=base.place.role == "all")
