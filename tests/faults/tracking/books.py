"""What came of it: every milestone that Telegram took and every outcome, held against the recount of the raw ticks."""

from __future__ import annotations

import asyncio
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg
from msgspec import Struct

from domain.tracking.outcome import HORIZONS_S
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from tests.faults.ledger import REPEAT_NOTE
from tests.faults.tracking.recount import ASKED_BEFORE_S, FOUND_WITHIN_S, Expected, recount

if TYPE_CHECKING:
    from tests.faults.tracking.exchange import Exchange, MadeCall

MERGED_WITHIN_S: Final = 12 * 3_600.0
"""On the fast clock: what is reached so soon after one another may come as one message, with the highest rung."""
_MILESTONE: Final = re.compile(r"^🚀 ([\d.]+)x · (\w+) ")
_LOOK_EVERY_S: Final = 0.1
_PRECISION: Final = 1e-9
_RETURNS: Final[dict[int, str]] = dict(zip(HORIZONS_S, ("return_1h", "return_24h", "return_7d"), strict=True))


class TrackingCounts(Struct, frozen=True, kw_only=True):
    calls: int
    """That were followed."""
    ended: int
    right: int
    """Of those that have ended, those of which PostgreSQL says what the raw ticks say."""
    expected: int
    """(person, call, rung): milestones of which somebody has to be told."""
    told: int
    """Of them, those that came as a reply to the alert, by themselves or with a higher one that fell together."""
    lost: int
    twice: int
    """Came once more without saying that they may be a repeat."""
    again: int
    """Came once more and said so."""
    false: int
    """Of a rung that was not reached, or in reply to something else."""

    def line(self) -> str:
        return ", ".join(f"{name} {getattr(self, name):,}" for name in self.__struct_fields__)

    @property
    def is_complete(self) -> bool:
        return not self.lost and self.right == self.ended


@dataclass(frozen=True, slots=True)
class _Told:
    rung: float
    marked: bool


class Books:
    """Listens to the sandbox's Telegram from the moment it is made."""

    def __init__(self, exchange: Exchange, *, tracked_for_s: float) -> None:
        self._exchange = exchange
        self._tracked_for_s = tracked_for_s
        self._alerts: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        """Chat and number of a message -> the tokens that it told of."""
        self._address_of = {life.symbol: life.address for life in exchange.lives}
        self._told: defaultdict[tuple[int, str], list[_Told]] = defaultdict(list)
        """By person and token."""
        self._astray: list[str] = []
        """Milestones that answer something else than the alert."""
        self.complaints: list[str] = []
        """Of the last count."""
        exchange.stage.telegram.on_message(self._saw)

    @property
    def milestones(self) -> int:
        """Messages about them by now."""
        return sum(map(len, self._told.values()))

    async def complete(self, *, patience_s: float) -> TrackingCounts:
        """Wait until everything is there, or nothing has come for `patience_s`; return what is."""
        before, since = -1, asyncio.get_running_loop().time()
        while True:
            counts, now = await self.counts(), asyncio.get_running_loop().time()
            if counts.is_complete:
                return counts
            if self.milestones != before:
                before, since = self.milestones, now
            elif now - since > patience_s:
                return counts
            await asyncio.sleep(_LOOK_EVERY_S)

    async def counts(self) -> TrackingCounts:
        exchange, self.complaints = self._exchange, [*self._astray]
        async with exchange.stage.database() as connection:
            rows = {row["call_id"]: row for row in await connection.fetch("SELECT * FROM outcomes")}
        expected = {
            made.id: recount(
                made.life,
                exchange.ticks[made.life.address],
                called_s=made.at_s,
                price_usd=made.price_usd,
                tracked_for_s=self._tracked_for_s,
            )
            for made in exchange.calls
        }
        ended = [made for made in exchange.calls if expected[made.id].ends_s < exchange.at_s - FOUND_WITHIN_S]
        first: dict[str, MadeCall] = {}
        for made in exchange.calls:
            first.setdefault(made.life.address, made)
        sums = [self._of_person(user_id, made, expected[made.id]) for made in first.values() for user_id in made.people]
        due, told, twice, again, false = (sum(column) for column in zip(*sums, strict=True)) if sums else (0,) * 5
        return TrackingCounts(
            calls=len(exchange.calls),
            ended=len(ended),
            right=sum(self._is_right(made, rows.get(made.id), expected[made.id]) for made in ended),
            expected=due,
            told=told,
            lost=due - told,
            twice=twice,
            again=again,
            false=false + len(self._astray),
        )

    def _of_person(self, user_id: int, made: MadeCall, expected: Expected) -> tuple[int, int, int, int, int]:
        came = self._told[user_id, made.life.address]
        reached, known = expected.milestones, set[float]()
        told = {one.rung for one in came}
        twice = again = false = 0
        for one in came:
            if one.rung not in reached:
                false += 1
                self.complaints.append(f"{user_id} was told {one.rung:g}x of {made.id}, which has {[*reached]}")
            elif one.rung <= max(known, default=0.0):
                again, twice = again + one.marked, twice + (not one.marked)
            known.add(one.rung)
        lost = [
            rung
            for rung, at_s in reached.items()
            if not any(rung <= one and reached.get(one, math.inf) - at_s <= MERGED_WITHIN_S for one in told)
        ]
        if lost:
            self.complaints.append(f"{user_id} was not told {lost} of {made.id}, but {sorted(told)}")
        return len(reached), len(reached) - len(lost), twice, again, false

    def _is_right(self, made: MadeCall, row: asyncpg.Record | None, expected: Expected) -> bool:
        wrong = "not followed" if row is None else self._wrong(made, row, expected)
        if wrong:
            self.complaints.append(f"{made.id} of {made.life.symbol}: {wrong}")
        return not wrong

    def _wrong(self, made: MadeCall, row: asyncpg.Record, expected: Expected) -> str:
        """Say what PostgreSQL says otherwise."""
        if row["ended_at"] is None or row["ending"] != expected.ending:
            return f"ended by {row['ending']}, not by {expected.ending}"
        ended_s = row["ended_at"].timestamp() - self._exchange.clock.began_s
        if not -ASKED_BEFORE_S <= ended_s - expected.ends_s <= FOUND_WITHIN_S:
            return f"ended at {ended_s}, not at {expected.ends_s}"
        if not _is(row["peak_multiple"], expected.peak_multiple):
            return f"peak {row['peak_multiple']}, not {expected.peak_multiple}"
        if row["at_least"] and not any(made.at_s <= at_s <= ended_s for at_s in self._exchange.unseen_s):
            return "a peak that may have been higher"
        return _wrong_return(row, expected)

    def _saw(self, message: JsonObject) -> None:
        if "edit_date" in message:
            return
        chat_id: int = message["chat"]["id"]
        text: str = message.get("text") or message.get("caption") or ""
        told = {address for address in self._address_of.values() if address in text}
        self._alerts[chat_id, message["message_id"]].update(copied_addresses(message), told)
        found = _MILESTONE.match(text)
        if found is None:
            return
        answered = message.get("reply_to_message", {}).get("message_id")
        address = self._address_of[found[2]]
        if address not in self._alerts[chat_id, answered]:
            self._astray.append(f"{text!r} answers {answered}, which is {self._alerts[chat_id, answered]}")
        self._told[chat_id, address].append(_Told(float(found[1]), REPEAT_NOTE in text))


def _wrong_return(row: asyncpg.Record, expected: Expected) -> str:
    for horizon, right in expected.returns.items():
        found = row[_RETURNS[horizon]]
        is_right = found is None if right is None else any(_is(found, one) for one in right)
        if not is_right:
            return f"{_RETURNS[horizon]} {found}, not one of {right and sorted(right)}"
    return ""


def _is(found: float | None, right: float) -> bool:
    return found is not None and math.isclose(found, right, rel_tol=_PRECISION)


def judge(counts: TrackingCounts, *, repeats: int = 0) -> None:
    """Fail unless everybody was told of everything once, and every outcome is right; `repeats` may come again."""
    line = counts.line()
    assert counts.expected, line
    assert (counts.lost, counts.twice, counts.false) == (0, 0, 0), line
    assert counts.right == counts.ended, line
    assert counts.again <= repeats, line
