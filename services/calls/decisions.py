"""From a batch of calls to claimed alerts: enrich, match, claim in one Redis round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
import structlog
from msgspec.structs import replace

from domain.calls.events import Call
from domain.calls.lifetimes import FRESH_FOR
from domain.calls.score import score
from domain.matching.matcher import Matcher
from domain.stored.accepted import AcceptedToken
from domain.stored.alerts import WaitingCall
from domain.stored.journal import DecidedCall
from domain.subscribers.partitions import Partition
from runtime.fault_points import fault_point
from services.calls.channels import ChannelsService
from services.calls.tokens import TokensService
from services.claims.claiming import CheckedChannel
from services.claims.outbox import ClaimRequest, FeedCursor, Outbox
from services.monitoring.metrics import Metrics
from services.subscribers.roster import Roster

log = structlog.get_logger(__name__)

_encode = msgspec.json.Encoder().encode


class DecisionsService:
    def __init__(
        self,
        *,
        matcher: Matcher,
        channels: ChannelsService,
        tokens: TokensService,
        roster: Roster,
        outbox: Outbox,
        metrics: Metrics,
        clock: Callable[[], datetime],
        is_sure: Callable[[], bool] = lambda: True,
        made_wait: Callable[[datetime], bool] = lambda _called_at: False,
        blocked: Callable[[str], bool] = lambda _channel_id: False,
    ) -> None:
        """`is_sure`: whether the clock is; by one that may be wrong, no call is given up as old.

        `made_wait`: whether a call of this time is late only since an admin let it wait. `blocked`: whether a channel's
        calls are for nobody.
        """
        self._is_sure = is_sure
        self._made_wait = made_wait
        self._blocked = blocked
        self._matcher = matcher
        self._channels = channels
        self._tokens = tokens
        self._roster = roster
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock

    async def enrich(self, calls: Sequence[Call]) -> list[Call]:
        """Fill in what the calls do not say about their channel and token, in the order given."""
        now = self._clock()
        for call in calls:
            self._metrics.stage("queue", (now - call.received_at).total_seconds())
        with self._metrics.timed("enrich"):
            return await self._tokens.enrich(await self._channels.enrich(calls))

    async def decide(self, calls: Sequence[Call]) -> list[ClaimRequest]:
        """Enrich and match a batch."""
        return self.match(await self.enrich(calls))

    async def decide_again(self, calls: Sequence[Call]) -> list[ClaimRequest]:
        """`decide` for subscribers who were not there the first time; the calls have been counted then."""
        requests = await self.decide(calls)
        self._metrics.counts.calls_received -= len(calls)
        return requests

    def match(self, calls: Iterable[Call]) -> list[ClaimRequest]:
        """Decide a batch in order; returns what is to be written down of it, which for most repeats is nothing.

        The matcher counts the pairs as accepted: the result must be claimed, or what is not given to `take_back`.
        """
        with self._metrics.timed("match"):
            self._roster.expire_due()
            decided = [self._decide_one(call) for call in calls]
        fault_point("decided")
        return [request for request in decided if request is not None]

    async def claim(
        self,
        requests: Sequence[ClaimRequest],
        cursor: FeedCursor | None = None,
        match_cursors: Mapping[Partition, str] | None = None,
    ) -> int:
        """Claim decided pairs; idempotent, so it may be repeated after a lost reply. Returns new claims."""
        with self._metrics.timed("claim"):
            claimed = sum(map(len, await self._outbox.claim(requests, cursor, match_cursors)))
        self._metrics.counts.alerts_claimed += claimed
        if accepted := [_shown(request) for request in requests if request.accepted]:
            log.info("calls_accepted", calls=accepted)
        return claimed

    def take_back(self, requests: Iterable[ClaimRequest]) -> None:
        """Nobody here will claim these pairs. Should their subscribers come back here, they have to pass again."""
        for request in requests:
            self._matcher.take_back(request.token_address, [user_id for user_id, _ in request.accepted])

    def _decide_one(self, call: Call) -> ClaimRequest | None:
        counts = self._metrics.counts
        counts.calls_received += 1
        now = self._clock()
        age = now - call.called_at
        if self._blocked(call.channel.id):
            counts.calls_blocked += 1
            return _request(call, now, reason="blocked")
        if age > FRESH_FOR and self._is_sure() and not self._made_wait(call.called_at):
            counts.calls_stale += 1
            log.info("call_stale", call_id=call.id, age_s=age.total_seconds())
            return _request(call, now, reason="stale")
        decision = self._matcher.decide(call, now)
        # What only seems to be old is as old as that until somebody knows better: when it is sent, that is known.
        decided_at = self._clock() if age <= FRESH_FOR else call.called_at
        self._metrics.decided(call.received_at, decided_at)
        if decision.reason == "already_checked":
            return None
        request = _request(call, decided_at, reason=decision.reason, checked_channels=decision.checked_channels)
        checked = None
        if decision.reason != "newcomers":  # those have records of their own, and everybody else's stays as it is
            is_first = len(decision.checked_channels) == 1
            checked = CheckedChannel(channel_id=call.channel.id, called_at=call.called_at, at=now, is_first=is_first)
        waiting = WaitingCall(call=call, pairs=decision.waiting) if decision.waiting else None
        if not decision.accepted:
            return replace(request, checked=checked, waiting=waiting)
        counts.alerts_matched += len(decision.accepted)
        record = self._matcher.token_record(call.token.address, "accepted")
        return replace(
            request,
            call_payload=_encode(call),
            accepted=decision.accepted,
            also=decision.also,
            accepted_record=_encode(AcceptedToken.of(record, call, decided_at)) if record else b"",
            checked=checked,
            score=score(call),
            waiting=waiting,
        )


def _shown(request: ClaimRequest) -> dict[str, object]:
    """For the log: what a call is called on its whole way, when its frame came, for how many it passed and when."""
    return {
        "call_id": request.call_id,
        "received_at": request.received_at.isoformat(),
        "decided_at": request.decided_at.isoformat(),
        "accepted": len(request.accepted),
    }


def _request(call: Call, decided_at: datetime, *, reason: str, checked_channels: tuple[str, ...] = ()) -> ClaimRequest:
    """The request of a call that nobody is accepted for."""
    decided = DecidedCall(call=call, decided_at=decided_at, reason=reason, checked_channels=checked_channels)
    return ClaimRequest(
        call_id=call.id,
        token_address=call.token.address,
        call_payload=b"",
        decided_payload=_encode(decided),
        accepted=(),
        accepted_record=b"",
        received_at=call.received_at,
        decided_at=decided_at,
        score=0,
    )
