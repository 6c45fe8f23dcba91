"""A bot that reads no channels itself says so; what is known of posts is told all the same, also of forwarded ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.channels.listed import ListedChannels
from services.cluster.members import Members
from tests.admin.people.conftest import house, owner, reader, victim
from tests.admin.people.house import House
from tests.conversation.telegram_wire import Person, Said

__all__ = ["house", "owner", "reader", "victim"]


def words(said: list[Said]) -> str:
    return "\n".join(one.text or "" for one in said).replace("\u2060", "")


def buttons(said: list[Said]) -> dict[str, str | None]:
    return {label: data for one in said for label, data in one.buttons.items()}


def origin(name: str | None, number: int) -> dict[str, object]:
    chat = {"id": -1001, "type": "channel", "title": "A channel"} | ({"username": name} if name else {})
    return {"type": "channel", "date": 1, "chat": chat, "message_id": number}


async def test_it_is_said_that_none_is_read_and_what_to_set(owner: Person, victim: Person) -> None:
    listed = await owner.writes("/channels")
    assert "the latest first" in words(listed)
    opened = buttons(listed)["📖 What is read"]
    assert opened
    said = words(await owner.taps(opened))
    assert "reads no channels" in said
    assert "CHANNELS=" in said
    assert "I read no channels of Telegram here" in words(await victim.writes("/suggest @gems"))


async def test_who_only_looks_is_offered_nothing_that_changes(house: House, reader: Person) -> None:
    card = await reader.taps("channelread:@alpha")
    assert "📖 Read, in the list since" in words(card)
    assert not {"⏸ Pause", "🗑 Remove …"} & buttons(card).keys()
    await reader.taps("pausereading:@alpha")
    found = await house.postgres.fetch_row("SELECT state FROM read_channels WHERE channel = '@alpha'")
    assert found
    assert found["state"] == "read"


async def test_a_forwarded_post_is_explained_as_its_link_is(house: House, victim: Person) -> None:
    assert "I do not read @nobody_reads" in words(
        await victim.writes("CA: anything", forward_origin=origin("Nobody_Reads", 5))
    )
    assert "I have not looked at it yet" in words(await victim.writes(None, forward_origin=origin("alpha", 5)))
    assert "Post" not in words(await victim.writes("CA: anything", forward_origin=origin(None, 5)))


async def test_a_call_by_a_pool_is_followed_from_unknown_to_called(house: House, victim: Person) -> None:
    now = datetime.now(UTC)
    understood = (
        '{"verdict": "call", "reason": "pool_link", "tokens": [{"address": "' + "P" * 40 + '", "chain": "solana",'
        ' "is_pool": true, "found": "pool_link", "called_at": "2026-11-30T12:00:00Z", "is_first": true}],'
        ' "refused": [{"what": "<b>bold</b> @name", "reason": "undecodable"}]}'
    )
    await house.postgres.execute(
        "INSERT INTO read_posts VALUES ('@alpha', 7, $1, $1, ''::bytea, 'call', 'pool_link', $2)", now, understood
    )
    said = words(await victim.writes("/why t.me/alpha/7"))
    assert "a link leads to its pool" in said
    assert "nobody could say what token that is" in said
    assert "&lt;b&gt;bold&lt;/b&gt;" in said
    await house.postgres.execute(
        "INSERT INTO unresolved_calls VALUES ('@alpha', 7, $1, $2, $2, '{}')", "P" * 40, now - timedelta(minutes=1)
    )
    assert "It is not known yet" in words(await victim.writes("/why t.me/alpha/7"))
    frame = '{"type":"call","id":"t.me/alpha/7/T","called_at":"2026-11-30T12:00:00Z","channel":{"id":"@alpha"},"token":{"address":"T"}}'  # noqa: E501
    await house.postgres.execute("DELETE FROM unresolved_calls")
    await house.postgres.execute(
        "INSERT INTO channel_calls VALUES (1, 't.me/alpha/7/T', '@alpha', 7, $1, $2)", now + timedelta(minutes=5), frame
    )
    assert "called, and not decided by me" in words(await victim.writes("/why t.me/alpha/7"))


async def test_one_of_many_is_found_by_a_part_of_its_name(house: House, reader: Person) -> None:
    await house.made.of(ListedChannels).configured([f"@gems_{number}" for number in range(20)])
    await reader.taps("findread")
    assert "No channel is called" in words(await reader.writes("nothing like it"))
    found = buttons(await reader.writes("https://t.me/GEMS_1"))
    assert len([label for label in found if "gems_1" in label]) == 11 - 1, "ten of the eleven that fit"


async def test_it_knows_that_another_process_reads(house: House, owner: Person, victim: Person) -> None:
    other = Members(house.redis, "other-listen", {"listen"})
    await other.join()
    await house.made.of(Members).join()
    listed = await owner.writes("/channels")
    assert "Channels that are read</b>: 1" in words(listed)
    assert "looked at every" not in words(listed), "that is known there"
    assert "is suggested" in words(await victim.writes("/suggest @gems"))
    await house.made.of(ListedChannels).decide("@gems", 789, is_accepted=False)


async def test_several_are_added_at_once_and_a_wrong_one_costs_itself(house: House, owner: Person) -> None:
    await owner.taps("askaddchannel")
    assert "None was added, of 2" in words(await owner.writes("@alpha t.me/+AbCdEf"))
    said = words(await owner.writes("@beta_calls, https://t.me/gamma_calls\n@alpha\n<b>x</b>\n"))
    assert "2 channels are read from now on" in said
    assert "@alpha is read already" in said
    assert "“&lt;b&gt;x&lt;/b&gt;” is no public channel" in said
    (deed,) = [one for one in await house.deeds() if one.outcome == "done"]
    assert deed.action == "add channel"
    assert deed.details.endswith("@beta_calls @gamma_calls")
