"""Accounts follow channels: in order, without gaps, obeying waits, beside the public pages."""

# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownParameterType=false

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
from telethon import errors, functions

from managers.channels.base import ListeningAccount
from managers.channels.session import TelegramSession
from managers.redis.client import RedisManager
from services.channels import accounts, sessions
from services.channels.accounts import lease_of, share
from services.channels.sessions import SessionsService
from services.channels.turns import ChannelTurns
from services.cluster.leases import Leases
from tests.channels.support import ALPHA, NOW, Kit, mint
from tests.channels.telegram_account import Client, Telegram
from tests.channels.test_polling import polling, until

BETA = "@beta_calls"
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def telegram() -> Telegram:
    telegram = Telegram()
    telegram.channel(ALPHA)
    return telegram


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for in seconds is waited for in hundredths."""
    for module, name in (
        (accounts, "FIRST_AGAIN_S"),
        (accounts, "REST_LOOK_S"),
        (sessions, "FAILED_AGAIN_S"),
        (sessions, "GAP_AGAIN_S"),
    ):
        monkeypatch.setattr(module, name, 0.02)


def account_of(telegram: Telegram, name: str = "ada") -> TelegramSession:
    return TelegramSession(name, lambda: Client(telegram, name), pause_s=0.0)


class Follow(Protocol):
    def __call__(
        self, *accounts: ListeningAccount, turns: ChannelTurns | None = None, owner: str = "here"
    ) -> AbstractAsyncContextManager[SessionsService]: ...


@pytest.fixture
def follow(kit: Kit, telegram: Telegram, redis_manager: RedisManager) -> Follow:
    """Let accounts follow what is listed, one if none is named, until the block ends."""

    @asynccontextmanager
    async def follow(
        *accounts: ListeningAccount, turns: ChannelTurns | None = None, owner: str = "here"
    ) -> AsyncGenerator[SessionsService]:
        service = SessionsService(
            accounts=accounts or (account_of(telegram),),
            turns=turns or ChannelTurns(kit.taking),
            listed=kit.listed,
            leases=Leases(redis_manager, owner),
            clock=lambda: NOW,
        )
        async with asyncio.timeout(14):
            task = asyncio.create_task(service.run(lambda: None))
            try:
                yield service
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    return follow


async def followed(service: SessionsService, *channels: str) -> None:
    await until(lambda: all(service._turns.is_followed(channel) for channel in channels))


def calls(*seeds: int) -> list[str]:
    return [mint(seed) for seed in seeds]


async def addresses(kit: Kit) -> list[str]:
    return [address for _, address in await kit.called()]


async def test_posts_are_called_as_they_come_and_in_order(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    telegram.keep(ALPHA, f"CA: {mint(100)}", NOW - timedelta(days=1))
    async with follow() as service:
        await followed(service, ALPHA)
        asked = len(telegram.asked)
        for n in range(20):
            telegram.post(ALPHA, f"CA: {mint(n)}", NOW)
        await until(lambda: kit.taking.calls == 20)
        assert len(telegram.asked) == asked, "what comes by itself is not asked for"
    assert await addresses(kit) == calls(*range(20))


async def test_what_was_posted_while_nobody_listened_is_read_first(
    kit: Kit, telegram: Telegram, follow: Follow
) -> None:
    telegram.keep(ALPHA, "gm", NOW)
    account = account_of(telegram)
    async with follow(account) as service:
        await followed(service, ALPHA)
    for n in range(250):
        telegram.keep(ALPHA, f"CA: {mint(n)}", NOW)
    async with follow(account) as service:
        await followed(service, ALPHA)
        telegram.post(ALPHA, f"CA: {mint(250)}", NOW)
        await until(lambda: kit.taking.calls == 251)
    assert await addresses(kit) == calls(*range(251))


async def test_after_a_lost_connection_it_is_caught_up(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await followed(service, ALPHA)
        telegram.cut()
        telegram.keep(ALPHA, f"CA: {mint(1)}", NOW)
        await until(lambda: kit.taking.calls == 1)
        assert service.accounts.all[0].connections >= 2
    assert await addresses(kit) == calls(1)


async def test_a_gap_of_which_nobody_tells_is_filled_before_the_post_behind_it(
    kit: Kit, telegram: Telegram, follow: Follow
) -> None:
    """`ChannelDifferenceTooLong`, and updates that get lost without a word, look like this."""
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await followed(service, ALPHA)
        for n in range(130):
            telegram.keep(ALPHA, f"CA: {mint(n)}", NOW)
        telegram.post(ALPHA, f"CA: {mint(130)}", NOW)
        await until(lambda: kit.taking.calls == 131)
        assert service.counts.gaps == 1
    assert await addresses(kit) == calls(*range(131))


async def test_numbers_of_posts_that_were_deleted_stop_nothing(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await followed(service, ALPHA)
        telegram.keep(ALPHA, "gone soon", NOW)
        telegram.keep(ALPHA, f"CA: {mint(2)}", NOW)
        del telegram.posts[ALPHA][1]
        telegram.post(ALPHA, f"CA: {mint(3)}", NOW)
        await until(lambda: kit.taking.calls == 2)
    assert await addresses(kit) == calls(2, 3)


async def test_a_post_that_is_told_and_not_shown_is_taken_in_the_end(
    kit: Kit, telegram: Telegram, follow: Follow
) -> None:
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await followed(service, ALPHA)
        telegram.keep(ALPHA, "gone soon", NOW)
        telegram.post(ALPHA, f"CA: {mint(2)}", NOW)
        del telegram.posts[ALPHA][1:]
        await until(lambda: kit.taking.calls == 1)
    assert await addresses(kit) == calls(2)


async def test_an_edit_that_brings_an_address_calls_and_one_that_does_not_is_nothing(
    kit: Kit, telegram: Telegram, follow: Follow
) -> None:
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await followed(service, ALPHA)
        telegram.post(ALPHA, "Something is coming", NOW)
        telegram.edit(ALPHA, 2, f"Here it is: {mint(2)}", LATER)
        telegram.edit(ALPHA, 2, f"Here it is, folks: {mint(2)}", LATER)
        telegram.post(ALPHA, f"CA: {mint(3)}", NOW)
        await until(lambda: kit.taking.calls == 2)
    frames = [json.loads(kept.frame) for kept in await kit.history.since(0, 10)]
    assert [frame["token"]["address"] for frame in frames] == calls(2, 3)
    assert frames[0]["called_at"].startswith("2026-11-30T12:05")


async def test_what_is_missed_for_good_is_found_by_looking_back(
    kit: Kit, telegram: Telegram, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(sessions, "SWEEPS_PER_S", 1_000.0)
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await followed(service, ALPHA)
        telegram.keep(ALPHA, f"CA: {mint(1)}", NOW)
        await until(lambda: kit.taking.calls == 1)


async def test_a_flood_wait_is_obeyed_and_posts_come_on(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await followed(service, ALPHA)
        telegram.fails(functions.messages.GetHistoryRequest, errors.FloodWaitError(None, capture=1))
        telegram.keep(ALPHA, f"CA: {mint(1)}", NOW)
        telegram.post(ALPHA, f"CA: {mint(2)}", NOW)
        await until(lambda: service.counts.blocked == 1)
        asked, began = len(telegram.asked), asyncio.get_running_loop().time()
        await until(lambda: len(telegram.asked) > asked)
        assert asyncio.get_running_loop().time() - began > 0.8
        await until(lambda: kit.taking.calls == 2)
    assert await addresses(kit) == calls(1, 2)


async def test_no_names_are_looked_up_twice(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    for _ in range(2):
        async with follow() as service:
            await followed(service, ALPHA)
    looked_up = [one for one in telegram.asked if isinstance(one, functions.contacts.ResolveUsernameRequest)]
    assert len(looked_up) == 1, "id and access hash stand in the session file"


async def test_a_day_without_looking_up_names_costs_only_new_channels(
    kit: Kit, telegram: Telegram, follow: Follow
) -> None:
    telegram.channel(BETA)
    account = account_of(telegram)
    async with follow(account) as service:
        await followed(service, ALPHA)
        telegram.fails(functions.contacts.ResolveUsernameRequest, errors.FloodWaitError(None, capture=80_000))
        await kit.listed.configured([BETA])
        service.wake()
        await until(lambda: service.counts.failed > 2)
        telegram.post(ALPHA, f"CA: {mint(1)}", NOW)
        await until(lambda: kit.taking.calls == 1)
    looked_up = [one for one in telegram.asked if isinstance(one, functions.contacts.ResolveUsernameRequest)]
    assert len(looked_up) == 2


@pytest.mark.parametrize(
    "lost",
    [
        errors.AuthKeyUnregisteredError(None),
        errors.UserDeactivatedBanError(None),
        errors.AuthKeyDuplicatedError(None),
        errors.SessionRevokedError(None),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_lost_account_rests_and_another_goes_on(
    kit: Kit, telegram: Telegram, follow: Follow, lost: Exception
) -> None:
    telegram.keep(ALPHA, "gm", NOW)
    ada, ben = account_of(telegram, "ada"), account_of(telegram, "ben")
    async with follow(ada, ben) as service:
        await until(lambda: len(service.accounts.living) == 2)
        await followed(service, ALPHA)
        owner = service._followed[ALPHA].by
        telegram.refuses[owner.name] = lost
        telegram.cut()
        telegram.keep(ALPHA, f"CA: {mint(1)}", NOW)
        await until(lambda: kit.taking.calls == 1 and len(service.accounts.living) == 1)
        assert [one.name for one in service.accounts.lost] == [owner.name]
        assert type(lost).__name__ in owner.lost_because
        opened = [client for client in telegram.clients if client.account == owner.name]
        await asyncio.sleep(0.2)  # ten times as long as it waits otherwise
        assert [client for client in telegram.clients if client.account == owner.name] == opened
        telegram.post(ALPHA, f"CA: {mint(2)}", NOW)
        await until(lambda: kit.taking.calls == 2)


async def test_an_account_that_is_logged_in_anew_listens_again(
    kit: Kit, telegram: Telegram, follow: Follow, tmp_path: Path
) -> None:
    file = tmp_path / "ada.session"
    file.write_text("old")
    account = TelegramSession("ada", lambda: Client(telegram, "ada"), file=file, pause_s=0.0)
    telegram.refuses["ada"] = errors.SessionRevokedError(None)
    async with follow(account) as service:
        await until(lambda: bool(service.accounts.lost))
        del telegram.refuses["ada"]
        file.unlink()
        file.write_text("new one")
        await followed(service, ALPHA)
        assert not service.accounts.lost


async def test_two_processes_never_use_one_account(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    async with (
        follow(owner="one") as one,
        follow(owner="other") as other,
    ):
        await until(lambda: one._turns.is_followed(ALPHA) or other._turns.is_followed(ALPHA))
        await asyncio.sleep(1.5)  # as long as one that waits for a lease needs to try again
        assert len(telegram.open_clients()) == 1
        assert len(one.accounts.living) + len(other.accounts.living) == 1
    assert lease_of("ada") == "account ada"


async def test_channels_are_divided_and_stay_where_they_are(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    names = [f"@channel_{n}" for n in range(30)]
    async with follow(*(account_of(telegram, name) for name in "abc")) as service:
        await until(lambda: len(service.accounts.living) == 3)
        everybody = service.accounts.all
        before = {name: share(name, everybody, 0.0) for name in names}
        assert {one.name for one in before.values() if one} == {"a", "b", "c"}
        rest = [one for one in everybody if one.name != "a"]
        after = {name: share(name, rest, 0.0) for name in names}
        assert all(after[name] is before[name] for name in names if before[name] in rest)


async def test_a_channel_goes_to_the_account_that_is_its_member(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    found = [account_of(telegram, name) for name in ("ada", "ben")]
    async with follow(*found) as service:
        await until(lambda: len(service.accounts.living) == 2)
        first = share(ALPHA, service.accounts.living, 0.0)
        assert first is not None
        other = next(one for one in service.accounts.all if one is not first)
    telegram.members[ALPHA] = {other.name}
    telegram.keep(ALPHA, "gm", NOW)
    async with follow(*found) as service:
        await followed(service, ALPHA)
        assert service._followed[ALPHA].by.name == other.name
        telegram.post(ALPHA, f"CA: {mint(1)}", NOW)
        await until(lambda: kit.taking.calls == 1)


async def test_where_no_account_is_a_member_it_looks_back_and_leaves_the_pace_to_others(
    kit: Kit, telegram: Telegram, follow: Follow
) -> None:
    telegram.strangers.add(ALPHA)
    telegram.keep(ALPHA, "gm", NOW)
    async with follow() as service:
        await until(lambda: ALPHA in service._followed and service._followed[ALPHA].row.read_to == 1)
        assert not service._turns.is_followed(ALPHA)
    assert (await kit.channel()).read_to == 1


async def test_who_is_put_out_of_a_channel_loses_that_one(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    telegram.channel(BETA)
    await kit.listed.configured([BETA])
    async with follow() as service:
        await followed(service, ALPHA, BETA)
        telegram.fails(functions.messages.GetHistoryRequest, errors.ChannelPrivateError(None))
        telegram.keep(BETA, "one", NOW)
        telegram.keep(BETA, "two", NOW)
        telegram.post(BETA, "three", NOW)
        await until(lambda: not service._turns.is_followed(BETA))
        telegram.post(ALPHA, f"CA: {mint(1)}", NOW)
        await until(lambda: kit.taking.calls == 1)


async def test_no_post_is_called_twice_when_pages_and_an_account_both_show_it(
    kit: Kit, telegram: Telegram, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channels.polling.CHECK_EVERY_S", 0.01)
    turns = ChannelTurns(kit.taking)
    for post in (telegram.keep, kit.book.post):
        post(ALPHA, "gm", NOW)
    async with follow(turns=turns) as service, polling(kit, turns=turns):
        await followed(service, ALPHA)
        for n in range(40):
            text = f"CA: {mint(n)}"
            for post in (kit.book.post, telegram.post) if n % 2 else (telegram.post, kit.book.post):
                post(ALPHA, text, NOW)
            await asyncio.sleep(0.005)
        await until(lambda: kit.taking.calls == 40)
        asked = kit.book.asked[ALPHA]
        await until(lambda: kit.book.asked[ALPHA] > asked + 2)
    assert await addresses(kit) == calls(*range(40))


async def test_pages_are_only_checked_while_an_account_listens(kit: Kit, telegram: Telegram, follow: Follow) -> None:
    turns = ChannelTurns(kit.taking)
    for post in (telegram.keep, kit.book.post):
        post(ALPHA, "gm", NOW)
    async with follow(turns=turns) as service, polling(kit, turns=turns):
        await followed(service, ALPHA)
        await until(lambda: kit.book.asked[ALPHA] > 0)
        asked = kit.book.asked[ALPHA]
        await asyncio.sleep(0.3)
        assert kit.book.asked[ALPHA] <= asked + 1
        telegram.refuses["ada"] = errors.SessionRevokedError(None)
        telegram.cut()
        await until(lambda: kit.book.asked[ALPHA] > asked + 5)
        kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
        await until(lambda: kit.taking.calls == 1)


async def test_a_channel_whose_account_is_lost_is_looked_at_at_once(
    kit: Kit, telegram: Telegram, follow: Follow
) -> None:
    """It was listened to from the first plan on, so no pace was ever found for it."""
    turns = ChannelTurns(kit.taking)
    for post in (telegram.keep, kit.book.post):
        post(ALPHA, "gm", NOW)
    async with follow(turns=turns) as service:
        await followed(service, ALPHA)
        async with polling(kit, turns=turns):
            await until(lambda: kit.book.asked[ALPHA] > 0)
            telegram.refuses["ada"] = errors.SessionRevokedError(None)
            telegram.cut()
            kit.book.post(ALPHA, f"CA: {mint(1)}", NOW)
            await until(lambda: kit.taking.calls == 1)
