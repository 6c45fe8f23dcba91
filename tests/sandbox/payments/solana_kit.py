"""A client of JSON-RPC that hides nothing, and what a merchant computes from the answers."""

from __future__ import annotations

from typing import Any

import aiohttp
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature

USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
PARSED = {"encoding": "jsonParsed", "maxSupportedTransactionVersion": 0}


class RefusedError(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.data = error.get("data")


class Rpc:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def __call__(self, method: str, *params: Any) -> Any:
        status, body, _ = await self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        assert status == 200
        if "error" in body:
            raise RefusedError(body["error"])
        return body["result"]

    async def post(self, body: Any) -> tuple[int, Any, dict[str, str]]:
        async with self._session.post(self.url, json=body) as response:
            content: Any = await response.json(content_type=None) if "json" in response.content_type else None
            return response.status, content, dict(response.headers)

    async def signatures(self, key: Pubkey, **config: Any) -> list[str]:
        return [each["signature"] for each in await self("getSignaturesForAddress", str(key), config)]

    async def transaction(self, signature: Signature, **config: Any) -> Any:
        return await self("getTransaction", str(signature), PARSED | config)


def reference() -> Pubkey:
    return Keypair().pubkey()


def lamports_received(transaction: Any, wallet: Pubkey) -> int:
    keys = [each["pubkey"] for each in transaction["transaction"]["message"]["accountKeys"]]
    place = keys.index(str(wallet))
    return transaction["meta"]["postBalances"][place] - transaction["meta"]["preBalances"][place]


def tokens_received(transaction: Any, wallet: Pubkey, mint: str = USDC) -> int:
    def held(name: str) -> int:
        return sum(
            int(each["uiTokenAmount"]["amount"])
            for each in transaction["meta"][name]
            if (each["mint"], each["owner"]) == (mint, str(wallet))
        )

    return held("postTokenBalances") - held("preTokenBalances")
