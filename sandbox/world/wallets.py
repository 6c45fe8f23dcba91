"""The wallets of the sandbox's people: what the chat page pays with, on the chain and at the processor."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import parse_qs, urlencode, urlsplit

from solders.pubkey import Pubkey

from sandbox.payments.nowpayments.records import Payment, Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.payments.solana.cluster import Commitment
from sandbox.payments.solana.wallet import pay_url
from sandbox.payments.solana.wallet.page import Sent, WalletPage, amount_of, token_of
from sandbox.telegram.wallets.hook import Transfer, WalletHook, WalletPayment, WalletRequest
from sandbox.world.payments import PaidChain

_AMOUNT = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_SOL, _USDC = "SOL", "USDC"
_COINS = (_SOL, _USDC)
_SAID = re.compile(rf"(\d+(?:\.\d+)?)\s+({_SOL}|{_USDC})\b", re.ASCII)
_SOLANA_WAYS = {
    "pay": "Pay as asked",
    "part": "Pay a fifth less",
    "more": "Pay twice as much",
    "unnamed": "Pay without the reference",
    "other": "Pay with a token that looks alike",
    "fail": "Send a transaction that fails",
}
_COIN_WAYS = {
    "full": "Send the whole amount",
    "part": "Send half of it",
    "more": "Send twice as much",
    "other": "Send another coin",
}
_FORGOTTEN = {"forgotten": "Send without the memo"}
_ENDS = frozenset({Status.FINISHED, Status.PARTIALLY_PAID, Status.FAILED, Status.REFUNDED})
_REMEMBERED = 10


def wallets_of(chain: PaidChain | None, processor: NowPaymentsSandbox | None) -> list[WalletHook]:
    """Return one for each kind of money that there is."""
    return [
        *([SolanaWallet(chain.wallet, chain.merchant)] if chain else []),
        *([CoinWallet(processor)] if processor else []),
    ]


class SolanaWallet:
    """Pays transfer requests, and any address; it recognises a payment by the address of the shop."""

    name = "Solana"

    def __init__(self, page: WalletPage, merchant: str) -> None:
        self._page = page
        self._merchant = merchant

    def balances(self) -> Mapping[str, str]:
        return {_SOL: self._page.sol, _USDC: self._page.usdc}

    def read(self, text: str) -> WalletRequest | None:
        if _is_address(text):
            return self._request(text, text, coin=_SOL, coins=_COINS)
        if not text.startswith("solana:"):
            return None
        asked = pay_url.read(text)
        amount, coin, recipient = amount_of(asked), token_of(asked), str(asked.recipient)
        label = ": ".join(filter(None, (asked.label, asked.message)))
        coins = () if amount else (coin,)
        return self._request(text, recipient, amount=amount, coin=coin, coins=coins, label=label, memo=asked.memo or "")

    def recognise(self, copied: Sequence[str], said: str) -> WalletRequest | None:
        if self._merchant not in copied:
            return None
        amounts = [text for text in copied if _AMOUNT.fullmatch(text)]
        told = [(amount, coin) for amount, coin in _SAID.findall(said) if not amounts or amount in amounts]
        amount, coin = told[0] if told else (amounts[0] if amounts else "", _SOL)
        return self._request(self._merchant, self._merchant, amount=amount, coin=coin, coins=_COINS)

    def pay(self, payment: WalletPayment) -> str:
        url = payment.url
        if _is_address(url):
            token = {"spl-token": str(programs.USDC)} if payment.coin == _USDC else {}
            url = f"solana:{url}?{urlencode({'amount': payment.amount} | token)}"
        elif pay_url.read(url).amount is None:
            url += f"{'&' if '?' in url else '?'}{urlencode({'amount': payment.amount})}"
        return str(self._page.act(payment.way, url))

    def sent(self) -> Sequence[Transfer]:
        return [self._transfer(sent) for sent in self._page.sent]

    def _transfer(self, sent: Sent) -> Transfer:
        level, is_failed = self._page.standing(sent)
        is_final = level in {None, Commitment.FINALIZED}
        return Transfer(
            id=str(sent.signature), what=sent.asked, status=level or "gone", is_final=is_final, is_failed=is_failed
        )

    def _request(
        self,
        url: str,
        recipient: str,
        *,
        amount: str = "",
        coin: str,
        coins: tuple[str, ...],
        label: str = "",
        memo: str = "",
    ) -> WalletRequest:
        return WalletRequest(
            wallet=self.name,
            url=url,
            recipient=recipient,
            amount=amount,
            coin=coin,
            coins=coins,
            label=label,
            memo=memo,
            ways=_SOLANA_WAYS,
        )


class CoinWallet:
    """Pays what the processor waits for, in any coin: it has as much of each as is wanted."""

    name = "Coins"

    def __init__(self, processor: NowPaymentsSandbox) -> None:
        self._processor = processor
        self._paid: deque[tuple[Payment, str]] = deque(maxlen=_REMEMBERED)

    def balances(self) -> Mapping[str, str]:
        return {}

    def read(self, text: str) -> WalletRequest | None:
        payments = self._processor.desk.payments.values()
        if text.startswith(f"{self._processor.page_url}/"):
            named = parse_qs(urlsplit(text).query)
            wanted = named.get("paymentId") or []
            found = [payment for payment in payments if str(payment.id) in wanted]
            found += [payment for payment in payments if str(payment.invoice_id) in named.get("iid", [])]
        else:
            found = [payment for payment in payments if payment.pay_address == text and payment.parent_id is None]
        return _deposit(self.name, found[-1]) if found else None

    def recognise(self, copied: Sequence[str], said: str) -> WalletRequest | None:  # noqa: ARG002 -- it knows more
        return next(filter(None, map(self.read, copied)), None)

    def pay(self, payment: WalletPayment) -> str:
        paid = next((each for each in self._processor.desk.payments.values() if _url(each) == payment.url), None)
        if paid is None or payment.way not in _COIN_WAYS | _FORGOTTEN:
            raise ValueError("the processor does not know this payment")
        self._processor.pages.act(paid, payment.way)
        self._paid.appendleft((paid, _amount(paid)))
        return _url(paid)

    def sent(self) -> Sequence[Transfer]:
        return [
            Transfer(
                id=_url(payment),
                what=what,
                status=payment.status.replace("_", " "),
                is_final=payment.status in _ENDS,
                is_failed=payment.status is Status.FAILED,
            )
            for payment, what in self._paid
        ]


def _deposit(wallet: str, payment: Payment) -> WalletRequest:
    return WalletRequest(
        wallet=wallet,
        url=_url(payment),
        recipient=payment.pay_address,
        amount=_plain(payment.pay_amount),
        coin=payment.pay_currency.upper(),
        label=payment.order.order_description or "",
        memo=payment.payin_extra_id or "",
        ways=_COIN_WAYS | (_FORGOTTEN if payment.payin_extra_id else {}),
    )


def _url(payment: Payment) -> str:
    return f"payment:{payment.id}"


def _amount(payment: Payment) -> str:
    return f"{_plain(payment.pay_amount)} {payment.pay_currency.upper()}"


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _is_address(text: str) -> bool:
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True
