"""What admins find: invoices and arrivals by any of their names, what nobody has settled, what does not agree.

Lists come from PostgreSQL, which has all of it while Redis is being filled, however much it is; it learns of what
happens within a moment. What the ledger says now stands for each that is shown.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, LiteralString

import msgspec
from msgspec import Struct

from domain.payments.differences import Difference
from domain.payments.stars import arrival_key
from domain.stored.payments import ArrivalRecord, InvoiceFile
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager, Row
from runtime.errors import UserFacingError
from services.payments import keys
from services.payments.invoicing import ID_LENGTH, LETTERS
from services.payments.ledger import Ledger
from services.payments.settling import statements

Which = Literal["unmatched", "invoices"]
"""Money that fits no invoice, or that bought nothing for the one that it fits."""

FOUND: Final = 10
"""Of each at most."""
MAX_QUERY: Final = 256
MEANT: Final = 2
_ATTEMPTS: Final = 8
_HANDLE: Final = 20
_SIGNATURE: Final = re.compile(r"(?<![1-9A-HJ-NP-Za-km-z])[1-9A-HJ-NP-Za-km-z]{64,88}(?![1-9A-HJ-NP-Za-km-z])")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_INVOICE_ID: Final = re.compile(rf"(?<![0-9A-Za-z])[{LETTERS}]{{{ID_LENGTH}}}(?![0-9A-Za-z])")
_USER_ID: Final = re.compile(r"[1-9][0-9]{0,17}")
_LISTS: Final[Mapping[Which, tuple[LiteralString, LiteralString]]] = {
    "unmatched": (statements.COUNT_UNMATCHED, statements.UNMATCHED),
    "invoices": (statements.COUNT_OF_INVOICES, statements.OF_INVOICES),
}


class Payer(Struct, frozen=True):
    user_id: int
    name: str
    """Attacker-controlled display name."""


class Found(Struct, frozen=True, kw_only=True):
    invoices: tuple[InvoiceFile, ...] = ()
    arrivals: tuple[ArrivalRecord, ...] = ()
    people: tuple[Payer, ...] = ()
    """Whose name it may be; their invoices are found by their id."""


class Waiting(Struct, frozen=True, kw_only=True):
    """One page of what nobody has settled, the latest first."""

    total: int
    records: tuple[ArrivalRecord, ...]


class Overview(Struct, frozen=True, kw_only=True):
    open_invoices: int
    waiting: Mapping[Which, int]
    differences: Mapping[str, int]
    """By source."""


class PaymentSearch:
    def __init__(
        self,
        *,
        ledger: Ledger,
        redis: RedisManager,
        postgres: PostgresManager,
        differences: Callable[[], Awaitable[Sequence[Difference]]],
        clock: Callable[[], datetime],
    ) -> None:
        """`differences`: what the reconciliations found when they last compared."""
        self._ledger = ledger
        self._redis = redis
        self._postgres = postgres
        self.differences = differences
        self._clock = clock

    async def overview(self) -> Overview:
        return Overview(
            open_invoices=len(await self._ledger.open_ids()),
            waiting={which: await self._count(which) for which in _LISTS},
            differences=Counter(one.source for one in await self.differences()),
        )

    async def waiting(self, which: Which, offset: int, limit: int) -> Waiting:
        """Return what waits for an admin. What was settled in this moment is left out."""
        rows = await self._postgres.fetch(_LISTS[which][1], self._clock(), offset, limit)
        records = [await self._now(_record(row)) for row in rows]
        left = (one for one in records if one.arrival.stands and one.arrival.ruling is None)
        return Waiting(total=await self._count(which), records=tuple(left))

    async def _count(self, which: Which) -> int:
        row = await self._postgres.fetch_row(_LISTS[which][0], self._clock())
        return int(row["count"]) if row else 0

    async def find(self, typed: str) -> Found:
        """Search for whatever an admin has at hand: an id, a link to a transaction, a person."""
        text = "".join(one for one in typed[:MAX_QUERY] if one.isprintable()).strip()
        if not text:
            return Found()
        if signature := signature_in(text):
            rows = await self._postgres.fetch(statements.BY_PREFIX, f"solana:{signature}:", FOUND)
            return Found(arrivals=tuple([await self._now(_record(row)) for row in rows]))
        invoices = {file.invoice.id: file for file in await self._invoices(text)}
        named = (arrival_key(text), f"nowpayments:{text}", text)
        arrivals = [record for key in named if (record := await self.record(key))]
        people = [] if invoices or arrivals else await self._people(text)
        return Found(invoices=tuple(invoices.values())[:FOUND], arrivals=tuple(arrivals), people=tuple(people))

    async def _invoices(self, text: str) -> list[InvoiceFile]:
        if not _ID.fullmatch(text):
            return []
        told = await self._ledger.told_by("payment", text)
        found = [await self.file(one) for one in dict.fromkeys((text, text.upper(), told)) if one]
        if _USER_ID.fullmatch(text):
            rows = await self._postgres.fetch(statements.OF_PERSON, int(text), FOUND)
            found += await self._ledger.of_person(int(text), FOUND)
            found += [await self.file(row["id"]) for row in rows]
        return [file for file in found if file]

    async def _people(self, text: str) -> list[Payer]:
        name = text.removeprefix("@").strip()
        rows = await self._postgres.fetch(statements.BY_NAME, name, FOUND) if name else []
        return [Payer(row["user_id"], row["name"]) for row in rows]

    async def name_of(self, user_id: int) -> str:
        row = await self._postgres.fetch_row(statements.NAME, user_id)
        return row["name"] if row else ""

    async def meant(self, record: ArrivalRecord) -> list[str]:
        """Return the invoices that the note of an arrival names: the payer may have meant them."""
        named = dict.fromkeys(_INVOICE_ID.findall(record.note))
        return [one for one in list(named)[:_ATTEMPTS] if await self._ledger.find(one)][:MEANT]

    async def file(self, invoice_id: str) -> InvoiceFile | None:
        """Return an invoice as the ledger knows it, else as PostgreSQL does: to be looked at, not to be settled."""
        if not _ID.fullmatch(invoice_id):
            return None
        if found := await self._ledger.find(invoice_id):
            return found
        row = await self._postgres.fetch_row(statements.INVOICE, invoice_id)
        if row is None:
            return None
        arrivals = await self._postgres.fetch(statements.ARRIVALS_OF, invoice_id)
        return statements.stored_file(row, [_record(one) for one in arrivals])

    async def invoice_named(self, typed: str) -> InvoiceFile:
        """Return the invoice that an admin typed the id of. Raises `UserFacingError`."""
        text = typed.strip()
        if found := await self.file(text) or await self.file(text.upper()):
            return found
        raise UserFacingError("paying.invoice_unknown", typed=text)

    async def record(self, key: str) -> ArrivalRecord | None:
        """Return an arrival as the ledger knows it, else as PostgreSQL does."""
        if found := await self._ledger.record_of(key):
            return found
        row = await self._postgres.fetch_row(statements.ARRIVAL, key)
        return _record(row) if row else None

    async def _now(self, stored: ArrivalRecord) -> ArrivalRecord:
        return await self._ledger.record_of(stored.arrival.key) or stored

    # an arrival's key is longer than a button may be

    async def handle_of(self, key: str) -> str:
        """Return what stands for the key of an arrival in a button."""
        digest = base64.b32encode(hashlib.sha256(key.encode()).digest()).decode().lower()
        handle = digest[:_HANDLE]
        await self._redis.set(keys.ARRIVAL_HANDLE.of(handle), key, ex_s=keys.ARRIVAL_HANDLE.expires_s)
        return handle

    async def key_of(self, handle: str) -> str:
        """Return which arrival a button means. `UserFacingError` for one that is too old, or none of ours."""
        found = await self._redis.get(keys.ARRIVAL_HANDLE.of(handle)) if _ID.fullmatch(handle) else None
        if found is None:
            raise UserFacingError("callback.stale")
        return found.decode()


def signature_in(text: str) -> str | None:
    """Return the signature of a transaction on Solana in a text: bare, or in a link to an explorer."""
    found = _SIGNATURE.search(text)
    return found.group() if found else None


def _record(row: Row) -> ArrivalRecord:
    return msgspec.json.decode(row["document"], type=ArrivalRecord)
