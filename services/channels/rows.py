"""Channels that are read, in PostgreSQL: what stands in a row, and how it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, LiteralString, TypeVar, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.posts.understanding import Uncalled, Understood, uncalled
from managers.storage.postgres import PostgresManager, Row, Statements
from runtime.errors import TransientError
from services.channels import statements
from services.channels.wire import ChannelCall, UnresolvedCall, call_id_of
from services.channels.writing import write_calls, write_tokens, write_unresolved
from services.stores.unreadable import NOT_READABLE, Unreadable

T = TypeVar("T")
State = Literal["read", "paused", "removed", "suggested", "refused"]
Kept = Literal["calls", "posts", "tokens"]

_FORGET: Final[dict[Kept, LiteralString]] = {
    "calls": statements.FORGET_CALLS,
    "posts": statements.FORGET_POSTS,
    "tokens": statements.FORGET_TOKENS,
}
_REMEMBERED_POSTS: Final = 200
"""Of a channel; an edit of an older one is looked up alone."""
_GONE: Final[frozenset[State]] = frozenset({"removed", "refused"})
UNREAD: Final = Understood(verdict="none", reason="unreadable")
GIVEN_UP_AFTER: Final = timedelta(hours=1)
_NAMES: Final = ("channel", "number", "address", "call_id")
_understood: Final = msgspec.json.Decoder(Understood)
_frame: Final = msgspec.json.Decoder(ChannelCall)
_unresolved: Final = msgspec.json.Decoder(UnresolvedCall)
_encode: Final = msgspec.json.Encoder().encode


class ReadElsewhereError(TransientError):
    """Another process has read on: what was found here is not written."""


class ReadChannel(Struct, frozen=True, kw_only=True):
    channel: str
    title: str | None
    """Attacker-controlled text."""
    state: State
    added_by: int | None
    added_at: datetime
    read_to: int | None
    """Number of the newest post that was handled; `None` before the first look."""
    revision: int
    last_post_at: datetime | None
    last_read_at: datetime | None
    problem: str | None
    problem_since: datetime | None
    moved_to: str | None = None
    """The name that it has now, where the problem is that."""
    gap_at: datetime | None = None
    """When more had been posted than could be read back to, for the last time."""


class ReadPost(Struct, frozen=True, kw_only=True):
    """What was made of a post."""

    number: int
    posted_at: datetime
    """Of one that could not be read, when that was noticed."""
    digest: bytes
    """Of all that was understood from; empty for one that could not be read."""
    understood: Understood

    @property
    def is_unread(self) -> bool:
        return self.understood.reason == "unreadable"


class Found(Struct, frozen=True, kw_only=True):
    """What a look at a channel has brought."""

    read_to: int
    title: str | None
    posts: Sequence[ReadPost]
    tokens: Sequence[tuple[str, datetime]]
    """Addresses that the channel called for the first time."""
    calls: Sequence[ChannelCall]
    unresolved: Sequence[UnresolvedCall]
    is_cut: bool = False
    """More had been posted than was read back to."""


class SeenPost(Struct, frozen=True, kw_only=True):
    number: int
    posted_at: datetime
    read_at: datetime
    """For the first time."""
    understood: Understood


class Unresolved(Struct, frozen=True, kw_only=True):
    """Calls of which nobody knows yet what token they mean."""

    calls: int
    since: datetime | None
    """Of the oldest."""


class ChannelRows:
    """Every method raises `TransientError`. What stands in a row and cannot be read costs itself: it is passed over."""

    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres
        self.unreadable = Unreadable[tuple[object, ...]]("row of a channel")
        """Rows that were passed over since the start."""

    async def all(self) -> list[ReadChannel]:
        return self._each(_channel, await self._postgres.fetch(statements.ALL))

    async def find(self, channel: str) -> ReadChannel | None:
        row = await self._postgres.fetch_row(statements.ONE, channel)
        return None if row is None else self._read(_channel, row)

    async def configured(self, channels: Sequence[str], now: datetime) -> None:
        await self._postgres.execute(statements.CONFIGURED, list(channels), now)

    async def add(self, channel: str, admin_id: int, now: datetime) -> bool:
        """Whether it was not read before."""
        return await self._begun(channel, now, statements.ADD, channel, admin_id, now)

    async def suggest(self, channel: str, user_id: int, now: datetime) -> bool:
        """Whether it was not in the list before."""
        return _changed(await self._postgres.execute(statements.SUGGEST, channel, user_id, now))

    async def suggested_by(self, user_id: int) -> int:
        row = await self._postgres.fetch_row(statements.SUGGESTED_BY, user_id)
        return cast("int", row["open"]) if row else 0

    async def decide(
        self, channel: str, state: State, by: int, now: datetime, *, told: Callable[[ReadChannel], Awaitable[object]]
    ) -> bool:
        """Decide what was suggested; `False` where somebody has. Where `told` fails, nothing is decided."""
        async with self._postgres.transaction() as transaction:
            row = await transaction.fetch_row(statements.SUGGESTION, channel)
            if row is None:
                return False
            await transaction.execute(statements.DECIDE, channel, state, by, now)
            await told(_channel(row))
            return True

    async def forget_suggestions(self, user_id: int) -> int:
        """Delete what somebody suggested and nobody has decided; returns how many."""
        return _count(await self._postgres.execute(statements.FORGET_SUGGESTIONS, user_id))

    async def change(self, channel: str, state: State, now: datetime, *, of: Sequence[State]) -> bool:
        """Whether it was in one of these states."""
        return await self._begun(channel, now, statements.STATE, channel, state, list(of))

    async def _begun(self, channel: str, now: datetime, statement: LiteralString, *arguments: object) -> bool:
        """Whether the statement changed the channel.

        One that had been removed, or whose name another one had taken, is read as a new one then.
        """
        async with self._postgres.transaction() as transaction:
            before = await transaction.fetch_row(statements.STATE_OF, channel)
            if not _changed(await transaction.execute(statement, *arguments)):
                return False
            await transaction.execute(statements.START_ANEW, channel)
            if before is not None and before["state"] in _GONE:
                await transaction.execute(statements.READ_AGAIN, channel, now, _REMEMBERED_POSTS)
            return True

    async def note_problem(self, channel: str, problem: str | None, moved_to: str | None, now: datetime) -> None:
        await self._postgres.execute(statements.PROBLEM, channel, problem, now, moved_to)

    async def posts(self, channel: str) -> dict[int, ReadPost]:
        """Return the latest posts of a channel, by number."""
        rows = await self._postgres.fetch(statements.POSTS, channel, _REMEMBERED_POSTS)
        return {row["number"]: self._post(row) for row in rows}

    async def post(self, channel: str, number: int) -> ReadPost | None:
        row = await self._postgres.fetch_row(statements.POST, channel, number)
        return None if row is None else self._post(row)

    async def seen(self, channel: str, number: int) -> SeenPost | None:
        row = await self._postgres.fetch_row(statements.SEEN_POST, channel, number)
        if row is None:
            return None
        understood = self._understood(row)
        return SeenPost(number=row["number"], posted_at=row["posted_at"], read_at=row["read_at"], understood=understood)

    async def calls_of(self, channel: str, post: SeenPost) -> list[ChannelCall]:
        """Return the calls of a post that were written down."""
        ids = [call_id_of(channel, post.number, token.address) for token in post.understood.tokens]
        rows = await self._postgres.fetch(statements.CALLS_OF_POST, ids, channel, post.number, post.read_at)
        return self._each(lambda row: _frame.decode(row["frame"]), rows)

    async def waiting_of(self, channel: str, number: int) -> list[str]:
        """Return the addresses of a post of which nobody knows yet what they mean."""
        return [row["address"] for row in await self._postgres.fetch(statements.WAITING_OF_POST, channel, number)]

    async def waiting(self) -> Unresolved:
        row = await self._postgres.fetch_row(statements.WAITING)
        return Unresolved(calls=row["calls"], since=row["since"]) if row else Unresolved(calls=0, since=None)

    async def tokens(self, channel: str) -> dict[str, datetime]:
        """Return what a channel has called, and when."""
        rows = await self._postgres.fetch(statements.TOKENS, channel)
        return {row["address"]: row["called_at"] for row in rows}

    async def unresolved(self, limit: int, now: datetime) -> list[tuple[UnresolvedCall, datetime]]:
        """Return those of so many addresses that were not asked about for longest, and since when they wait."""
        rows = await self._postgres.fetch(statements.UNRESOLVED, limit, now)
        read = [(row, self._read(_waiting, row)) for row in rows]
        if lost := [row for row, call in read if call is None and now - row["since"] > GIVEN_UP_AFTER]:
            keys = ([row[name] for row in lost] for name in ("channel", "number", "address"))
            await self._postgres.execute(statements.GIVE_UP, *keys)
        return [(call, row["since"]) for row, call in read if call is not None]

    async def waiting_for(self, address: str) -> list[tuple[UnresolvedCall, datetime]]:
        """Return all that name an address of which nobody knows yet what it means, the oldest post first."""
        rows = await self._postgres.fetch(statements.WAITING_FOR, address)
        found = [(call, row["since"]) for row in rows if (call := self._read(_waiting, row)) is not None]
        return sorted(found, key=lambda one: (one[0].called_at, one[0].number))

    async def write(self, one: ReadChannel, found: Found, now: datetime) -> ReadChannel:
        """Write all of it or nothing; returns the channel then. `ReadElsewhereError`."""
        # A time that is still to come would stand against every post behind it.
        newest = max((min(post.posted_at, now) for post in found.posts if not post.is_unread), default=None)
        async with self._postgres.transaction() as transaction:
            changed = await transaction.execute(
                statements.READ_ON, one.channel, one.revision, found.read_to, found.title, newest, now, found.is_cut
            )
            if not _changed(changed):
                raise ReadElsewhereError(f"{one.channel} was read by another process")
            await _write_posts(transaction, one.channel, found.posts, now)
            new = await write_tokens(transaction, one.channel, found.tokens)
            if any(call.token.address not in new for call in found.calls):
                raise ReadElsewhereError(f"a token of {one.channel} was called meanwhile")
            if found.unresolved:
                await write_unresolved(transaction, one.channel, found.unresolved, now)
            await write_calls(transaction, found.calls, now)
        until = one.last_post_at and min(one.last_post_at, now)
        last_post_at = max(filter(None, (until, newest)), default=None)
        return replace(
            one,
            read_to=max(one.read_to or 0, found.read_to),
            revision=one.revision + 1,
            title=found.title or one.title,
            last_post_at=last_post_at,
            last_read_at=now,
            problem=None,
            problem_since=None,
            moved_to=None,
            gap_at=now if found.is_cut else one.gap_at,
        )

    async def settle(self, one: UnresolvedCall, meant: ChannelCall | Uncalled | None, now: datetime) -> bool:
        """Write what a call means, or why it is none; `None`: give it up. Returns whether it was called.

        What its channel has called before is no call of it, and its post says so from now on. What waited was not
        called: only here its address becomes one that the channel has called, beside that of the token it means.
        """
        async with self._postgres.transaction() as transaction:
            gone = await transaction.execute(statements.RESOLVED, one.channel, one.number, one.address)
            if not _changed(gone):
                return False
            if isinstance(meant, ChannelCall):
                token, at = meant.token.address, meant.called_at
                new = await write_tokens(transaction, one.channel, [(known, at) for known in {token, one.address}])
                if token in new:
                    await write_calls(transaction, [meant], now)
                    return True
                meant = "repeated"
            row = await transaction.fetch_row(statements.UNDERSTOOD, one.channel, one.number)
            if meant is not None and row is not None:
                after = uncalled(self._understood(row), one.address, meant)
                said = (after.verdict, after.reason, _encode(after).decode())
                await transaction.execute(statements.UNDERSTAND, one.channel, one.number, *said)
            return False

    async def forget(self, what: Kept, before: datetime, limit: int) -> int:
        """Let go at most `limit` rows that are older; returns how many went."""
        return _count(await self._postgres.execute(_FORGET[what], before, limit))

    def _post(self, row: Row) -> ReadPost:
        return ReadPost(
            number=row["number"], posted_at=row["posted_at"], digest=row["digest"], understood=self._understood(row)
        )

    def _understood(self, row: Row) -> Understood:
        """Return what was made of a post: as much of it as can be read."""
        verdict = {"verdict": row["verdict"], "reason": row["reason"]}
        return (
            self._read(lambda row: _understood.decode(row["understood"]), row)
            or self._read(lambda _: msgspec.convert(verdict, Understood), row)
            or UNREAD
        )

    def _each(self, read: Callable[[Row], T], rows: Iterable[Row]) -> list[T]:
        return [found for row in rows if (found := self._read(read, row)) is not None]

    def _read(self, read: Callable[[Row], T], row: Row) -> T | None:
        try:
            return read(row)
        except NOT_READABLE as error:
            self.unreadable.note(tuple(row.get(name) for name in _NAMES), error, "PostgreSQL")
            return None


async def _write_posts(transaction: Statements, channel: str, posts: Sequence[ReadPost], now: datetime) -> None:
    if not posts:
        return
    await transaction.execute(
        statements.PUT_POSTS,
        channel,
        [post.number for post in posts],
        [post.posted_at for post in posts],
        [now for _ in posts],
        [post.digest for post in posts],
        [post.understood.verdict for post in posts],
        [post.understood.reason for post in posts],
        [_encode(post.understood).decode() for post in posts],
    )


def _waiting(row: Row) -> UnresolvedCall:
    return _unresolved.decode(row["document"])


def _channel(row: Row) -> ReadChannel:
    return msgspec.convert(dict(row), ReadChannel)


def _changed(tag: str) -> bool:
    return _count(tag) > 0


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
