"""Who is matched: the subscribers of this process's partitions who receive at this moment, in the matcher."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.matching.matcher import Matcher
from domain.subscribers.partitions import Partition, partition_of
from domain.subscribers.subscriber import Subscriber
from services.subscribers.followers import Followers

State = Literal["receiving", "paused", "unreachable", "expired", "banned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UserCounts:
    total: int
    receiving: int
    paused: int
    unreachable: int
    expired: int
    banned: int


def state_of(subscriber: Subscriber, now: datetime) -> State:
    """Why a subscriber does or does not receive, the most telling reason first."""
    if subscriber.banned_at:
        return "banned"
    if subscriber.unreachable:
        return "unreachable"
    if not subscriber.has_plan_at(now):
        return "expired"
    return "paused" if subscriber.paused else "receiving"


class Roster:
    def __init__(self, matcher: Matcher, clock: Callable[[], datetime]) -> None:
        self.matcher = matcher
        self.followers = Followers()
        self._clock = clock
        self._states: dict[int, State] = {}
        self._in_state = Counter[State]()
        """How many are in each, kept because walking over everybody would hold up the alerts."""
        self._ends: list[tuple[datetime, int]] = []
        self._ends_at: dict[int, datetime] = {}

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, user_id: int) -> bool:
        return user_id in self._states

    def load(self, subscribers: Iterable[Subscriber]) -> None:
        """Take in many who are not known yet."""
        now = self._clock()
        unknown = [s for s in subscribers if s.user_id not in self._states]
        receiving = (s for s in unknown if s.receives_at(now))
        self.matcher.load(filter_set for s in receiving for filter_set in s.matched_sets)
        for subscriber in unknown:
            self._note(subscriber, now)

    def put(self, subscriber: Subscriber, before: Subscriber | None = None) -> None:
        """Take in what a subscriber wants from now on; without `before` as if everything had changed.

        So it is for somebody who is not known yet: the matcher has nothing of them, and `load` will pass them over.
        """
        now = self._clock()
        receives = subscriber.receives_at(now)
        if subscriber.user_id not in self._states:
            before = None
        if before is None or receives != before.receives_at(now) or subscriber.matched_sets != before.matched_sets:
            if receives:
                self.matcher.put_subscriber(subscriber.user_id, subscriber.matched_sets)
            else:
                self.matcher.remove_subscriber(subscriber.user_id)
        self._note(subscriber, now)

    def of(self, partitions: Iterable[Partition]) -> list[int]:
        """Return the ids of the known subscribers of these partitions."""
        wanted = frozenset(partitions)
        return [user_id for user_id in self._states if partition_of(user_id) in wanted]

    def forget(self, user_ids: Iterable[int]) -> None:
        for user_id in user_ids:
            self.matcher.remove_subscriber(user_id)
            self._enter(user_id, None)
            self._ends_at.pop(user_id, None)
            self.followers.forget(user_id)

    def state(self, user_id: int) -> State | None:
        return self._states.get(user_id)

    def ids(self) -> list[int]:
        """The known subscribers, in the order in which they came."""
        return list(self._states)

    def expire_due(self) -> int:
        """Take everybody whose time has run out from the matcher; O(1) when nobody's has."""
        now, expired = self._clock(), 0
        while self._ends and self._ends[0][0] <= now:
            ended_at, user_id = heapq.heappop(self._ends)
            if self._ends_at.get(user_id) != ended_at:
                continue  # renewed since
            self.matcher.remove_subscriber(user_id)
            self._enter(user_id, "expired")
            expired += 1
        return expired

    def forget_ended_early(self) -> int:
        """Forget who was taken out by a clock that ran ahead; returns how many they are."""
        now = self._clock()
        early = [
            user_id
            for user_id, ends_at in self._ends_at.items()
            if ends_at > now and self._states.get(user_id) == "expired"
        ]
        self.forget(early)
        return len(early)

    def count_followers(self, preset_key: str) -> int:
        return len(self.followers.of(preset_key))

    def counts(self) -> UserCounts:
        states = self._in_state
        return UserCounts(
            total=len(self._states),
            receiving=states["receiving"],
            paused=states["paused"],
            unreachable=states["unreachable"],
            expired=states["expired"],
            banned=states["banned"],
        )

    def _enter(self, user_id: int, state: State | None) -> None:
        """`None`: they are not known any more."""
        before = self._states.pop(user_id, None) if state is None else self._states.get(user_id)
        if before is not None:
            self._in_state[before] -= 1
        if state is not None:
            self._states[user_id] = state
            self._in_state[state] += 1

    def _note(self, subscriber: Subscriber, now: datetime) -> None:
        self._enter(subscriber.user_id, state_of(subscriber, now))
        self.followers.note(subscriber)
        ends_at = None if subscriber.banned_at else subscriber.ends_at
        if ends_at is None:
            self._ends_at.pop(subscriber.user_id, None)
        elif ends_at > now and self._ends_at.get(subscriber.user_id) != ends_at:
            self._ends_at[subscriber.user_id] = ends_at
            heapq.heappush(self._ends, (ends_at, subscriber.user_id))
