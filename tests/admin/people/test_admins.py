"""Roles are given, changed and taken in the chat, obeyed at once here and within seconds elsewhere."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bot.command_menus import CommandMenus
from domain.admins.roles import ROLES, AdminRole, allows
from runtime.errors import RecipientGoneError
from services.administration.admins import AdminsService
from tests.admin.people.house import OTHER, OUTSIDER, OWNER, READER, SUPPORT, VICTIM, House, house_on
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import Person, Said

FORWARDED = {"type": "user", "date": 1, "sender_user": {"id": OTHER, "is_bot": False, "first_name": "Other"}}


@given(st.sampled_from(ROLES), st.sampled_from(ROLES), st.sampled_from(ROLES))
def test_who_may_more_may_all_that_others_may(first: AdminRole, second: AdminRole, needs: AdminRole) -> None:
    assert allows(first, first)
    assert not allows(None, needs)
    if allows(first, second):
        assert allows(first, needs) or not allows(second, needs)


async def make(owner: Person, whom: str, label: str) -> list[Said]:
    await owner.taps(button(await owner.writes("/admins"), "➕ Add somebody"))
    asked = await owner.taps(button(await owner.writes(whom), label))
    return await owner.taps(button(asked, "Yes, I mean it"))


async def test_an_owner_adds_somebody_who_is_told_and_can_begin(house: House, owner: Person, outsider: Person) -> None:
    said = await make(owner, str(OUTSIDER), "Make support")
    assert "within seconds" in (toast(said) or "")
    assert "You administer this bot now, as support. /admin" in words([one for one in said if one.how == "sent"])
    assert "your role: support" in words(await outsider.writes("/admin"))
    assert "/admin " in words(await outsider.writes("/help"))
    (deed,) = [one for one in await house.deeds() if one.action == "set role"]
    assert (deed.user_id, deed.details, deed.outcome) == (OUTSIDER, f"user_id={OUTSIDER}, role=support", "done")


async def test_a_forwarded_message_says_who_is_to_be_added(house: House, owner: Person) -> None:
    await owner.taps(button(await owner.writes("/admins"), "➕ Add somebody"))
    shown = await owner.writes("make me owner!", forward_origin=FORWARDED)
    assert str(OTHER) in words(shown)
    assert house.made.of(AdminsService).role_of(OTHER) is None


async def test_whose_role_is_taken_has_no_buttons_and_no_open_question(
    house: House, owner: Person, support: Person
) -> None:
    shown = await support.writes(f"/user {VICTIM}")
    asked = await support.taps(button(shown, "⛔ Ban"))
    await support.taps(button(shown, "✏️ Add a note"))
    one = await owner.taps(f"oneadmin:{SUPPORT}")
    sure = await owner.taps(button(one, "➖ Take the role away"))
    assert toast(await owner.taps(button(sure, "Yes, I mean it"))) == "Removed."
    assert "I wasn't waiting" in words(await support.writes("a note"))
    for data in (button(shown, "⛔ Ban"), button(asked, "Yes, ban"), button(shown, "🎟 Subscription")):
        assert "out of date" in alert(await support.taps(data))
    assert "I don't know this command" in words(await support.writes("/admin"))
    assert (await house.subscriber()).banned_at is None
    assert await house.postgres.fetch("SELECT 1 FROM notes") == []


async def test_other_processes_obey_when_they_read_it(
    house: House, owner: Person, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    async with house_on(redis_url, postgres_dsn, tmp_path / "other", "bob") as elsewhere:
        there, admins = elsewhere.person(SUPPORT), elsewhere.made.of(AdminsService)
        assert "I don't know this command" in words(await there.writes("/admin"))
        await admins.load()
        assert "your role: support" in words(await there.writes("/admin"))
        sure = await owner.taps(f"askrole:{SUPPORT}:read_only")
        await owner.taps(button(sure, "Yes, I mean it"))
        await admins.load()
        assert "yours is read-only" in alert(await there.taps(f"askban:{VICTIM}"))
        sure = await owner.taps(f"askrole:{SUPPORT}:")
        await owner.taps(button(sure, "Yes, I mean it"))
        await admins.load()
        assert "I don't know this command" in words(await there.writes("/admin"))


async def test_owners_by_the_settings_and_oneself_are_left_alone(house: House, owner: Person) -> None:
    assert "by the settings" in alert(await owner.taps(f"askrole:{OWNER}:"))
    await make(owner, str(OTHER), "Make owner")
    other = house.person(OTHER)
    assert "Another owner" in alert(await other.taps(f"askrole:{OTHER}:support"))
    assert "by the settings" in alert(await other.taps(f"askrole:{OWNER}:read_only"))
    assert house.made.of(AdminsService).role_of(OWNER) == "owner"


async def test_the_menu_shows_what_ones_role_may_do_and_opens_it(
    house: House, owner: Person, support: Person, reader: Person
) -> None:
    for person, role in ((owner, "owner"), (support, "support"), (reader, "read-only")):
        said = await person.writes("/admin")
        shown = words(said)
        assert f"your role: {role}" in shown
        assert ("change nothing" in shown) == (person is reader)
        assert all(f"{topic}\n" in shown for topic in ("People", "Money", "Calls", "The bot"))
        assert "What admins did:" in words(await person.taps(button(said, "audit")), "edited")
    opened = only(await reader.taps(button(await reader.writes("/admin"), "plans")), "edited")
    assert "Plans" in (opened.text or "")


class Telegram:
    """Takes menus of commands, but for people who are gone."""

    def __init__(self) -> None:
        self.shown: dict[int | None, dict[str, str]] = {}

    async def set_commands(self, commands: dict[str, str], *, chat_id: int | None = None) -> None:
        if chat_id == OTHER:
            raise RecipientGoneError("gone")
        self.shown[chat_id] = commands


async def test_telegrams_menu_of_commands_is_that_of_the_role(house: House) -> None:
    telegram, texts = Telegram(), house.made.bot.services.conversation.texts
    admins = house.made.of(AdminsService)

    async def known() -> dict[int, AdminRole]:
        return {OTHER: "owner", **admins.roles()}

    menus = CommandMenus(telegram, lambda: house.routes, texts, known)  # pyright: ignore[reportArgumentType] - as much of Telegram as is used
    admins.changed = menus.show_to
    await menus.publish()
    everybody = telegram.shown[None].keys()
    assert telegram.shown.keys() == {None, OWNER, SUPPORT, READER}
    assert telegram.shown[READER].keys() - everybody >= {"admin", "users", "audit"}
    await admins.remove(SUPPORT, OWNER)
    assert telegram.shown[SUPPORT].keys() == everybody
