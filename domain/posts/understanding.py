"""From a post to what it calls, with the reason: the only door of this room.

    understood = understand(post, earlier=tokens_that_the_channel_has_called)
    understood.verdict    # "call", "update" or "none"
    understood.reason     # why, a code of `domain.posts.reasons`
    understood.calls      # what is called for the first time, and when that counts from

Of a post that was edited the earlier reading is given as `before`: what it named keeps its time, and an address that
was inserted is called at the time of the edit. Of an edit that nobody dates only the reading since is known: where the
post was not read before, its own time counts, and what is late is late.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from domain.posts.amounts import Stated, stated_in, symbols_of
from domain.posts.gathering import Candidate, Gathered, Refused, gather
from domain.posts.post import ForwardedFrom, Post
from domain.posts.reasons import LEFT_OUT, NEAR_MISSES, RANKS, Found, Nothing, Reason, Update
from domain.posts.shown import Shown, shown
from domain.posts.wording import Said, topic_of

Verdict = Literal["call", "update", "none"]
Uncalled = Literal["repeated", "unfollowed_chain"]

MAX_TOKENS: Final = 5
"""A post that names more of them is a list."""
_IN_TEXT: Final = RANKS["pool_link"]
"""Up to here a place is in the text; buttons below a result trade what was called long ago."""


class NamedToken(Struct, frozen=True):
    address: str
    """As `Candidate` has it."""
    chain: str | None
    """`None`: an EVM chain; all of them have to be looked at."""
    is_pool: bool
    """Stands where pools stand: to be resolved by somebody who knows pools, and looked up among `earlier` again."""
    found: Found
    called_at: datetime
    is_first: bool
    """This channel has not named it before, nor this post when it was read earlier."""


class Understood(Struct, frozen=True, kw_only=True):
    verdict: Verdict
    reason: Reason
    tokens: tuple[NamedToken, ...] = ()
    """What the post is about, the surest first; none if the verdict is "none"."""
    refused: tuple[Refused, ...] = ()
    stated: Stated = Stated()
    forwarded_from: ForwardedFrom | None = None

    @property
    def calls(self) -> tuple[NamedToken, ...]:
        return tuple(token for token in self.tokens if token.is_first) if self.verdict == "call" else ()

    @property
    def is_near_miss(self) -> bool:
        """No call, but what a call looks like to somebody who does not know the channel's way of writing it."""
        return self.verdict == "none" and self.reason in NEAR_MISSES


def understand(post: Post, *, earlier: Container[str] = (), before: Understood | None = None) -> Understood:
    """Say what a post calls; `earlier` holds the addresses that its channel has called, as `NamedToken` has them.

    It may hold what earlier readings of this very post have called. Never raises, whatever the post holds.
    """
    text = shown(post)
    gathered = gather(post, text)
    candidates = _surest(gathered)
    is_fake_named = bool(candidates) and any(one.reason == "other_token" for one in gathered.refused)
    said = topic_of(text.words, len(text.links), is_fake_named=is_fake_named)
    tokens: tuple[NamedToken, ...] = ()
    verdict: Verdict = "none"
    reason = _refusal(text, gathered, candidates, said)
    if reason is None:
        tokens = tuple(_named(post, one, earlier, before) for one in candidates)
        verdict, reason = _verdict(tokens, said, before)
    return Understood(
        verdict=verdict,
        reason=reason,
        tokens=tokens if verdict != "none" else (),
        refused=gathered.refused,
        stated=stated_in(text.words),
        forwarded_from=post.forwarded_from,
    )


def uncalled(understood: Understood, address: str, why: Uncalled) -> Understood:
    """Take a call out of a reading, once it is known what its address means: that was called, or is called nowhere."""
    named = [token for token in understood.tokens if token.address == address]
    if why == "repeated":
        tokens = tuple(replace(token, is_first=token.is_first and token not in named) for token in understood.tokens)
    else:
        tokens = tuple(token for token in understood.tokens if token not in named)
    left_out = () if why == "repeated" else tuple(Refused(token.address, why, token.chain) for token in named)
    first = [token for token in tokens if token.is_first]
    return replace(
        understood,
        verdict=understood.verdict if first else "update" if tokens else "none",
        reason=first[0].found if first else "repeated" if tokens else why,
        tokens=tokens,
        refused=(*understood.refused, *left_out),
    )


def _surest(gathered: Gathered) -> tuple[Candidate, ...]:
    """Of all places those of the highest rank."""
    if not gathered.candidates:
        return ()
    best = RANKS[gathered.candidates[0].found]
    return tuple(one for one in gathered.candidates if RANKS[one.found] == best)


def _refusal(text: Shown, gathered: Gathered, candidates: tuple[Candidate, ...], said: Said) -> Reason | None:
    """Why nothing is called, and nothing that was called is spoken of; `None` if something is."""
    if not candidates:
        return said.topic or _most_telling(text, gathered)
    if said.topic == "board" and not _stands_before(candidates, said):
        return "board"
    if len(candidates) > MAX_TOKENS:
        return "list"
    if said.topic == "result" and not said.is_new and RANKS[candidates[0].found] > _IN_TEXT:
        return "result"
    return None


def _stands_before(candidates: tuple[Candidate, ...], said: Said) -> bool:
    """A call with past results under it: one address, in a sure place, above them."""
    only = candidates[0]
    return len(candidates) == 1 and RANKS[only.found] <= 1 and said.board_at is not None and only.at < said.board_at


def _most_telling(text: Shown, gathered: Gathered) -> Reason:
    refused = {one.reason for one in gathered.refused}
    for reason in LEFT_OUT:
        if reason in refused:
            return reason
    if symbols_of(text.words):
        return "symbol_only"
    nothing: Nothing = "no_token" if text.text.strip() else "empty"
    return nothing


def _named(post: Post, one: Candidate, earlier: Container[str], before: Understood | None) -> NamedToken:
    known = next((token for token in before.tokens if token.address == one.address), None) if before else None
    edited_at = post.edited_at if post.is_edit_dated or _was_read(before) else None
    called_at = known.called_at if known else edited_at or post.posted_at
    is_first = known is None and one.address not in earlier
    return NamedToken(one.address, one.chain, one.is_pool, one.found, called_at, is_first)


def _was_read(before: Understood | None) -> bool:
    """Whether the post was read without what it says now, so that it was inserted since."""
    return before is not None and before.reason != "unreadable"


def _verdict(tokens: tuple[NamedToken, ...], said: Said, before: Understood | None) -> tuple[Verdict, Reason]:
    news = [token for token in tokens if token.is_first]
    topic: Update | None = None if said.topic == "board" else said.topic
    if not news:
        return "update", topic or ("already_read" if before and before.tokens else "repeated")
    if topic in {"warning", "news"}:
        return ("none" if len(news) == len(tokens) else "update"), topic
    if topic is not None and not (said.is_new and topic in {"result", "exit"}):
        return "update", topic
    return "call", news[0].found
