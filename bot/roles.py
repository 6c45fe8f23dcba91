"""What a process may be: everything, or one part of the work."""

from __future__ import annotations

from typing import Final, Literal

from domain.subscribers.partitions import PARTITIONS
from services.cluster.members import ALL_ROLES
from services.cluster.members import Role as PartRole
from services.schedule.schedule import LEASE as SCHEDULE

Role = Literal["all", "gateway", "listen", "ingest", "match", "send", "track"]
ROLES: Final[tuple[Role, ...]] = ("all", "gateway", "listen", "ingest", "match", "send", "track")
SENDING: Final[frozenset[Role]] = frozenset({"all", "gateway", "send"})
"""Roles that talk to Telegram."""
GATEWAY: Final = "gateway"
"""The lease of who polls for Telegram's updates."""
LISTEN: Final = "listen"
"""The lease of who reads channels."""
TRACK: Final = "track"
"""The lease of who follows prices."""
MILESTONES: Final = "milestones"
"""The lease of who tells what was reached."""
COMPLETING: Final = "completing"
"""The lease of who puts later figures on cards."""
BROADCASTS: Final = "broadcasts"
"""The lease of who puts what is said to many into the outboxes."""
REFILL: Final = "refill"
"""The lease of who fills an empty Redis."""


def parts_of(role: Role) -> frozenset[PartRole]:
    """Return the parts of the work that a process of this role does."""
    return ALL_ROLES if role == "all" else frozenset({role})


def exclusive_leases() -> list[str]:
    """Name every lease: a process that does everything holds them all, so that no other has any part."""
    partitions = range(PARTITIONS)
    shares = [f"{part}:{partition}" for part in ("match", "send") for partition in partitions]
    return [GATEWAY, "ingest", "journal", TRACK, MILESTONES, COMPLETING, BROADCASTS, *shares]


EVERY_LEASE: Final = (*exclusive_leases(), LISTEN, REFILL, SCHEDULE)
