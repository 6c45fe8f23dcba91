"""The transactions that landed, found by signature and by every account that they name."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from itertools import islice

from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.payments.solana.accounts import Moment
from sandbox.payments.solana.execution import Entry


class Ledger:
    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._by_signature: dict[Signature, Entry] = {}
        self._by_key: defaultdict[Pubkey, list[Entry]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._by_signature[entry.signature] = entry
        for key in dict.fromkeys(entry.keys):
            self._by_key[key].append(entry)

    def find(self, signature: Signature, slot: int) -> Entry | None:
        """Find a transaction that landed in `slot` or before."""
        entry = self._by_signature.get(signature)
        return entry if entry is not None and entry.slot <= slot else None

    def next_index(self, slot: int) -> int:
        """Tell how many transactions a slot has."""
        return len(self._entries) - bisect_left(self._entries, slot, key=lambda entry: entry.slot)

    def after(self, moment: Moment, slot: int) -> list[Entry]:
        """Give what landed after this moment, in `slot` or before, oldest first."""
        low = bisect_right(self._entries, moment, key=lambda entry: entry.moment)
        return self._entries[low : bisect_right(self._entries, slot, key=lambda entry: entry.slot)]

    def list_for(
        self, key: Pubkey, *, slot: int, before: Entry | None, until: Entry | None, first_slot: int, limit: int
    ) -> list[Entry]:
        """List what names `key` and landed in `slot` or before, newest first.

        `before` and `until` are left out, as is what is older than `until` and what landed before `first_slot`.
        """
        entries = self._by_key.get(key, [])
        end = bisect_right(entries, slot, key=lambda entry: entry.slot)
        if before is not None:
            end = min(end, bisect_left(entries, before.moment, key=lambda entry: entry.moment))
        start = bisect_left(entries, Moment(first_slot, 0), key=lambda entry: entry.moment)
        if until is not None:
            start = max(start, bisect_right(entries, until.moment, key=lambda entry: entry.moment))
        return list(islice(reversed(entries[start:end]), limit))

    def cut(self, moment: Moment) -> list[Entry]:
        """Take out what landed at this moment and later, oldest first."""
        place = bisect_left(self._entries, moment, key=lambda entry: entry.moment)
        removed = self._entries[place:]
        del self._entries[place:]
        for entry in removed:
            del self._by_signature[entry.signature]
            for key in dict.fromkeys(entry.keys):
                entries = self._by_key[key]
                while entries and entries[-1].moment >= moment:
                    entries.pop()
        return removed
