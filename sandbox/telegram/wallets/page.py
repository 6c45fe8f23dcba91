"""The HTTP side for the chat page's wallets, under `/sandbox/api/wallets`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from aiohttp import web
from msgspec import Struct

from sandbox.telegram.page_http import json_answer, read_body, refusal, same_origin
from sandbox.telegram.wallets.hook import WalletHook, WalletPayment, WalletRequest
from sandbox.telegram.wallets.links import links_of


class Pasted(Struct, forbid_unknown_fields=True):
    text: str


class Copied(Struct, forbid_unknown_fields=True):
    """What a message offers for copying, and its text."""

    copied: list[str]
    said: str


class Opened(Struct, forbid_unknown_fields=True):
    url: str


class WalletsApi:
    def __init__(self, wallets: Callable[[], Sequence[WalletHook]]) -> None:
        self._wallets = wallets

    def routes(self, api: str) -> list[web.RouteDef]:
        wallets = f"{api}/wallets"
        return [
            web.get(wallets, same_origin(self._view)),
            web.post(f"{wallets}/pasted", same_origin(self._pasted)),
            web.post(f"{wallets}/copied", same_origin(self._copied)),
            web.post(f"{wallets}/opened", same_origin(self._opened)),
            web.post(f"{wallets}/payments", same_origin(self._pay)),
        ]

    async def _view(self, _: web.Request) -> web.StreamResponse:
        wallets = self._wallets()
        balances = {coin: amount for wallet in wallets for coin, amount in wallet.balances().items()}
        sent = [transfer for wallet in wallets for transfer in wallet.sent()]
        return json_answer({"is_there": bool(wallets), "balances": balances, "sent": sent})

    async def _pasted(self, request: web.Request) -> web.StreamResponse:
        text = (await read_body(request, Pasted)).text.strip()
        try:
            return _found(wallet.read(text) for wallet in self._wallets())
        except ValueError as error:
            raise refusal(400, str(error)) from error

    async def _copied(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, Copied)
        return _found(wallet.recognise(body.copied, body.said) for wallet in self._wallets())

    async def _opened(self, request: web.Request) -> web.StreamResponse:
        """Tell what the page that is opened offers; links that no wallet can pay are left to the page."""
        found: list[WalletRequest | None] = []
        for link in await links_of((await read_body(request, Opened)).url):
            for wallet in self._wallets():
                with suppress(ValueError):
                    found.append(wallet.read(link))
        return _found(found)

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        payment = await read_body(request, WalletPayment)
        wallet = next((each for each in self._wallets() if each.name == payment.wallet), None)
        if wallet is None:
            raise refusal(404, "there is no such wallet")
        try:
            return json_answer({"id": wallet.pay(payment)})
        except ValueError as error:
            raise refusal(400, str(error)) from error


def _found(requests: Iterable[WalletRequest | None]) -> web.Response:
    return json_answer({"requests": [request for request in requests if request is not None]})
