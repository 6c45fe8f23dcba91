"""An admin finds somebody, looks, notes, writes, bans; gives, moves and takes back days."""

from __future__ import annotations

import csv
from datetime import timedelta
from io import StringIO

import pytest
from structlog.testing import capture_logs
from telegram import Update

from domain.delivery.policy import ALERTS, DIGESTS, Rules, Withhold, decide
from domain.payments.stars import PreCheckout
from managers.telegram.updates import Excess
from runtime.clock import now
from runtime.errors import RecipientGoneError
from services.administration.activity import MAX_WAITING, ActivityService
from services.administration.granting import GrantingService
from services.administration.people import PeopleService
from services.stores import keys
from services.stores.journal_rows import KEPT_OF_ERASED
from services.subscribers.group import SubscriberServices
from tests.admin.people.house import OTHER, OWNER, READER, SUPPORT, VICTIM, House
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import Person, Said
from tests.texts.hostile import HOSTILE
from tests.texts.telegram_html import assert_harmless

FORWARDED = {"type": "user", "date": 1, "sender_user": {"id": VICTIM, "is_bot": False, "first_name": "V"}}
HIDDEN = {"type": "hidden_user", "date": 1, "sender_user_name": "V"}


async def card(person: Person) -> list[Said]:
    return await person.writes(f"/user {VICTIM}")


async def test_somebody_is_found_by_id_username_name_and_by_a_message_of_theirs(
    house: House, reader: Person, victim: Person
) -> None:
    victim.user |= {"username": "VicTim_1", "first_name": "Victoria"}
    await victim.writes("/start")
    await house.written()
    for typed in (str(VICTIM), "@victim_1", "victim_1", "ictori"):
        shown = words(await reader.writes(f"/user {typed}"))
        assert "Victoria" in shown
        assert "VicTim_1" in shown
    asked = await reader.taps(button(await reader.writes("/users"), "🔎 Find somebody"))
    assert "forward me a message" in words(asked, "edited")
    assert str(VICTIM) in words(await reader.writes("an old message", forward_origin=FORWARDED))
    assert "Telegram hides who wrote that" in words(await reader.writes("x", forward_origin=HIDDEN))
    assert "I know nobody by “nobody here”" in words(await reader.writes("nobody here"))
    assert "Found for “Ann”" in words(await reader.writes("Ann"))
    replied = reader.message("x", forward_origin=FORWARDED)
    assert str(VICTIM) in words(await reader.writes("/user", reply_to_message=replied))


async def test_the_card_says_of_them_what_holds_alerts_back(house: House, support: Person, victim: Person) -> None:
    await victim.writes("/start")
    await house.written()
    assert "None of their filters is on" in words(await support.writes(f"/user {VICTIM}"))
    await victim.writes("/pause")
    await house.written()
    shown = words(await support.writes(f"/user {VICTIM}"))
    assert "Paused by them" in shown
    assert "/resume" not in shown.split("Did last")[0]


async def test_the_card_tells_what_they_have_did_and_were_noted(house: House, support: Person, victim: Person) -> None:
    await victim.writes("/settings")
    await victim.taps("set:1")
    await victim.writes("my secret words")
    said = await card(support)
    await support.taps(button(said, "✏️ Add a note"))
    noted = await support.writes("Paid <twice> in May")
    assert "✅ Noted." in words(noted)
    await house.written()
    shown = words(await card(support))
    assert all(
        part in shown for part in ("Plan: Free trial", "Filters: 1", "Alerts in 24 h: 0", "Payments: 0", "Notes (1)")
    )
    assert "Paid <twice> in May" in shown
    assert all(part in shown for part in ("settings", "tap set:1"))
    activity = words(await support.taps(button(said, "🕘 Activity")), "edited")
    assert "secret" not in activity
    assert "start" in activity
    assert "Paid <twice> in May" in words(await support.taps(button(said, "🗒 Notes")), "edited")


async def test_an_admin_sees_what_they_see_and_can_tap_nothing_of_theirs(
    house: House, reader: Person, victim: Person
) -> None:
    own = {"status": words(await victim.writes("/status")), "settings": words(await victim.writes("/settings"))}
    said = await card(reader)
    for what, shown in own.items():
        seen = only(await reader.taps(button(said, f"👁 Their /{what}")), "edited")
        assert words([seen], "edited") == shown
        assert list(seen.buttons) == ["‹ Back"]


async def test_what_opens_from_a_card_leads_back_to_it(house: House, support: Person) -> None:
    for label in ("📜 What was done", "🧾 Payments"):
        opened = await support.taps(button(await card(support), label))
        back = await support.taps(button(opened, "‹ Back"))
        assert f" · {VICTIM}" in words(back, "edited")
        assert "Filters: " in words(back, "edited")
        assert "  · " not in words(back, "edited")


async def test_a_banned_person_gets_nothing_and_no_answer(house: House, support: Person, victim: Person) -> None:
    before, roster = await house.subscriber(), house.made.of(SubscriberServices).roster
    asked = await support.taps(button(await card(support), "⛔ Ban"))
    assert "nothing and no answers" in words(asked, "edited")
    assert await house.subscriber() == before
    assert toast(await support.taps(button(asked, "Yes, ban"))) == "Banned."
    assert roster.state(VICTIM) == "banned"
    assert not (await house.subscriber()).receives_at(now())
    for text in ("/start", "/status", "/delete_me", "hello", "/nothing"):
        assert await victim.writes(text) == []
    assert await victim.taps("settings") == []
    hurried = Update.de_json({"update_id": 9, "message": victim.message("hi")}, house.app.bot)
    said = len(house.conversation.said)
    await house.app.process_update(Excess(hurried))
    with capture_logs() as logs:
        await house.app.process_update(
            PreCheckout(query_id="1", user_id=VICTIM, language="en", currency="XTR", amount=1, payload="")
        )
    assert [one["event"] for one in logs] == ["checkout_of_banned"]
    assert len(house.conversation.said) == said
    after = await house.subscriber()
    for rules in (ALERTS, DIGESTS, Rules(needs_plan=False)):
        verdict = decide(after, token_address="t", score=100, decided_at=now(), now=now(), recent=(), rules=rules)
        assert verdict == Withhold("banned")
    assert "Banned: nothing is sent" in words(await card(support))
    assert "They are banned. Unban them first." in alert(await support.taps(f"askwrite:{VICTIM}"))
    assert "get calls again" in (toast(await support.taps(button(await card(support), "✅ Unban"))) or "")
    assert roster.state(VICTIM) == "receiving"
    assert "Free trial" in words(await victim.writes("/status"))


async def _written(person: Person, text: str = "Hello <b>you</b>") -> list[Said]:
    await person.taps(button(await card(person), "✉️ Write to them"))
    return await person.writes(text)


async def test_an_admin_is_not_banned(support: Person, house: House) -> None:
    assert "take" in alert(await support.taps(button(await support.writes(f"/user {READER}"), "⛔ Ban")))
    assert (await house.subscriber(READER)).banned_at is None


async def test_a_message_is_shown_first_then_sent_once(house: House, support: Person) -> None:
    asked = await _written(support, "Hello <b>you</b>, see /plan")
    assert "Hello <b>you</b>, see /plan" in words(asked)
    said = await support.taps(button(asked, "Yes, send"))
    assert only(said[:1], "sent").text == "✉️ <b>From the team</b>\n\nHello &lt;b&gt;you&lt;/b&gt;, see /plan"
    assert toast(said) == "Sent."
    assert "was answered" in alert(await support.taps(button(asked, "Yes, send")))
    (deed,) = [one for one in await house.deeds() if one.action == "write to person"]
    assert (deed.user_id, deed.outcome, deed.said) == (VICTIM, "done", "Sent.")
    assert "Hello <b>you</b>" in deed.details


async def test_whom_telegram_does_not_reach_was_not_written_to(house: House, support: Person) -> None:
    asked = await _written(support)
    house.conversation.fail = lambda how: RecipientGoneError("blocked") if how == "sent" else None
    assert "Nothing was sent" in alert(await support.taps(button(asked, "Yes, send")))
    house.conversation.fail = lambda _how: None
    (deed,) = [one for one in await house.deeds() if one.action == "write to person"]
    assert (deed.outcome, deed.said) == ("refused", "person.gone")


async def test_a_late_second_tap_does_nothing_and_says_so(house: House, support: Person) -> None:
    asked = await support.taps(button(await card(support), "⛔ Ban"))
    (name,) = [name async for names in house.redis.scan("confirm:*", count=100) for name in names]
    (left_s,) = await house.redis.transaction([("TTL", name)])
    assert isinstance(left_s, int)
    assert 0 < left_s <= 60
    await house.redis.transaction([("PEXPIRE", name, 0)])
    assert "too old" in alert(await support.taps(button(asked, "Yes, ban")))
    assert (await house.subscriber()).banned_at is None


async def test_nobody_answers_what_another_was_asked(house: House, support: Person, owner: Person) -> None:
    asked = await support.taps(button(await card(support), "⛔ Ban"))
    assert "was answered" in alert(await owner.taps(button(asked, "Yes, ban")))
    assert toast(await support.taps(button(asked, "Yes, ban"))) == "Banned."


async def test_days_are_given_with_a_reason_and_extend_what_is_there(house: House, support: Person) -> None:
    granting = house.made.of(GrantingService)
    said = await support.taps(button(await card(support), "🎟 Subscription"))
    await support.taps(button(said, "➕ Pro"))
    assert "1 to" in words(await support.writes("many"))
    assert "1 to" in words(await support.writes("30"))
    asked = await support.writes("30 the feed was down")
    assert all(part in words(asked) for part in ("30 days", "Pro", "the feed was down"))
    assert (await granting.standing(VICTIM)).plan == "trial"
    assert "30 days given" in (toast(await support.taps(button(asked, "Yes, give"))) or "")
    given = await granting.standing(VICTIM)
    assert given.plan == (await house.subscriber()).plan == "pro"
    assert given.until
    await support.taps(button(said, "➕ Pro"))
    await support.taps(button(await support.writes("10 again"), "Yes, give"))
    extended = (await granting.standing(VICTIM)).until
    assert extended
    assert abs(extended - given.until - timedelta(days=10)) < timedelta(seconds=2)
    deeds = [one for one in await house.deeds() if one.action == "grant plan"]
    assert [(one.user_id, one.details) for one in deeds] == [
        (VICTIM, f"user_id={VICTIM}, plan=pro, days=30; the feed was down"),
        (VICTIM, f"user_id={VICTIM}, plan=pro, days=10; again"),
    ]
    rows = await house.postgres.fetch("SELECT key FROM entitlements WHERE user_id = $1 AND key LIKE 'admin:%'", VICTIM)
    assert {row["key"] for row in rows} == {f"admin:{one.number}" for one in deeds}


async def test_what_is_left_is_moved_whole_and_then_taken_back(house: House, support: Person) -> None:
    granting = house.made.of(GrantingService)
    await granting.grant(VICTIM, "pro", 20, "first")
    until = (await granting.standing(VICTIM)).until
    assert until
    said = await support.taps(button(await card(support), "🎟 Subscription"))
    await support.taps(button(said, "➡️ Move"))
    assert "nobody by" in words(await support.writes("999 lost it"))
    assert "a reason" in words(await support.writes(str(OTHER)))
    asked = await support.writes(f"{OTHER} lost the old account")
    assert str(OTHER) in words(asked)
    days = int((toast(await support.taps(button(asked, "Yes, move"))) or "").split()[0])
    assert not (await granting.standing(VICTIM)).is_active(now())
    moved = await granting.standing(OTHER)
    assert moved.plan == "pro"
    assert moved.until
    assert timedelta() <= now() + timedelta(days=days) - until <= timedelta(days=1)
    other = await support.taps(button(await support.writes(f"/user {OTHER}"), "🎟 Subscription"))
    await support.taps(button(other, "➖ Take back"))
    asked = await support.writes("charged back")
    assert "days taken back" in (toast(await support.taps(button(asked, "Yes, take back"))) or "")
    assert not (await granting.standing(OTHER)).is_active(now())
    assert "nothing left" in alert(await support.taps(button(other, "➖ Take back")))


async def test_what_is_refused_anyway_is_refused_before_anything_is_asked(
    house: House, support: Person, owner: Person
) -> None:
    said = await support.taps(button(await card(support), "🎟 Subscription"))
    assert "trial is not moved" in alert(await support.taps(button(said, "➡️ Move")))
    assert "I wasn't waiting" in words(await support.writes(f"{OTHER} lost it"))
    await house.made.of(GrantingService).grant(VICTIM, "pro", 20, "first")
    await support.taps(button(said, "➡️ Move"))
    assert "same person" in words(await support.writes(f"{VICTIM} lost it"))
    await house.made.of(PeopleService).ban(VICTIM, SUPPORT)
    assert "Unban them first" in alert(await support.taps(f"askwrite:{VICTIM}"))
    assert "settings" in alert(await owner.taps(f"askrole:{OWNER}:"))


async def test_plans_are_counted(house: House, reader: Person) -> None:
    await house.made.of(GrantingService).grant(VICTIM, "pro", 20, "first")
    await house.written()
    shown = words(await reader.writes("/plans"))
    assert "Pro: 1 · active 1" in shown
    assert "Free trial: 5 · active 5" in shown
    assert "$" in shown


@pytest.mark.parametrize("hostile", HOSTILE[::4])
async def test_what_comes_from_outside_is_harmless(house: House, support: Person, victim: Person, hostile: str) -> None:
    harmful = hostile.encode("utf-8", "replace").decode()
    victim.user |= {"first_name": harmful[:60] or "x", "last_name": "", "username": "x"}
    await victim.writes("/start")
    await support.taps(button(await card(support), "✏️ Add a note"))
    await support.writes(harmful if harmful.strip() and not harmful.startswith("/") else "note " + harmful)
    await house.written()
    for said in (await card(support), await support.writes("/audit"), await support.writes("/users")):
        (one,) = [one for one in said if one.message]
        text = only([one], one.how).text or ""
        assert_harmless(text.replace("/status", "").replace("/plan", "").replace("/start", ""))


async def test_activity_never_waits_and_is_bounded(house: House) -> None:
    activity = house.made.of(ActivityService)
    await activity.write()
    before = (await house.postgres.fetch("SELECT count(*) AS count FROM activity"))[0]["count"]
    for number in range(MAX_WAITING + 5):
        activity.note(VICTIM, "tap", str(number))
    assert activity.forgotten == 5
    await activity.write()
    rows = await house.postgres.fetch("SELECT count(*) AS count FROM activity")
    assert rows[0]["count"] == before + MAX_WAITING


async def test_the_audit_is_paged_filtered_and_taken_along(
    house: House, support: Person, owner: Person, reader: Person
) -> None:
    for number in range(8):
        await support.taps(button(await card(support), "✏️ Add a note"))
        await support.writes(f"={number} note")
    await owner.taps(button(await owner.taps(button(await owner.writes(f"/user {OTHER}"), "⛔ Ban")), "Yes, ban"))
    await house.written()
    said = await reader.writes("/audit")
    assert "What admins did: 9" in words(said)
    assert "ban" in words(said)
    assert "=0 note" in words(await reader.taps(button(said, "Next")), "edited")
    offered = only(await reader.taps(button(said, "By admin")), "edited").message
    assert offered
    assert {one.data for row in offered.keyboard for one in row} >= {f"audit:{SUPPORT}:0:0", f"audit:{OWNER}:0:0"}
    chosen = await reader.taps(f"audit:{SUPPORT}:0:0")
    assert "What admins did: 8" in words(chosen, "edited")
    await reader.taps(button(said, "By person"))
    about = await reader.writes(str(OTHER))
    assert "What admins did: 1" in words(about)
    assert toast(await reader.taps(button(about, "⬇ CSV"))) == "Sent: 1 row."
    assert toast(await reader.taps(button(said, "⬇ CSV"))) == "Sent: 9 rows."
    (_, name, first), (chat_id, _, data) = house.files.sent
    assert (name, chat_id) == ("admin-actions.csv", READER)
    assert len(list(csv.DictReader(StringIO(first.decode("utf-8-sig"), newline="")))) == 1
    rows = list(csv.DictReader(StringIO(data.decode("utf-8-sig"), newline="")))
    assert {row["admin_id"] for row in rows} == {str(SUPPORT), str(OWNER)}
    assert all(not row["details"].startswith("=") for row in rows)


async def test_what_cannot_be_written_down_is_not_done(house: House, support: Person) -> None:
    asked = await support.taps(button(await card(support), "⛔ Ban"))
    token_key = keys.CONFIRMATION.of(SUPPORT, button(asked, "Yes, ban").partition(":")[2])
    document = await house.redis.get(token_key)
    assert document is not None
    await house.redis.transaction([("SET", keys.JOURNAL.of(), "in the way")])
    said = await support.taps(button(asked, "Yes, ban"))
    await house.redis.transaction([("DEL", keys.JOURNAL.of())])
    assert [one.how for one in said] == ["alerted"]
    assert (await house.subscriber()).banned_at is None


async def test_who_is_deleted_leaves_what_was_done_without_what_was_said(house: House, support: Person) -> None:
    await support.taps(button(await card(support), "✏️ Add a note"))
    await support.writes("she called")
    await house.written()
    await house.postgres.execute("SELECT erase_person($1, $2)", VICTIM, list(KEPT_OF_ERASED))
    assert await house.postgres.fetch("SELECT 1 FROM notes") == []
    assert await house.postgres.fetch("SELECT 1 FROM activity WHERE user_id = $1", VICTIM) == []
    (deed,) = await house.deeds()
    assert (deed.action, deed.user_id, deed.outcome, deed.details) == ("note", VICTIM, "done", "")
