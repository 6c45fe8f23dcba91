"""From the outbox to Telegram: what is sent, when and how it looks, and digests of what was held."""

from __future__ import annotations

from bot.intake import Intake
from bot.jobs import JobSpec
from bot.lifecycle import Step, Steps
from bot.roles import Role
from bot.shards import SendShard
from bot.time_of_day import once_sure
from composition.feature import Base, Feature
from managers.storage.cache import SmartCache
from runtime.clock import now
from services.calls.tokens import TokensService
from services.claims.outbox import Outbox
from services.cluster.members import Members
from services.cluster.ownership import Ownership
from services.cluster.sent_lately import SentBefore
from services.delivery.composing import Composer
from services.delivery.delivery import DeliveryService
from services.delivery.digests import DigestsService, DigestWriter
from services.delivery.held import HeldCalls
from services.delivery.media import MediaFiles
from services.delivery.policy import PolicyService
from services.delivery.sending import Sender
from services.monitoring import gauges
from services.subscribers.group import SubscriberServices

ALERTING: frozenset[Role] = frozenset({"all", "send"})

DELIVER = JobSpec(name="deliver", does="sends what the outbox holds", roles=ALERTING)
DIGESTS = JobSpec(name="digests", does="sends digests that are due", roles=ALERTING)
PARTITIONS = JobSpec(name="partitions", does="takes and hands over partitions to send", roles=frozenset({"send"}))
JOBS = (DELIVER, DIGESTS, PARTITIONS)


def build(base: Base) -> Feature:
    delivery = _delivery(base)
    digests = DigestsService(
        held=base.of(HeldCalls),
        subscribers=base.of(SubscriberServices).subscribers,
        clock=now,
        partitions=lambda: delivery.owned,
    )
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
    return Feature(
        parts=[delivery],
        jobs=[
            DELIVER.run_by(once_sure(delivery.run)),
            DIGESTS.run_by(once_sure(digests.run)),
            PARTITIONS.run_by(shard.partitions.run),
        ],
        steps=Steps(drain=drains.get(base.place.role), left=lambda: {"held": delivery.held}),
    )


def _delivery(base: Base) -> DeliveryService:
    redis, outbox, metrics = base.connections.redis, base.of(Outbox), base.metrics
    media = SmartCache[str, str | None].of("media")
    gauges.show_cache(metrics, media)
    writer = DigestWriter(outbox=outbox, prices=base.of(TokensService), texts=base.texts, metrics=metrics)
    return DeliveryService(
        outbox=outbox,
        subscribers=base.of(SubscriberServices).subscribers,
        policy=PolicyService(redis),
        held=base.of(HeldCalls),
        sender=Sender(messenger=base.connections.telegram, files=MediaFiles(redis, media), metrics=metrics),
        composer=Composer(outbox=outbox, digests=writer, texts=base.texts, clock=now),
        metrics=metrics,
        clock=now,
        on_sent=base.terminal.show_sent,
        consumer=base.place.owner,
    )
