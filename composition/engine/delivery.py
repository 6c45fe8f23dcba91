"""From the outbox to Telegram: what is sent, when and how it looks, and digests of what was held."""

from __future__ import annotations

from bot.intake import Intake
from bot.jobs import JobSpec
from bot.lifecycle import Step, Steps
from bot.roles import Role
from bot.shards import SendShard
from bot.time_of_day import once_sure
from composition.feature import Alarm, Base, Feature
from domain.calls.venues import Venues
from domain.payments.plans import Plans
from managers.storage.cache import SmartCache
from runtime.clock import now
from services.calls.tokens import TokensService
from services.cards.names import Names
from services.claims.outbox import Outbox
from services.claims.putting import Putting
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.cluster.ownership import Ownership
from services.cluster.sent_lately import SentBefore
from services.delivery.alert_composer import AlertComposer
from services.delivery.card_keyboards import CardKeyboards
from services.delivery.delayed import DelayedAlerts
from services.delivery.delivery import MAX_HELD, DeliveryService
from services.delivery.digest_lines import DigestLines
from services.delivery.digest_order import DigestOrder
from services.delivery.digest_pages import DigestPages
from services.delivery.digests import DigestComposer, DigestsService
from services.delivery.held import HeldCalls
from services.delivery.kinds import Kinds
from services.delivery.media import MediaFiles
from services.delivery.policy import PolicyService
from services.delivery.sending import Sender
from services.delivery.settling import Settler
from services.delivery.sorting import Sorter
from services.delivery.told_calls import ToldCalls
from services.monitoring import conditions, gauges
from services.monitoring.process_conditions import SendsFail
from services.plans.used_up import UsedUpComposer, UsedUpNotices
from services.schedule.due_times import DueTimes
from services.schedule.schedule import LEASE, Schedule
from services.stores.sealing import Sealer
from services.subscribers.group import SubscriberServices

ALERTING: frozenset[Role] = frozenset({"all", "send"})

DELIVER = JobSpec(name="deliver", does="sends what the outbox holds", roles=ALERTING)
SCHEDULE = JobSpec(name="schedule", does="does what is due at a time, digests among it", roles=ALERTING)
PARTITIONS = JobSpec(name="partitions", does="takes and hands over partitions to send", roles=frozenset({"send"}))
JOBS = (DELIVER, SCHEDULE, PARTITIONS)


def build(base: Base) -> Feature:
    outbox, subscribers = base.of(Outbox), base.of(SubscriberServices).subscribers
    kinds = Kinds()
    policy = PolicyService(base.connections.redis, base.of(Plans))
    media = SmartCache[str, str | None].of("media")
    gauges.show_cache(base.metrics, media)
    files = MediaFiles(base.connections.redis, media)
    keyboards = CardKeyboards(base.connections.redis, base.of(Sealer), base.metrics)
    delivery = _delivery(base, kinds, policy, files, keyboards)
    schedule = _schedule(base, delivery)
    shard = SendShard(
        share=base.of(Ownership).sending,
        members=base.of(Members),
        delivery=delivery,
        sent_before=base.find(SentBefore),
    )
    intake = base.of(Intake)

    async def drained() -> None:
        await intake.drained()  # what it claims is sent here, too
        await delivery.drained()

    drains: dict[Role, Step] = {"all": drained, "send": shard.partitions.give_up}
    base.metrics.gauge("alerts_held", "Alerts waiting for their turn.", lambda: delivery.held)
    base.metrics.gauge("partitions_sent", "Partitions whose alerts are sent here.", lambda: len(delivery.owned))
    alerts = AlertComposer(outbox=outbox, names=base.of(Names), clock=now, venues=base.of(Venues))
    lines = DigestLines(prices=base.of(TokensService), texts=base.texts, metrics=base.metrics)
    order = DigestOrder(base.connections.redis, base.metrics)
    digests = DigestComposer(outbox=outbox, order=order, lines=lines, texts=base.texts)
    digesting = DigestsService(held=base.of(HeldCalls), subscribers=subscribers, clock=now)
    pages, told = DigestPages(base.connections.postgres, order, lines), ToldCalls(base.connections.redis)
    return Feature(
        services=[policy, pages, told, keyboards],
        parts=[delivery, kinds, schedule, files],
        caches=[media],
        kinds=[alerts.row(), digests.row(), UsedUpComposer(base.texts).row()],
        scheduled=[digesting.job(), base.of(DelayedAlerts).job()],
        jobs=[
            DELIVER.run_by(once_sure(delivery.run)),
            SCHEDULE.run_by(once_sure(schedule.run)),
            PARTITIONS.run_by(shard.partitions.run),
        ],
        steps=Steps(drain=drains.get(base.place.role), left=lambda: {"held": delivery.held}),
        alarms=_alarms(base, delivery),
    )


def _alarms(base: Base, delivery: DeliveryService) -> list[Alarm]:
    if base.place.role not in ALERTING:
        return []
    counts = base.metrics.counts
    return [
        Alarm("send queue", conditions.queue_filling(lambda: delivery.held, MAX_HELD)),
        Alarm("sending", SendsFail(lambda: counts.sends)),
    ]


def _schedule(base: Base, delivery: DeliveryService) -> Schedule:
    leases = base.of(Leases)

    async def leads() -> bool:
        return bool(await leases.acquire([LEASE]))

    return Schedule(
        due_times=base.of(DueTimes),
        clock=now,
        partitions=lambda: delivery.owned,
        leads=leads,
    )


def _delivery(
    base: Base, kinds: Kinds, policy: PolicyService, files: MediaFiles, keyboards: CardKeyboards
) -> DeliveryService:
    outbox, metrics = base.of(Outbox), base.metrics
    subscribers = base.of(SubscriberServices).subscribers
    sender = Sender(messenger=base.connections.telegram, files=files, keyboards=keyboards, metrics=metrics)
    settler = Settler(
        outbox=outbox,
        subscribers=subscribers,
        sender=sender,
        kinds=kinds,
        policy=policy,
        texts=base.texts,
        metrics=metrics,
        clock=now,
    )
    sorter = Sorter(
        kinds=kinds,
        subscribers=subscribers,
        policy=policy,
        held=base.of(HeldCalls),
        delayed=base.of(DelayedAlerts),
        settler=settler,
        metrics=metrics,
        clock=now,
        used_up=UsedUpNotices(base.of(Putting), policy).tell,
    )
    return DeliveryService(
        outbox=outbox,
        kinds=kinds,
        sorter=sorter,
        sender=sender,
        settler=settler,
        metrics=metrics,
        on_sent=base.terminal.show_sent,
        consumer=base.place.owner,
    )
