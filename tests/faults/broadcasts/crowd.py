"""Many who get a broadcast, a few who get alerts, and some who ask for something all the time.

Everything that Telegram took is counted: the broadcast by person, alerts and answers by how long they took.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from solders.pubkey import Pubkey

from domain.calls.events import Call, Channel, Token
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.updates import JsonObject
from services.delivery.sending import MAX_CAPTION_UTF16
from tests.faults.market import FIRST_USER_ID, taker
from tests.faults.stage import Stage
from texts import Texts
from texts.markup import to_plain

ADMIN: Final = FIRST_USER_ID - 1
TAKERS: Final = 4
"""Who get every call."""
ASKERS: Final = 20
READ: Final = "Something for everybody"
REPEATED: Final = to_plain(Texts.load().render("news.repeated"))
CALLED_EVERY_S: Final = 1.0
ASKED_EVERY_S: Final = 0.5
PATIENCE_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.05


class Timed(Struct, frozen=True):
    """How long something took, of so many, in ms."""

    count: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timed:
        its = sorted(1000 * one for one in seconds)
        return cls(len(its), its[len(its) // 2], its[min(len(its) - 1, round(0.99 * len(its)))], its[-1])

    def __str__(self) -> str:
        return f"p50 {self.p50:,.0f} ms, p99 {self.p99:,.0f} ms, longest {self.longest:,.0f} ms of {self.count:,}"


class Spread(Struct, frozen=True, kw_only=True):
    """What came of the broadcast."""

    people: int
    lost: int
    twice: int
    """Came once more without saying that it may be a repeat."""
    marked: int
    """Say that they may be a repeat, whether they are or not."""

    def line(self) -> str:
        return ", ".join(f"{name} {getattr(self, name):,}" for name in self.__struct_fields__)


class Crowd:
    def __init__(self, stage: Stage, count: int) -> None:
        """`count`: who get the broadcast, admin, takers and askers among them."""
        self.stage = stage
        self.people = [FIRST_USER_ID + number for number in range(count - 1)]
        self.alerts: list[float] = []
        self.answers: list[float] = []
        self._news: Counter[int] = Counter()
        self._unmarked: Counter[int] = Counter()
        self._called: dict[str, float] = {}
        self._calls = itertools.count(1)
        self._changed = asyncio.Event()
        self.admin = stage.telegram.user("Admin", user_id=ADMIN)
        stage.telegram.on_message(self._saw)

    async def enrol(self) -> None:
        who = [taker(ADMIN), *(taker(user_id) for user_id in self.people)]
        kept = {one.user_id for one in who[1 : TAKERS + 1]}
        await self.stage.enrol([one if one.user_id in kept else replace(one, filter_sets=()) for one in who])

    def settings(self) -> dict[str, str]:
        return {"ADMIN_CHAT_IDS": str(ADMIN)}

    async def begin(self) -> None:
        """Write it and let it go to everybody, in the chat."""
        await self.admin.send("/broadcast")
        await self.admin.next_message(where=lambda m: "Broadcasts" in m.get("text", ""))
        await self.admin.tap("✍ New broadcast")
        await self.admin.next_message(where=lambda m: "Send me the text" in m.get("text", ""))
        await self.admin.send(f"<b>{READ}</b>")
        await self.admin.next_message(where=lambda m: "draft" in m.get("text", ""))
        self._news.clear()
        self._unmarked.clear()
        await self.admin.tap("📣 Send now …")
        await self.admin.next_message(where=lambda m: "Send it now to" in m.get("text", ""))
        await self.admin.tap("Yes, send it to all of them")

    async def reached(self, count: int) -> None:
        """Return when so many have it; fails when nobody has got it for a while."""
        while len(self._news) < count:
            self._changed.clear()
            async with asyncio.timeout(PATIENCE_S):
                await self._changed.wait()

    async def over(self) -> str:
        """Return what the admin is told in the end."""
        done = await self.admin.next_message(
            timeout_s=PATIENCE_S, where=lambda m: "Broadcast done" in m.get("text", "")
        )
        return done["text"]

    def spread(self) -> Spread:
        people = [ADMIN, *self.people]
        lost = sum(not self._news[user_id] for user_id in people)
        twice = sum(count - 1 for count in self._unmarked.values() if count)
        return Spread(people=len(people), lost=lost, twice=twice, marked=self._news.total() - self._unmarked.total())

    @asynccontextmanager
    async def busy(self) -> AsyncGenerator[None]:
        """Let there be calls and questions while the block runs."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._call()), group.create_task(self._ask(group))]
            yield
            for task in tasks:
                task.cancel()

    def times(self) -> tuple[Timed, Timed]:
        """How long alerts and answers have taken since the last time."""
        times = Timed.of(self.alerts), Timed.of(self.answers)
        self.alerts, self.answers = [], []
        return times

    async def _call(self) -> None:
        while True:
            number, now = next(self._calls), datetime.now(UTC)
            token = Token(address=str(Pubkey(number.to_bytes(32, "big"))), symbol=f"C{number:05}", market_cap_usd=5e4)
            call = Call(id=f"call-{number}", token=token, channel=Channel(id="@c"), called_at=now, received_at=now)
            self._called[f"C{number:05}"] = asyncio.get_running_loop().time()
            self.stage.feed.publish(call)
            await asyncio.sleep(CALLED_EVERY_S)

    async def _ask(self, group: asyncio.TaskGroup) -> None:
        askers = [self.stage.person(user_id) for user_id in self.people[TAKERS : TAKERS + ASKERS]]
        for person in itertools.cycle(askers):
            group.create_task(self._answered(person))
            await asyncio.sleep(ASKED_EVERY_S)

    async def _answered(self, person: SandboxUser) -> None:
        began = asyncio.get_running_loop().time()
        await person.send("/status")
        await person.next_message(timeout_s=PATIENCE_S, where=lambda m: "plan" in m.get("text", "").lower())
        self.answers.append(asyncio.get_running_loop().time() - began)

    def _saw(self, message: JsonObject) -> None:
        text: str = message.get("text") or ""
        if "edit_date" in message or len(text) > MAX_CAPTION_UTF16:
            return
        if text.startswith(READ):
            self._unmarked[message["chat"]["id"]] += REPEATED not in text
            self._news[message["chat"]["id"]] += 1
            self._changed.set()
            return
        for symbol in [one for one in self._called if one in text]:
            self.alerts.append(asyncio.get_running_loop().time() - self._called[symbol])
