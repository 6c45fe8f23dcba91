"""What is watched, by token, in the process that follows prices. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.tracking.standing import TokenState
from domain.watches.conditions import Condition
from domain.watches.evidence import Evidence
from services.watches.rows import StoredWatch

NEAR_S: Final = 20.0
"""As often a token is asked for that is near to what somebody waits for; two readings confirm."""
FAR_S: Final = 60.0
NEAR_BY: Final = 1.25
LIQUIDITY_FRESH_S: Final = 300.0
_SHARE: Final = 2
"""One in so many of what can be asked for is for watched tokens, where they want that much."""

StateOf = Callable[[str], TokenState | None]


@dataclass(slots=True)
class Live:
    """A watch that has not ended."""

    id: int
    condition: Condition
    base_usd: float | None
    armed: bool


@dataclass(slots=True)
class WatchedToken:
    evidence: Evidence
    watches: list[Live] = field(default_factory=list[Live])
    is_seen: bool = True
    """What it costs is written down."""
    asked_at: float = 0.0

    def waits_s(self, now: float) -> float:
        """For how long nobody has said all that is needed."""
        evidence = self.evidence
        is_whole = now - evidence.liquidity_at <= LIQUIDITY_FRESH_S
        return now - max(self.asked_at, evidence.at if is_whole else 0.0)

    def bound_s(self) -> float:
        price = self.evidence.price_usd
        if not price:
            return NEAR_S
        for live in self.watches:
            target = live.condition.target_usd(live.base_usd, self.evidence.supply)
            ratio = None if target is None else price / target
            if ratio is None or (ratio >= 1 / NEAR_BY if live.condition.side == "above" else ratio <= NEAR_BY):
                return NEAR_S
        return FAR_S


class Memory:
    def __init__(self) -> None:
        self.tokens: dict[str, WatchedToken] = {}
        self._known: dict[int, str] = {}
        """By watch: its token."""

    def __len__(self) -> int:
        """Watches."""
        return len(self._known)

    def clear(self) -> None:
        self.tokens, self._known = {}, {}

    def load(
        self, stored: Iterable[StoredWatch], state_of: StateOf, *, keep: Callable[[], Collection[int]] = tuple
    ) -> None:
        """Take these for all there are; what prices have said stays. `keep`: whose state is not written down yet."""
        before, kept = self.tokens, keep()
        armed = {live.id: live.armed for token in before.values() for live in token.watches if live.id in kept}
        self.clear()
        for one in stored:
            if one.token_address in before and one.token_address not in self.tokens:
                token = before[one.token_address]
                token.watches = []
                self.tokens[one.token_address] = token
            self._add(one, state_of, armed=armed.get(one.id, one.armed))

    def apply(self, changed: Iterable[StoredWatch], state_of: StateOf) -> None:
        """Take up what has begun and what has ended."""
        for one in changed:
            if one.ended:
                self._remove(one.id)
            elif one.id not in self._known:
                self._add(one, state_of, armed=one.armed)

    def due(self, now: float, room: int) -> Sequence[str]:
        """Whom to ask for now, the most overdue first; they count as asked."""
        waiting = [(token.waits_s(now) / token.bound_s(), address) for address, token in self.tokens.items()]
        overdue = sorted((one for one in waiting if one[0] >= 1), reverse=True)[: -(-room // _SHARE)]
        for _, address in overdue:
            self.tokens[address].asked_at = now
        return [address for _, address in overdue]

    def _add(self, one: StoredWatch, state_of: StateOf, *, armed: bool) -> None:
        token = self.tokens.get(one.token_address)
        if token is None:
            token = self.tokens[one.token_address] = WatchedToken(_evidence(one, state_of(one.token_address)))
        if token.evidence.supply is None:
            token.evidence.supply = one.supply
        token.watches.append(Live(one.id, one.condition, one.base_usd, armed))
        self._known[one.id] = one.token_address

    def _remove(self, watch_id: int) -> None:
        address = self._known.pop(watch_id, None)
        if address is None:
            return
        token = self.tokens[address]
        token.watches = [live for live in token.watches if live.id != watch_id]
        if not token.watches:
            del self.tokens[address]


def _evidence(one: StoredWatch, state: TokenState | None) -> Evidence:
    """Begin with what is known of the token's price: who looked last, and what it was then."""
    evidence = Evidence(supply=one.supply)
    if one.price_usd is not None and one.seen_at is not None:
        evidence.price_usd = evidence.settled_usd = one.price_usd
        evidence.at = one.seen_at.timestamp()
    if state is not None and state.at > evidence.at:
        evidence.price_usd = evidence.settled_usd = state.price_usd
        evidence.at = state.at
    if state is not None and state.liquidity_usd is not None:
        evidence.take_liquidity(state.liquidity_usd, state.liquidity_at)
    return evidence
