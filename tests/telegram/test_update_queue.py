"""Who is handled next, and how much one person may have waiting: properties of the queue on a clock of its own."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from managers.telegram.update_queue import HANDLED_WITHIN_S, TOLD_EACH_S, Origin, UpdateQueue
from tests.telegram.virtual_time import run, virtual_clock

ANN, BEN = Origin(1, 1), Origin(2, 2)
GROUP = -5


class Scene:
    """A queue that notes what was handled, each update taking a second."""

    def __init__(self, *, at_once: int = 1, per_person: int = 30, per_chat: int = 100, in_all: int = 10_000) -> None:
        self.queue = UpdateQueue(
            at_once=at_once, per_person=per_person, per_chat=per_chat, in_all=in_all, clock=virtual_clock
        )
        self.handled: list[tuple[Origin, object]] = []
        self.running: set[int] = set()
        self.most_at_once = 0
        self.came = asyncio.Event()

    async def until(self, origin: Origin, what: object) -> float:
        """Wait until that was handled; returns when."""
        while (origin, what) not in self.handled:
            self.came.clear()
            await self.came.wait()
        return virtual_clock()

    def bring(self, origin: Origin, what: object, *, takes_s: float = 1.0) -> bool:
        """Bring an update as an inbox does; returns whether it was admitted."""

        async def handle() -> None:
            assert origin.chat not in self.running, "a chat is handled one after the other"
            self.running.add(origin.chat)
            self.most_at_once = max(self.most_at_once, len(self.running))
            try:
                await asyncio.sleep(takes_s)
            finally:
                self.running.remove(origin.chat)
            self.handled.append((origin, what))
            self.came.set()

        async def tell() -> None:
            self.handled.append((origin, "told"))

        if self.queue.admits(origin):
            self.queue.put(origin, handle)
            return True
        if self.queue.drop(origin) and origin.person == origin.chat:
            self.queue.put_notice(origin, tell)
        return False


def test_ten_thousand_of_one_person_cost_another_one_turn() -> None:
    async def story() -> None:
        scene = Scene()
        admitted = sum(scene.bring(ANN, number) for number in range(10_500))
        scene.bring(BEN, "hello")
        began_at = virtual_clock()
        answered_at = await scene.until(BEN, "hello")
        assert answered_at - began_at <= 2.5, "the one that was under way, and their own"
        await scene.queue.drained()
        assert admitted == 30
        assert scene.queue.dropped == 10_470
        mine = [what for origin, what in scene.handled if origin == ANN]
        assert [what for what in mine if what != "told"] == list(range(30)), "in order"
        assert mine.count("told") == 1
        assert mine.index("told") <= 1, "ahead of what waits"
        assert scene.queue.oldest_age_s == 0.0
        assert len(scene.queue) == 0

    run(story())


def test_somebody_is_told_once_a_minute_and_can_go_on_afterwards() -> None:
    async def story() -> None:
        scene = Scene(per_person=3)
        for _ in range(4):
            for number in range(50):
                scene.bring(ANN, number)
            await asyncio.sleep(TOLD_EACH_S / 2 + 1)
        assert [what for _, what in scene.handled].count("told") == 2
        assert scene.bring(ANN, "again")
        await scene.queue.drained()
        assert scene.handled[-1] == (ANN, "again")

    run(story())


def test_people_of_a_group_take_turns_and_share_its_bound() -> None:
    async def story() -> None:
        scene = Scene(per_person=20, per_chat=40)
        ann, ben = Origin(1, GROUP), Origin(2, GROUP)
        assert [scene.bring(ann, number) for number in range(25)].count(True) == 20
        assert [scene.bring(ben, number) for number in range(25)].count(True) == 20
        assert [scene.bring(Origin(person, GROUP), 0) for person in range(3, 13)].count(True) == 1
        assert not scene.queue.admits(ANN), "what somebody has waiting in a group is theirs in private, too"
        await scene.queue.drained()
        first = [origin.person for origin, what in scene.handled if what != "told"][:9]
        assert Counter(first).most_common(1)[0][1] <= 5

    run(story())


def test_what_hangs_or_breaks_costs_itself() -> None:
    async def story() -> None:
        scene = Scene(at_once=2)

        async def breaks() -> None:
            raise RuntimeError("a handler that is wrong")

        scene.bring(ANN, "hangs", takes_s=10_000)
        scene.bring(ANN, "next")
        scene.queue.put(BEN, breaks)
        scene.bring(BEN, "next")
        await asyncio.sleep(10)
        assert scene.handled == [(BEN, "next")]
        assert scene.queue.oldest_age_s > 9
        assert scene.queue.stalled_s < 10
        await asyncio.sleep(HANDLED_WITHIN_S - 20)
        assert scene.queue.stalled_s > 100, "nothing has come to its end for so long"
        await scene.queue.drained()
        assert scene.handled == [(BEN, "next"), (ANN, "next")]
        assert scene.queue.given_up == 2
        assert scene.queue.stalled_s == 0.0

    run(story())


def test_there_is_room_again_when_something_was_handled() -> None:
    async def story() -> None:
        scene = Scene(in_all=3)
        for person in range(1, 4):
            scene.bring(Origin(person, person), "hi")
        assert not scene.queue.has_room
        began_at = virtual_clock()
        await scene.queue.until_room()
        assert virtual_clock() - began_at <= 1.5
        await scene.queue.close()

    run(story())


ARRIVALS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([0, -5, -6]), st.sampled_from([0.0, 0.0, 0.4, 3.0])), max_size=60
)


@settings(max_examples=60)
@given(ARRIVALS, st.integers(1, 4))
def test_all_that_is_admitted_is_handled_once_and_in_order(
    arrivals: list[tuple[int, int, float]], at_once: int
) -> None:
    """In each chat each person's are; nobody has more waiting than their share."""

    async def story() -> None:
        scene = Scene(at_once=at_once, per_person=5, per_chat=8)
        expected: dict[Origin, list[object]] = defaultdict(list)
        for number, (person, group, pause_s) in enumerate(arrivals):
            origin = Origin(person, group or person)
            if scene.bring(origin, number, takes_s=0.5):
                expected[origin].append(number)
            await asyncio.sleep(pause_s)
        assert len(scene.queue) <= 4 * 5 + 4
        await scene.queue.drained()
        handled: dict[Origin, list[object]] = defaultdict(list)
        for origin, what in scene.handled:
            if what != "told":
                handled[origin].append(what)
        assert handled == expected
        assert scene.most_at_once <= at_once
        assert scene.queue.dropped == len(arrivals) - sum(map(len, expected.values()))

    run(story())
