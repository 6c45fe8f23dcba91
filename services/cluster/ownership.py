"""What this process may decide and send at this moment. Partition owners and the intake change it, services read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from domain.subscribers.partitions import ALL, Partition
from services.cluster.leases import Leases
from services.cluster.members import ALL_ROLES, Role

EXCLUSIVE: Final = "match:0"
"""Whoever does everything took all leases at once: one shows whether they are still theirs."""


_ONLY_MATCHING: Final[frozenset[Role]] = frozenset({"match"})


class Share:
    """The partitions of one part of the work that this process works on, each under its lease."""

    def __init__(self, leases: Leases, part: Role) -> None:
        self.leases = leases
        self.part: Role = part
        self.working: set[Partition] = set()

    @property
    def owned(self) -> frozenset[Partition]:
        """The partitions on which this process may work at this moment; those it hands over are not among them."""
        return frozenset(filter(self.is_valid, self.working))

    def fences(self, partitions: Iterable[Partition]) -> dict[str, int]:
        """Return what a script for these partitions must carry (`cluster/fencing.py`), also while they are handed over.

        `LeaseLostError` when one of them is not this process's.
        """
        return self.leases.fences(map(self.name, partitions))

    def name(self, partition: Partition) -> str:
        """The name of a partition's lease."""
        return f"{self.part}:{partition}"

    def is_valid(self, partition: Partition) -> bool:
        return self.leases.is_valid(self.name(partition))


class Ownership:
    def __init__(self, leases: Leases, parts: Iterable[Role]) -> None:
        """`parts`: of the work, those that this process takes part in."""
        self._parts = frozenset(parts)
        self._leases = leases
        self.is_whole = self._parts == ALL_ROLES
        """Whether this process does everything."""
        self.matching = Share(leases, "match")
        self.sending = Share(leases, "send")
        self.is_loaded = self._parts == _ONLY_MATCHING
        """Whether the matcher has everybody of `matched`. A share of the matching loads a partition as it takes it."""

    def matched(self) -> frozenset[Partition]:
        """The partitions whose subscribers are in the matcher."""
        if self.is_whole or "gateway" in self._parts:
            return ALL
        return self.matching.owned if "match" in self._parts else frozenset()

    def sendable(self) -> frozenset[Partition]:
        """The partitions of which alerts may be sent from here."""
        return ALL if self.is_whole else frozenset(filter(self.sending.is_valid, ALL))

    def claim_fences(self) -> dict[str, int]:
        """What a claim must carry: the number of every partition matched here. `LeaseLostError`."""
        if self._parts == _ONLY_MATCHING:
            return self.matching.fences(self.matching.owned)
        return self._leases.fences([EXCLUSIVE])

    def send_fences(self, partition: Partition) -> dict[str, int]:
        """What a script that sends of this partition must carry. `LeaseLostError`."""
        return self.sending.fences([partition])
