"""A person takes what is kept of them along, and goes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import Role
from composition.feature import Base, Feature
from handlers.conversation.base import ConversationServices
from managers.telegram.conversation import TelegramConversation
from managers.telegram.documents import TelegramCourier
from runtime.clock import now
from runtime.errors import FatalError
from services.channels.listed import ListedChannels
from services.cluster.members import Members
from services.export.erasing import ErasingService
from services.export.exporting import ExportService
from services.export.files import ExportDirectory
from services.export.obligations import ObligationsService
from services.payments.ledger import Ledger
from services.payments.stars import StarsService
from services.plans.group import PlanServices
from services.stores.journal import Journal
from services.stores.spool import Spool
from services.subscribers.group import SubscriberServices

CONVERSING: frozenset[Role] = frozenset({"all", "gateway"})

EXPORT = JobSpec(name="export", does="sends people what is kept of them", roles=CONVERSING, lease="export")
ERASE = JobSpec(name="erase", does="deletes who wants to go", roles=CONVERSING, lease="erase")
JOBS = (EXPORT, ERASE)


def build(base: Base) -> Feature:
    redis, postgres = base.connections.redis, base.connections.postgres
    courier = TelegramCourier(base.connections.telegram, _conversation(base))
    parent = base.connections.data_dir or Path(tempfile.gettempdir())
    directory = ExportDirectory(parent / "exports" / base.place.owner)
    erasing = _erasing(base, courier)
    obligations = ObligationsService(
        subscribers=base.of(SubscriberServices).subscribers,
        ledger=base.of(Ledger),
        stars=base.of(StarsService),
        clock=now,
    )
    export = ExportService(
        redis=redis,
        postgres=postgres,
        courier=courier,
        texts=base.texts,
        directory=directory,
        clock=now,
    )
    return Feature(
        services=[export, erasing, obligations],
        jobs=[EXPORT.run_by(export.run), ERASE.run_by(erasing.run)],
        steps=Steps(prepare=directory.empty),
    )


def _erasing(base: Base, courier: TelegramCourier) -> ErasingService:
    members, spool = base.of(Members), base.of(Spool)
    return ErasingService(
        redis=base.connections.redis,
        postgres=base.connections.postgres,
        journal=base.of(Journal),
        subscribers=base.of(SubscriberServices).subscribers,
        courier=courier,
        texts=base.texts,
        clock=now,
        owner=base.place.owner,
        is_alone=lambda: members.alone,
        is_settled=lambda: not (spool.is_local or spool.waiting),
        # A trial from before there was a ledger is written down, so that nobody gets a second one.
        before=base.of(PlanServices).entitling.apply,
        others={"read_channels": base.of(ListedChannels).forget_suggestions},
    )


def _conversation(base: Base) -> TelegramConversation:
    telegram = base.of(ConversationServices).telegram
    if not isinstance(telegram, TelegramConversation):
        raise FatalError("Files are sent to Telegram alone.")
    return telegram
