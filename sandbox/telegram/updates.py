"""The queue of updates of one bot and the long poll that empties it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.telegram.errors import (
    OTHER_POLLER,
    POLL_ENDED_BY_WEBHOOK,
    WEBHOOK_ACTIVE,
    conflict,
)

JsonObject = dict[str, Any]

# Telegram sends these only to a bot that names them in allowed_updates.
_ONLY_IF_ASKED_FOR = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_PENDING_MAX = 100_000


class UpdateQueue:
    """Updates wait here until an offset acknowledges them or a webhook takes them."""

    def __init__(self) -> None:
        # Telegram's ids grow for ever; starting at the time of day keeps them growing over a restart.
        self._ids = itertools.count(int(time.time()))
        self._pending: dict[int, JsonObject] = {}
        self._allowed: frozenset[str] = frozenset()
        self._poll: asyncio.Future[str | None] | None = None
        self._takers: list[Callable[[JsonObject], None]] = []
        self.webhook_active = False
        self.on_put: Callable[[JsonObject], None] | None = None
        self.on_gone: Callable[[list[int]], None] | None = None
        """With the ids of those that nobody has to be given any more."""
        self.polling = asyncio.Event()
        """Set while a long poll waits here."""

    @property
    def allowed(self) -> frozenset[str]:
        """Empty: everything but what must be asked for."""
        return self._allowed

    def __len__(self) -> int:
        return len(self._pending)

    def allow(self, kinds: Sequence[str] | None) -> None:
        """None keeps what was set before, as Telegram does; an empty list restores the default."""
        if kinds is not None:
            self._allowed = frozenset(kinds)

    def put(self, kind: str, content: JsonObject) -> None:
        if (kind not in self._allowed) if self._allowed else (kind in _ONLY_IF_ASKED_FOR):
            return
        update_id = next(self._ids)
        update: JsonObject = {"update_id": update_id, kind: content}
        self._pending[update_id] = update
        if self.on_put:
            self.on_put(update)
        if len(self._pending) > _PENDING_MAX:
            self._forget([next(iter(self._pending))])
        if self.webhook_active:
            for taker in self._takers:
                taker(update)
        elif self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def restore(self, updates: Sequence[JsonObject]) -> None:
        """Let updates of an earlier run wait here again; those that follow have higher ids."""
        self._pending |= {update["update_id"]: update for update in updates}
        if updates:
            self._ids = itertools.count(max(next(self._ids), updates[-1]["update_id"] + 1))

    def drop_all(self) -> None:
        self._forget(list(self._pending))

    def _forget(self, update_ids: list[int]) -> None:
        for update_id in update_ids:
            del self._pending[update_id]
        if self.on_gone and update_ids:
            self.on_gone(update_ids)

    def pending(self) -> list[JsonObject]:
        return list(self._pending.values())

    def delivered(self, update_id: int) -> None:
        if update_id in self._pending:
            self._forget([update_id])

    def is_pending(self, update_id: int) -> bool:
        return update_id in self._pending

    def attach(self, taker: Callable[[JsonObject], None]) -> None:
        """From now on the webhook takes updates; a poll under way ends with 409."""
        self.webhook_active = True
        self._takers.append(taker)
        self._end_poll(POLL_ENDED_BY_WEBHOOK)

    def detach(self) -> None:
        self.webhook_active = False
        self._takers.clear()

    def close(self) -> None:
        """Let the poll under way return, because the server stops."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def _end_poll(self, reason: str) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(reason)

    def _acknowledge(self, offset: int) -> None:
        if offset < 0:
            forgotten = list(self._pending)[:offset]
        else:
            forgotten = list(itertools.takewhile(lambda update_id: update_id < offset, self._pending))
        self._forget(forgotten)

    async def poll(self, offset: int, limit: int, timeout_s: float) -> list[JsonObject]:
        """Return updates from `offset` on, waiting at most `timeout_s` for the first one; or 409."""
        if self.webhook_active:
            raise conflict(WEBHOOK_ACTIVE)
        self._end_poll(OTHER_POLLER)
        self._acknowledge(offset)
        if not self._pending and timeout_s > 0:
            await self._wait(timeout_s)
        return list(itertools.islice(self._pending.values(), limit))

    async def _wait(self, timeout_s: float) -> None:
        poll: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._poll = poll
        self.polling.set()
        try:
            async with asyncio.timeout(timeout_s):
                reason = await poll
        except TimeoutError:
            return
        finally:
            if self._poll is poll:
                self._poll = None
                self.polling.clear()
        if reason is not None:
            raise conflict(reason)
