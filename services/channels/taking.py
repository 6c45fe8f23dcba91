"""From a channel's posts to its calls: what is new is understood, and written down with all that follows from it.

Nobody is asked anything meanwhile: what a provider has to say is written down as such, and asked for by the resolver,
so that a call that needs no look-up waits for none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, Literal

import msgspec
import structlog
from cachetools import LRUCache
from msgspec import Struct
from msgspec.structs import replace

from domain.channels.identity import is_another
from domain.posts.counting import PostCounts
from domain.posts.post import Post, readable, readable_text
from domain.posts.reasons import Reason
from domain.posts.understanding import NamedToken, uncalled, understand
from managers.channels.base import ChannelClosedError
from managers.storage.postgres import PostgresDataError
from runtime.fault_points import fault_point
from services.channels.paging import Reading
from services.channels.resolving import CHAINS, Resolver
from services.channels.rows import UNREAD, ChannelRows, Found, ReadChannel, ReadPost
from services.channels.wire import CalledToken, ChannelCall, UnresolvedCall, call_of, text_of

log = structlog.get_logger(__name__)

REMEMBERED_CHANNELS: Final = 2_000
MAX_TITLE: Final = 200
SHOWS_WITHIN: Final = timedelta(minutes=10)
_DIGEST_BYTES: Final = 16
_encode: Final = msgspec.json.Encoder().encode


class _Known(Struct):
    """What is known of a channel beyond its row."""

    posts: dict[int, ReadPost]
    tokens: dict[str, datetime]
    """What it has called, and when."""
    counts: PostCounts


class TakingService:
    """Posts of one channel have to be taken one batch after the other; of several channels at once."""

    def __init__(
        self, *, rows: ChannelRows, resolver: Resolver, clock: Callable[[], datetime], written: Callable[[], None]
    ) -> None:
        """`written` is told when calls were written."""
        self._rows = rows
        self._resolver = resolver
        resolver.settled = self.forget
        self._clock = clock
        self._written = written
        self._known: LRUCache[str, _Known] = LRUCache(REMEMBERED_CHANNELS)
        self.verdicts: Counter[str] = Counter()
        """Posts taken since the start, by verdict; edits are not counted."""
        self.reasons: Counter[str] = Counter()
        """Likewise, by reason."""
        self.calls = 0
        """Written since the start; so is the next one."""
        self.refused = 0
        """Posts that the store would not take, and were passed over."""

    async def take(self, one: ReadChannel, reading: Reading) -> ReadChannel:
        """Take what was read; posts that were taken before and have not changed do nothing.

        The first posts of a channel say what it has called until now, and call nothing. Those that could not be read
        are taken like any other once they can be, and one that the store does not take costs itself. Returns the
        channel as it is then. `ChannelClosedError`: another one has its name. Another `TransientError`: not all was
        written, and the same posts may be taken again.
        """
        try:
            return await self._take(one, reading)
        except PostgresDataError as error:
            log.warning("posts_refused", channel=one.channel, posts=len(reading.posts), problem=str(error)[:200])
        for post in reading.posts:
            one = await self._take_alone(one, post)
        return await self._take(one, replace(reading, posts=(), title=None))

    async def _take_alone(self, one: ReadChannel, post: Post) -> ReadChannel:
        """Take a post, or at least note that there was one that cannot be taken."""
        try:
            return await self._take(one, Reading(posts=[post]))
        except PostgresDataError as error:
            self.refused += 1
            log.warning("post_refused", channel=one.channel, number=post.number, problem=str(error)[:200])
        try:
            return await self._take(one, Reading(unread=[post.number]), digest=_digest(post))
        except PostgresDataError:
            return one

    async def _take(self, one: ReadChannel, reading: Reading, digest: bytes = b"") -> ReadChannel:
        """`digest` of what could not be read."""
        if one.read_to is None:
            self.forget(one.channel)
        known = await self._known_of(one)
        self._expect_same(one, reading.posts, known)
        title = (reading.title and readable_text(reading.title)[:MAX_TITLE]) or None
        news = [post for post in map(readable, reading.posts) if await self._is_new(one, post, known)]
        missed = [number for number in reading.unread if one.read_to is not None and number > one.read_to]
        if not news and not missed and one.read_to is not None:
            return one
        found, now = self._understood(one, news, known, title), self._clock()
        lost = (ReadPost(number=number, posted_at=now, digest=digest, understood=UNREAD) for number in missed)
        found = replace(
            found,
            posts=(*found.posts, *lost),
            read_to=max((found.read_to, *reading.unread)),
            is_cut=reading.is_cut,
        )
        fault_point("posts_understood")
        try:
            after = await self._rows.write(one, found, self._clock())
        except BaseException:
            self.forget(one.channel)
            raise
        fault_point("posts_written")
        self._keep(one, found, known)
        if found.calls:
            self.calls += len(found.calls)
            self._written()
        self._resolver.ask(found.unresolved)
        return after

    def forget(self, channel: str) -> None:
        """Read anew what is known of a channel, with its next posts."""
        self._known.pop(channel, None)

    def silent(self, channel: str) -> Reason | None:
        """Return the commonest near miss of a channel that used to call and only posts now."""
        known = self._known.get(channel)
        return known.counts.posts_but_no_calls() if known else None

    def _expect_same(self, one: ReadChannel, posts: Sequence[Post], known: _Known) -> None:
        """Raise where another channel has the name: nothing of it is this one's."""
        if one.read_to is None:
            return
        dates = {number: post.posted_at for number, post in known.posts.items() if not post.is_unread}
        shown = ((post.number, post.posted_at) for post in posts)
        if is_another(one.read_to, one.last_post_at, dates, shown, now=self._clock()):
            raise ChannelClosedError(one.channel, "replaced")

    async def _known_of(self, one: ReadChannel) -> _Known:
        known = self._known.get(one.channel)
        if known is None:
            posts, tokens = await self._rows.posts(one.channel), await self._rows.tokens(one.channel)
            known = self._known[one.channel] = _Known(posts, tokens, PostCounts())
            for number in sorted(posts):
                if not posts[number].is_unread:
                    understood = posts[number].understood
                    # What called may have been edited since, into a result of itself for one.
                    has_called = any(tokens.get(named.address) == named.called_at for named in understood.tokens)
                    known.counts.take(understood, has_called=has_called)
        return known

    async def _is_new(self, one: ReadChannel, post: Post, known: _Known) -> bool:
        if one.read_to is None or post.number > one.read_to:
            return True
        before = known.posts.get(post.number)
        if before is None and (before := await self._rows.post(one.channel, post.number)) is not None:
            known.posts[post.number] = before
        if before is None:
            return self._shows_late(post, known)
        return before.digest != _digest(post)

    def _shows_late(self, post: Post, known: _Known) -> bool:
        """Whether a post was not there yet when one with a higher number was read, which takes some seconds at most.

        What is older, or stands before all that is known, was there before the first look.
        """
        first = min(known.posts, default=None)
        return first is not None and post.number > first and self._clock() - post.posted_at < SHOWS_WITHIN

    def _understood(self, one: ReadChannel, posts: Sequence[Post], known: _Known, title: str | None) -> Found:
        taken: list[ReadPost] = []
        calls: list[ChannelCall] = []
        unresolved: list[UnresolvedCall] = []
        tokens: dict[str, datetime] = {}
        for post in posts:
            before = known.posts.get(post.number)
            earlier = known.tokens.keys() | tokens.keys()
            understood = understand(post, earlier=earlier, before=before.understood if before else None)
            for token in understood.calls:
                found = _called(one, post, token, title)
                if isinstance(found, str):
                    understood = uncalled(understood, token.address, found)
                elif isinstance(found, UnresolvedCall):
                    # Not called before somebody knows what it means: other posts that name it wait likewise.
                    unresolved.append(found)
                else:
                    tokens[token.address] = token.called_at
                    calls += [found] if found else []
            taken.append(
                ReadPost(number=post.number, posted_at=post.posted_at, digest=_digest(post), understood=understood)
            )
        return Found(
            read_to=max((post.number for post in posts), default=one.read_to or 0),
            title=title,
            posts=taken,
            tokens=list(tokens.items()),
            calls=calls,
            unresolved=unresolved,
        )

    def _keep(self, one: ReadChannel, found: Found, known: _Known) -> None:
        for post in found.posts:
            before = known.posts.get(post.number)
            if (before is None or before.is_unread) and not post.is_unread:
                self.verdicts[post.understood.verdict] += 1
                self.reasons[post.understood.reason] += 1
                known.counts.take(post.understood)
            elif before is not None and not post.is_unread:
                known.counts.edited(before.understood, post.understood)
            known.posts[post.number] = post
        for address, called_at in found.tokens:
            known.tokens.setdefault(address, called_at)
        for call in found.calls:
            log.info("channel_called", call_id=call.id, channel=one.channel, token=call.token.address)


def _called(
    one: ReadChannel, post: Post, token: NamedToken, title: str | None
) -> ChannelCall | UnresolvedCall | Literal["unfollowed_chain"] | None:
    """Return the call, or what it waits for, or why it is none; `None` at the first look, which calls nothing."""
    if token.chain is not None and token.chain not in CHAINS:
        return "unfollowed_chain"
    if one.read_to is None:
        return None
    named = UnresolvedCall(
        channel=one.channel,
        number=post.number,
        address=token.address,
        chain=token.chain,
        is_pool=token.is_pool,
        called_at=token.called_at,
        title=title or one.title,
        text=text_of(post),
    )
    if token.chain is None or token.is_pool:
        return named
    return call_of(named, CalledToken(token.address, token.chain))


def _digest(post: Post) -> bytes:
    """Of what is understood from; how it is marked as edited says nothing."""
    said = _encode((post.runs, post.buttons, post.forwarded_from))
    return blake2b(said, digest_size=_DIGEST_BYTES).digest()
