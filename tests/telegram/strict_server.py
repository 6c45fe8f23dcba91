"""A flood-limited server in virtual time, as strict as can be: no window of a period sees more than N."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from telegram.error import TimedOut

from managers.telegram.answers import FloodRefusedError
from managers.telegram.rate_limiter import Answer, ChatId, Limit, Slot, TelegramRateLimiter
from managers.telegram.send_lanes import Lane


@dataclass
class StrictServer:
    arrivals: list[tuple[float, ChatId]] = field(default_factory=list[tuple[float, ChatId]])

    def arrive(self, chat_id: ChatId) -> None:
        self.arrivals.append((asyncio.get_running_loop().time(), chat_id))

    def violations(self, overall: Limit, private: Limit, group: Limit) -> list[str]:
        by_chat: dict[ChatId, list[float]] = defaultdict(list)
        for at, chat_id in self.arrivals:
            by_chat[chat_id].append(at)
        found = _crowded("overall", [at for at, _ in self.arrivals], overall)
        for chat_id, times in by_chat.items():
            limit = private if isinstance(chat_id, int) and chat_id > 0 else group
            found += _crowded(f"chat {chat_id}", times, limit)
        return found


def _crowded(what: str, times: list[float], limit: Limit) -> list[str]:
    times = sorted(times)
    return [
        f"{what}: {limit.slots + 1} arrivals within {later - first} s"
        for first, later in zip(times, times[limit.slots :], strict=False)
        if later - first < limit.period_s
    ]


async def request(
    limiter: TelegramRateLimiter,
    server: StrictServer,
    chat_id: ChatId,
    *,
    how: Lane | Slot | None = None,
    there_s: float = 0.0,
    back_s: float = 0.0,
    timeout_s: float | None = None,
    retry_after: int | None = None,
    endpoint: str = "sendMessage",
) -> Answer:
    """A request that arrives after `there_s`, waited for or not, and is answered `back_s` later."""

    async def wire() -> Answer:
        if there_s > 0:
            asyncio.get_running_loop().call_later(there_s, server.arrive, chat_id)
        else:
            server.arrive(chat_id)
        if timeout_s is not None and there_s + back_s > timeout_s:
            await asyncio.sleep(timeout_s)
            raise TimedOut
        await asyncio.sleep(there_s + back_s)
        if retry_after is not None:
            raise FloodRefusedError(timedelta(seconds=retry_after))
        return {"message_id": 1}

    return await limiter.process_request(wire, (), {}, endpoint, {"chat_id": chat_id}, how)
