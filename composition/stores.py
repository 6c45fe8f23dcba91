"""Where everything is kept, and the right to write there. Opens nothing, decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from bot.roles import REFILL, SENDING, parts_of
from composition.connections import Connections, Place
from domain.calls.events import Channel
from domain.subscribers.partitions import ALL, Partition
from domain.subscribers.subscriber import Subscriber
from managers.storage.cache import SmartCache
from migrations import migrate
from runtime.clock import now
from services.calls.call_stream import CallStream
from services.claims.accepted_pairs import AcceptedPairs
from services.claims.dead_letters import DeadLetters
from services.claims.outbox import Outbox
from services.claims.stored_calls import StoredCalls
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.cluster.sent_lately import SentBefore
from services.cluster.slot_leases import SlotLeases
from services.delivery.held import HeldCalls
from services.monitoring.metrics import Metrics
from services.recovery.postgres_fill import PostgresFill
from services.recovery.refill import Refill, Senders
from services.stores.begun_log import BegunLog
from services.stores.database import Database
from services.stores.journal import Journal
from services.stores.spool import Spool
from services.subscribers.presets import PresetsStore
from services.subscribers.store import SubscribersStore
from services.why.history import HistoryStore

SLOTS_FOR_ALARMS = 1


class Caches:
    """The first layer in front of everything slow."""

    def __init__(self) -> None:
        self.channels = SmartCache[str, Channel].of("channels")
        self.settings = SmartCache[int, Subscriber | None].of("settings")
        self.permissions = SmartCache[tuple[int, int], bool].of("permissions")
        self.media = SmartCache[str, str | None].of("media")


class Stores:
    def __init__(
        self, parts: Connections, place: Place, metrics: Metrics, match_fences: Callable[[], Mapping[str, int]]
    ) -> None:
        """`match_fences`: names and numbers of the leases under which alerts are claimed."""
        redis, postgres, owner = parts.redis, parts.postgres, place.owner
        self._parts = parts
        self._takes_everything = place.role == "all"
        self._sends = place.role in {"all", "send"}
        self.caches = Caches()
        self.members = Members(
            redis, owner, parts_of(place.role), shard=place.shard, clock=now, asks_telegram=place.role in SENDING
        )
        self.leases = Leases(redis, owner, alone=self.is_alone)
        self.slots = self._slots(place) if place.role in {"gateway", "send"} else None
        self.sent_before = self._sent_before(owner) if place.role in SENDING else None
        self.calls = CallStream(redis)
        self.database = Database(
            redis,
            postgres,
            known=parts.data_dir / "database" if parts.data_dir else None,
            migrate=partial(migrate, parts.database_url),
        )
        self.journal = Journal(redis, postgres)
        self.journal.check = self.database.check
        if self._takes_everything and parts.data_dir is not None:
            self.journal.begun = BegunLog(parts.data_dir / "begun.log")
        self.spool = Spool(redis, store=parts.store, tail=self.journal.tail, is_alone=self.is_alone)
        self.outbox = Outbox(
            redis,
            self.journal,
            self.spool,
            StoredCalls(redis, postgres),
            AcceptedPairs(postgres),
            match_fences=match_fences,
            send_fences=lambda partition: self.leases.fences([f"send:{partition}"]),
            clock=now,
        )
        self.held = HeldCalls(redis, self.spool, self.journal)
        self.history = HistoryStore(redis, postgres, now)
        self.subscribers = SubscribersStore(redis, postgres, self.journal, self.caches.settings, owner)
        self.presets = PresetsStore(redis, postgres, self.journal, owner)
        self.letters = DeadLetters(redis, metrics)

    def is_alone(self) -> bool:
        """Tell whether no other process has any part in the work."""
        return self.members.alone

    def postgres_fill(self, say: Callable[[str], None]) -> PostgresFill:
        return PostgresFill(
            redis=self._parts.redis,
            postgres=self._parts.postgres,
            database=self.database,
            say=say,
            clock=now,
        )

    def refill(self, senders: Senders, say: Callable[[str], None]) -> Refill:
        async def leads() -> bool:
            return bool(await self.leases.acquire([REFILL]))

        def entitled() -> frozenset[Partition]:
            held = (p for p in ALL if self.leases.is_valid(f"send:{p}"))
            return ALL if self._takes_everything else frozenset(held)

        return Refill(
            redis=self._parts.redis,
            postgres=self._parts.postgres,
            journal=self.journal,
            spool=self.spool,
            subscribers=self.subscribers,
            senders=senders,
            entitled=entitled,
            database=self.database,
            sends=self._sends,
            source=self._parts.source.name,
            renew=self.leases.renew,
            leads=leads,
            say=say,
            clock=now,
        )

    def _sent_before(self, owner: str) -> SentBefore:
        scheduler = self._parts.limiter.scheduler
        return SentBefore(self._parts.redis, scheduler, owner, is_whole=self._takes_everything)

    def _slots(self, place: Place) -> SlotLeases:
        """Share Telegram's limit: replies count against it as much as alerts do."""
        return SlotLeases(
            redis=self._parts.redis,
            scheduler=self._parts.limiter.scheduler,
            sender=place.owner,
            alone=self.is_alone,
            without_redis=SLOTS_FOR_ALARMS if place.role == "gateway" else 0,
        )
