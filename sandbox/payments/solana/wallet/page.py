"""A wallet in the browser: pays a Solana Pay request rightly, or in the ways in which payments go wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from aiohttp import web
from solders.pubkey import Pubkey
from solders.signature import Signature

from sandbox.payments.solana import programs
from sandbox.payments.solana.cluster import Cluster, Commitment
from sandbox.payments.solana.execution import RefusedTransactionError
from sandbox.payments.solana.faucet import Faucet
from sandbox.payments.solana.wallet import pay_url
from sandbox.payments.solana.wallet.pay_url import PayRequest, UnpayableUrlError
from sandbox.payments.solana.wallet.wallet import Wallet

_HOST = "127.0.0.1"
_PAGE = Path(__file__).with_name("page.html")
_SHOWN = 10
_NAMES = {programs.USDC: "USDC", programs.WRAPPED_SOL: "wSOL"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    what: str
    """The act."""
    asked: str
    """What the request asked for: amount and token."""
    signature: Signature


class Standing(NamedTuple):
    level: Commitment | None
    """None: the cluster knows nothing of it any more."""
    is_failed: bool


class WalletPage:
    """`async with WalletPage(...) as page:` then open `page.link(request)`."""

    def __init__(self, cluster: Cluster, faucet: Faucet, wallet: Wallet, *, port: int = 0) -> None:
        self.url = ""
        self.wallet = wallet
        self._cluster = cluster
        self._port = port
        self.sent: deque[Sent] = deque(maxlen=_SHOWN)
        """The newest first."""
        self._false_mint = faucet.create_mint(programs.USDC_DECIMALS)
        self._faucet = faucet
        self._acts: dict[str, Callable[[str, PayRequest], Signature]] = {
            "pay": lambda url, _: wallet.pay(url),
            "part": lambda _, request: self._send(request, self._units(request) * 8 // 10, request.references),
            "more": lambda _, request: self._send(request, self._units(request) * 2, request.references),
            "unnamed": lambda _, request: self._send(request, self._units(request), ()),
            "other": self._send_other,
            "fail": lambda _, request: wallet.fail(request.recipient, mint=request.mint, references=request.references),
        }
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[_refusing])
        app.add_routes([web.get("/", self._page), web.get("/state", self._state), web.post("/act", self._act)])
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, _HOST, self._port).start()
            self.url = f"http://{_HOST}:{runner.addresses[0][1]}"
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._resources.aclose()

    def link(self, request: str) -> str:
        """Give the address at which a person can pay this request."""
        return f"{self.url}/?request={quote(request, safe='')}"

    @property
    def sol(self) -> str:
        return _plain(self.wallet.lamports, programs.SOL_DECIMALS)

    @property
    def usdc(self) -> str:
        return _plain(self.wallet.balance(), programs.USDC_DECIMALS)

    def act(self, act: str, url: str) -> Signature:
        """Do with a request what one of the page's buttons says; `UnpayableUrlError` where a wallet refuses."""
        if act not in self._acts:
            raise UnpayableUrlError("there is no such act")
        request = pay_url.read(url)
        try:
            signature = self._acts[act](url, request)
        except RefusedTransactionError as error:
            raise UnpayableUrlError(f"the cluster refused it: {error.err}") from error
        self.sent.appendleft(Sent(what=act, asked=f"{amount_of(request)} {token_of(request)}", signature=signature))
        return signature

    def standing(self, sent: Sent) -> Standing:
        entry = self._cluster.ledger.find(sent.signature, self._cluster.slot)
        if entry is None:
            return Standing(None, is_failed=False)
        levels = (Commitment.FINALIZED, Commitment.CONFIRMED, Commitment.PROCESSED)
        level = next(level for level in levels if entry.slot <= self._cluster.slot_at(level))
        return Standing(level, is_failed=entry.outcome.err is not None)

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=_PAGE.read_text(encoding="utf-8"), content_type="text/html")

    async def _state(self, request: web.Request) -> web.Response:
        asked = pay_url.read(request.query.get("request", ""))
        return web.json_response(
            {
                "recipient": str(asked.recipient),
                "amount": amount_of(asked) or None,
                "token": token_of(asked),
                "label": asked.label,
                "message": asked.message,
                "memo": asked.memo,
                "sol": self.sol,
                "usdc": self.usdc,
                "sent": [self._shown(each) for each in self.sent],
            }
        )

    async def _act(self, request: web.Request) -> web.Response:
        signature = self.act(request.query.get("act", ""), request.query.get("request", ""))
        return web.json_response({"signature": str(signature)})

    def _shown(self, sent: Sent) -> dict[str, Any]:
        level, is_failed = self.standing(sent)
        return {"what": sent.what, "signature": str(sent.signature), "status": level or "gone", "failed": is_failed}

    def _units(self, request: PayRequest) -> int:
        return request.base_units(programs.SOL_DECIMALS if request.mint is None else programs.USDC_DECIMALS)

    def _send(self, request: PayRequest, units: int, references: Sequence[Pubkey]) -> Signature:
        if request.mint is None:
            return self.wallet.send_sol(request.recipient, units, references=references, memo=request.memo)
        return self.wallet.send_tokens(
            request.recipient, units, mint=request.mint, references=references, memo=request.memo
        )

    def _send_other(self, _url: str, request: PayRequest) -> Signature:
        """Send a token that looks like USDC, or wSOL in place of SOL."""
        units = self._units(request)
        if request.mint is None:
            self.wallet.wrap(units)
            mint = programs.WRAPPED_SOL
        else:
            mint = self._false_mint
            self._faucet.give_tokens(self.wallet.address, mint, units)
        return self.wallet.send_tokens(request.recipient, units, mint=mint, references=request.references)


def amount_of(request: PayRequest) -> str:
    """Return it as people read it; empty where the request leaves it open."""
    return "" if request.amount is None else f"{request.amount:f}"


def token_of(request: PayRequest) -> str:
    return "SOL" if request.mint is None else _NAMES.get(request.mint, str(request.mint))


def _plain(units: int, decimals: int) -> str:
    whole, rest = divmod(units, 10**decimals)
    return f"{whole}.{rest:0{decimals}}".rstrip("0").rstrip(".")


@web.middleware
async def _refusing(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Say on the page what a wallet says instead of paying."""
    try:
        return await handler(request)
    except UnpayableUrlError as error:
        return web.json_response({"message": str(error)}, status=400)
