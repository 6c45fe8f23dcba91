"""Money from nothing: SOL, mints and what they issue, lookup tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.token.state import Mint, TokenAccount, TokenAccountState

from sandbox.payments.solana import programs, tokens
from sandbox.payments.solana.cluster import Cluster
from sandbox.payments.solana.execution import lookup_table
from sandbox.payments.solana.wallet import instructions

_SUPPLY = 10**15
_OWNED_LAMPORTS = 500_000_000 * programs.LAMPORTS_PER_SOL


class Faucet:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._keypair = Keypair()
        self._gifts = count(1)
        self._cluster.write(self._keypair.pubkey(), Account(_OWNED_LAMPORTS, b"", programs.SYSTEM))
        self.create_mint(programs.USDC_DECIMALS, address=programs.USDC)
        self.create_mint(programs.SOL_DECIMALS, address=programs.WRAPPED_SOL)

    def airdrop(self, to: Pubkey, lamports: int) -> Signature:
        """Give SOL in a transaction."""
        gift = instructions.sol_transfer(self._keypair.pubkey(), to, lamports)
        given = [instructions.numbered(next(self._gifts)), gift]
        return self._cluster.submit(instructions.compile_transaction(self._keypair, given, self._cluster.blockhash))

    def create_mint(
        self, decimals: int, *, address: Pubkey | None = None, token_program: Pubkey = programs.TOKEN
    ) -> Pubkey:
        address = address or Pubkey.new_unique()
        data = bytes(Mint(self._keypair.pubkey(), _SUPPLY, decimals, is_initialized=True))
        self._cluster.write(address, self._rent_exempt(data, token_program))
        return address

    def give_tokens(self, wallet: Pubkey, mint: Pubkey, amount: int) -> Pubkey:
        """Add to what a wallet has of a mint, without a transaction; return its associated account."""
        minted = self._cluster.accounts.newest(mint)
        if minted is None:
            raise ValueError(f"{mint} is no mint")
        address = tokens.associated_account(wallet, mint, minted.owner)
        there = self._cluster.accounts.newest(address)
        held = tokens.read_token_account(there) if there else None
        reserve = self._cluster.svm.minimum_balance_for_rent_exemption(tokens.TOKEN_ACCOUNT_BYTES)
        is_native = mint == programs.WRAPPED_SOL
        total = (held.amount if held else 0) + amount
        account = TokenAccount(
            mint, wallet, total, None, TokenAccountState.Initialized, reserve if is_native else None, 0
        )
        lamports = reserve + (total if is_native else 0)
        self._cluster.write(address, Account(lamports, bytes(account), minted.owner))
        return address

    def create_lookup_table(self, addresses: Sequence[Pubkey]) -> AddressLookupTableAccount:
        key = Pubkey.new_unique()
        data = lookup_table(addresses, self._keypair.pubkey())
        self._cluster.write(key, self._rent_exempt(data, programs.LOOKUP_TABLE))
        return AddressLookupTableAccount(key, addresses)

    def _rent_exempt(self, data: bytes, owner: Pubkey) -> Account:
        return Account(self._cluster.svm.minimum_balance_for_rent_exemption(len(data)), data, owner)
