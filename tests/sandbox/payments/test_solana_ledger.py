"""Whatever is paid, however slots pass and forks fall: listings, balances and accounts tell one story."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.payments.solana import programs, tokens
from sandbox.payments.solana.cluster import Cluster, Commitment
from sandbox.payments.solana.execution import Entry
from sandbox.payments.solana.faucet import Faucet
from sandbox.payments.solana.server import SolanaSandbox


class LedgerMachine(RuleBasedStateMachine):
    sent = Bundle("sent")

    def __init__(self) -> None:
        super().__init__()
        self.solana = SolanaSandbox(clock=lambda: 1_795_000_000.0)
        self.cluster: Cluster = self.solana.cluster
        self.people = [self.solana.wallet(sol=5, usdc=20) for _ in range(3)]
        self.solana.finalize()
        self.final: dict[Signature, int] = {}

    @rule(target=sent, source=st.integers(0, 2), to=st.integers(0, 2), lamports=st.integers(1, 2 * 10**9))
    def pay_sol(self, source: int, to: int, lamports: int) -> Signature:
        return self.people[source].send_sol(self.people[to].address, lamports)

    @rule(target=sent, source=st.integers(0, 2), to=st.integers(0, 2), amount=st.integers(1, 9_000_000))
    def pay_usdc(self, source: int, to: int, amount: int) -> Signature:
        return self.people[source].send_tokens(self.people[to].address, amount)

    @rule(target=sent, source=st.integers(0, 2))
    def fail(self, source: int) -> Signature:
        return self.people[source].fail(self.people[0].address, mint=programs.USDC)

    @rule(slots=st.integers(1, 20))
    def pass_slots(self, slots: int) -> None:
        self.cluster.advance(slots)

    @rule(signature=sent)
    def fork(self, signature: Signature) -> None:
        entry = self.cluster.ledger.find(signature, self.cluster.slot)
        if entry is not None and entry.slot > self.cluster.slot_at(Commitment.FINALIZED):
            self.cluster.fork_away(signature)
            assert self.cluster.ledger.find(signature, self.cluster.slot) is None

    @invariant()
    def balances_are_the_sum_of_what_is_listed(self) -> None:
        for level in Commitment:
            slot = self.cluster.slot_at(level)
            for person in self.people:
                moved = sum(_lamports(entry, person.address) for entry in self._listed(person.address, slot))
                account = self.cluster.accounts.at(person.address, slot)
                assert (account.lamports if account else 0) == moved
                token_account = person.token_account()
                held = self.cluster.accounts.at(token_account, slot)
                received = sum(_tokens(entry, token_account) for entry in self._listed(token_account, slot))
                assert held is not None
                read = tokens.read_token_account(held)
                assert read is not None
                assert read.amount == 20_000_000 + received

    @invariant()
    def listings_are_in_order_and_each_balance_follows_the_last(self) -> None:
        for person in self.people:
            listed = self._listed(person.address, self.cluster.slot)
            assert [entry.moment for entry in listed] == sorted((each.moment for each in listed), reverse=True)
            balance = 0
            for entry in reversed(listed):
                place = entry.keys.index(person.address)
                assert entry.pre_balances[place] == balance
                balance = entry.post_balances[place]

    @invariant()
    def what_is_final_stays(self) -> None:
        final = self.cluster.slot_at(Commitment.FINALIZED)
        for signature, slot in self.final.items():
            entry = self.cluster.ledger.find(signature, final)
            assert entry is not None
            assert entry.slot == slot
        for person in self.people:
            self.final |= {entry.signature: entry.slot for entry in self._listed(person.address, final)}

    def _listed(self, key: Pubkey, slot: int) -> list[Entry]:
        wanted: dict[str, Any] = {"before": None, "until": None, "first_slot": 0, "limit": 10_000}
        return self.cluster.ledger.list_for(key, slot=slot, **wanted)


def _lamports(entry: Entry, key: Pubkey) -> int:
    place = entry.keys.index(key)
    return entry.post_balances[place] - entry.pre_balances[place]


def _tokens(entry: Entry, key: Pubkey) -> int:
    def held(balances: list[dict[str, Any]]) -> int:
        place = entry.keys.index(key)
        return sum(int(each["uiTokenAmount"]["amount"]) for each in balances if each["accountIndex"] == place)

    return held(entry.post_token_balances) - held(entry.pre_token_balances)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=20, stateful_step_count=25)


def test_equal_gifts_of_one_slot_are_two() -> None:
    cluster = Cluster()
    faucet, somebody = Faucet(cluster), Pubkey.new_unique()
    assert faucet.airdrop(somebody, 10**9) != faucet.airdrop(somebody, 10**9)


def test_token_2022_accounts_are_told_apart_by_their_program() -> None:
    solana = SolanaSandbox()
    mint = solana.faucet.create_mint(6, token_program=programs.TOKEN_2022)
    payer, merchant = solana.wallet(), solana.wallet()
    solana.faucet.give_tokens(payer.address, mint, 5_000_000)
    paid = payer.send_tokens(merchant.address, 2_000_000, mint=mint)
    entry = solana.cluster.ledger.find(paid, solana.cluster.slot)
    assert entry is not None
    received = [each for each in entry.post_token_balances if each["owner"] == str(merchant.address)]
    assert [(each["programId"], each["uiTokenAmount"]["amount"]) for each in received] == [
        (str(programs.TOKEN_2022), "2000000")
    ]
    assert merchant.balance(mint) == 2_000_000
    assert merchant.balance() == 0


def test_a_cluster_of_another_process_is_another_one() -> None:
    """A counter begins anew with the process: the bot took the new chain for the one that it had read."""
    look = "from sandbox.payments.solana.cluster import Cluster; c = Cluster(); print(c.genesis_hash, c.blockhash)"
    seen = [subprocess.check_output([sys.executable, "-c", look], text=True).split() for _ in range(2)]
    assert not set(seen[0]) & set(seen[1])
