"""Our accounts on Solana, listed anew from days back, whatever the cursors say, and held against the ledger.

A transaction that is final never changes: what it brought is asked for once, and remembered while the process lives.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Final, LiteralString

import structlog
from cachetools import LRUCache

from domain.payments.amounts import from_units
from domain.payments.differences import Difference
from domain.payments.solana_transfers import Incoming, Receiver
from managers.payments.solana_rpc import MAX_SIGNATURES, SeenSignature, SolanaRpcManager
from managers.storage.postgres import PostgresManager
from services.payments.ledger import Ledger
from services.payments.reconciliation import Name
from services.payments.solana_receipts import SolanaReceipts
from services.payments.solana_watcher import SolanaWatcher
from services.payments.stars import ON_THE_WAY

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SLOTS_PER_S: Final = 3
"""More than pass: where a node tells no times, a list ends by slots."""
_REMEMBERED: Final = 100_000

_STORED: Final[LiteralString] = """
    SELECT key, asset, amount FROM arrivals
    WHERE key LIKE 'solana:%' AND key NOT LIKE '%:unreadable' AND stage = 'final' AND arrived_at >= $1
        AND arrived_at < $2
"""

Brought = tuple[Incoming, ...]


class SolanaSource:
    name: Name = "solana"

    def __init__(
        self,
        *,
        rpc: SolanaRpcManager,
        watcher: SolanaWatcher,
        receipts: SolanaReceipts,
        ledger: Ledger,
        postgres: PostgresManager,
        receiver: Receiver,
        clock: Callable[[], datetime],
        page: int = MAX_SIGNATURES,
    ) -> None:
        self._rpc = rpc
        self._watcher = watcher
        self._receipts = receipts
        self._ledger = ledger
        self._postgres = postgres
        self._accounts = (receiver.wallet, *sorted(receiver.token_accounts))
        self._clock = clock
        self._page = page
        self._brought: LRUCache[str, Brought] = LRUCache(_REMEMBERED)
        """By signature: what came with it that is more than dust."""

    async def recover(self, since: datetime) -> AsyncGenerator[int]:
        """Ask each open invoice's reference, then write down what our accounts list and the ledger lacks."""
        for invoice in await self._ledger.open_invoices():
            if invoice.reference:
                yield await self._check(invoice.id)
        async for one in self._listed(since):
            brought = await self._read(one.signature)
            yield sum([await self._record(came) for came in brought if await self._lacks(came)])

    async def differences(self, since: datetime) -> AsyncGenerator[Difference | None]:
        told: set[str] = set()
        async for one in self._listed(since):
            for came in await self._read(one.signature):
                told.add(came.key)
                yield await self._difference(came)
            yield await self._unreadable(one.signature)
        for row in await self._postgres.fetch(_STORED, since, self._clock() - ON_THE_WAY):
            key = str(row["key"])
            if key not in told:
                came = await self._asked_for(key)
                yield self._not_there(key) if came is None else await self._difference(came)

    async def _check(self, invoice_id: str) -> int:
        before = await self._ledger.find(invoice_id)
        after = await self._watcher.check(invoice_id)
        if before is None or after is None or before.version == after.version:
            return 0
        log.warning("solana_check_found_more", invoice=invoice_id)
        return 1

    async def _listed(self, since: datetime) -> AsyncGenerator[SeenSignature]:
        """Yield what names our accounts, each once: final, not failed, and old enough that nothing is on its way."""
        until, seen = self._clock() - ON_THE_WAY, set[str]()
        oldest_slot = await self._rpc.slot() - SLOTS_PER_S * int((self._clock() - since).total_seconds())
        for account in self._accounts:
            before: SeenSignature | None = None
            while True:
                page = await self._rpc.signatures(
                    account, before=before.signature if before else None, limit=self._page
                )
                fresh = [one for one in page if one.signature not in seen]
                for one in fresh:
                    if _counts(one, since, until):
                        yield one
                seen.update(one.signature for one in fresh)
                if not fresh or any(_is_before(one, since, oldest_slot) for one in page):
                    break
                before = _oldest(page)

    async def _read(self, signature: str) -> Brought:
        """Return what it brought; nothing while it cannot be read."""
        known = self._brought.get(signature)
        if known is not None:
            return known
        try:
            found = await self._receipts.read(signature, "final")
        except ValueError as error:
            log.warning("solana_transaction_not_compared", signature=signature, reason=str(error))
            return ()
        if found is None:
            return ()
        self._brought[signature] = tuple(came for came in found if not self._receipts.is_dust(came))
        return self._brought[signature]

    async def _lacks(self, came: Incoming) -> bool:
        record = await self._ledger.record_of(came.key)
        return record is None or record.arrival.stage != "final"

    async def _record(self, came: Incoming) -> int:
        log.warning("solana_payment_was_lost", arrival=came.key)
        outcome = await self._receipts.record(came, "final")
        return int(outcome is not None and outcome.is_new)

    async def _difference(self, came: Incoming) -> Difference | None:
        record, amount = await self._ledger.record_of(came.key), from_units(came.units, came.asset)
        said = f"chain: {amount} {came.asset.code}"
        if record is None or record.arrival.stage != "final":
            return Difference(source=self.name, what="not_recorded", key=came.key, detail=said)
        known = record.arrival
        if (known.asset, known.amount) == (came.asset.code, amount):
            return None
        said += f", ledger: {known.amount} {known.asset}"
        return Difference(source=self.name, what="amount", key=came.key, detail=said)

    async def _unreadable(self, signature: str) -> Difference | None:
        """What the watcher has given to the admins is known to them."""
        if signature in self._brought or await self._ledger.record_of(f"solana:{signature}:unreadable"):
            return None
        return Difference(source=self.name, what="unreadable", key=f"solana:{signature}")

    async def _asked_for(self, key: str) -> Incoming | None:
        """Ask for what the ledger has and no list: it is older than they reach, or was never there."""
        signature = key.split(":")[1]
        return next((came for came in await self._read(signature) if came.key == key), None)

    def _not_there(self, key: str) -> Difference:
        return Difference(source=self.name, what="recorded_not_there", key=key)


def _counts(one: SeenSignature, since: datetime, until: datetime) -> bool:
    return one.is_final and not one.failed and (one.at is None or since <= one.at <= until)


def _oldest(page: Sequence[SeenSignature]) -> SeenSignature:
    """Return what the list goes on from: what is final is not forked away meanwhile."""
    known = [one for one in page if one.is_final] or page
    slot = min(one.slot for one in known)
    return [one for one in known if one.slot == slot][-1]


def _is_before(one: SeenSignature, since: datetime, oldest_slot: int) -> bool:
    return one.slot < oldest_slot if one.at is None else one.at < since
