"""Channels as an account of Telegram sees them: posts and edits as they come, and pages of what was posted before.

The account has to be a member of a channel to be told of its posts; a public one it can page through without. The name
of a channel is looked up once: its id and access hash stand in the session file then, for Telegram lets an account look
up a few hundred names a day.
"""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from managers.channels.base import AccountLostError, BlockedError, ChannelClosedError, Heard, Page
from managers.channels.session_library import telethon
from managers.channels.session_posts import channel_id_of, kind_of, names_of, post_of
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

HISTORY: Final = 100
"""Messages of a page, as many as Telegram gives at once."""
TIMEOUT_S: Final = 30.0
PAUSE_S: Final = 1.0
"""Between two requests of an account."""
EMPTY_PAGES: Final = 5
"""So many pages without a post are passed in search of some."""
SUFFIX: Final = ".session"
_TOLD: Final = frozenset({"UpdateNewChannelMessage", "UpdateEditChannelMessage"})


class _Peer(Struct, frozen=True):
    id: int
    input: Any
    """As requests name it."""


class TelegramSession:
    """One account. Requests follow each other, `PAUSE_S` apart."""

    def __init__(
        self,
        name: str,
        client: Callable[[], Any],
        *,
        file: Path | None = None,
        library: Callable[[], Any] = telethon,
        pause_s: float = PAUSE_S,
    ) -> None:
        """`client` makes one that is not connected; `file` is what it keeps."""
        self.name: Final = name
        self._make = client
        self._file = file
        self._library = library
        self._pause_s = pause_s
        self._client: Any = None
        self._hear: Heard = lambda _channel, _post: None
        self._asking = asyncio.Lock()
        self._peers: dict[str, _Peer] = {}
        self._channels: dict[int, str] = {}
        self._member_of: set[str] = set()
        self._moved: set[str] = set()
        """Channels whose name is somebody else's by now, as far as we know."""
        self._looks_up_from = 0.0
        """Loop time."""

    @classmethod
    def of_file(cls, file: Path, api_id: int, api_hash: str) -> TelegramSession:
        return cls(file.stem, lambda: client_of(file, api_id, api_hash), file=file)

    def stamp(self) -> object:
        """Something that is another after a new login."""
        try:
            seen = self._file.stat() if self._file else None
        except OSError:
            return None
        return (seen.st_ino, seen.st_mtime_ns) if seen else None

    async def open(self, heard: Heard) -> None:
        """Connect, and tell of every post and edit from now on. `AccountLostError`, or another `TransientError`."""
        self._hear = heard
        library = self._library()
        with self._errors(None):
            client = self._client = self._make()
            client.add_event_handler(self._on_update, library.events.Raw())
            async with asyncio.timeout(TIMEOUT_S):
                await client.connect()
                await client(library.functions.updates.GetStateRequest())

    async def ended(self) -> None:
        """Wait until the connection has ended, for whatever reason."""
        with self._errors(None):
            await self._client.disconnected

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            with self._errors(None):
                await client.disconnect()
                # Nobody else may have asked how it ended, of which asyncio would complain.
                async with asyncio.timeout(TIMEOUT_S):
                    await client.disconnected
        except TransientError as error:
            stop_if_cancelled()
            log.info("session_not_closed", account=self.name, reason=str(error))

    def is_told_of(self, channel: str) -> bool:
        """Whether posts of a channel come by themselves, as far as its last page said."""
        return channel in self._member_of

    async def newest(self, channel: str) -> Page:
        return await self._page(channel, 0)

    async def before(self, channel: str, number: int) -> Page:
        unread: tuple[int, ...] = ()
        for _ in range(EMPTY_PAGES):
            page = await self._page(channel, number)
            unread = (*page.unread, *unread)
            if page.posts or page.first_number is None:
                return replace(page, unreadable=len(unread), unread=unread)
            number = page.first_number
        raise TransientError(f"no post on {EMPTY_PAGES} pages of {channel}")

    async def _page(self, channel: str, before: int) -> Page:
        peer = await self._peer(channel)
        ask = self._library().functions.messages.GetHistoryRequest(
            peer=peer.input, offset_id=before, offset_date=None, add_offset=0, limit=HISTORY, max_id=0, min_id=0, hash=0
        )
        answer = await self._ask(ask, channel)
        chat = next((one for one in getattr(answer, "chats", ()) if one.id == peer.id), None)
        if kind_of(answer) != "ChannelMessages" or chat is None:
            raise TransientError(f"{kind_of(answer)} instead of the posts of {channel}")
        self._note(channel, peer, chat)
        posts: dict[int, Any] = {}
        unread: list[int] = []
        for message in answer.messages:
            if channel_id_of(message) not in {peer.id, None} or (before and message.id >= before):
                raise TransientError(f"other posts than those of {channel}")
            try:
                posts[message.id] = post_of(message, channel, answer.chats)
            except ValueError as error:
                unread.append(message.id)
                log.info("post_unreadable", channel=channel, number=message.id, problem=str(error)[:200])
        found = tuple(post for number in sorted(posts) if (post := posts[number]) is not None)
        return Page(
            channel=channel,
            title=chat.title,
            posts=found,
            unreadable=len(unread),
            unread=tuple(sorted(unread)),
            first_number=min((message.id for message in answer.messages), default=None),
        )

    def _note(self, channel: str, peer: _Peer, chat: Any) -> None:
        """Take what a page says of its channel: whether it is still the one, and whether we are in it."""
        if channel not in names_of(chat):
            self._moved.add(channel)
            self._forget(channel, peer)
            raise TransientError(f"{channel} is {', '.join(names_of(chat)) or 'a channel without a name'} now")
        if getattr(chat, "left", None):
            self._member_of.discard(channel)
        else:
            self._member_of.add(channel)

    def _forget(self, channel: str, peer: _Peer) -> None:
        self._peers.pop(channel, None)
        self._channels.pop(peer.id, None)
        self._member_of.discard(channel)

    async def _peer(self, channel: str) -> _Peer:
        known = self._peers.get(channel)
        if known is None:
            found = None if channel in self._moved else await self._kept(channel)
            known = self._peers[channel] = found or await self._looked_up(channel)
            self._channels[known.id] = channel
        return known

    async def _kept(self, channel: str) -> _Peer | None:
        """Return what the session file says of a name."""
        if self._client is None:
            raise TransientError(f"{self.name} is not connected")
        try:
            found = self._client.session.get_input_entity(channel.removeprefix("@"))
            found = await found if inspect.isawaitable(found) else found
        except ValueError:
            return None
        return _Peer(found.channel_id, found) if hasattr(found, "channel_id") else None

    async def _looked_up(self, channel: str) -> _Peer:
        loop = asyncio.get_running_loop()
        if loop.time() < self._looks_up_from:
            raise TransientError(f"names cannot be looked up for {self._looks_up_from - loop.time():.0f} s more")
        library = self._library()
        ask = library.functions.contacts.ResolveUsernameRequest(channel.removeprefix("@"))
        try:
            answer = await self._ask(ask, channel)
        except BlockedError as error:
            # Pages may still be asked for: this limit is one of its own, and may be a day.
            self._looks_up_from = loop.time() + (error.for_s or TIMEOUT_S)
            raise TransientError(f"names cannot be looked up: {error}") from error
        wanted = getattr(getattr(answer, "peer", None), "channel_id", None)
        chat = next((one for one in getattr(answer, "chats", ()) if one.id == wanted), None)
        if chat is None:
            raise ChannelClosedError(channel, "not_found")
        if kind_of(chat) != "Channel" or chat.access_hash is None:
            raise ChannelClosedError(channel, "private")
        self._moved.discard(channel)
        return _Peer(chat.id, library.types.InputPeerChannel(chat.id, chat.access_hash))

    async def _ask(self, request: Any, channel: str) -> Any:
        async with self._asking:
            if self._client is None:
                raise TransientError(f"{self.name} is not connected")
            with self._errors(channel):
                answer = await asyncio.wait_for(self._client(request), TIMEOUT_S)
            await asyncio.sleep(self._pause_s)
            return answer

    @contextmanager
    def _errors(self, channel: str | None) -> Generator[None]:
        """Say in our words what the library raises."""
        errors = self._library().errors
        try:
            yield
        except Exception as error:
            found = translated(error, errors, channel)
            if found is None:
                raise
            raise found from error

    async def _on_update(self, update: Any) -> None:
        """Take what the library tells, one after the other."""
        message = getattr(update, "message", None) if kind_of(update) in _TOLD else None
        channel = self._channels.get(channel_id_of(message) or 0)
        if channel is None:
            return
        beside: dict[int, Any] = getattr(update, "_entities", None) or {}
        try:
            post = post_of(message, channel, beside.values())
        except ValueError as error:
            log.info("post_unreadable", channel=channel, number=message and message.id, problem=str(error)[:200])
            self._hear(channel, None)
            return
        if post is not None:
            self._hear(channel, post)


def client_of(file: Path, api_id: int, api_hash: str) -> Any:
    """Make Telethon's client. It does not connect again by itself, so that we know when there may be a gap."""
    return telethon().TelegramClient(
        str(file),
        api_id,
        api_hash,
        auto_reconnect=False,
        connection_retries=1,
        flood_sleep_threshold=0,
        sequential_updates=True,
        catch_up=True,
    )


_LOST: Final = ("UnauthorizedError", "AuthKeyDuplicatedError", "AuthKeyNotFound", "FrozenMethodInvalidError")
_NOT_FOUND: Final = ("UsernameNotOccupiedError", "UsernameInvalidError")
_PRIVATE: Final = ("ChannelPrivateError", "ChannelInvalidError", "ChannelBannedError", "ChatForbiddenError")
_PASSING: Final = ("RPCError", "TypeNotFoundError", "InvalidChecksumError", "ReadCancelledError", "MultiError")


def translated(error: Exception, errors: Any, channel: str | None) -> TransientError | None:
    """Return what an error of the library means; `None` for what is none of its."""

    def is_one(names: tuple[str, ...]) -> bool:
        return isinstance(error, tuple(getattr(errors, name) for name in names if hasattr(errors, name)))

    said = f"{type(error).__name__}: {error}"[:200]
    if isinstance(error, TransientError):
        return error
    if is_one(_LOST) or (isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)):
        return AccountLostError(said)
    if is_one(("FloodError",)):
        return BlockedError(said, for_s=getattr(error, "seconds", None))
    if channel is not None and is_one(_NOT_FOUND):
        return ChannelClosedError(channel, "not_found")
    if channel is not None and is_one(_PRIVATE):
        return ChannelClosedError(channel, "private")
    # A `ValueError` is how the library says that it has asked often enough; a `BufferError` is half an answer.
    passing = (OSError, TimeoutError, ValueError, BufferError, EOFError, sqlite3.Error)
    return TransientError(said) if is_one(_PASSING) or isinstance(error, passing) else None


def files_in(places: tuple[Path, ...]) -> list[Path]:
    """Return session files: those named, and those in directories that are."""
    found: list[Path] = []
    for place in places:
        found += sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place] if place.is_file() else []
    return list(dict.fromkeys(found))


def why_unusable(file: Path) -> str | None:
    """Why a session file lets nobody in, as far as it shows; nothing of it is changed."""
    if file.stat().st_size == 0:
        return "it is empty"
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)) as database:
            rows = database.execute("SELECT auth_key FROM sessions").fetchall()
    except sqlite3.Error as error:
        return f"it is no session file ({error})"
    return None if any(key for (key,) in rows) else "nobody is logged in with it"
