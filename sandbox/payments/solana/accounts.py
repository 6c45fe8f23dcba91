"""Every version of every account that changed, over the SVM, which holds the newest alone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from sandbox.payments.solana import programs, tokens


class Moment(NamedTuple):
    """A place in the ledger."""

    slot: int
    place: int
    """Of the transaction within its slot."""


_BEFORE_EVERYTHING = Moment(-1, -1)


@dataclass(frozen=True, slots=True)
class Version:
    moment: Moment
    account: Account | None


class Accounts:
    def __init__(self, svm: LiteSVM) -> None:
        self._svm = svm
        self._versions: dict[Pubkey, list[Version]] = {}
        self._of_wallet: defaultdict[Pubkey, set[Pubkey]] = defaultdict(set)

    def newest(self, key: Pubkey) -> Account | None:
        return self._svm.get_account(key)

    def at(self, key: Pubkey, slot: int) -> Account | None:
        """The account as it was when `slot` had ended."""
        versions = self._versions.get(key)
        if versions is None:
            return self._svm.get_account(key)
        place = bisect_right(versions, slot, key=lambda version: version.moment.slot)
        return versions[max(0, place - 1)].account

    def token_accounts_of(self, wallet: Pubkey, slot: int) -> list[tuple[Pubkey, Account]]:
        found = ((key, self.at(key, slot)) for key in sorted(self._of_wallet[wallet], key=str))
        return [(key, account) for key, account in found if account is not None and tokens.wallet_of(account) == wallet]

    def write(self, key: Pubkey, account: Account | None, moment: Moment) -> None:
        """Put an account where no transaction did. One that never changed was always as it is now."""
        before = self._svm.get_account(key)
        self._put(key, account)
        if key in self._versions:
            self.record(key, before, account, moment)
        else:
            self._index(key, account)

    def record(self, key: Pubkey, before: Account | None, after: Account | None, moment: Moment) -> None:
        """Note a change that the SVM has made."""
        if before == after:
            return
        self._versions.setdefault(key, [Version(_BEFORE_EVERYTHING, before)]).append(Version(moment, after))
        self._index(key, after)

    def rewind(self, moment: Moment) -> None:
        """Undo what happened at this moment and later."""
        for key, versions in self._versions.items():
            place = bisect_left(versions, moment, key=lambda version: version.moment)
            if place < len(versions):
                del versions[place:]
                self._put(key, versions[-1].account)

    def _index(self, key: Pubkey, account: Account | None) -> None:
        wallet = tokens.wallet_of(account) if account is not None else None
        if wallet is not None:
            self._of_wallet[wallet].add(key)

    def _put(self, key: Pubkey, account: Account | None) -> None:
        self._svm.set_account(key, account or Account(0, b"", programs.SYSTEM))
