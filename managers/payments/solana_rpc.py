"""Solana's JSON-RPC over several servers: the next one is asked where one fails, each within its budget of requests.

Requests go through solana-py. Their answers are not read by solders: it refuses all of a transaction where a single
member is new, and takes an error whose code it does not know for an answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

import msgspec
import structlog
from httpx2 import HTTPStatusError
from msgspec import Struct
from solana.exceptions import SolanaRpcException
from solana.rpc.async_http_provider import AsyncHTTPProvider
from solana.rpc.jsonrpc import JsonRpcRequestSerializer
from solders.account_decoder import UiAccountEncoding
from solders.commitment_config import CommitmentLevel
from solders.pubkey import Pubkey
from solders.rpc.config import (
    RpcAccountInfoConfig,
    RpcContextConfig,
    RpcSignaturesForAddressConfig,
    RpcTransactionConfig,
)
from solders.rpc.requests import (
    GetAccountInfo,
    GetFirstAvailableBlock,
    GetGenesisHash,
    GetSignaturesForAddress,
    GetSlot,
    GetTransaction,
)
from solders.signature import Signature
from solders.transaction_status import UiTransactionEncoding
from yarl import URL

from domain.payments.solana_transfers import checked_slot, moment
from managers.http.answers import ForeignAnswerError, RefusedError
from managers.http.request_budget import pause_s
from runtime.errors import BotError, TransientError

log = structlog.get_logger(__name__)

Commitment = Literal["confirmed", "finalized"]
T = TypeVar("T")

MAX_SIGNATURES: Final = 1_000
"""In one answer."""
TIMEOUT_S: Final = 8.0
FIRST_REST_S: Final = 1.0
MAX_REST_S: Final = 60.0
"""A server that fails is left alone for so long, twice as long each time."""
MAX_LAG_SLOTS: Final = 150
"""About a minute. A server that is further behind the others is left alone."""

_LEVELS: Final = {"confirmed": CommitmentLevel.Confirmed, "finalized": CommitmentLevel.Finalized}
_UNSUPPORTED_VERSION: Final = -32015


class SeenSignature(Struct, frozen=True, kw_only=True):
    """A transaction that names an account."""

    signature: str
    slot: int
    failed: bool
    is_final: bool
    at: datetime | None


class NoServerError(TransientError):
    """Every server fails, or rests after it has failed."""


class UnsupportedTransactionError(BotError):
    """The server is well and has the transaction, but in no form that it can give us."""


class _RpcError(Struct):
    code: int
    message: str = ""


class _Answer(Struct):
    jsonrpc: str
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _RpcError | None = None


class _Listed(Struct, rename="camel"):
    signature: str
    slot: int
    err: Any = None
    block_time: int | None = None
    confirmation_status: str | None = None
    """`None`, in the lists of some nodes: whoever asks for the transaction will see."""


class _Account(Struct):
    value: dict[str, Any] | None


_read_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_listed: Final = msgspec.json.Decoder(list[_Listed]).decode
_decode_slot: Final = msgspec.json.Decoder(int).decode
_read_text: Final = msgspec.json.Decoder(str).decode
_read_account: Final = msgspec.json.Decoder(_Account).decode


@dataclass(slots=True)
class ServerCounts:
    requests: int = 0
    failures: int = 0
    foreign_answers: int = 0
    """Those of `failures` that are no JSON-RPC."""


@dataclass(slots=True)
class _Server:
    host: str
    client: AsyncHTTPProvider
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
                AsyncHTTPProvider(
                    url, timeout=TIMEOUT_S, rate_limit=requests_per_s, http2=False, max_transport_retries=0
                ),
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

    @property
    def servers(self) -> int:
        return len(self._servers)

    async def signatures(
        self, account: str, *, before: str | None = None, limit: int = MAX_SIGNATURES
    ) -> list[SeenSignature]:
        """Return transactions that name an account, confirmed ones too, newest first, older than `before`."""
        config = RpcSignaturesForAddressConfig(
            before=Signature.from_string(before) if before else None, limit=limit, commitment=CommitmentLevel.Confirmed
        )
        body = GetSignaturesForAddress(Pubkey.from_string(account), config)
        (found,) = await self._ask(lambda client: _answer(client, body, _read_listed))
        return found

    async def transactions(self, signature: str, commitment: Commitment, *, servers: int = 1) -> list[bytes | None]:
        """Return what each of so many servers says of a transaction: JSON for `solana_transfers.incoming`.

        `None`: unknown to it at this commitment, or not yet. Raises `UnsupportedTransactionError`.
        """
        config = RpcTransactionConfig(
            encoding=UiTransactionEncoding.JsonParsed,
            commitment=_LEVELS[commitment],
            max_supported_transaction_version=0,
        )
        body = GetTransaction(Signature.from_string(signature), config)

        answers = await self._ask(lambda client: _answer(client, body, bytes), servers)
        return [None if answer == b"null" else answer for answer in answers]

    async def slot(self) -> int:
        """Return the newest finalized slot that any server knows; those that are far behind it rest."""
        body = GetSlot(RpcContextConfig(commitment=CommitmentLevel.Finalized))
        slots: dict[str, int] = {}

        async def ask(client: AsyncHTTPProvider) -> int:
            slots[str(client.endpoint_uri)] = slot = await _answer(client, body, _read_slot)
            return slot

        newest = max(await self._ask(ask, len(self._servers), at_least=1))
        for server in self._servers:
            behind = newest - slots.get(str(server.client.endpoint_uri), newest)
            if behind > MAX_LAG_SLOTS:
                self._let_rest(server, f"{behind} slots behind")
        return newest

    async def first_slot(self) -> int:
        """Return from where on every server that answers has what happened: older slots were pruned."""
        answers = await self._ask(
            lambda client: _answer(client, GetFirstAvailableBlock(), _read_slot), len(self._servers), at_least=1
        )
        return max(answers)

    async def genesis_hash(self) -> str:
        """Return what tells one cluster from another."""
        (found,) = await self._ask(lambda client: _answer(client, GetGenesisHash(), _read_text))
        return found

    async def genesis_hashes(self) -> list[tuple[str, str | None]]:
        """Return what each server calls its cluster, with its host; `None` where it does not answer."""
        found: list[tuple[str, str | None]] = []
        for server in self._servers:
            try:
                async with self._asking(server):
                    found.append((server.host, await _answer(server.client, GetGenesisHash(), _read_text)))
            except TransientError:
                found.append((server.host, None))
        return found

    async def exists(self, address: str) -> bool:
        """Whether there is an account at an address, even if only since now."""
        config = RpcAccountInfoConfig(encoding=UiAccountEncoding.Base64, commitment=CommitmentLevel.Processed)
        body = GetAccountInfo(Pubkey.from_string(address), config)
        (found,) = await self._ask(lambda client: _answer(client, body, _read_account))
        return found.value is not None

    async def _ask(
        self, question: Callable[[AsyncHTTPProvider], Awaitable[T]], count: int = 1, *, at_least: int | None = None
    ) -> list[T]:
        """Return the answers of `count` servers, preferred ones first. `NoServerError` for fewer than `at_least`."""
        needed = count if at_least is None else at_least
        ready = [server for server in self._servers if server.rests_until <= self._clock()]
        answers: list[T] = []
        while ready and len(answers) < count and len(answers) + len(ready) >= needed:
            server = ready.pop(0)
            try:
                async with self._asking(server):
                    answers.append(await question(server.client))
            except TransientError as error:
                log.warning("solana_rpc_failed", host=server.host, reason=str(error), rest_s=server.rest_s)
        if len(answers) < needed:
            raise NoServerError(f"fewer than {needed} RPC servers of Solana answer ({self._last_problem()})")
        return answers

    def _last_problem(self) -> str | None:
        return next((server.problem for server in self._servers if server.problem), None)

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
        except RefusedError as error:
            self._let_rest(server, str(error))
            raise
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


async def _answer(client: AsyncHTTPProvider, body: JsonRpcRequestSerializer, read: Callable[[bytes], T]) -> T:
    """Ask, and read the result. Raises as solana-py does, `RefusedError`, and `ValueError` for what is no answer."""
    answer = _read_answer(await client.make_request_unparsed(body))
    if answer.error is not None:
        if answer.error.code == _UNSUPPORTED_VERSION:
            raise UnsupportedTransactionError(answer.error.message[:200])
        raise RefusedError(f"{answer.error.code}: {answer.error.message}"[:200])
    if answer.jsonrpc != "2.0" or answer.result is msgspec.UNSET:
        raise ValueError("no JSON-RPC")
    return read(bytes(answer.result))


def _read_slot(body: bytes) -> int:
    return checked_slot(_decode_slot(body))


def _read_listed(body: bytes) -> list[SeenSignature]:
    """Raises `ValueError` where anything is listed that cannot be: nothing of such a list is believed."""
    return [
        SeenSignature(
            signature=str(Signature.from_string(one.signature)),
            slot=checked_slot(one.slot),
            failed=one.err is not None,
            is_final=one.confirmation_status in (None, "finalized"),
            at=moment(one.block_time),
        )
        for one in _decode_listed(body)
    ]


def _host_of(url: str) -> str:
    """A URL of an RPC server often holds its key."""
    return URL(url).host_port_subcomponent or "?"
