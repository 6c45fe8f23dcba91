"""Accounts that listen to channels."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from services.channels.sessions import SessionsService
from tests.alarms.accounts_stage import FILE
from tests.alarms.kit import Provocation, Scene, Stage


@asynccontextmanager
async def account_banned(scene: Scene) -> AsyncGenerator[None]:
    """Telegram bans it; somebody logs another one in, under the same name."""
    from telethon import errors  # pyright: ignore[reportMissingTypeStubs]

    telegram, sessions = scene.parts["accounts"], scene.bot.of(SessionsService)
    await scene.until(lambda: len(sessions.accounts.living) == 1)
    telegram.refuses["ada"] = errors.UserDeactivatedBanError(None)
    telegram.cut()
    yield
    del telegram.refuses["ada"]
    file = scene.data_dir / FILE
    file.unlink()
    file.write_text("another login")


PROVOKED = {
    "account lost": Provocation(
        wrong=account_banned,
        stage=Stage(accounts=True, limits={"services.channels.accounts:REST_LOOK_S": 0.2}),
    ),
}
