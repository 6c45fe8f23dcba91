"""Every alarm of the composition, and what provokes it. A new one needs a row here and a section in docs/alerts.md."""

from __future__ import annotations

from tests.alarms import accounts, calls, channels, followed, money, stores
from tests.alarms.kit import Provocation

PROVOKED: dict[str, Provocation] = {
    **stores.PROVOKED,
    **calls.PROVOKED,
    **channels.PROVOKED,
    **followed.PROVOKED,
    **money.PROVOKED,
    **accounts.PROVOKED,
}
