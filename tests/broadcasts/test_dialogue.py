"""An owner writes, aims, schedules and discards; what does not fit is said, and the question stays open."""

from __future__ import annotations

from handlers.conversation.guard import Sure
from services.broadcasts.broadcasts import BroadcastService
from services.broadcasts.rows import Broadcast
from tests.admin.people.house import BROADCAST, House
from tests.conversation.reading import alert, button, toast, words
from tests.conversation.telegram_wire import Person, Said


async def newest(house: House) -> Broadcast:
    return (await house.made.of(BroadcastService).latest(1))[0]


def yes(said: list[Said]) -> str:
    return next(data for one in said for data in one.buttons.values() if data and data.startswith(f"{Sure.prefix}:"))


async def test_a_text_that_does_not_fit_is_asked_for_again_and_one_that_does_is_shown_as_it_will_be(
    house: House, owner: Person
) -> None:
    asked = await owner.taps(button(await owner.writes("/broadcast"), "✍ New"))
    assert "at most 3,500 characters" in words(asked, "edited")
    assert "<b> is never closed" in words(await owner.writes("<b>Hello"))
    assert (await newest(house)).id == BROADCAST, "nothing was kept of it"
    said = await owner.writes("<b>Hello</b> & welcome")
    assert next(one.text for one in said if one.how == "sent") == "<b>Hello</b> &amp; welcome"
    one = await newest(house)
    assert (one.html, one.state, one.audience.segment) == ("<b>Hello</b> &amp; welcome", "draft", "everybody")
    rewritten = await owner.taps(button(said, "✏ Another text"))
    assert "at most" in words(rewritten, "edited")
    await owner.writes("Welcome")
    assert (await newest(house)).html == "Welcome"


async def test_it_is_aimed_at_those_of_whom_it_says_how_many_there_are(house: House, owner: Person) -> None:
    menu = await owner.taps(f"bcfor:{BROADCAST}")
    assert button(menu, "✅ Everybody · 6") == f"bcaim:{BROADCAST}:everybody:"
    card = await owner.taps(button(menu, "On trial · 6"))
    assert "For: On trial, 6 people" in words(card, "edited")
    assert alert(await owner.taps(f"bcaim:{BROADCAST}:nobody_knows:")) == alert(await owner.taps("nothing:1"))
    assert (await newest(house)).audience.segment == "trial"


async def test_it_is_scheduled_after_a_second_tap_and_may_be_taken_back(house: House, owner: Person) -> None:
    asked = await owner.taps(f"bcwhen:{BROADCAST}")
    assert "On your clock (UTC)" in words(asked, "edited")
    assert "cannot read “soon” as a time" in words(await owner.writes("soon"))
    sure = await owner.writes("in 2h")
    assert "Now it would go to 6 people" in words(sure)
    assert (await newest(house)).state == "draft", "it was not confirmed yet"
    assert (toast(await owner.taps(yes(sure))) or "").startswith("It begins at ")
    scheduled = await newest(house)
    assert scheduled.state == "scheduled"
    assert scheduled.shown_in is not None
    await owner.taps(f"bcnot:{BROADCAST}")
    assert (await newest(house)).state == "draft"
    await owner.taps(f"bcgone:{BROADCAST}")
    assert "None yet" in words(await owner.writes("/broadcast"))
    assert "no such broadcast any more" in alert(await owner.taps(f"bcast:{BROADCAST}"))


async def test_what_goes_out_is_paused_goes_on_and_is_ended(house: House, owner: Person) -> None:
    begun = await owner.taps(yes(await owner.taps(f"bcgo:{BROADCAST}")))
    assert toast(begun) == "It goes out now."
    assert "Under way: 0 · left: 6" in words(begun, "edited")
    assert "running, 0 of 6 · Everybody" in words(await owner.writes("/broadcast"))
    paused = await owner.taps(button(begun, "⏸ Pause"))
    assert "Broadcast · paused" in words(paused, "edited")
    assert alert(await owner.taps(button(begun, "⏸ Pause"))).startswith("It stands differently by now")
    running = await owner.taps(button(paused, "▶ Go on"))
    assert "Broadcast · running" in words(running, "edited")
    ended = await owner.taps(yes(await owner.taps(button(running, "⏹ End"))))
    assert "Broadcast · ended early" in words(ended, "edited")
    assert alert(await owner.taps(f"bcgo:{BROADCAST}")).startswith("It stands differently by now")
    named = [one.action for one in await house.deeds()]
    assert named == ["send broadcast", "pause broadcast", "pause broadcast", "resume broadcast", "cancel broadcast"]


async def test_support_reads_it_and_lets_nothing_go(house: House, support: Person) -> None:
    assert "News" in words(await support.taps(f"bcread:{BROADCAST}"), "edited")
    assert "needs the role owner" in alert(await support.taps(f"bcgo:{BROADCAST}"))
    assert (await newest(house)).state == "draft"
