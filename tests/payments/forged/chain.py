"""A node of Solana that answers whatever it is told to, shaped as https://solana.com/docs/rpc/http says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import Any, Final, Self

from aiohttp import web
from msgspec import Struct
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address

TOKEN: Final = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_2022: Final = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
USDC: Final = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
WRAPPED: Final = "So11111111111111111111111111111111111111112"
RENT: Final = 2_039_280
FIRST_SLOT: Final = 400_000_000


def address() -> str:
    return str(Keypair().pubkey())


def token_account(owner: str, mint: str) -> str:
    return str(get_associated_token_address(Pubkey.from_string(owner), Pubkey.from_string(mint)))


class Holding(Struct, kw_only=True):
    """What an account holds of a token; `None` on one side: it is opened or closed by the transaction."""

    account: str
    owner: str
    before: int | None
    after: int | None
    mint: str = USDC
    program: str = TOKEN


class Landed(Struct, kw_only=True):
    listing: dict[str, Any]
    answer: dict[str, Any]
    accounts: frozenset[str]


class Chain:
    """Newest last in `landed`. `twist` changes an answer by its method."""

    def __init__(self) -> None:
        self.wallet = address()
        self.usdc_account, self.wsol_account = (token_account(self.wallet, mint) for mint in (USDC, WRAPPED))
        self.landed: list[Landed] = []
        self.slot = FIRST_SLOT
        self.asked: list[tuple[str, list[Any]]] = []
        self.twist: Callable[[str, Any], Any] = lambda _method, result: result
        self.url = ""
        app = web.Application()
        app.add_routes([web.post("/", self._answer)])
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()

    def lands(
        self,
        lamports: dict[str, tuple[int, int]],
        holdings: Sequence[Holding] = (),
        *,
        names: Sequence[str] = (),
        by_table: Sequence[str] = (),
        signers: Sequence[str] = (),
        error: object = None,
        memo: str | None = None,
        within: bool = False,
    ) -> str:
        """Let a transaction become final. `names`: accounts that it names beside; `within`: its transfer is an inner
        instruction; what its instructions say is always that everything went to our wallet."""
        signature = str(Keypair().sign_message(b"a transaction"))
        self.slot += 1
        payer = next(iter(signers), address())
        balances = {payer: (10**9, 10**9 - 5000), **lamports} if payer not in lamports else dict(lamports)
        for one in (*(holding.account for holding in holdings), *names, *by_table):
            balances.setdefault(one, (RENT, RENT))
        keys = list(balances)
        transfer = {
            "program": "system",
            "programId": "1" * 32,
            "parsed": {"type": "transfer", "info": {"source": payer, "destination": self.wallet, "lamports": 10**12}},
            "stackHeight": 2 if within else None,
        }
        said = {"program": "spl-memo", "programId": "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr", "parsed": memo}
        answer = {
            "slot": self.slot,
            "blockTime": int(time()),
            "version": 0 if by_table else "legacy",
            "meta": {
                "err": error,
                "fee": 5000,
                "preBalances": [before for before, _ in balances.values()],
                "postBalances": [after for _, after in balances.values()],
                "preTokenBalances": [_shown(keys, one, one.before) for one in holdings if one.before is not None],
                "postTokenBalances": [_shown(keys, one, one.after) for one in holdings if one.after is not None],
                "innerInstructions": [{"index": 0, "instructions": [transfer]}] if within else [],
                "logMessages": [],
                "rewards": [],
                "status": {"Ok": None} if error is None else {"Err": error},
                "computeUnitsConsumed": 450,
            },
            "transaction": {
                "signatures": [signature],
                "message": {
                    "accountKeys": [
                        {
                            "pubkey": key,
                            "signer": key == payer or key in signers,
                            "source": "lookupTable" if key in by_table else "transaction",
                            "writable": True,
                        }
                        for key in keys
                    ],
                    "recentBlockhash": address(),
                    "addressTableLookups": [],
                    "instructions": [*([said] if memo else []), *([] if within else [transfer])],
                },
            },
        }
        listing = {
            "signature": signature,
            "slot": self.slot,
            "err": error,
            "memo": f"[{len(memo)}] {memo}" if memo else None,
            "blockTime": answer["blockTime"],
            "confirmationStatus": "finalized",
        }
        self.landed.append(Landed(listing=listing, answer=answer, accounts=frozenset(keys)))
        return signature

    def pays_usdc(self, units: int, **more: Any) -> str:
        """What an honest wallet sends."""
        payer = address()
        return self.lands(
            {},
            [
                Holding(account=token_account(payer, USDC), owner=payer, before=units + 7, after=7),
                Holding(account=self.usdc_account, owner=self.wallet, before=1_000, after=1_000 + units),
            ],
            **more,
        )

    def pays_sol(self, lamports: int, **more: Any) -> str:
        payer = address()
        balances = {payer: (10**12, 10**12 - lamports - 5000), self.wallet: (10**9, 10**9 + lamports)}
        return self.lands(balances, signers=[payer], **more)

    async def _answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        method: str = asked["method"]
        params: list[Any] = asked.get("params") or []
        self.asked.append((method, params))
        result = self.twist(method, getattr(self, f"_{method}")(*params))
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    def _getGenesisHash(self) -> str:  # noqa: N802 - named as the protocol does
        return "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"

    def _getSlot(self, _config: object = None) -> int:  # noqa: N802
        return self.slot + 200

    def _getAccountInfo(self, _address: str, _config: object = None) -> object:  # noqa: N802
        return {"context": {"slot": self.slot}, "value": None}

    def _getSignaturesForAddress(self, account: str, config: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: N802
        found = [one.listing for one in reversed(self.landed) if account in one.accounts]
        signatures = [one["signature"] for one in found]
        if before := config.get("before"):
            found = found[signatures.index(before) + 1 :] if before in signatures else []
        return found[: config.get("limit") or 1000]

    def _getTransaction(self, signature: str, _config: object = None) -> object:  # noqa: N802
        return next((one.answer for one in self.landed if one.listing["signature"] == signature), None)


def _shown(keys: Sequence[str], holding: Holding, amount: int) -> dict[str, Any]:
    decimals = 9 if holding.mint == WRAPPED else 6
    return {
        "accountIndex": keys.index(holding.account),
        "mint": holding.mint,
        "owner": holding.owner,
        "programId": holding.program,
        "uiTokenAmount": {
            "amount": str(amount),
            "decimals": decimals,
            "uiAmount": amount / 10**decimals or None,
            "uiAmountString": str(amount / 10**decimals),
        },
    }
