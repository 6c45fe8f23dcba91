"""What admins do about people: look, ban, write, give and take plans; and their own actions as a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from composition.feature import Base, Feature
from domain.payments.plans import Plans
from handlers.conversation.base import ConversationServices
from managers.telegram.conversation import TelegramConversation
from managers.telegram.documents import TelegramCourier
from runtime.clock import now
from runtime.errors import FatalError
from services.administration.admins import AdminsService
from services.administration.audit import AuditService
from services.administration.audit_file import AuditFile
from services.administration.granting import GrantingService
from services.administration.people import PeopleService
from services.claims.putting import Putting
from services.export.files import ExportDirectory
from services.payments.ledger import Ledger
from services.plans.group import PlanServices
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices

JOBS: tuple[JobSpec, ...] = ()


def build(base: Base) -> Feature:
    subscribers = base.of(SubscriberServices).subscribers
    people = PeopleService(
        postgres=base.connections.postgres, subscribers=subscribers, admins=base.of(AdminsService), clock=now
    )
    granting = GrantingService(
        redis=base.connections.redis,
        journal=base.of(Journal),
        ledger=base.of(Ledger),
        subscribers=subscribers,
        entitling=base.of(PlanServices).entitling,
        putting=base.of(Putting),
        plans=base.of(Plans),
        clock=now,
    )
    parent = base.connections.data_dir or Path(tempfile.gettempdir())
    directory = ExportDirectory(parent / "audit" / base.place.owner)
    courier = TelegramCourier(base.connections.telegram, _conversation(base))
    return Feature(
        services=[people, granting, AuditFile(base.of(AuditService), courier, directory)],
        steps=Steps(prepare=directory.empty),
    )


def _conversation(base: Base) -> TelegramConversation:
    telegram = base.of(ConversationServices).telegram
    if not isinstance(telegram, TelegramConversation):
        raise FatalError("Files are sent to Telegram alone.")
    return telegram
