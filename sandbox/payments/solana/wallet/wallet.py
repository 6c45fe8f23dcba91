"""A wallet to pay from: rightly by a Solana Pay address, and in every way that people and thieves find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.payments.solana import programs, tokens
from sandbox.payments.solana.cluster import Cluster
from sandbox.payments.solana.execution import RefusedTransactionError
from sandbox.payments.solana.wallet import instructions, pay_url
from sandbox.payments.solana.wallet.pay_url import UnpayableUrlError

_MORE_THAN_ANYBODY_HAS = 2**63


class Wallet:
    """Whatever it pays lands at once, in the cluster's present slot. Amounts are base units, integers."""

    def __init__(self, cluster: Cluster, keypair: Keypair) -> None:
        self.keypair = keypair
        self._cluster = cluster
        self._nonce = count(1)

    @property
    def address(self) -> Pubkey:
        return self.keypair.pubkey()

    @property
    def lamports(self) -> int:
        account = self._cluster.accounts.newest(self.address)
        return account.lamports if account else 0

    def balance(self, mint: Pubkey = programs.USDC) -> int:
        account = self._cluster.accounts.newest(self.token_account(mint))
        held = tokens.read_token_account(account) if account else None
        return held.amount if held else 0

    def token_account(self, mint: Pubkey = programs.USDC) -> Pubkey:
        return tokens.associated_account(self.address, mint, self._token_program(mint))

    def pay(
        self,
        url: str,
        *,
        amount: Decimal | None = None,
        tables: Sequence[AddressLookupTableAccount] = (),
        legacy: bool = False,
    ) -> Signature:
        """Pay a Solana Pay transfer request; `amount` only where the request leaves it open.

        `UnpayableUrlError` where a good wallet shows an error.
        """
        return self.send(*self.instructions_for(url, amount=amount), tables=tables, legacy=legacy)

    def instructions_for(self, url: str, *, amount: Decimal | None = None) -> list[Instruction]:
        """The memo is the last but one, the transfer is the last."""
        request = pay_url.read(url)
        memos = [] if request.memo is None else [instructions.memo(request.memo)]
        if request.mint is None:
            lamports = request.base_units(programs.SOL_DECIMALS, amount)
            return [*memos, self.sol(request.recipient, lamports, request.references)]
        if self._cluster.accounts.newest(request.mint) is None:
            raise UnpayableUrlError(f"there is no mint {request.mint}")
        recipient = self._cluster.accounts.newest(request.recipient)
        if recipient is not None and recipient.owner != programs.SYSTEM:
            raise UnpayableUrlError("the recipient is no wallet")
        units = request.base_units(self._decimals(request.mint), amount)
        opening, transfer = self.tokens(request.recipient, request.mint, units, request.references)
        return [opening, *memos, transfer]

    def sol(self, to: Pubkey, lamports: int, references: Sequence[Pubkey] = ()) -> Instruction:
        return instructions.sol_transfer(self.address, to, lamports, references)

    def tokens(
        self, to: Pubkey, mint: Pubkey, amount: int, references: Sequence[Pubkey] = ()
    ) -> tuple[Instruction, Instruction]:
        """Give the instruction that opens the recipient's associated account, and the transfer to it."""
        program = self._token_program(mint)
        destination = tokens.associated_account(to, mint, program)
        opening = instructions.create_associated_account(self.address, destination, to, mint, program)
        transfer = instructions.token_transfer_checked(
            self.token_account(mint),
            mint,
            destination,
            self.address,
            amount,
            decimals=self._decimals(mint),
            references=references,
            token_program=program,
        )
        return opening, transfer

    def wrap(self, lamports: int) -> Signature:
        """Turn SOL into wSOL of our own."""
        account = self.token_account(programs.WRAPPED_SOL)
        opening = instructions.create_associated_account(self.address, account, self.address, programs.WRAPPED_SOL)
        return self.send(opening, self.sol(account, lamports), instructions.sync_native(account))

    def send_sol(
        self, to: Pubkey, lamports: int, *, references: Sequence[Pubkey] = (), memo: str | None = None
    ) -> Signature:
        memos = [] if memo is None else [instructions.memo(memo)]
        return self.send(*memos, self.sol(to, lamports, references))

    def send_tokens(
        self,
        to: Pubkey,
        amount: int,
        *,
        mint: Pubkey = programs.USDC,
        references: Sequence[Pubkey] = (),
        memo: str | None = None,
    ) -> Signature:
        memos = [] if memo is None else [instructions.memo(memo)]
        opening, transfer = self.tokens(to, mint, amount, references)
        return self.send(opening, *memos, transfer)

    def fail(self, to: Pubkey, *, mint: Pubkey | None = None, references: Sequence[Pubkey] = ()) -> Signature:
        """Land a transaction that names everything, moves nothing and has `meta.err`."""
        if mint is None:
            return self.send(self.sol(to, _MORE_THAN_ANYBODY_HAS, references))
        return self.send(*self.tokens(to, mint, _MORE_THAN_ANYBODY_HAS, references))

    def flood(
        self, to: Pubkey, transfers: int, *, lamports: int = 1, references: Sequence[Pubkey] = ()
    ) -> list[Signature]:
        """Send dust, one transaction each, all of them in the present slot."""
        return [self.send(self._unique(), self.sol(to, lamports, references)) for _ in range(transfers)]

    def flood_over_slots(
        self, to: Pubkey, transfers: int, *, per_slot: int, lamports: int = 1, references: Sequence[Pubkey] = ()
    ) -> Iterator[list[Signature]]:
        """Send dust slot by slot; each step lets one slot pass."""
        for done in range(0, transfers, per_slot):
            yield self.flood(to, min(per_slot, transfers - done), lamports=lamports, references=references)
            self._cluster.advance()

    def send(
        self,
        *given: Instruction,
        cosigners: Sequence[Keypair] = (),
        tables: Sequence[AddressLookupTableAccount] = (),
        legacy: bool = False,
    ) -> Signature:
        """Let these instructions land as one transaction, as they are; it may fail, and then has `meta.err`."""
        for extra in ([], [self._unique()]):
            transaction = instructions.compile_transaction(
                self.keypair,
                [*extra, *given],
                self._cluster.blockhash,
                cosigners=cosigners,
                tables=tables,
                legacy=legacy,
            )
            try:
                return self._cluster.submit(transaction)
            except RefusedTransactionError as refused:
                if refused.err != "AlreadyProcessed":
                    raise
        raise AssertionError("a number of its own makes every transaction another one")

    def _unique(self) -> Instruction:
        return instructions.numbered(next(self._nonce))

    def _token_program(self, mint: Pubkey) -> Pubkey:
        account = self._cluster.accounts.newest(mint)
        return account.owner if account else programs.TOKEN

    def _decimals(self, mint: Pubkey) -> int:
        account = self._cluster.accounts.newest(mint)
        read = tokens.read_mint(account) if account else None
        if read is None:
            raise UnpayableUrlError(f"{mint} is no mint")
        return read.decimals
