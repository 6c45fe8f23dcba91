"""`Services` for a bot that is composed of some mixins only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, cast, get_type_hints

from domain.admins.deeds import Deed
from domain.admins.roles import AdminRole
from domain.tracking.records import Records
from handlers.conversation.base import NothingOff, Services
from services.administration.confirmations import Confirmations
from services.delivery.held import HeldCalls
from services.delivery.policy import PolicyService
from services.payments.group import PaymentServices
from services.payments.invoices import InvoicesService, ShownInvoices, StandingInvoice
from services.reports.group import ReportServices
from services.subscribers.group import SubscriberServices
from services.subscribers.inputs import InputsService
from services.tracking.records.corrections import Corrections
from services.tracking.records.group import RecordServices
from services.tracking.records.records import RecordsService
from services.watches.watches import WatchesService


class NoInvoices:
    async def of(self, user_id: int, count: int) -> list[StandingInvoice]:
        del user_id, count
        return []


class NoRecords:
    """Nothing was followed yet."""

    async def find(self, kind: str, subject: str) -> Records | None:
        del kind, subject
        return None

    async def of_set(self, user_id: int, number: int) -> Records | None:
        del user_id, number
        return None

    async def of_presets(self, keys: Sequence[str]) -> dict[str, Records]:
        del keys
        return {}


class NoneShown(ShownInvoices):
    def __init__(self) -> None:
        """Nobody has a message that shows an invoice."""

    async def note(self, user_id: int, message_id: int, invoice_id: str) -> None: ...

    async def forget(self, user_id: int, *message_ids: int) -> None: ...

    async def of(self, user_id: int, invoice_id: str) -> list[int]:
        del user_id, invoice_id
        return []


class OwnersAlone:
    """Admins of the settings, and nobody else."""

    def __init__(self, owners: frozenset[int]) -> None:
        self._owners = owners

    def role_of(self, user_id: int) -> AdminRole | None:
        return "owner" if user_id in self._owners else None


class Deeds:
    """What admins did, in memory."""

    def __init__(self) -> None:
        self.all: list[Deed] = []

    @asynccontextmanager
    async def recording(self, deed: Deed) -> AsyncGenerator[None]:
        self.all.append(deed)
        yield


class Noted:
    """What people did, in memory."""

    def __init__(self) -> None:
        self.all: list[tuple[int, str, str]] = []

    def note(self, user_id: int, what: str, detail: str = "", username: str = "") -> None:
        self.all.append((user_id, what, detail))


async def nobody_is_banned(user_id: int) -> bool:
    del user_id
    return False


def _with_admins(collaborators: dict[str, object]) -> dict[str, object]:
    """Add what every dialogue needs of administration, where it is not given."""
    left = dict(collaborators)
    owners = cast("frozenset[int]", left.pop("admin_chat_ids", frozenset[int]()))
    inputs = left.get("inputs")
    redis = inputs._redis if isinstance(inputs, InputsService) else None  # pyright: ignore[reportPrivateUsage] - the same
    usual = {
        "admins": OwnersAlone(owners),
        "audit": Deeds(),
        "activity": Noted(),
        "confirmations": Confirmations(redis) if redis else None,
        "is_banned": nobody_is_banned,
        "standing": NothingOff(),
    }
    return usual | left


def services_of(**collaborators: object) -> Services:
    """Take what the bot under test needs, by name; whatever it does not need is not there."""
    left = _with_admins(collaborators)
    groups: dict[str, Any] = {}
    kinds: dict[str, Any] = {name: kind for name, kind in get_type_hints(Services).items() if is_dataclass(kind)}
    for name, group in kinds.items():
        groups[name] = group(**{field.name: left.pop(field.name, _default(field)) for field in fields(group)})
    payments = left.pop("payments", PaymentServices(invoices=cast("InvoicesService", NoInvoices()), takes_stars=False))
    policy, held, reports = left.pop("policy", None), left.pop("held", None), left.pop("reports", None)
    watches = left.pop("watches", None)
    assert not left, f"no group has {', '.join(left)}"
    records = RecordServices(records=cast("RecordsService", NoRecords()), corrections=cast("Corrections", None))
    given = {PaymentServices: payments, ShownInvoices: NoneShown(), RecordServices: records, PolicyService: policy}
    return Services(**groups, groups={**given, HeldCalls: held, ReportServices: reports, WatchesService: watches})


def _default(field: Field[Any]) -> Any:
    return None if field.default is MISSING else field.default


def fields_of(users: SubscriberServices) -> dict[str, object]:
    """What the group holds, by name."""
    return {field.name: getattr(users, field.name) for field in fields(users)}
