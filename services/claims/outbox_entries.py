"""An entry of the outbox as a sender has it in hand: where it stands, whether it may have arrived already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from domain.stored.alerts import Alert
from domain.stored.outgoing import Outgoing
from domain.subscribers.partitions import Partition, partition_of

LOCAL: Final = "local-"
"""Begins the id of an entry in the local store."""


class OutboxEntry(Struct, frozen=True, kw_only=True):
    entry_id: str
    outgoing: Outgoing
    may_repeat: bool = False
    """A request for it left earlier and its outcome was never known."""

    @property
    def alert(self) -> Alert:
        """The alert that it is; `TypeError` for anything else."""
        if isinstance(self.outgoing, Alert):
            return self.outgoing
        raise TypeError(f"a {self.outgoing.kind} is no alert")

    @property
    def partition(self) -> Partition:
        return partition_of(self.outgoing.user_id)

    @property
    def is_local(self) -> bool:
        """Whether it lives in the local store."""
        return self.entry_id.startswith(LOCAL)


def apart(entries: Sequence[OutboxEntry]) -> tuple[list[str], dict[Partition, list[str]]]:
    """Return the ids of entries in the local store, and of those in Redis by partition."""
    local = [one.entry_id for one in entries if one.is_local]
    remote: dict[Partition, list[str]] = {}
    for one in entries:
        if not one.is_local:
            remote.setdefault(one.partition, []).append(one.entry_id)
    return local, remote
