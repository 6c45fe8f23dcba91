"""The list of channels: configured, added by admins, suggested by people; and what was found when each was read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

from msgspec import Struct
from msgspec.structs import replace

from domain.channels.names import channel_named
from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.channels import statements
from services.channels.rows import ChannelRows, ReadChannel, State

MAX_SUGGESTED: Final = 5
"""By one person, as long as nobody has decided."""
COUNTED: Final = timedelta(days=7)


class ChangedMeanwhileError(UserFacingError):
    """Somebody else was quicker: the channel stands as it is now."""

    def __init__(self, one: ReadChannel) -> None:
        super().__init__("callback.stale")
        self.one: Final = one


class ReasonCount(Struct, frozen=True):
    verdict: str
    reason: str
    posts: int


class Posted(Struct, frozen=True):
    """Of one channel, within `COUNTED`, as long as it has been read."""

    posts: int
    calls: int
    """Tokens that it called and that were decided here, as who calls is counted."""
    since: datetime


async def _nobody(_suggested: ReadChannel, _accepted: bool, /) -> None:  # noqa: FBT001 - as a hook gets it
    return None


class ListedChannels:
    def __init__(self, postgres: PostgresManager, rows: ChannelRows, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._rows = rows
        self._clock = clock
        self.changed: Callable[[], None] = lambda: None
        """Told when the list has changed; whoever reads in this process sets it."""
        self.decided: Callable[[ReadChannel, bool], Awaitable[object]] = _nobody
        """Told what becomes of a suggestion, before it does; what fails here leaves it open."""

    async def configured(self, names: Sequence[str]) -> None:
        """Take up what the settings name; what an admin has paused or removed stays so."""
        await self._rows.configured(names, self._clock())
        self.changed()

    async def to_read(self) -> dict[str, ReadChannel]:
        return {one.channel: one for one in await self._rows.all() if one.state == "read"}

    async def all(self) -> list[ReadChannel]:
        return await self._rows.all()

    async def find(self, channel: str) -> ReadChannel | None:
        return await self._rows.find(channel)

    async def add(self, typed: str, admin_id: int) -> ReadChannel:
        """Read a channel from now on. `UserFacingError` where the text names none, or it is read already.

        One that was paused catches up with what it has posted; of any other the first look calls nothing.
        """
        channel = _named(typed)
        if await self._decide(channel, admin_id, is_accepted=True):
            return await self._require(channel)
        if not await self._rows.add(channel, admin_id, self._clock()):
            raise UserFacingError("channels_read.already", channel=channel)
        self.changed()
        return await self._require(channel)

    async def suggest(self, typed: str, user_id: int) -> ReadChannel:
        """Note what somebody would like to be read. `UserFacingError` with what is in its way."""
        channel = _named(typed)
        if await self._rows.suggested_by(user_id) >= MAX_SUGGESTED:
            raise UserFacingError("channels_read.too_many_suggested", count=MAX_SUGGESTED)
        if not await self._rows.suggest(channel, user_id, self._clock()):
            known = await self._require(channel)
            raise UserFacingError(_SEEN[known.state], channel=channel)
        return await self._require(channel)

    async def decide(self, channel: str, admin_id: int, *, is_accepted: bool) -> ReadChannel:
        """Read what somebody suggested, or refuse it. `ChangedMeanwhileError` where somebody has decided already.

        `UserFacingError` where it is not in the list any more.
        """
        is_decided = await self._decide(channel, admin_id, is_accepted=is_accepted)
        one = await self._require(channel)
        if not is_decided:
            raise ChangedMeanwhileError(one)
        return one

    async def _decide(self, channel: str, admin_id: int, *, is_accepted: bool) -> bool:
        async def told(suggested: ReadChannel) -> None:
            await self.decided(suggested, is_accepted)

        state: State = "read" if is_accepted else "refused"
        if not await self._rows.decide(channel, state, admin_id, self._clock(), told=told):
            return False
        self.changed()
        return True

    async def forget_suggestions(self, user_id: int) -> int:
        """Delete what somebody suggested and nobody has decided; returns how many. May be repeated."""
        return await self._rows.forget_suggestions(user_id)

    async def change(self, channel: str, state: State, *, of: Sequence[State]) -> ReadChannel:
        """`ChangedMeanwhileError` where it is in none of these states any more, `UserFacingError` where it is gone."""
        is_changed = await self._rows.change(channel, state, self._clock(), of=of)
        one = await self._require(channel)
        if not is_changed:
            raise ChangedMeanwhileError(one)
        self.changed()
        return one

    async def noted(self, one: ReadChannel, problem: str | None, *, moved_to: str | None = None) -> ReadChannel:
        """Note why a channel cannot be read, or that it can."""
        now = self._clock()
        await self._rows.note_problem(one.channel, problem, moved_to, now)
        since = None if problem is None else one.problem_since or now
        return replace(one, problem=problem, problem_since=since, moved_to=moved_to)

    async def counted_each(self, channels: Sequence[str]) -> dict[str, Posted]:
        """Return how much each has posted and called."""
        since = self._clock() - COUNTED
        rows = await self._postgres.fetch(statements.COUNTS_OF_EACH, list(channels), since)
        return {row["channel"]: Posted(row["posts"], row["calls"], row["since"]) for row in rows}

    async def reasons(self, channel: str) -> list[ReasonCount]:
        """Return what became of the posts of the last `COUNTED`, the commonest first."""
        statement: LiteralString = statements.REASONS
        rows = await self._postgres.fetch(statement, channel, self._clock() - COUNTED)
        return [ReasonCount(row["verdict"], row["reason"], row["posts"]) for row in rows]

    async def _require(self, channel: str) -> ReadChannel:
        found = await self._rows.find(channel)
        if found is None:
            raise UserFacingError("callback.stale")
        return found


_SEEN: Final[dict[State, str]] = {
    "read": "channels_read.suggested_read",
    "paused": "channels_read.suggested_paused",
    "suggested": "channels_read.suggested_before",
    "refused": "channels_read.suggested_refused",
    "removed": "channels_read.suggested_removed",
}


def _named(typed: str) -> str:
    channel = channel_named(typed)
    if channel is None:
        raise UserFacingError("channels_read.no_name", typed=typed[:100])
    return channel
