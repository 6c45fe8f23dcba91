"""Solana's JSON-RPC over several servers: the next one is asked where one fails, each within its budget of requests."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar, cast

import structlog
from httpx2 import HTTPStatusError
from msgspec import Struct
from solana.exceptions import SolanaRpcException
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Commitment as RpcCommitment
from solana.rpc.core import RPCException
from solders.pubkey import Pubkey
from solders.rpc.responses import GetSignaturesForAddressResp, GetTransactionResp
from solders.signature import Signature
from yarl import URL

from managers.http.answers import ForeignAnswerError
from managers.http.request_budget import pause_s
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

Commitment = Literal["confirmed", "finalized"]
T = TypeVar("T")

MAX_SIGNATURES: Final = 1_000
"""In one answer."""
TIMEOUT_S: Final = 8.0
FIRST_REST_S: Final = 1.0
MAX_REST_S: Final = 60.0
"""A server that fails is left alone for so long, twice as long each time."""


class SeenSignature(Struct, frozen=True, kw_only=True):
    """A transaction that names an account."""

    signature: str
    slot: int
    failed: bool
    is_final: bool
    at: datetime | None


class NoServerError(TransientError):
    """Every server fails, or rests after it has failed."""


@dataclass(slots=True)
class ServerCounts:
    requests: int = 0
    failures: int = 0
    foreign_answers: int = 0
    """Those of `failures` that are no JSON-RPC."""


@dataclass(slots=True)
class _Server:
    host: str
    client: AsyncClient
    counts: ServerCounts = field(default_factory=ServerCounts)
    rest_s: float = 0.0
    rests_until: float = 0.0
    problem: str | None = None


class SolanaRpcManager:
    """Open inside `async with`. Every method raises `NoServerError` when no server gives an answer."""

    def __init__(
        self, urls: Sequence[str], *, requests_per_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`requests_per_s`: to each of the servers, the first of which is preferred."""
        if not urls:
            raise ValueError("no server")
        self._servers = [
            _Server(
                _host_of(url),
                AsyncClient(url, timeout=TIMEOUT_S, rate_limit=requests_per_s, http2=False, max_transport_retries=0),
            )
            for url in urls
        ]
        self._clock = clock
        self._stack = AsyncExitStack()

    @property
    def counts(self) -> dict[str, ServerCounts]:
        return {server.host: server.counts for server in self._servers}

    @property
    def problem(self) -> str | None:
        """Why the last request found no server; `None` when one answers."""
        problems = [server.problem for server in self._servers]
        return None if None in problems else problems[0]

    async def __aenter__(self) -> Self:
        for server in self._servers:
            self._stack.push_async_callback(server.client.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def signatures(
        self, account: str, *, before: str | None = None, until: str | None = None, limit: int = MAX_SIGNATURES
    ) -> list[SeenSignature]:
        """Return transactions that name an account, confirmed ones too, newest first, from `before` down to `until`."""
        address = Pubkey.from_string(account)
        first = Signature.from_string(before) if before else None
        last = Signature.from_string(until) if until else None

        async def ask(client: AsyncClient) -> GetSignaturesForAddressResp:
            return await client.get_signatures_for_address(
                address, before=first, until=last, limit=limit, commitment=RpcCommitment("confirmed")
            )

        answer = await self._ask(ask)
        return [
            SeenSignature(
                signature=str(one.signature),
                slot=one.slot,
                failed=one.err is not None,
                is_final=str(one.confirmation_status).endswith("Finalized"),
                at=None if one.block_time is None else datetime.fromtimestamp(one.block_time, UTC),
            )
            for one in answer.value
        ]

    async def transaction(self, signature: str, commitment: Commitment) -> bytes | None:
        """Return the `result` of getTransaction as JSON, for `domain.payments.solana_transfers.incoming`.

        `None`: unknown at this commitment, or not yet.
        """

        async def ask(client: AsyncClient) -> GetTransactionResp:
            return await client.get_transaction(
                Signature.from_string(signature),
                encoding="jsonParsed",
                commitment=RpcCommitment(commitment),
                max_supported_transaction_version=0,
            )

        answer = await self._ask(ask)
        return None if answer.value is None else answer.value.to_json().encode()

    async def slot(self) -> int:
        """Return the newest finalized slot."""
        answer = await self._ask(lambda client: client.get_slot(RpcCommitment("finalized")))
        return answer.value

    async def genesis_hash(self) -> str:
        """Return what tells one cluster from another."""
        answer = await self._ask(lambda client: client.get_genesis_hash())
        return str(answer.value)

    async def _ask(self, question: Callable[[AsyncClient], Awaitable[T]]) -> T:
        now = self._clock()
        for server in sorted(self._servers, key=lambda server: max(0.0, server.rests_until - now)):
            if server.rests_until > self._clock():
                break  # those behind it rest longer
            try:
                async with self._asking(server):
                    return await question(server.client)
            except TransientError as error:
                log.warning("solana_rpc_failed", host=server.host, reason=str(error), rest_s=server.rest_s)
        raise NoServerError(f"no RPC server of Solana answers ({self.problem})")

    @asynccontextmanager
    async def _asking(self, server: _Server) -> AsyncGenerator[None]:
        server.counts.requests += 1
        try:
            yield
        except SolanaRpcException as error:
            cause = error.__cause__
            refused = cause if isinstance(cause, HTTPStatusError) else None
            problem = f"HTTP {refused.response.status_code}" if refused else type(cause).__name__
            self._let_rest(server, problem, pause_s(refused.response.headers) if refused else None)
            raise TransientError(problem) from error
        except RPCException as error:
            problem = _said(error)
            self._let_rest(server, problem)
            raise TransientError(problem) from error
        except ValueError as error:
            server.counts.foreign_answers += 1
            self._let_rest(server, "an answer that is not JSON-RPC")
            raise ForeignAnswerError("an answer that is not JSON-RPC") from error
        server.rest_s, server.problem = 0.0, None

    def _let_rest(self, server: _Server, problem: str, said_s: float | None = None) -> None:
        server.counts.failures += 1
        server.problem = problem
        server.rest_s = min(MAX_REST_S, max(FIRST_REST_S, server.rest_s * 2, said_s or 0.0))
        server.rests_until = self._clock() + server.rest_s


def _said(error: RPCException) -> str:
    """Return code and message of a JSON-RPC error."""
    try:
        said = cast("dict[str, Any]", json.loads(error.args[0].to_json()))["error"]
        return f"{said['code']}: {said['message']}"[:200]
    except (AttributeError, IndexError, KeyError, ValueError):
        return str(error)[:200]


def _host_of(url: str) -> str:
    """A URL of an RPC server often holds its key."""
    return URL(url).host_port_subcomponent or "?"
