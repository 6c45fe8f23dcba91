"""What is known of a token that somebody names: its figures now, its calls here, and what came of them for who asks.

Everybody may ask providers so often a minute; beyond that, they are told what is known here already.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, cast

from msgspec import Struct

from domain.calls import figures
from domain.calls.addresses import is_evm
from domain.calls.events import Call, Chain, Origin, Token
from domain.posts.gathering import Candidate
from domain.prices.readings import TokenRef
from services.calls.tokens import TokensService
from services.providers.figures import FiguresService
from services.tokens.identifying import Identifying
from services.tokens.outcomes import MAX_OUTCOMES, CallOutcome, Outcomes
from services.why.answers import CallExplanation, Explanation
from services.why.explanations import MAX_CALLS, ExplanationsService

ASKED_A_MINUTE: Final = 10
MAX_CANDIDATES: Final = 3
"""Of one text; it may name a hundred."""
WITHIN_S: Final = 2.0
_MINUTE: Final = timedelta(minutes=1)
_REMEMBERED: Final = 10_000


class CalledHere(Struct, frozen=True, kw_only=True):
    channel: str
    """Title, or id. Attacker-controlled text."""
    channel_id: str
    called_at: datetime
    market_cap_usd: float | None
    outcome: CallOutcome | None
    """`None`: it was not followed, or does not count."""


class KnownToken(Struct, frozen=True, kw_only=True):
    token: Token
    """Every figure has an origin."""
    calls: tuple[CalledHere, ...]
    """The first one first."""
    explanation: Explanation | None
    """What its calls came to for who asks; `None` where nobody called it in 14 days."""
    at: datetime
    asked: bool = True
    """Whether providers were asked for its figures just now."""
    complete: bool = True
    """Whether `calls` are all that are known."""

    @property
    def telling(self) -> CallExplanation | None:
        """The call that brought them an alert, else the newest."""
        if self.explanation is None:
            return None
        calls = self.explanation.calls
        return next((one for one in calls if one.outcome == "accepted"), calls[0])


class TokenKnowledge:
    def __init__(
        self,
        *,
        identifying: Identifying,
        outcomes: Outcomes,
        explanations: ExplanationsService,
        tokens: TokensService,
        figures: FiguresService,
        clock: Callable[[], datetime],
        main_of: Callable[[str], str] = str,
    ) -> None:
        """`main_of`: the id by which a channel is known now."""
        self._main_of = main_of
        self._identifying = identifying
        self._outcomes = outcomes
        self._explanations = explanations
        self._tokens = tokens
        self._figures = figures
        self._clock = clock
        self._asked: OrderedDict[int, deque[datetime]] = OrderedDict()

    async def find(self, user_id: int, named: Sequence[Candidate]) -> KnownToken | None:
        """Return the first of the addresses of which anything is known. `UserFacingError` for somebody unknown."""
        may_ask = self._may_ask(user_id)
        for one in named[:MAX_CANDIDATES]:
            explanation = await self._explanations.why_token(user_id, one.address)
            if explanation is not None:
                chain = explanation.calls[0].decided.call.token.chain
                return await self._known(TokenRef(one.address, chain), explanation, may_ask=may_ask)
        for one in named[:MAX_CANDIDATES]:
            ref = await self._identifying.token(one) if may_ask else _as_named(one)
            if ref is None:
                continue
            explanation = await self._explanations.why_token(user_id, ref.address)
            known = await self._known(ref, explanation, may_ask=may_ask)
            if known.token.origins or known.calls:
                return known
        return None

    async def of(self, user_id: int, address: str) -> KnownToken | None:
        """`find`, for an address that a button names."""
        chain = None if is_evm(address) else "solana"
        return await self.find(user_id, [Candidate(address=address, chain=chain, found="bare_address")])

    async def _known(self, ref: TokenRef, explanation: Explanation | None, *, may_ask: bool) -> KnownToken:
        outcomes = await self._outcomes.of(ref.address)
        token = await self._now(ref, explanation, may_ask=may_ask)
        calls = [] if explanation is None else [one.decided.call for one in explanation.calls]
        return KnownToken(
            token=token,
            calls=self._called(calls, outcomes),
            explanation=explanation,
            at=self._clock(),
            asked=may_ask,
            complete=len(calls) < MAX_CALLS and len(outcomes) < MAX_OUTCOMES,
        )

    def _called(self, calls: Sequence[Call], outcomes: Sequence[CallOutcome]) -> tuple[CalledHere, ...]:
        """What is older than calls are kept is known by its outcome alone."""
        by_id = {one.call_id: one for one in outcomes}
        found = [
            CalledHere(
                channel=call.channel.title or call.channel.id,
                channel_id=self._main_of(call.channel.id),
                called_at=call.called_at,
                market_cap_usd=call.token.market_cap_usd,
                outcome=_counted(by_id.pop(call.id, None)),
            )
            for call in calls
        ]
        found += [
            CalledHere(
                channel=one.channel,
                channel_id=self._main_of(one.channel_id),
                called_at=one.called_at,
                market_cap_usd=one.market_cap_usd,
                outcome=_counted(one),
            )
            for one in by_id.values()
        ]
        return tuple(sorted(found, key=lambda one: one.called_at))

    async def _now(self, ref: TokenRef, explanation: Explanation | None, *, may_ask: bool) -> Token:
        """Take each figure from where it is newest: providers, ticks, the last call."""
        said: list[Token] = []
        if may_ask:
            found = await self._figures.of([ref], within_s=WITHIN_S)
            said += [token for token in (found.get(ref.key), await self._tokens.latest(ref.address)) if token]
        if explanation is not None:
            said.append(self._as_called(explanation.calls[0].shown))
        return figures.newest(ref.address, said, cast("Chain", ref.chain))

    def _as_called(self, call: Call) -> Token:
        return figures.attributed(call.token, Origin(self._tokens.source_name, call.called_at))

    def _may_ask(self, user_id: int) -> bool:
        """Whether they may have providers asked once more."""
        now, asked = self._clock(), self._asked.setdefault(user_id, deque())
        self._asked.move_to_end(user_id)
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        while asked and now - asked[0] > _MINUTE:
            asked.popleft()
        if len(asked) >= ASKED_A_MINUTE:
            return False
        asked.append(now)
        return True


def _as_named(one: Candidate) -> TokenRef | None:
    chain: Chain | None = "solana" if not is_evm(one.address) else None
    return None if chain is None else TokenRef(one.address, chain)


def _counted(outcome: CallOutcome | None) -> CallOutcome | None:
    return outcome if outcome is not None and outcome.counts else None
