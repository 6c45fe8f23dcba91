"""Who gets this call? The flow chart per (token, subscriber), answered for everybody at once.

- Accepted: skipped for 14 days, whichever channel calls and whatever the subscriber changes. Then there is no record:
  what others were checked against meanwhile says nothing about who was skipped.
- No record, or it ended: the call is checked. Passed: accepted. Failed: rejected for an hour, the channel noted.
- Rejected: a channel that was checked is skipped, a new one is checked. Passed: accepted. Failed: the channel is
  noted and the hour begins anew.
- Who joined or changed a filter is checked as if never rejected.

The chart asks whether the filters pass; a rule that waits for a value cannot say yet. Such a pair is not accepted,
and not rejected for good: in the chart it stands as rejected, with the channel noted, so that channel is not checked
again and a new one is; whoever keeps the pair looks at it again by `recheck` when the value arrives. That second look
belongs to the check that was made, so it needs no new channel and moves no timestamp. Passed: the rejected record is
upgraded to accepted, as a new channel would. Failed, or the wait is over: what remains is the rejected record. A
subscriber whom another channel or set brought the token meanwhile is accepted, and drops out.

All state is in memory and bounded: the least recently called tokens are forgotten first, which only means that
they are checked again. The claim in Redis decides whether an alert goes out a second time, not this memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
from msgspec import Struct

from domain.calls.events import Call
from domain.filters.registry import FIELDS, FilterField, FilterSet
from domain.matching.bits import Bitmap, add_rows
from domain.matching.directory import Slots
from domain.matching.index import FilterIndex, WaitingRow
from domain.matching.passing import first_of_each, numbers_of_each, others_passing
from domain.matching.seen_tokens import ACCEPTED_FOR_US, ChangeLog, TokenMemory, microseconds, moment

MAX_TOKENS: Final = 50_000
MAX_ACCEPTED: Final = 20_000_000
"""(token, subscriber) pairs in memory, four bytes each."""
MAX_BITMAP_BYTES: Final = 32 * 1024 * 1024
"""What the bitmaps may take that hold the accepted subscribers of a token, ready for its next call."""

Status = Literal["accepted", "rejected"]
Reason = Literal["first_check", "new_channel", "newcomers", "already_checked"]
"""`first_check`: no record, or it ended. `new_channel`: rejected before, by other channels. `newcomers`: checked
only for those who joined, changed something or were accepted until now. `already_checked`: nobody was left to check."""


class ProcessedToken(Struct, frozen=True, kw_only=True):
    """Who a token is accepted for has it in Redis as JSON, with ISO times: `processed_token:{address}:{user_id}`.

    Rejected: `processed_token:{address}` holds the same once for everybody, as a hash.
    """

    timestamp: datetime
    channels_checked: tuple[str, ...]
    status: Status
    channels_called_at: dict[str, datetime]
    """By channel id."""


Pair = tuple[int, int]
"""(user id, number of a filter set)"""


class PendingPair(Struct, frozen=True, kw_only=True, gc=False):
    """Every rule of the set that has a value passes, and at least one waits for its value."""

    user_id: int
    set_number: int
    until: datetime
    """`called_at` and the longest wait of the rules without a value."""
    missing: tuple[str, ...]
    """Keys of the fields it waits for, in the order of the set's rules."""


class Look(NamedTuple):
    """What came of holding a call against rows; each part is explained at `Decision`."""

    accepted: tuple[Pair, ...] = ()
    waiting: tuple[PendingPair, ...] = ()
    also: Mapping[int, tuple[int, ...]] = {}


class Decision(Struct, frozen=True, kw_only=True, gc=False):
    call: Call
    accepted: tuple[Pair, ...]
    """Each subscriber once, by the lowest number of a set that passed."""
    waiting: tuple[PendingPair, ...] = ()
    """Sets of subscribers who are not accepted, for `recheck` until their time is over."""
    also: Mapping[int, tuple[int, ...]] = {}
    """By user id, of those who are accepted: the numbers of their other sets that passed, ascending."""
    checked_channels: tuple[str, ...]
    """Channels checked for this token within the hour, for those who changed nothing meanwhile."""
    reason: Reason


def _reason(token: TokenMemory, channel_id: str) -> Reason:
    first = token.cohorts[0]
    if not first.channels:
        return "first_check"
    if channel_id not in first.channels:
        return "new_channel"
    if any(channel_id not in record.channels for record in token.records):
        return "newcomers"
    return "already_checked"


class Matcher:
    """Subscribers in, decisions out. For one thread.

    `now` is aware. It may step back, when a clock that ran ahead is set: who is accepted stays so for 14 days by the
    time at which that was decided, so the step only makes it longer; a rejection lasts an hour from the step at most.
    What a clock that ran ahead has ended before is checked again; then the claim in Redis decides.
    """

    def __init__(
        self,
        fields: Sequence[FilterField] = FIELDS,
        *,
        max_tokens: int = MAX_TOKENS,
        max_accepted: int = MAX_ACCEPTED,
    ) -> None:
        self.index = FilterIndex(fields)
        self._max_tokens = max_tokens
        self._max_accepted = max_accepted
        self._changes = ChangeLog()
        self._tokens: OrderedDict[str, TokenMemory] = OrderedDict()
        self._accepted_count = 0
        self._bitmaps: OrderedDict[str, tuple[int, Bitmap]] = OrderedDict()
        """By token: the index version a bitmap was made for, and all rows of the accepted subscribers."""

    @property
    def tokens_remembered(self) -> int:
        return len(self._tokens)

    @property
    def accepted_remembered(self) -> int:
        """(token, subscriber) pairs."""
        return self._accepted_count

    # subscribers

    def put_subscriber(self, user_id: int, filter_sets: Iterable[FilterSet]) -> None:
        """The subscriber joined, or changed something: these are all of their filter sets from now on."""
        current = tuple(filter_sets)
        if any(filter_set.user_id != user_id for filter_set in current):
            raise ValueError("a filter set of somebody else")
        for number in set(self.index.numbers_of(user_id)) - {filter_set.number for filter_set in current}:
            self.index.remove(user_id, number)
        for filter_set in current:
            self.index.put(filter_set)
        self._changes.add(np.array([self.index.slot(user_id)], dtype=np.int32))

    def remove_subscriber(self, user_id: int) -> None:
        """Nothing is matched for this person until the next `put_subscriber`."""
        for number in self.index.numbers_of(user_id):
            self.index.remove(user_id, number)

    def load(self, filter_sets: Iterable[FilterSet]) -> None:
        """Many subscribers join at once; may be called with one part after the other while calls are decided.

        Sets that a subscriber has already under other numbers stay.
        """
        current = list(filter_sets)
        self.index.load(current)
        slots = {self.index.slot(filter_set.user_id): None for filter_set in current}
        self._changes.add(np.fromiter(slots, dtype=np.int32, count=len(slots)))

    # decisions

    def decide(self, call: Call, now: datetime) -> Decision:
        """Check the call for whom the flow chart says so, and remember the outcome."""
        address, channel_id = call.token.address, call.channel.id
        now_us = microseconds(now)
        token = self._token(address)
        token.bring_up_to(now_us, self._changes)
        self._end_accepted(address, token, now_us)
        reason = _reason(token, channel_id)
        accepted, waiting, also = Look()
        if reason != "already_checked":
            hidden = self._hidden(call, token)
            token.note_check(channel_id, call.called_at, now_us)
            accepted, waiting, also = self._look(call, token, hidden, now)
        self._stay_bounded()
        checked = tuple(token.cohorts[0].channels)
        return Decision(
            call=call, accepted=accepted, waiting=waiting, also=also, checked_channels=checked, reason=reason
        )

    def recheck(self, call: Call, pairs: Iterable[Pair], now: datetime) -> Look:
        """Look again at pairs that `decide` left waiting: those accepted now, and those that wait still.

        `also` has whatever else passes by now of who is accepted, waiting or not: so says the explanation, too.
        `call` is the call that was decided, with the newer data of its token. The sets count as they are now. Who
        is in neither answer is out: a rule fails, the set is gone or off, the time is over, or the subscriber was
        accepted meanwhile. The caller leaves out pairs whose `until` has passed: by then it is too late to pass.
        """
        wanted = self.index.bitmap()
        rows = [row for pair in set(pairs) if (row := self.index.find(*pair)) is not None]
        add_rows(wanted, np.array(rows, dtype=np.int32))
        address = call.token.address
        token = self._token(address)
        self._end_accepted(address, token, microseconds(now))
        hidden = np.invert(wanted, wanted)
        if token.accepted:
            hidden |= self._accepted_rows(address, token)
        found = self._look(call, token, hidden, now, of_pairs=True)
        self._stay_bounded()
        return found

    def take_back(self, token_address: str, user_ids: Iterable[int]) -> None:
        """Nobody told these subscribers of the token, and somebody else may not either: they are not accepted yet.

        Whether they are checked again is up to `put_subscriber` or `load`, which whoever tells them next begins with.
        """
        token, user_ids = self._tokens.get(token_address), list(user_ids)
        if token is None or not user_ids:
            return
        slots = np.array([self.index.slot(user_id) for user_id in user_ids], dtype=np.int32)
        before = token.accepted_count
        token.forget_accepted(slots)
        self._accepted_count -= before - token.accepted_count
        self._bitmaps.pop(token_address, None)

    def accepted_until(self, token_address: str, user_id: int, end: datetime) -> None:
        """It was accepted here, and elsewhere earlier: its fourteen days end with the earlier record."""
        token = self._tokens.get(token_address)
        if token is None:
            return
        slots = np.array([self.index.slot(user_id)], dtype=np.int32)
        before = token.accepted_count
        token.forget_accepted(slots)
        if token.accepted_count < before:
            token.accept(slots, microseconds(end))

    def _look(
        self, call: Call, token: TokenMemory, hidden: Bitmap | None, now: datetime, *, of_pairs: bool = False
    ) -> Look:
        """Hold the call against all rows that are not hidden, and accept it for whom it passes.

        `of_pairs`: of some subscribers only a part of their rows may be hidden.
        """
        waiting = self.index.waiting(call, hidden)  # first, since accepting may add to `hidden`
        rows = self.index.match(call, hidden)
        accepted: tuple[Pair, ...] = ()
        also: Mapping[int, tuple[int, ...]] = {}
        if rows.size:
            rows, others = first_of_each(self.index, rows)
            accepted = tuple(zip(self.index.owners[rows].tolist(), self.index.numbers[rows].tolist(), strict=True))
            if of_pairs:
                others = others_passing(self.index, call, rows)
            also = numbers_of_each(self.index, others) if others.size else also
            self._accept(call.token.address, token, self.index.slots[rows], microseconds(now))
        return Look(accepted, self._still_waiting(call, waiting, accepted, now) if waiting else (), also)

    def _still_waiting(
        self, call: Call, rows: Sequence[WaitingRow], accepted: Sequence[Pair], now: datetime
    ) -> tuple[PendingPair, ...]:
        """Without those whose time is over and those who have the token from another set."""
        served = {user_id for user_id, _ in accepted}
        found: list[PendingPair] = []
        for row, waits in rows:
            user_id = int(self.index.owners[row])
            until = call.called_at + timedelta(minutes=max(minutes for _, minutes in waits))
            if user_id not in served and now < until:
                missing = tuple(self.index.fields[position].key for position, _ in waits)
                number = int(self.index.numbers[row])
                found.append(PendingPair(user_id=user_id, set_number=number, until=until, missing=missing))
        return tuple(found)

    def token_record(self, token_address: str, status: Status = "rejected") -> ProcessedToken | None:
        """The record of a token after `decide`; `None` for a token that is not remembered.

        It speaks for those who changed nothing since the token's first check within the hour.
        """
        token = self._tokens.get(token_address)
        if token is None or not token.cohorts or not token.cohorts[0].channels:
            return None
        cohort = token.cohorts[0]
        return ProcessedToken(
            timestamp=moment(cohort.checked_us),
            channels_checked=tuple(cohort.channels),
            status=status,
            channels_called_at=dict(cohort.channels),
        )

    def _hidden(self, call: Call, token: TokenMemory) -> Bitmap | None:
        """The rows that are not due: of accepted subscribers, and of cohorts that were checked against the channel."""
        if len(token.cohorts) == 1 and not token.returned:  # nobody changed anything since it was first checked
            return self._accepted_rows(call.token.address, token) if token.accepted else None
        if call.channel.id not in token.cohorts[0].channels:
            return self._seen_rows(call.token.address, token, self._newcomers(token, call.channel.id, are_due=False))
        slots = self._newcomers(token, call.channel.id, are_due=True)
        if token.accepted:
            slots = slots[~np.isin(slots, token.accepted_slots())]
        wanted = self.index.bitmap()
        self.index.mark(wanted, slots)
        return np.invert(wanted, wanted)

    def _newcomers(self, token: TokenMemory, channel_id: str, *, are_due: bool) -> Slots:
        """Who has another record than the first cohort, and was not checked against the channel, or was."""
        starts = pairwise(cohort.stop for cohort in token.cohorts)
        newer = zip(starts, token.cohorts[1:], strict=True)
        found = [self._changes.members(*s) for s, cohort in newer if (channel_id not in cohort.channels) == are_due]
        if token.returned:
            returned = np.concatenate([group.slots for group in token.returned])
            found = [slots[~np.isin(slots, returned)] for slots in found]
            found += [g.slots for g in token.returned if (channel_id not in g.record.channels) == are_due]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int32)

    def _seen_rows(self, address: str, token: TokenMemory, spared: Slots) -> Bitmap | None:
        seen = self._accepted_rows(address, token) if token.accepted else None
        if not len(spared):
            return seen
        seen = self.index.bitmap() if seen is None else seen.copy()
        self.index.mark(seen, spared)
        return seen

    def _accepted_rows(self, address: str, token: TokenMemory) -> Bitmap:
        version = self.index.version
        known = self._bitmaps.get(address)
        if known is not None and known[0] == version:
            self._bitmaps.move_to_end(address)
            return known[1]
        bitmap = self.index.bitmap()
        self.index.mark(bitmap, token.accepted_slots())
        self._bitmaps[address] = (version, bitmap)
        self._bitmaps.move_to_end(address)
        while len(self._bitmaps) * bitmap.nbytes > MAX_BITMAP_BYTES and len(self._bitmaps) > 1:
            self._bitmaps.popitem(last=False)
        return bitmap

    # memory

    def _end_accepted(self, address: str, token: TokenMemory, now_us: int) -> None:
        if ended := token.end_accepted(now_us, self._changes):
            self._accepted_count -= ended
            self._bitmaps.pop(address, None)

    def _token(self, address: str) -> TokenMemory:
        token = self._tokens.get(address)
        if token is None:
            token = self._tokens[address] = TokenMemory()
        else:
            self._tokens.move_to_end(address)
        return token

    def _accept(self, address: str, token: TokenMemory, slots: Slots, at_us: int) -> None:
        token.accept(slots, at_us + ACCEPTED_FOR_US)
        self._accepted_count += len(slots)
        known = self._bitmaps.get(address)
        if known is not None and known[0] == self.index.version:
            self.index.mark(known[1], slots)
        else:
            self._bitmaps.pop(address, None)

    def _stay_bounded(self) -> None:
        """Forget tokens, but never the one just called."""
        while len(self._tokens) > self._max_tokens or self._accepted_count > self._max_accepted:
            if len(self._tokens) == 1:
                return
            address, token = self._tokens.popitem(last=False)
            self._accepted_count -= token.accepted_count
            self._bitmaps.pop(address, None)
