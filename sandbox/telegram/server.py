"""The sandbox's Telegram: one bot's Bot API server and the chat page, on one loopback port."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from sandbox.telegram.bot_api import BotApi
from sandbox.telegram.cloud import ChatKind, Cloud
from sandbox.telegram.faults import Faults
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.memory import Memory
from sandbox.telegram.page_api import ExtraStats, PageApi
from sandbox.telegram.people import SandboxGroup, SandboxUser
from sandbox.telegram.stars.payments import Stars
from sandbox.telegram.stats import ServerStats
from sandbox.telegram.updates import JsonObject
from sandbox.telegram.wallets.hook import WalletHook

DEFAULT_TOKEN = "7000000001:SANDBOX-TOKEN-that-opens-nothing-real"  # noqa: S105 -- known only to this sandbox
QUERY_EXPIRY_S = 15.0
CHECKOUT_TIMEOUT_S = 10.0

_UPLOAD_MAX_BYTES = 52 * 1024 * 1024
_GRACE_S = 1.0


class TelegramSandbox:
    """Use as `async with TelegramSandbox() as telegram`; `telegram.url` is the base URL of the Bot API.

    `clock` (monotonic seconds) drives flood limits, storms, the expiry of queries and the periods of subscriptions.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = DEFAULT_TOKEN,
        username: str = "token_filter_bot",
        limits: FloodLimits = FloodLimits(),  # noqa: B008 -- frozen
        clock: Callable[[], float] = time.monotonic,
        query_expiry_s: float = QUERY_EXPIRY_S,
        checkout_timeout_s: float = CHECKOUT_TIMEOUT_S,
        webhook_retry_s: float = 1.0,
        kept_at: Path | None = None,
    ) -> None:
        """`kept_at`: a file that people and chats are kept in, so that they survive a restart."""
        if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        self.host = host
        self.port = port
        """0 until it listens means: a free one."""
        self.token = token
        self.extra_stats: ExtraStats | None = None
        self.wallets: list[WalletHook] = []
        """What people can pay with beside Stars."""
        self.cloud = Cloud(
            token=token,
            username=username,
            limits=limits,
            clock=clock,
            query_expiry_s=query_expiry_s,
            checkout_timeout_s=checkout_timeout_s,
            webhook_retry_s=webhook_retry_s,
        )
        self._users: dict[int, SandboxUser] = {}
        self._by_name: dict[str, SandboxUser] = {}
        self._groups: dict[int, SandboxGroup] = {}
        self._memory = Memory(self, kept_at) if kept_at else None
        self._bot_api: BotApi | None = None
        self._page_api = PageApi(self)
        self._runner: web.AppRunner | None = None
        self._jobs: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        if self._memory:
            self._memory.restore()
        self._bot_api = BotApi(self.cloud)
        app = web.Application(client_max_size=_UPLOAD_MAX_BYTES)
        app.add_routes([*self._bot_api.routes(), *self._page_api.routes()])
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._jobs = [asyncio.create_task(self.cloud.stars.run(), name="sandbox-renewals")]
        if self._memory:
            self._jobs.append(asyncio.create_task(self._memory.run(), name="sandbox-memory"))
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for job in self._jobs:
            job.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs)
        if self._memory:
            self._memory.keep()
        self.cloud.stars.close()
        await self.cloud.webhook.stop()
        self._page_api.close()
        if self._bot_api is not None:
            self._bot_api.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def stats(self) -> ServerStats:
        return self.cloud.stats

    @property
    def faults(self) -> Faults:
        return self.cloud.faults

    @property
    def stars(self) -> Stars:
        return self.cloud.stars

    def on_message(self, callback: Callable[[JsonObject], None]) -> None:
        """Call back for each bot message that was accepted, new or edited. The dict must not be changed."""
        self.cloud.message_observers.append(callback)

    def user(self, name: str, *, user_id: int | None = None, language_code: str = "en") -> SandboxUser:
        """Find the person with this id or, without one, of this name; made if there is none yet."""
        known = self._by_name.get(name) if user_id is None else self._users.get(user_id)
        if known is not None:
            return known
        chat = self.cloud.add_person(name, user_id=user_id, language_code=language_code)
        if chat.person is None:
            raise AssertionError("a private chat has a person")
        made = SandboxUser(self.cloud, chat, chat.person)
        self._users[made.id] = made
        self._by_name.setdefault(name, made)
        return made

    def users(self) -> list[SandboxUser]:
        return list(self._users.values())

    def user_by_id(self, user_id: int) -> SandboxUser | None:
        return self._users.get(user_id)

    def group(self, title: str, members: Sequence[SandboxUser]) -> SandboxGroup:
        """Make a basic group that the bot was added to by its first member."""
        return self._add_group(title, members, kind="group", chat_id=-1_000_001 - len(self._groups))

    def forum(self, title: str, members: Sequence[SandboxUser]) -> SandboxGroup:
        """Make a supergroup with topics that the bot was added to by its first member."""
        made = self._add_group(title, members, kind="supergroup", chat_id=-1_002_000_000_001 - len(self._groups))
        made.chat.card["is_forum"] = True
        self.cloud.changed(made.chat)
        return made

    def groups(self) -> list[SandboxGroup]:
        return list(self._groups.values())

    def restore_group(self, title: str, members: Sequence[SandboxUser], kind: ChatKind, chat_id: int) -> SandboxGroup:
        """Make a group that was there before, under its id."""
        return self._add_group(title, members, kind=kind, chat_id=chat_id)

    def _add_group(self, title: str, members: Sequence[SandboxUser], *, kind: ChatKind, chat_id: int) -> SandboxGroup:
        people = [member.person for member in members]
        chat = self.cloud.add_group(title, people, kind=kind, chat_id=chat_id)
        made = self._groups[chat_id] = SandboxGroup(self.cloud, chat)
        return made
