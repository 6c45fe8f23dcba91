"""Calls that somebody would take if a missing figure were known: checked again until it is, or their patience ends.

Who waits stands in Redis, written by the claim that decided the call, so a kill loses nobody. A pair that passes is
claimed like any other, with the time that has passed since the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, cast

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.calls.events import Call, Token
from domain.calls.figures import NO_FIGURES
from domain.calls.score import score
from domain.matching.matcher import Look, Matcher
from domain.stored.accepted import AcceptedToken
from domain.stored.alerts import WaitingCall
from domain.subscribers.partitions import Partition, partition_of
from managers.redis.client import Command, RedisManager
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause
from services.claims.claiming import ClaimRequest
from services.claims.outbox import Outbox
from services.cluster.fencing import LeaseLostError
from services.cluster.ownership import Ownership
from services.monitoring.metrics import Metrics
from services.stores import keys

log = structlog.get_logger(__name__)

POLL_EVERY_S: Final = 3.0
FIRST_PAUSE_S: Final = 3.0
MAX_PAUSE_S: Final = 30.0
"""A token that stays unknown is asked about less and less often."""
CALLS_AT_ONCE: Final = 1_000
ASKED_AT_ONCE: Final = 10
ANSWER_TIMEOUT_S: Final = 5.0


class LatestFigures(Protocol):
    """What is newly known about a token; `services.calls.tokens.TokensService` in the running bot."""

    async def latest(self, address: str) -> Token | None: ...


class Pause(Struct, kw_only=True):
    next_poll_at: datetime
    length_s: float


class LateService:
    def __init__(
        self,
        *,
        redis: RedisManager,
        outbox: Outbox,
        matcher: Matcher,
        tokens: LatestFigures,
        metrics: Metrics,
        clock: Callable[[], datetime],
        ownership: Ownership,
        blocked: Callable[[str], bool] = lambda _channel_id: False,
    ) -> None:
        """`blocked`: whether a channel's calls are for nobody."""
        self._blocked = blocked
        self._redis = redis
        self._outbox = outbox
        self._matcher = matcher
        self._tokens = tokens
        self._metrics = metrics
        self._clock = clock
        self._ownership = ownership
        self._pauses: dict[str, Pause] = {}

    async def run(self, progress: Progress) -> None:
        """Look again and again until cancelled."""
        while True:
            progress()
            if self._ownership.is_loaded:  # before, the matcher would take a pair for gone
                await retry_until_done(partial(self.poll, progress), progress)
            await pause(POLL_EVERY_S, progress)

    async def poll(self, progress: Progress = lambda: None) -> int:
        """Look once at everything whose pause is over; returns how many late alerts were claimed."""
        waiting = await self._waiting()
        addresses = {one.call.token.address for one in waiting}
        self._pauses = {address: pause for address, pause in self._pauses.items() if address in addresses}
        now = self._clock()
        due = [one for one in waiting if self._is_due(one.call.token.address, now) or one.until <= now]
        figures = await self._figures({one.call.token.address for one in due}, progress)
        requests = [self._request(one, figures.get(one.call.token.address)) for one in due]
        changed = [request for request in requests if request is not None]
        # The matcher counts these as accepted by now: this very claim has to succeed, however long Redis is down, or
        # they are taken back.
        try:
            claimed = sum(map(len, await retry_until_done(lambda: self._outbox.claim(changed), progress)))
        except LeaseLostError as error:
            # Nothing was changed. Who is still waited for here passes again at the next look.
            log.warning("late_claim_refused", reason=str(error))
            for request in changed:
                self._matcher.take_back(request.token_address, [user_id for user_id, _ in request.accepted])
            return 0
        self._metrics.counts.alerts_claimed += claimed
        self._metrics.counts.alerts_late += claimed
        return claimed

    async def _waiting(self) -> list[WaitingCall]:
        found = await self._waiting_ids()
        documents = await self._redis.mget([keys.WAITING_CALL.of(*one) for one in found])
        waiting: dict[str, WaitingCall] = {}
        gone: list[Command] = []
        for (partition, call_id), document in zip(found, documents, strict=True):
            try:
                part = msgspec.json.decode(document or b"", type=WaitingCall)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("waiting_call_dropped", call_id=call_id, reason=str(error))
                gone.append(("ZREM", keys.WAITING_CALLS.of(partition), call_id))
                continue
            pairs = waiting[call_id].pairs if call_id in waiting else ()
            waiting[call_id] = replace(part, pairs=(*pairs, *part.pairs))
        await self._redis.transaction(gone)
        return list(waiting.values())

    async def _waiting_ids(self) -> list[tuple[Partition, str]]:
        partitions = sorted(self._ownership.matched())
        ask: list[Command] = [
            ("ZRANGEBYSCORE", keys.WAITING_CALLS.of(p), "-inf", "+inf", "LIMIT", 0, CALLS_AT_ONCE) for p in partitions
        ]
        replies = await self._redis.transaction(ask)
        found = zip(partitions, cast("list[list[bytes]]", replies), strict=True)
        return [(partition, member.decode()) for partition, members in found for member in members]

    def _is_due(self, address: str, now: datetime) -> bool:
        pause = self._pauses.get(address)
        return pause is None or pause.next_poll_at <= now

    async def _figures(self, addresses: set[str], progress: Progress) -> dict[str, Token]:
        """Ask for every token once, a few at a time. Who does not answer is asked later."""
        slots = asyncio.Semaphore(ASKED_AT_ONCE)
        found: dict[str, Token] = {}

        async def ask(address: str) -> None:
            async with slots:
                try:
                    async with asyncio.timeout(ANSWER_TIMEOUT_S):
                        token = await self._tokens.latest(address)
                except TimeoutError:
                    self._metrics.counts.fallbacks["late figures"] += 1
                    token = None
            progress()
            if token is not None:
                found[address] = token

        async with asyncio.TaskGroup() as group:
            for address in sorted(addresses):
                group.create_task(ask(address), name=f"figures of {address}")
        return found

    def _request(self, waiting: WaitingCall, token: Token | None) -> ClaimRequest | None:
        """Hold the pairs against what is known now; `None` when nothing has changed for any of them."""
        now = self._clock()
        address = waiting.call.token.address
        call = waiting.call if token is None else replace(waiting.call, token=newest(waiting.call.token, token))
        is_blocked = self._blocked(call.channel.id)
        pairs = [(pair.user_id, pair.set_number) for pair in waiting.pairs if pair.until > now and not is_blocked]
        found = self._matcher.recheck(call, pairs, now)
        if not found.accepted and found.waiting == waiting.pairs:
            self._pause(address, now)
            return None
        self._pauses.pop(address, None)
        log.info("waiting_call_rechecked", call_id=call.id, accepted=len(found.accepted), left=len(found.waiting))
        waited = tuple(sorted({partition_of(pair.user_id) for pair in waiting.pairs}))
        return replace(self._claim_of(call, found, now), ends_waiting=waited)

    def _claim_of(self, call: Call, found: Look, now: datetime) -> ClaimRequest:
        encode = msgspec.json.encode
        record = self._matcher.token_record(call.token.address, "accepted") if found.accepted else None
        # To the millisecond, as the name of the stored call has it.
        decided_at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return ClaimRequest(
            call_id=call.id,
            token_address=call.token.address,
            call_payload=encode(call),
            accepted=found.accepted,
            also=found.also,
            accepted_record=b"" if record is None else encode(AcceptedToken.of(record, call, decided_at)),
            received_at=call.received_at,
            decided_at=decided_at,
            score=score(call),
            late_s=max(0.0, (now - call.called_at).total_seconds()),
            waiting=WaitingCall(call=call, pairs=found.waiting) if found.waiting else None,
        )

    def _pause(self, address: str, now: datetime) -> None:
        known = self._pauses.get(address)
        length_s = FIRST_PAUSE_S if known is None else min(MAX_PAUSE_S, known.length_s * 1.5)
        self._pauses[address] = Pause(next_poll_at=now + timedelta(seconds=length_s), length_s=length_s)


def newest(known: Token, latest: Token) -> Token:
    """Take every figure that is known now, and keep the others."""
    given = {
        name: value
        for name in latest.__struct_fields__
        if name not in NO_FIGURES and (value := getattr(latest, name)) is not None
    }
    disputed = {name: other for name, other in known.disputed.items() if name not in given} | latest.disputed
    return replace(known, **given, origins={**known.origins, **latest.origins}, disputed=disputed)
