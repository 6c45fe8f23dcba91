"""The cluster: slots, blockhashes, commitment, and the one ledger that all nodes look at.

A slot's transactions are processed at once, confirmed when `CONFIRMED_AFTER` more slots have come, and finalized when
`FINALIZED_AFTER` have. Slots come when a test says so (`advance`), or by themselves (see `server.py`).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from solders.account import Account
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from sandbox.payments.solana.accounts import Accounts, Moment
from sandbox.payments.solana.execution import (
    Entry,
    Outcome,
    RefusedTransactionError,
    execute,
    load,
    nothing_done,
    outcome_of,
)
from sandbox.payments.solana.ledger import Ledger

CONFIRMED_AFTER = 2
FINALIZED_AFTER = 32
BLOCKHASH_LIFETIME = 150
"""In blocks."""
_KNOWN_SLOT, _KNOWN_S = 376_000_000, 1_761_500_000.0
"""A slot of mainnet and its Unix time: a cluster that is started later begins at a later slot."""
_SLOT_S = 0.4
_SKIPPED_BEFORE = 22_000_000
"""Slots without a block since genesis: height and slot are different numbers, as on mainnet."""
_REMEMBERED_BLOCKS = 1_000


class Commitment(StrEnum):
    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


_BEHIND = {Commitment.PROCESSED: 0, Commitment.CONFIRMED: CONFIRMED_AFTER, Commitment.FINALIZED: FINALIZED_AFTER}


class Block(NamedTuple):
    slot: int
    height: int
    blockhash: Hash
    time: int
    """Unix time."""


class Cluster:
    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        """Unix time, for blocks."""
        self.svm = LiteSVM().with_blockhash_check(False).with_transaction_history(0)
        self.accounts = Accounts(self.svm)
        self.ledger = Ledger()
        self.slot = self.first_slot = _KNOWN_SLOT + max(0, int((clock() - _KNOWN_S) / _SLOT_S))
        self.genesis_hash = _new_hash()
        self.observers: list[Callable[[], None]] = []
        """Called after every slot and every transaction."""
        self._blocks: deque[Block] = deque()
        self._by_hash: dict[Hash, Block] = {}
        self._begin_block(self.first_slot - _SKIPPED_BEFORE)
        self.finalize()

    @property
    def blockhash(self) -> Hash:
        """The newest."""
        return self._blocks[-1].blockhash

    def slot_at(self, commitment: Commitment) -> int:
        return self.slot - _BEHIND[commitment]

    def block_at(self, slot: int) -> Block:
        """Return the block of this slot, or the last one before when the slot was skipped."""
        return next((block for block in reversed(self._blocks) if block.slot <= slot), self._blocks[0])

    def advance(self, slots: int = 1) -> None:
        """Let this many slots pass, each with its block."""
        for _ in range(slots):
            self.slot += 1
            self._begin_block(self._blocks[-1].height + 1)
        self.svm.warp_to_slot(self.slot)
        shown = self.svm.get_clock()
        shown.unix_timestamp = self._blocks[-1].time
        self.svm.set_clock(shown)
        self._tell()

    def skip(self, slots: int = 1) -> None:
        """Let slots pass whose leaders were away, and one with a block."""
        self.slot += slots
        self.advance()

    def finalize(self) -> None:
        """Let everything that landed become final."""
        self.advance(FINALIZED_AFTER)

    def is_valid_blockhash(self, blockhash: Hash, slot: int) -> bool:
        block = self._by_hash.get(blockhash)
        if block is None or block.slot > slot:
            return False
        return self.block_at(slot).height - block.height <= BLOCKHASH_LIFETIME

    def submit(self, transaction: VersionedTransaction) -> Signature:
        """Let it land in the present slot; `RefusedTransactionError` when it does not. It may land and fail."""
        self._check(transaction)
        entry = self._execute(transaction)
        self._tell()
        return entry.signature

    def simulate(self, transaction: VersionedTransaction, *, verify: bool = True, fresh: bool = False) -> Outcome:
        """Tell what would happen now; with `fresh` as if its blockhash were the newest."""
        try:
            self._check(transaction, fresh=fresh)
            load(self.accounts, transaction)
        except RefusedTransactionError as refused:
            return nothing_done(refused.err)
        self.svm.with_sigverify(verify)
        try:
            result = self.svm.simulate_transaction(transaction)
        finally:
            self.svm.with_sigverify(True)
        if isinstance(result, FailedTransactionMetadata):
            return outcome_of(result)
        return outcome_of(result.meta(), dict(result.post_accounts()))

    def fork_away(self, *signatures: Signature) -> None:
        """Let transactions that are not final disappear, as if the cluster had chosen a fork without them.

        What landed after them is carried out again without them: it may fail now, or be gone as well.
        """
        lost = [entry for signature in signatures if (entry := self.ledger.find(signature, self.slot))]
        if len(lost) != len(signatures) or any(entry.slot <= self.slot_at(Commitment.FINALIZED) for entry in lost):
            raise ValueError("only a transaction that is not final can disappear")
        since = min(entry.moment for entry in lost)
        removed = self.ledger.cut(since)
        self.accounts.rewind(since)
        for entry in removed:
            if entry.signature not in signatures:
                self._replay(entry)
        self._tell()

    def write(self, key: Pubkey, account: Account) -> None:
        """Put an account where no transaction did; one that is new was always there.

        To an account that has changed before it is an event after the last transaction, and disappears with it.
        """
        last = Moment(self.slot, self.ledger.next_index(self.slot) - 1)
        self.accounts.write(key, account, last)
        self._tell()

    def _begin_block(self, height: int) -> None:
        earlier = self._blocks[-1].time if self._blocks else 0
        block = Block(self.slot, height, _new_hash(), max(earlier, int(self.clock())))
        self._blocks.append(block)
        self._by_hash[block.blockhash] = block
        if len(self._blocks) > _REMEMBERED_BLOCKS:
            del self._by_hash[self._blocks.popleft().blockhash]

    def _check(self, transaction: VersionedTransaction, *, fresh: bool = False) -> None:
        """Refuse what the cluster has seen, or what names a blockhash that it does not know any more."""
        if not fresh and self.ledger.find(transaction.signatures[0], self.slot) is not None:
            raise RefusedTransactionError("AlreadyProcessed")
        if not fresh and not self.is_valid_blockhash(transaction.message.recent_blockhash, self.slot):
            raise RefusedTransactionError("BlockhashNotFound")

    def _execute(self, transaction: VersionedTransaction, slot: int | None = None) -> Entry:
        block = self.block_at(self.slot if slot is None else slot)
        moment = Moment(block.slot, self.ledger.next_index(block.slot))
        entry = execute(self.svm, self.accounts, transaction, moment, block.time)
        self.ledger.append(entry)
        return entry

    def _replay(self, entry: Entry) -> None:
        try:
            self._execute(entry.transaction, entry.slot)
        except RefusedTransactionError:
            return  # its money came from what has disappeared

    def _tell(self) -> None:
        for observer in self.observers:
            observer()


def _new_hash() -> Hash:
    """Return one that no cluster had before, in this process or an earlier one: `Hash.new_unique` only counts."""
    return Hash(os.urandom(Hash.LENGTH))
