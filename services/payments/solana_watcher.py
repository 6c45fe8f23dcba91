"""Watches our accounts on Solana, so that nothing that arrives is unseen, whatever it names.

Of each account every transaction is listed from a stored cursor on, again and again, since a node may list one after a
later one: the cursor stays at least `OVERLAP_SLOTS` behind what is final. It never passes what is not written down: a
transaction that cannot be read holds it until it can, or until it has gone to the admins as unreadable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog
from cachetools import LRUCache, TTLCache
from msgspec import Struct

from domain.payments.invoices import Arrival
from domain.payments.solana_transfers import Receiver, UnreadableTransactionError
from domain.stored.payments import InvoiceFile, SourceCursor
from managers.payments.solana_rpc import MAX_SIGNATURES, NoServerError, SeenSignature, SolanaRpcManager
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, pause
from services.payments.ledger import Ledger
from services.payments.solana_receipts import CLOCKS_DIFFER, SolanaReceipts, Stage
from services.stores.unreadable import NOT_READABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

POLL_EVERY_S: Final = 1.0
OVERLAP_SLOTS: Final = 150
"""About a minute."""
QUIET_SLOTS: Final = 9_000
"""About an hour. Where nothing comes, the cursor follows that far behind: servers forget what is days old."""
SLOT_ASKED_EVERY: Final = timedelta(seconds=20)
MAX_TRIES: Final = 12
"""So often a transaction that is final is asked for until it counts as unreadable: for six minutes about."""
FLOOD: Final = 200
"""With more unread transactions than that, the references of open invoices are asked first."""
CHECKED_AT_ONCE: Final = 20

_FIRST_WAIT_S: Final = 0.5
_MAX_WAIT_S: Final = 60.0
_PAGE: Final = 100
_LATER_PAGES: Final = 10
"""Pages that follow the first are so many times as long."""
_MAX_PAGES_OF_REFERENCE: Final = 5
_NAMED_BY: Final = 8
"""Letters of a chain's genesis hash."""
_SEEN: Final = 50_000
_REMEMBERED: Final = timedelta(minutes=10)
"""A transaction that could not be read, if it is listed no more."""


class Trouble(Struct):
    tries: int
    again_at: datetime


class Listing(Struct, frozen=True, kw_only=True):
    """What names an account, from the cursor on."""

    found: Sequence[SeenSignature]
    """Newest first."""
    is_complete: bool
    """It reaches down to the cursor."""


class SolanaWatcher:
    def __init__(
        self,
        *,
        rpc: SolanaRpcManager,
        ledger: Ledger,
        receipts: SolanaReceipts,
        receiver: Receiver,
        clock: Callable[[], datetime],
        page: int = _PAGE,
    ) -> None:
        self._rpc = rpc
        self._ledger = ledger
        self._receipts = receipts
        self._accounts = (receiver.wallet, *sorted(receiver.token_accounts))
        self._clock = clock
        self._page = page
        self._seen: LRUCache[str, Stage] = LRUCache(_SEEN)
        """By signature: the stage at which it was read and written down."""
        self._troubles: dict[tuple[str, Stage], Trouble] = {}
        self._confirming: dict[str, dict[str, int]] = {}
        """By account and signature: the slot of what is written down and not final."""
        self._checked: dict[str, datetime] = {}
        """By invoice: when its reference was asked last."""
        self._forgotten: TTLCache[str, bool] = TTLCache(
            len(self._accounts), SLOT_ASKED_EVERY.total_seconds(), timer=lambda: clock().timestamp()
        )
        """By a cursor's signature."""
        self._genesis: str | None = None
        self._final_slot = 0
        self._slot_asked_at: datetime | None = None
        self.watches_since: datetime | None = None
        """`None`: this process does not watch."""
        self.polled_at: datetime | None = None
        """When all accounts were listed last, down to their cursors."""
        self.waiting = 0
        """Final transactions that were not written down in the last round: a second server is missing, or none can read
        them."""
        self.unreadable = 0
        """Transactions given up since the start."""
        self.forked = 0
        """Confirmed transactions that were not in the chain in the end."""
        self.incomplete = 0
        """Listings that did not reach their cursor."""

    async def run(self, progress: Progress = lambda: None) -> None:
        """Watch for ever; while Redis or every server is unavailable, wait for them."""
        failures, self.watches_since = 0, self._clock()
        try:
            while True:
                progress()
                try:
                    await self.poll(progress)
                    failures = 0
                except TransientError as error:
                    failures += 1
                    log.warning("solana_watch_delayed", reason=str(error), failures=failures)
                await pause(min(_MAX_WAIT_S, POLL_EVERY_S * 2 ** min(failures, 6)), progress)
        finally:
            self.watches_since = None

    async def poll(self, progress: Progress = lambda: None) -> None:
        """Look at each account once. Raises `NoServerError` or `RedisUnavailableError`; nothing is skipped by that."""
        complete, now = True, self._clock()
        self._troubles = {key: one for key, one in self._troubles.items() if now - one.again_at < _REMEMBERED}
        self.waiting = 0
        for account in self._accounts:
            complete &= await self._poll_account(account, progress)
        if complete:
            self.polled_at = self._clock()

    async def check(self, invoice_id: str, progress: Progress = lambda: None) -> InvoiceFile | None:
        """Ask for everything that names an invoice's reference, and write it down; return what stands then."""
        file = await self._ledger.find(invoice_id)
        if file is None or not file.invoice.reference:
            return file
        self._checked[invoice_id] = self._clock()
        before: str | None = None
        for _ in range(_MAX_PAGES_OF_REFERENCE):
            found = await self._rpc.signatures(file.invoice.reference, before=before)
            for one in reversed(found):
                progress()
                self._seen.pop(one.signature, None)
                await self._handle(one)
            if len(found) < MAX_SIGNATURES:
                break
            before = found[-1].signature
        return await self._ledger.find(invoice_id)

    async def check_all(self, progress: Progress = lambda: None) -> list[str]:
        """Ask for every reference that may still be paid; return the invoices of which more is known by that."""
        changed: list[str] = []
        for invoice in await self._ledger.open_invoices():
            before = await self._ledger.find(invoice.id)
            after = await self.check(invoice.id, progress)
            if before and after and before.version != after.version:
                log.warning("solana_check_found_more", invoice=invoice.id)
                changed.append(invoice.id)
        return changed

    async def _poll_account(self, account: str, progress: Progress) -> bool:
        source = f"solana:{await self._chain()}:{account}"
        cursor = await self._cursor(source)
        listing = await self._list(account, cursor)
        self.incomplete += not listing.is_complete
        if sum(one.signature not in self._seen and not one.failed for one in listing.found) > FLOOD:
            await self._check_some(progress)
        unread: list[int] = []
        for one in reversed(listing.found):
            progress()
            if not await self._handle(one):
                unread.append(one.slot)
                self.waiting += one.is_final
        if listing.is_complete:
            self._note_forked(account, listing.found)
            await self._move_cursor(source, cursor, listing.found, min(unread, default=None))
        return listing.is_complete

    async def _cursor(self, source: str) -> SourceCursor | None:
        """Return up to where it was read; one that is ahead of the network proves nothing."""
        cursor = await self._ledger.cursor(source)
        if cursor is None or cursor.slot <= await self._newest_final_slot():
            return cursor
        log.warning("solana_cursor_ahead", source=source, slot=cursor.slot, newest=self._final_slot)
        return None

    async def _chain(self) -> str:
        """Name the chain: on another one a cursor says nothing."""
        if self._genesis is None:
            self._genesis = await self._rpc.genesis_hash()
        return self._genesis[:_NAMED_BY]

    async def _list(self, account: str, cursor: SourceCursor | None) -> Listing:
        """A list that ends proves nothing by itself: a node may have lost what it should go on from, or its past."""
        since: datetime | None = None
        found: dict[str, SeenSignature] = {}
        before: SeenSignature | None = None
        limit = self._page
        while True:
            page = await self._rpc.signatures(account, before=before.signature if before else None, limit=limit)
            if page and cursor is None and since is None:
                since = await self._first_needed()
            fresh = [one for one in page if one.signature not in found]
            found.update((one.signature, one) for one in fresh)
            if any(_is_passed(one, cursor, since) for one in page):
                return _listing(found.values(), cursor, is_complete=True)
            if not fresh:
                ended = before is None or before.is_final
                ended = ended and (cursor is None or await self._is_forgotten(cursor))
                return _listing(found.values(), cursor, is_complete=ended)
            oldest_slot = min(one.slot for one in page)
            before = [one for one in page if one.slot == oldest_slot][-1]
            limit = min(MAX_SIGNATURES, self._page * _LATER_PAGES)

    async def _is_forgotten(self, cursor: SourceCursor) -> bool:
        """Whether servers have pruned what the cursor names, and nothing of what came after all that was read."""
        known = self._forgotten.get(cursor.position)
        if known is None:
            known = await self._rpc.first_slot() <= cursor.slot
            known = known and await self._rpc.transactions(cursor.position, "finalized") == [None]
            self._forgotten[cursor.position] = known
        return known

    async def _first_needed(self) -> datetime:
        """Before the first cursor: nothing is older than the invoices that it could pay."""
        made = [invoice.created_at for invoice in await self._ledger.open_invoices()]
        return min([*made, self._clock()]) - CLOCKS_DIFFER

    async def _handle(self, one: SeenSignature) -> bool:
        """Read a transaction and write down what it brought; whether there is nothing more to know of it."""
        stage: Stage = "final" if one.is_final else "confirming"
        known = self._seen.get(one.signature)
        if one.failed or known in (stage, "final"):
            return one.is_final
        trouble = self._troubles.get((one.signature, stage))
        if trouble and self._clock() < trouble.again_at:
            return False
        reason = "not to be had"
        try:
            found = await self._receipts.read(one.signature, stage)
        except NoServerError:
            return False  # what is final waits for a second server
        except UnreadableTransactionError as error:
            found, reason = None, str(error)
        if found is None:
            return await self._not_read(one, stage, reason)
        fault_point("payment read")
        try:
            for came in found:
                await self._receipts.record(came, stage)
        except NOT_READABLE:
            return await self._not_read(one, stage, "what is stored of its invoice cannot be read")
        self._seen[one.signature] = stage
        self._troubles.pop((one.signature, stage), None)
        return one.is_final

    async def _not_read(self, one: SeenSignature, stage: Stage, reason: str) -> bool:
        """Try it again later; after so many times what is final is given to the admins."""
        before = self._troubles.get((one.signature, stage))
        tries = before.tries + 1 if before else 1
        now = self._clock()
        if stage == "confirming" or tries < MAX_TRIES:
            wait_s = min(_MAX_WAIT_S, _FIRST_WAIT_S * 2 ** (tries - 1))
            self._troubles[one.signature, stage] = Trouble(tries, now + timedelta(seconds=wait_s))
            return False
        log.error("solana_transaction_unreadable", signature=one.signature, reason=reason)
        arrival = Arrival(
            key=f"solana:{one.signature}:unreadable", asset="?", amount=Decimal(0), at=one.at or now, stage="final"
        )
        await self._ledger.arrived(arrival, None, note=f"unreadable: {reason}"[:200])
        self.unreadable += 1
        self._seen[one.signature] = "final"
        del self._troubles[one.signature, stage]
        return True

    def _note_forked(self, account: str, found: Sequence[SeenSignature]) -> None:
        """Forget what was confirmed and is not in the chain any more; its invoice does by itself."""
        final_slot = max([self._final_slot, *(one.slot for one in found if one.is_final)])
        listed = {one.signature for one in found}
        confirming = {one.signature: one.slot for one in found if self._seen.get(one.signature) == "confirming"}
        for signature, slot in self._confirming.get(account, {}).items():
            if signature in listed:
                continue
            if slot > final_slot:
                confirming[signature] = slot
            elif self._seen.pop(signature, None) == "confirming":
                self.forked += 1
                log.warning("solana_transaction_forked", signature=signature, slot=slot)
        self._confirming[account] = confirming

    async def _move_cursor(
        self, source: str, cursor: SourceCursor | None, found: Sequence[SeenSignature], unread_slot: int | None
    ) -> None:
        """Move it to the newest that is final, old enough, and has nothing unread at its slot or before."""
        done = [
            one
            for one in found
            if one.is_final
            and (cursor is None or one.slot > cursor.slot)
            and (unread_slot is None or one.slot < unread_slot)
        ]
        newest = await self._newest_final_slot()
        reached = next((one for one in done if one.slot <= newest - OVERLAP_SLOTS), None)
        quiet_slot = newest - QUIET_SLOTS
        if reached is not None:
            moved = SourceCursor(source=source, position=reached.signature, slot=reached.slot, at=self._clock())
        elif cursor and unread_slot is None and quiet_slot - cursor.slot >= QUIET_SLOTS:
            moved = SourceCursor(source=source, position=cursor.position, slot=quiet_slot, at=self._clock())
        else:
            return
        await self._ledger.move_cursor(moved)

    async def _newest_final_slot(self) -> int:
        now = self._clock()
        if self._slot_asked_at is None or not now - SLOT_ASKED_EVERY < self._slot_asked_at <= now:
            self._final_slot = await self._rpc.slot()
            self._slot_asked_at = now
        return self._final_slot

    async def _check_some(self, progress: Progress) -> None:
        """Under a flood: ask for the references of open invoices, those that were asked longest ago first."""
        now = self._clock()
        invoices = [one for one in await self._ledger.open_invoices() if one.reference and now <= one.expires_at]
        self._checked = {one.id: self._checked[one.id] for one in invoices if one.id in self._checked}
        invoices.sort(key=lambda one: (self._checked.get(one.id, one.created_at), one.id))
        for invoice in invoices[:CHECKED_AT_ONCE]:
            await self.check(invoice.id, progress)


def _is_passed(one: SeenSignature, cursor: SourceCursor | None, since: datetime | None) -> bool:
    if cursor is not None:
        return one.signature == cursor.position or one.slot < cursor.slot
    return since is not None and one.at is not None and one.at < since


def _listing(found: Iterable[SeenSignature], cursor: SourceCursor | None, *, is_complete: bool) -> Listing:
    needed = [one for one in found if cursor is None or one.slot >= cursor.slot]
    return Listing(found=sorted(needed, key=lambda one: -one.slot), is_complete=is_complete)
