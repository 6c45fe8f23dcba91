"""From a batch of calls to claimed alerts: enrich, match, claim in one Redis round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from domain.calls import Call
from domain.matching import Matcher, ProcessedToken, Waiting
from domain.score import score
from services.channels import ChannelsService
from services.claims import WaitingCall
from services.journal_rows import DecidedCall
from services.metrics import Metrics
from services.outbox import ClaimRequest, FeedCursor, Outbox
from services.tokens import TokensService
from services.users import UsersService

log = structlog.get_logger(__name__)

FRESH_FOR = timedelta(minutes=10)
"""A call older than this is no news: it is recorded as seen by nobody and not sent as if it were new."""


class DecisionsService:
    def __init__(
        self,
        *,
        matcher: Matcher,
        channels: ChannelsService,
        tokens: TokensService,
        users: UsersService,
        outbox: Outbox,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._matcher = matcher
        self._channels = channels
        self._tokens = tokens
        self._users = users
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock

    async def decide(self, calls: Sequence[Call]) -> list[ClaimRequest]:
        """Decide a batch in order. The result must be claimed: the matcher counts its pairs as accepted."""
        enriched = await self._tokens.enrich(await self._channels.enrich(calls))
        self._users.expire_due()
        return [self._decide_one(call) for call in enriched]

    async def claim(self, requests: Sequence[ClaimRequest], cursor: FeedCursor | None) -> int:
        """Claim decided pairs; idempotent, so it may be repeated after a lost reply. Returns new claims."""
        claimed = sum(map(len, await self._outbox.claim(requests, cursor)))
        self._metrics.counts.alerts_claimed += claimed
        return claimed

    def _decide_one(self, call: Call) -> ClaimRequest:
        counts = self._metrics.counts
        counts.calls_received += 1
        now = self._clock()
        age = now - call.called_at
        if age > FRESH_FOR:
            counts.calls_stale += 1
            log.info("call_stale", call_id=call.id, age_s=age.total_seconds())
            return _request(call, (), now, reason="stale")
        decision = self._matcher.decide(call, now)
        decided_at = self._clock()
        self._metrics.decided(call.received_at, decided_at)
        counts.alerts_matched += len(decision.accepted)
        address = call.token.address
        return _request(
            call,
            decision.accepted,
            decided_at,
            reason=decision.reason,
            checked_channels=decision.checked_channels,
            waiting=decision.waiting,
            accepted_record=self._matcher.token_record(address, "accepted") if decision.accepted else None,
            rejected_record=self._matcher.token_record(address, "rejected"),
        )


class AcceptedToken(ProcessedToken, frozen=True, kw_only=True):
    call_id: str
    """The call that was accepted."""

    @classmethod
    def of(cls, record: ProcessedToken, call: Call) -> AcceptedToken:
        return cls(**msgspec.structs.asdict(record), call_id=call.id)


def _request(
    call: Call,
    accepted: Sequence[tuple[int, int]],
    decided_at: datetime,
    *,
    reason: str,
    checked_channels: tuple[str, ...] = (),
    waiting: tuple[Waiting, ...] = (),
    accepted_record: ProcessedToken | None = None,
    rejected_record: ProcessedToken | None = None,
) -> ClaimRequest:
    encode = msgspec.json.encode
    decided = DecidedCall(call=call, decided_at=decided_at, reason=reason, checked_channels=checked_channels)
    return ClaimRequest(
        call_id=call.id,
        token_address=call.token.address,
        call_payload=encode(call) if accepted else b"",
        decided_payload=b"" if reason == "already_checked" else encode(decided),
        accepted=accepted,
        accepted_record=encode(AcceptedToken.of(accepted_record, call)) if accepted_record else b"",
        rejected_record=encode(rejected_record) if rejected_record else None,
        received_at=call.received_at,
        decided_at=decided_at,
        score=score(call),
        waiting=WaitingCall(call=call, pairs=waiting) if waiting else None,
    )
