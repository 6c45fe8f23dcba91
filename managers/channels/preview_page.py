"""A channel's public page, and the page about a name: what they say. Bytes in, no network.

A page has to prove that it is what was asked for: it is whole, its posts bear the channel's name, or its heading does.
Whatever does not is somebody else's, and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from msgspec import Struct
from selectolax.lexbor import LexborHTMLParser, LexborNode

from domain.posts.post import Button, ForwardedFrom, Post, Run
from managers.channels.base import PAGE_POSTS, ChannelClosedError, Closed, Page
from managers.channels.html_bounds import is_bounded
from managers.channels.markup import classes, line_of, link_of, nodes_of, runs_in
from managers.http.answers import ForeignAnswerError

log = structlog.get_logger(__name__)

MAX_BYTES: Final = 10 * 1024 * 1024
"""Twenty posts of 4,096 emoji each, as they are drawn, are nine million bytes."""
MAX_BUTTONS: Final = 100
MAX_POSTS: Final = 5 * PAGE_POSTS
CHANGED_FROM: Final = 3
"""Where so many posts are read, and not one can be, it is the page that has changed."""

_MESSAGE: Final = "tgme_widget_message"
_TEXT: Final = f"{_MESSAGE}_text"
_POST: Final = re.compile(r"([A-Za-z0-9_]{1,64})/([1-9][0-9]{0,9})")
_TO_POST: Final = re.compile(
    r"(?:https?://)?(?:t\.me|telegram\.me|telegram\.dog)/(?:s/)?([A-Za-z][A-Za-z0-9_]{2,63})(?:/([1-9][0-9]{0,9}))?/?",
    re.IGNORECASE,
)
_CANONICAL: Final = re.compile(r"(?:https?://[^/]+)?/s/([A-Za-z0-9_]{1,64})(?:[/?#].*)?")
_AT_NAME: Final = re.compile(r"@([A-Za-z0-9_]{1,64})")
_END: Final = re.compile(rb"</html\s*>", re.IGNORECASE)
_END_BYTES: Final = 512
_NOT_OF_THE_POST: Final = frozenset(
    f"{_MESSAGE}_{part}" for part in ("user", "author", "reply", "link_preview", "reactions", "views")
) | {"media_not_supported_cont", "tgme_widget_message_via_bot"}
"""What they hold is the channel's, another post's or another page's, or is said instead of the post."""
_MEDIA: Final = re.compile(
    rf"{_MESSAGE}_(?:photo|video|roundvideo|voice|audio|document|sticker|animation|poll|location|venue|contact|game"
    r"|invoice|giveaway|story|gift|grouped|media|service)\w*|message_media_not_supported\w*"
)
_EMOJI: Final = re.compile(rb"<i class=\"emoji\"[^<>]{0,200}><b>([^<>]{1,64})</b></i>")
"""As the page draws one character of the text; a post of nothing else has thousands."""
_SINCE: Final = datetime(2015, 9, 1, tzinfo=UTC)
"""Before that there were no channels."""
_AHEAD: Final = timedelta(days=1)
_MAX_NODES: Final = 50_000
"""Of one post: what is behind them is not looked at."""


class Seen(Struct, frozen=True):
    """A page, and the highest number on it, of posts by the app itself and unreadable ones, too."""

    page: Page
    last_number: int | None


class _Parts(Struct):
    """What a post is made of, as far as it is read."""

    text: LexborNode | None = None
    poorer_text: LexborNode | None = None
    """What may be the text, where nothing says so surely."""
    when: str | None = None
    forwarded: LexborNode | None = None
    meta: LexborNode | None = None
    buttons: list[LexborNode] = []
    has_media: bool = False


def read_page(body: bytes, channel: str, *, now: datetime) -> Seen:
    """Read the page of a channel, `@name` in small letters.

    `ForeignAnswerError` for what proves no page of any channel, `ChannelClosedError` for a page under another name.
    """
    tree = _parsed(body)
    blocks = tree.css("[data-post]")
    if len(blocks) > MAX_POSTS:
        raise ForeignAnswerError(f"a page of {len(blocks)} posts")
    headings = _headings(tree)
    named: list[tuple[int, LexborNode]] = []
    others: set[str] = set()
    unreadable = 0
    for block in blocks:
        found = _POST.fullmatch(block.attributes.get("data-post") or "")
        if found is None:
            unreadable += 1
        elif f"@{found[1].lower()}" == channel:
            named.append((int(found[2]), block))
        else:
            others.add(f"@{found[1].lower()}")
            unreadable += 1
    if not named:
        _expect_empty(tree, channel, headings, others, has_blocks=bool(blocks))
        unreadable = 0
    posts, skipped = _posts(named, channel, now)
    if not posts and len(skipped) >= CHANGED_FROM:
        raise ForeignAnswerError(f"not one of {len(skipped)} posts of {channel} can be read")
    page = Page(
        channel=channel,
        title=line_of(tree.css_first(".tgme_channel_info_header_title")),
        posts=posts,
        unreadable=unreadable + len(skipped),
        unread=tuple(sorted({*skipped} - {post.number for post in posts})),
        first_number=min((number for number, _ in named), default=None),
    )
    return Seen(page, max((number for number, _ in named), default=None))


def read_landing(body: bytes, channel: str) -> Closed:
    """Read the page about a name, to which whoever asks for a page that is not shown is sent."""
    tree = _parsed(body)
    title = line_of(tree.css_first("title")) or ""
    named = {f"@{found.lower()}" for found in _AT_NAME.findall(title)}
    if tree.css_first(".tgme_page, .tgme_page_wrap") is None or channel not in named:
        raise ForeignAnswerError(f"an answer that says nothing of {channel}")
    if tree.css_first(".tgme_page_context_link") is not None:
        raise ForeignAnswerError(f"a page that offers the very page of {channel} that was refused")
    if tree.css_first('a[href^="tg://join?"], a[href^="tg:join?"]') is not None:
        return "private"
    counted = (line_of(tree.css_first(".tgme_page_extra")) or "").lower()
    if "subscriber" in counted or "member" in counted or "View @" in title:
        return "no_preview"
    if "Contact @" in title:
        return "not_found"
    raise ForeignAnswerError(f"an unknown page about {channel}")


def _parsed(body: bytes) -> LexborHTMLParser:
    if len(body) > MAX_BYTES or not is_bounded(body := _EMOJI.sub(rb"\1", body)):
        raise ForeignAnswerError("a page beyond all bounds")
    if not _END.search(body, max(0, len(body) - _END_BYTES)):
        raise ForeignAnswerError("half a page, or none")
    return LexborHTMLParser(body.decode("utf-8", "replace"))


def _headings(tree: LexborHTMLParser) -> set[str]:
    """The names under which a page says that it stands."""
    said = line_of(tree.css_first(".tgme_channel_info_header_username")) or ""
    link = tree.css_first('link[rel="canonical"]')
    canonical = _CANONICAL.fullmatch((link.attributes.get("href") if link else None) or "")
    names = {*_AT_NAME.findall(said), *([canonical[1]] if canonical else [])}
    return {f"@{name.lower()}" for name in names}


def _expect_empty(
    tree: LexborHTMLParser, channel: str, headings: set[str], others: set[str], *, has_blocks: bool
) -> None:
    """Raise unless the page is this channel's, and one that has no posts."""
    if len(others) == 1 and headings <= others | {channel}:
        raise ChannelClosedError(channel, "moved", now=next(iter(others)))
    if not has_blocks and len(headings) == 1 and channel not in headings:
        raise ChannelClosedError(channel, "moved", now=next(iter(headings)))
    if has_blocks or headings != {channel}:
        raise ForeignAnswerError(f"a page that is not of {channel}")
    is_none = tree.css_first(".tme_no_messages_found") is not None
    if not is_none and tree.css_first(f".{_MESSAGE}_wrap, .{_MESSAGE}") is not None:
        raise ForeignAnswerError(f"a page of {channel} on which no post has a number")
    if not is_none and tree.css_first(".tgme_channel_history") is None:
        raise ForeignAnswerError(f"a page of {channel} that has no place for posts")


def _posts(named: list[tuple[int, LexborNode]], channel: str, now: datetime) -> tuple[tuple[Post, ...], list[int]]:
    """Read each by itself; the numbers of those that cannot be read stand beside them."""
    posts: dict[int, Post] = {}
    skipped: list[int] = []
    for number, block in named:
        if "service_message" in classes(block):
            continue
        try:
            post = _post(block, channel, number, now)
        except ValueError as error:
            log.info("post_unreadable", channel=channel, number=number, problem=str(error)[:200])
            skipped.append(number)
            continue
        if number in posts:
            skipped.append(number)
        else:
            posts[number] = post
    return tuple(posts[number] for number in sorted(posts)), skipped


def _post(block: LexborNode, channel: str, number: int, now: datetime) -> Post:
    """Read one; `ValueError` if it cannot be."""
    parts = _parts(block)
    text = parts.text or parts.poorer_text
    if text is None and not parts.has_media:
        raise ValueError("neither text nor anything that is known to have none")
    runs: tuple[Run, ...] = runs_in(text) if text else ()
    return Post(
        channel=channel,
        number=number,
        runs=runs,
        buttons=tuple(_buttons(parts.buttons, channel, number)),
        posted_at=_moment(parts.when, now),
        edited_at=now if _is_edited(parts.meta) else None,
        is_edit_dated=False,
        forwarded_from=_origin(parts.forwarded) if parts.forwarded else None,
    )


def _parts(block: LexborNode) -> _Parts:
    parts = _Parts()
    passed: int | None = None
    for count, (node, is_end) in enumerate(nodes_of(block)):
        if count > _MAX_NODES:
            raise ValueError("a post without end")
        if passed is not None:
            passed = None if is_end and node.mem_id == passed else passed
        elif node.is_element_node and not is_end:
            attributes = node.attributes
            names = frozenset((attributes.get("class") or "").split())
            if names & _NOT_OF_THE_POST or "data-post" in attributes or _note(parts, node, names):
                passed = node.mem_id
    return parts


def _note(parts: _Parts, node: LexborNode, names: frozenset[str]) -> bool:
    """Take what an element is for the post; `True`: what it holds is not to be looked through."""
    if _TEXT in names or "js-message_text" in names:
        if "js-message_text" in names:
            parts.text = parts.text or node
        elif "js-message_reply_text" not in names:
            parts.poorer_text = parts.poorer_text or node
        return True
    if f"{_MESSAGE}_forwarded_from" in names:
        parts.forwarded = parts.forwarded or node
        return True
    if f"{_MESSAGE}_inline_button" in names:
        parts.buttons.append(node)
        return True
    if f"{_MESSAGE}_meta" in names:
        parts.meta = node
    if node.tag == "time":
        parts.when = node.attributes.get("datetime") or parts.when
    parts.has_media = parts.has_media or any(_MEDIA.fullmatch(name) for name in names)
    return False


def _moment(said: str | None, now: datetime) -> datetime:
    moment = datetime.fromisoformat(said or "")
    if moment.tzinfo is None:
        raise ValueError("a time of nowhere")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time out of all times") from error
    if not _SINCE <= moment <= now + _AHEAD:
        raise ValueError("a time at which no channel posted")
    return moment


def _is_edited(meta: LexborNode | None) -> bool:
    """The mark stands beside the author's name and the time, which are elements of their own."""
    node = meta.first_child if meta else None
    while node is not None:
        if node.is_text_node and "edited" in (node.text_content or "").lower().split():
            return True
        node = node.next
    return False


def _origin(header: LexborNode) -> ForwardedFrom | None:
    name = header.css_first(f".{_MESSAGE}_forwarded_from_name")
    if name is None:
        return ForwardedFrom(title=line_of(header))
    found = _TO_POST.fullmatch((name.attributes.get("href") or "").split("?")[0])
    return ForwardedFrom(
        channel=f"@{found[1].lower()}" if found else None,
        title=line_of(name),
        number=int(found[2]) if found and found[2] else None,
    )


def _buttons(nodes: list[LexborNode], channel: str, number: int) -> Iterator[Button]:
    """Those that lead away from the post; what does something in the app leads to the post itself."""
    for node in nodes[:MAX_BUTTONS]:
        target = link_of(node)
        found = _TO_POST.fullmatch((target or "").split("?")[0])
        is_itself = (
            found and (f"@{found[1].lower()}", found[2]) == (channel, str(number)) and "start" not in str(target)
        )
        if target and not is_itself:
            yield Button(line_of(node) or "", target)
