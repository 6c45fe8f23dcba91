"""GoPlus (https://docs.gopluslabs.io): what a token's contract lets somebody do.

It answers with HTTP 200 whatever happens; what happened is a code in the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from domain.calls.events import Token
from domain.prices.readings import TokenRef, address_key
from managers.http.answers import DeniedError, RefusedError, Shape
from managers.http.api import APIRetryManager
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.goplus_evm import EVM_GIVES, read_contract
from managers.providers.goplus_solana import SOLANA_GIVES, read_mint
from managers.providers.provider import Provider
from runtime.clock import now
from runtime.errors import TransientError

GUESSED: Final = Limit(30, 60.0)
"""Without a key; no limit is documented."""
CHAIN_IDS: Final = {"ethereum": "1", "bsc": "56", "base": "8453"}
"""By our name of the chain."""

_TIMEOUT_S: Final = 5.0
_OK, _PARTIAL, _TOO_MANY = 1, 2, 4029
_UNKNOWN: Final = frozenset({2020, 2021})
"""No contract, or one that nothing is known of."""
_BAD_QUESTION: Final = frozenset({2004, 2018})
_DENIED: Final = frozenset({4010, 4011, 4012, 4022, 4023})


class _Envelope(Struct):
    code: int
    result: Any = None


_SHAPE: Final[Shape] = msgspec.json.Decoder(_Envelope)

Read = Callable[[TokenRef, object, datetime], Token]


class _GoPlus(Provider):
    name: str = "goplus"
    base_url = "https://api.gopluslabs.io"
    limit: Limit = GUESSED
    is_guess = True

    async def _ask(self, path: str, tokens: Sequence[TokenRef], read: Read) -> dict[str, Token]:
        params = {"contract_addresses": ",".join(token.key for token in tokens)}
        body = await self._api.get(
            self._url + path,
            params=params,
            timeout_s=_TIMEOUT_S,
            attempts=1,
            shape=_SHAPE,
            says_too_many=_says_too_many,
        )
        if body is None:
            raise TransientError("HTTP 404 from GoPlus")
        envelope = decoded(_SHAPE, body)
        chain, at = tokens[0].chain, self._clock()
        results = {address_key(chain, address): result for address, result in _results(envelope).items()}
        # An entry without a word says as little as none.
        found = {one.key: read(one, results[one.key], at) for one in tokens if results.get(one.key)}
        if not found and (results or envelope.code == _PARTIAL):
            raise TransientError("GoPlus answers of other tokens" if results else "GoPlus is not done with it yet")
        return found


class GoPlusSolanaManager(_GoPlus):
    """Works without a key. Every method raises `TransientError`."""

    tokens_per_request: int = 1
    gives: frozenset[str] = SOLANA_GIVES

    def covers(self, token: TokenRef) -> bool:
        return token.chain == "solana"

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        return await self._ask("/api/v1/solana/token_security", tokens, read_mint)


class GoPlusEvmManager(_GoPlus):
    """Works without a key, and is then promised one token a request. Every method raises `TransientError`."""

    gives: frozenset[str] = EVM_GIVES

    def __init__(
        self,
        api: APIRetryManager,
        base_url: str | None = None,
        *,
        tokens_per_request: int = 1,
        clock: Callable[[], datetime] = now,
    ) -> None:
        super().__init__(api, base_url, clock=clock)
        self.tokens_per_request = tokens_per_request

    def covers(self, token: TokenRef) -> bool:
        return token.chain in CHAIN_IDS

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        return await self._ask(f"/api/v1/token_security/{CHAIN_IDS[tokens[0].chain]}", tokens, read_contract)


def _says_too_many(body: bytes) -> bool:
    return decoded(_SHAPE, body).code == _TOO_MANY


def _results(envelope: _Envelope) -> dict[str, object]:
    """By address, of an answer; the errors that its code stands for."""
    code = envelope.code
    if code in _UNKNOWN:
        return {}
    if code in _DENIED:
        raise DeniedError(f"GoPlus does not take the key: code {code}")
    if code in _BAD_QUESTION:
        raise RefusedError(f"GoPlus does not take the question: code {code}")
    if code not in {_OK, _PARTIAL}:
        raise TransientError(f"code {code} from GoPlus")
    result: object = envelope.result
    if not isinstance(result, dict):
        raise TransientError("GoPlus says that all is well, and nothing else")
    return cast("dict[str, object]", result)
