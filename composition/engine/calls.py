"""The way of a call: from the feed into the queue, decided for everybody, and checked again where a figure lacks."""

from __future__ import annotations

from functools import partial

from bot.health import feed_health
from bot.intake import LEASE, QUEUE_SIZE, Intake
from bot.jobs import JobRow, JobSpec
from bot.lifecycle import Step, Steps
from bot.prices import FeedTicks
from bot.roles import Role
from bot.shards import MatchShard
from composition.feature import Alarm, Base, Feature
from domain.matching.matcher import Matcher
from runtime.clock import now
from services.calls.call_stream import CallStream
from services.calls.channels import ChannelsService
from services.calls.decisions import DecisionsService
from services.calls.late import LateService
from services.calls.tick_stream import TickStream
from services.calls.tokens import TokensService
from services.channels.figures import OwnPages
from services.claims.outbox import Outbox
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.cluster.ownership import Ownership
from services.monitoring import conditions
from services.monitoring.health import Check
from services.monitoring.process_conditions import FEED_AWAY_S, Lasting
from services.running.controls import Controls
from services.subscribers.group import SubscriberServices

READING: frozenset[Role] = frozenset({"all", "ingest"})
DECIDING: frozenset[Role] = frozenset({"all", "match"})
INGEST: frozenset[Role] = frozenset({"ingest"})

FEED = JobSpec(name="feed", does="reads the feed", roles=READING, phase="intake", lease=LEASE)
PUBLISH = JobSpec(name="publish", does="puts calls into the stream", roles=INGEST)
TRIM = JobSpec(name="trim", does="takes out of the stream what everybody has read", roles=INGEST)
TICKS = JobSpec(name="ticks", does="takes prices in; publishes them in `ingest`, follows them in the other roles")
DECIDE = JobSpec(name="decide", does="decides and claims batch after batch", roles=DECIDING)
LATE = JobSpec(name="late", does="looks again at calls that wait for a figure", roles=DECIDING)
PARTITIONS = JobSpec(name="partitions", does="takes and hands over partitions to match", roles=frozenset({"match"}))
JOBS = (FEED, PUBLISH, TRIM, TICKS, DECIDE, LATE, PARTITIONS)


def build(base: Base) -> Feature:
    calls, decisions, ownership = CallStream(base.connections.redis), _decisions(base), base.of(Ownership)
    leases, role = base.of(Leases), base.place.role
    intake = Intake(
        source=base.connections.source,
        outbox=base.of(Outbox),
        decisions=decisions,
        calls=calls,
        leases=leases,
        ownership=ownership,
        rests=partial(_rests, base),
    )
    intake.feed.polls = base.settings.feed_polls
    intake.feed.opened = base.of(TokensService).feed_came_back
    intake.feed.rests = lambda: base.of(Controls).feed_rests
    shard = MatchShard(
        share=ownership.matching,
        members=base.of(Members),
        calls=calls,
        decisions=decisions,
        loading=base.of(SubscriberServices).loading,
        say=base.terminal.say,
        rests=lambda: base.of(Controls).intake_rests,
    )
    drains: dict[Role, Step] = {
        "all": intake.drained,
        "ingest": intake.drained,
        "match": shard.partitions.give_up,
    }
    _show(base, intake)
    feed = partial(feed_health, intake.feed, leases, partial(base.find, OwnPages))
    health: dict[str, Check] = {"feed": feed} if role in READING else {}
    return Feature(
        parts=[intake, shard, calls, decisions],
        jobs=[*_jobs(base, intake, shard, calls), LATE.run_by(_late(base).run)],
        steps=Steps(
            load=intake.loaded if role in {"all", "gateway"} else None,
            drain=drains.get(role),
            left=lambda: {"queued": intake.token_queue.qsize()},
        ),
        health=health,
        alarms=_alarms(base, intake),
    )


def _rests(base: Base) -> bool:
    """What a feed without a past has brought is decided before the process ends: nobody could bring it again."""
    goes_all_the_same = base.lifecycle.is_ending() and not base.connections.source.replays
    return base.of(Controls).intake_rests and not goes_all_the_same


def _is_blocked(base: Base, channel_id: str) -> bool:
    return base.of(Controls).stands("blocked", channel_id)


def _jobs(base: Base, intake: Intake, shard: MatchShard, calls: CallStream) -> list[JobRow]:
    role, tokens, stream = base.place.role, base.of(TokensService), TickStream(base.connections.redis)
    feed_ticks = FeedTicks(intake.feed, tokens)
    ticks = {"all": feed_ticks.run, "ingest": partial(stream.run, take=feed_ticks.take)}
    return [
        FEED.run_by(intake.run_feed),
        PUBLISH.run_by(intake.publish),
        TRIM.run_by(calls.keep_short),
        TICKS.run_by(ticks.get(role, partial(stream.follow, take_in=tokens.take_in))),
        DECIDE.run_by(shard.decide if role == "match" else intake.decide),
        PARTITIONS.run_by(shard.partitions.run),
    ]


def _decisions(base: Base) -> DecisionsService:
    return DecisionsService(
        matcher=base.of(Matcher),
        channels=base.of(ChannelsService),
        tokens=base.of(TokensService),
        roster=base.of(SubscriberServices).roster,
        outbox=base.of(Outbox),
        metrics=base.metrics,
        clock=now,
        is_sure=lambda: now.is_sure,
        made_wait=base.of(Controls).made_wait,
        blocked=partial(_is_blocked, base),
    )


def _late(base: Base) -> LateService:
    return LateService(
        redis=base.connections.redis,
        outbox=base.of(Outbox),
        matcher=base.of(Matcher),
        tokens=base.of(TokensService),
        metrics=base.metrics,
        clock=now,
        ownership=base.of(Ownership),
        blocked=partial(_is_blocked, base),
    )


def _alarms(base: Base, intake: Intake) -> list[Alarm]:
    alarms = [Alarm("token queue", conditions.queue_filling(intake.token_queue.qsize, QUEUE_SIZE))]
    role, counts, leases = base.place.role, base.metrics.counts, base.of(Leases)
    if role in DECIDING:
        alarms.append(Alarm("old calls", conditions.CallsOutdated(lambda: counts.calls_stale)))
    if role in READING:

        def reads() -> bool:
            return (role == "all" or leases.is_valid(LEASE)) and not intake.feed.rests()

        feed = intake.feed.health
        alarms.append(Alarm("feed", conditions.while_so(reads, conditions.feed_silent(feed))))
        away = conditions.while_so(reads, conditions.feed_away(feed))
        alarms.append(Alarm("feed connection", Lasting(away, FEED_AWAY_S)))
    return alarms


def _show(base: Base, intake: Intake) -> None:
    base.metrics.gauge("token_queue_size", "Calls waiting to be matched.", intake.token_queue.qsize)
    for name in ("calls", "ticks", "repeats", "malformed", "refused", "reconnects", "backfilled"):
        base.metrics.gauge(f"feed_{name}", f"Feed: {name}.", partial(getattr, intake.feed.stats, name))
