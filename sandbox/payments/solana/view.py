"""The cluster as one node sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.payments.solana import tokens
from sandbox.payments.solana.cluster import Cluster, Commitment
from sandbox.payments.solana.errors import invalid_params, min_context_slot_not_reached
from sandbox.payments.solana.execution import Entry
from sandbox.payments.solana.faucet import Faucet
from sandbox.payments.solana.faults import NodeFaults
from sandbox.payments.solana.params import Config
from sandbox.payments.solana.tokens import JsonObject

API_VERSION = "3.1.8"


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    cluster: Cluster
    faucet: Faucet
    faults: NodeFaults

    def slot(self, commitment: Commitment) -> int:
        return max(self.cluster.first_slot, self.cluster.slot_at(commitment) - self.faults.lag_slots)

    def context_slot(self, config: Config, *, at_least_confirmed: bool = False) -> int:
        """The slot that an answer is about; refused while it is before the caller's minContextSlot."""
        slot = self.slot(config.commitment(at_least_confirmed=at_least_confirmed))
        wanted = config.whole("minContextSlot")
        if wanted is not None and slot < wanted:
            raise min_context_slot_not_reached(slot)
        return slot

    def find(self, signature: Signature, commitment: Commitment = Commitment.PROCESSED) -> Entry | None:
        entry = self.cluster.ledger.find(signature, self.slot(commitment))
        return None if entry is None or entry.slot < self.faults.pruned_before_slot else entry

    def status_of(self, entry: Entry) -> Commitment:
        levels = (Commitment.FINALIZED, Commitment.CONFIRMED)
        return next((level for level in levels if entry.slot <= self.slot(level)), Commitment.PROCESSED)

    def account(self, key: Pubkey, slot: int) -> Account | None:
        return self.cluster.accounts.at(key, slot)

    def decimals(self, mint: Pubkey, slot: int) -> int:
        account = self.account(mint, slot)
        read = tokens.read_mint(account) if account else None
        if read is None:
            raise invalid_params("Invalid param: could not find mint")
        return read.decimals


def with_context(slot: int, value: Any) -> JsonObject:
    return {"context": {"apiVersion": API_VERSION, "slot": slot}, "value": value}
