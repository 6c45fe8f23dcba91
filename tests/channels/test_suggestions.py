"""Suggestions in the list: one decision each, told or not made; the settings win; a person's own ones go with them."""

from __future__ import annotations

import asyncio

import pytest

from runtime.errors import TransientError, UserFacingError
from services.channels.listed import MAX_SUGGESTED
from services.channels.rows import ReadChannel
from tests.channels.support import Kit

ANN, BEN, ADMIN = 912_345_678, 9_123_456_789, 7


async def test_what_cannot_be_told_is_not_decided(kit: Kit) -> None:
    told: list[tuple[str, int | None, bool]] = []

    async def fails(_suggested: ReadChannel, _accepted: bool) -> None:  # noqa: FBT001 - as the list calls it
        raise TransientError("nobody can be told")

    async def tells(suggested: ReadChannel, accepted: bool) -> None:  # noqa: FBT001 - likewise
        told.append((suggested.channel, suggested.added_by, accepted))

    await kit.listed.suggest("@gems", ANN)
    kit.listed.decided = fails
    with pytest.raises(TransientError):
        await kit.listed.decide("@gems", ADMIN, is_accepted=True)
    assert ((await kit.channel("@gems")).state, (await kit.channel("@gems")).added_by) == ("suggested", ANN)
    kit.listed.decided = tells
    decisions = [kit.listed.decide("@gems", ADMIN, is_accepted=yes) for yes in (True, False, True)]
    ends = await asyncio.gather(*decisions, return_exceptions=True)
    assert sum(isinstance(end, ReadChannel) for end in ends) == 1, "two admins tap at once"
    assert sum(isinstance(end, UserFacingError) for end in ends) == 2
    assert len(told) == 1
    assert told[0][:2] == ("@gems", ANN)
    assert (await kit.channel("@gems")).added_by == ADMIN


async def test_the_settings_win_and_keep_nothing_of_who_suggested_it(kit: Kit) -> None:
    await kit.listed.suggest("@gems", ANN)
    await kit.listed.configured(["@gems"])
    assert ((await kit.channel("@gems")).state, (await kit.channel("@gems")).added_by) == ("read", None)


async def test_only_ones_own_open_suggestions_are_forgotten(kit: Kit) -> None:
    for name in ("gems", "more_gems", "refused_gems"):
        await kit.listed.suggest(name, ANN)
    await kit.listed.suggest("bens_gems", BEN)
    await kit.listed.decide("@refused_gems", ADMIN, is_accepted=False)
    assert await kit.listed.forget_suggestions(ANN) == 2
    assert await kit.listed.forget_suggestions(ANN) == 0
    left = {one.channel: one.added_by for one in await kit.listed.all()}
    assert left == {"@alpha": None, "@bens_gems": BEN, "@refused_gems": ADMIN}


async def test_a_refused_suggestion_makes_room_for_another(kit: Kit) -> None:
    for number in range(MAX_SUGGESTED):
        await kit.listed.suggest(f"gems_{number}", ANN)
    with pytest.raises(UserFacingError, match="too_many_suggested"):
        await kit.listed.suggest("gems_more", ANN)
    await kit.listed.decide("@gems_0", ADMIN, is_accepted=False)
    await kit.listed.suggest("gems_more", ANN)
    with pytest.raises(UserFacingError, match="suggested_refused"):
        await kit.listed.suggest("gems_0", BEN)


async def test_an_admin_who_adds_what_was_suggested_takes_it_up(kit: Kit) -> None:
    told: list[bool] = []

    async def tells(_suggested: ReadChannel, accepted: bool) -> None:  # noqa: FBT001 - as the list calls it
        told.append(accepted)

    kit.listed.decided = tells
    await kit.listed.suggest("@gems", ANN)
    assert (await kit.listed.add("https://t.me/gems", ADMIN)).added_by == ADMIN
    assert told == [True]
