"""A week and more in some seconds: people in three zones get alerts, and in the evening what became of them.

A plain loop over the calendar says when which report is due; everything that Telegram took is held against it.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace
from solders.pubkey import Pubkey

from domain.calls.events import Call, Channel, Token
from domain.subscribers.subscriber import Preferences, Subscriber
from sandbox.telegram.updates import JsonObject
from tests.faults.market import FIRST_USER_ID, taker
from tests.faults.stage import Stage
from tests.faults.tracking.fast_clock import FastClock
from texts import Texts
from texts.markup import to_plain

ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")
CHANGES: Final = ZONES[0]
"""The zone whose clocks are put forward or back meanwhile."""
IN_EACH_ZONE: Final = 3
DAYS: Final = 11
CALLED_EVERY: Final = timedelta(hours=12)
BEFORE_THE_CHANGE: Final = timedelta(days=3)
ON_TIME: Final = timedelta(minutes=15)
PATIENCE_S: Final = 20.0
_HALF_HOUR: Final = timedelta(minutes=30)
_DAILY_AT, _WEEKLY_AT = 20, 19
_SUNDAY: Final = 6
_REPORT: Final = re.compile(r"📊 Your alerts · (24 hours|7 days) to")
_NAMES: Final = {"24 hours": "daily", "7 days": "weekly"}
_REPEATED: Final = to_plain(Texts.load().render("report.repeated"))
_LATE: Final = "Late: this was due at"
_LOOK_EVERY_S: Final = 0.02
_WRITTEN_WITHIN_S: Final = 60.0


class Due(NamedTuple):
    at: datetime
    user_id: int
    report: str


class ReportCounts(Struct, frozen=True, kw_only=True):
    people: int
    due: int
    """(person, report, day), by the calendar of their zone."""
    came: int
    on_time: int
    """Of them, those that came at their local hour."""
    late: int
    """The others: they say when they were due."""
    lost: int
    twice: int
    """Came once more without saying that they may be a repeat, or when nothing was due."""
    again: int
    """Came once more and said so."""

    def line(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {getattr(self, name):,}" for name in self.__struct_fields__)


def begins_at(now: datetime) -> datetime:
    """Some days before clocks change next where they do, so that a weekly report is due on the day itself."""
    zone, day = ZoneInfo(CHANGES), now.replace(hour=12, minute=0, second=0, microsecond=0)
    before = day.astimezone(zone).utcoffset()
    while day.astimezone(zone).utcoffset() == before:
        day += timedelta(days=1)
    return day - BEFORE_THE_CHANGE


class Evenings:
    """Listens to the sandbox's Telegram from the moment it is made."""

    def __init__(self, stage: Stage, clock: FastClock) -> None:
        self.stage = stage
        self.clock = clock
        self.began = clock.now()
        self.ends = self.began + timedelta(days=DAYS)
        self.people = [FIRST_USER_ID + number for number in range(len(ZONES) * IN_EACH_ZONE)]
        self.due = sorted(self._due())
        self.complaints: list[str] = []
        self._told: Counter[Due] = Counter()
        self._on_time: set[Due] = set()
        self._twice = self._again = 0
        self._calls = 0
        stage.telegram.on_message(self._saw)

    def zone_of(self, user_id: int) -> str:
        return ZONES[(user_id - FIRST_USER_ID) % len(ZONES)]

    async def enrol(self) -> None:
        await self.stage.enrol([self._reader(user_id) for user_id in self.people])

    def settings(self) -> dict[str, str]:
        return {"FAULT_CLOCK_FILE": str(self.clock.path)}

    async def play(self, until: datetime) -> None:
        """Let time pass from one moment at which something happens to the next, as far as `until`."""
        if not self._calls:
            await self._call(self.began)
        for at in self._moments(until):
            await self.clock.run_to(at.timestamp())
            if (at - self.began) % CALLED_EVERY == timedelta(0):
                await self._call(at)
            await self.complete(at)

    async def complete(self, at: datetime) -> bool:
        """Wait until all that was due by now has come; `False` where nothing comes any more."""
        awaited = [due for due in self.due if due.at <= at and due not in self._told]
        since, before = asyncio.get_running_loop().time(), len(awaited)
        while awaited:
            await asyncio.sleep(_LOOK_EVERY_S)
            awaited = [due for due in awaited if due not in self._told]
            if len(awaited) != before:
                since, before = asyncio.get_running_loop().time(), len(awaited)
            elif asyncio.get_running_loop().time() - since > PATIENCE_S:
                return False
        return True

    def counts(self) -> ReportCounts:
        due = [one for one in self.due if one.at <= self.clock.now()]
        came = [one for one in due if self._told[one]]
        self.complaints += [f"{one} did not come" for one in due if not self._told[one]]
        return ReportCounts(
            people=len(self.people),
            due=len(due),
            came=len(came),
            on_time=len(self._on_time),
            late=len(came) - len(self._on_time),
            lost=len(due) - len(came),
            twice=self._twice,
            again=self._again,
        )

    @property
    def after_the_change(self) -> datetime:
        """Just before the first report is due on the day on which clocks were put forward or back."""
        return next(one.at for one in self.due if self.zone_of(one.user_id) == CHANGES and one.report == "weekly") - (
            _HALF_HOUR
        )

    def _moments(self, until: datetime) -> Iterator[datetime]:
        """Every half hour at which something is due or called, and each hour besides, after now."""
        due, at = {one.at for one in self.due}, self.began
        while at <= until:
            if at > self.clock.now() and (at.minute == 0 or at in due):
                yield at
            at += _HALF_HOUR

    def _due(self) -> Iterator[Due]:
        at = self.began
        while at < self.ends:
            at += _HALF_HOUR
            for user_id in self.people:
                local = at.astimezone(ZoneInfo(self.zone_of(user_id)))
                if local.minute:
                    continue
                if local.hour == _DAILY_AT:
                    yield Due(at, user_id, "daily")
                if local.hour == _WEEKLY_AT and local.weekday() == _SUNDAY:
                    yield Due(at, user_id, "weekly")

    def _reader(self, user_id: int) -> Subscriber:
        wants = Preferences(time_zone=self.zone_of(user_id), reports=("daily", "weekly"))
        return replace(taker(user_id), preferences=wants, paid_until=self.ends + timedelta(days=90))

    async def _call(self, at: datetime) -> None:
        """A channel calls something; returns when everybody was told, and the call is followed."""
        self._calls += 1
        address = str(Pubkey(self._calls.to_bytes(32, "big")))
        token = Token(address=address, symbol=f"COIN{self._calls}", price_usd=0.01, market_cap_usd=50_000.0)
        call = Call(
            id=f"evening-{self._calls}", token=token, channel=Channel(id="@caller"), called_at=at, received_at=at
        )
        pairs = {(user_id, address) for user_id in self.people}
        self.stage.ledger.expect(pairs)
        self.stage.feed.publish(call)
        await self.stage.ledger.got(pairs)
        async with asyncio.timeout(_WRITTEN_WITHIN_S), self.stage.database() as connection:
            while (  # noqa: ASYNC110 - it tells nobody
                await connection.fetchval("SELECT count(*) FROM outcomes") < self._calls
                or await connection.fetchval("SELECT count(*) FROM deliveries WHERE kind = 'alert'")
                < self._calls * len(self.people)
            ):
                await asyncio.sleep(_LOOK_EVERY_S)

    def _saw(self, message: JsonObject) -> None:
        text: str = message.get("text") or message.get("caption") or ""
        found = _REPORT.match(text)
        if found is None or "edit_date" in message:
            return
        now, user_id, report = self.clock.now(), message["chat"]["id"], _NAMES[found[1]]
        known = [one for one in self.due if (one.user_id, one.report) == (user_id, report) and one.at <= now]
        if not known:
            self._twice += 1
            self.complaints.append(f"{user_id} got a {report} report at {now}, before any was due")
            return
        due = known[-1]
        if self._told[due] and _REPEATED in text:
            self._again += 1
        elif self._told[due]:
            self._twice += 1
            self.complaints.append(f"{user_id} got the {report} report of {due.at} again at {now}")
        elif now - due.at <= ON_TIME:
            self._on_time.add(due)
        elif _LATE not in text:
            self.complaints.append(f"{user_id} got the {report} report of {due.at} at {now} without a word")
        self._told[due] += 1


def judge(counts: ReportCounts, *, repeats: int = 0) -> None:
    """Fail unless each came once, at its hour; `repeats` may come again."""
    assert counts.due, counts.line()
    assert (counts.lost, counts.twice) == (0, 0), counts.line()
    assert counts.on_time == counts.due, counts.line()
    assert counts.again <= repeats, counts.line()
