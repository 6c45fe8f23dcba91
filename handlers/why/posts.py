"""What was made of a channel's post: verdict, reason, tokens; and of its calls what they came to for the person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from domain.buttons.cards import ShowWhy
from domain.calls.addresses import call_tag
from domain.channels.names import post_link
from domain.delivery.messages import Button, Message
from domain.filters.numbers import show_short
from domain.posts.gathering import Refused
from domain.posts.reasons import Reason
from domain.posts.understanding import NamedToken, Understood
from domain.subscribers.zones import show_zone
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import Keyboard, View, message, view_of
from handlers.why.cards import outcome_line, token_name
from handlers.why.moments import shown_moment
from handlers.why.origins import ago
from services.channels.conditions import Blocked
from services.channels.group import ChannelServices
from services.channels.history import KEPT_FOR
from services.channels.posts import PostAnswer
from services.channels.resolving import CHAINS
from services.channels.rows import UNREAD, SeenPost
from services.channels.wire import CalledToken, ChannelCall
from services.why.answers import Explanation
from texts.markup import Html, join

MAX_REFUSED: Final = 4


class Meant(Struct, frozen=True):
    """A call of the post, and what it came to for the person; `None` while that is not decided."""

    call: ChannelCall
    explained: Explanation | None


class Pace(Struct, frozen=True, kw_only=True):
    """When a channel is looked at again."""

    interval_s: float | None
    """`None`: another process knows."""
    blocked: Blocked | None
    """Since when no channel can be read."""


async def answer_post(bot: BotBase, turn: Turn, channel: str, number: int) -> None:
    """Say what was made of a post. `UserFacingError` for somebody unknown."""
    subscriber = await bot.services.subscribers.subscribers.require(turn.user_id)
    channels = bot.services.of(ChannelServices)
    found = await channels.posts.find(channel, number)
    pace = Pace(interval_s=channels.interval_of(channel), blocked=channels.blocked())
    why = bot.services.why.explanations
    meant = [
        Meant(call, await why.why_call(turn.user_id, call.token.address, call_tag(call.id))) for call in found.calls
    ]
    view, now = view_of(bot.services, turn), bot.services.conversation.clock()
    await bot.reply(turn, post_card(view, found, meant, subscriber.preferences.time_zone, now, pace))


def post_card(
    view: View, found: PostAnswer, meant: Sequence[Meant], zone: str, now: datetime, pace: Pace | None = None
) -> Message:
    title = view.html("post.title", number=found.number, channel=found.channel)
    opened = (Button(text=view.plain("button.post_open"), url=post_link(found.channel, found.number)),)
    if found.post is None:
        return message(title, _unread(view, found, pace, zone), keyboard=(opened,))
    return message(
        title,
        _verdict(view, found.post),
        _tokens(view, found, found.post.understood),
        _called(view, found, meant, now),
        _times(view, found.post, zone),
        keyboard=(*_buttons(view, meant), opened),
    )


def _unread(view: View, found: PostAnswer, pace: Pace | None, zone: str) -> Html:
    """Say why nothing is known of it: whether its channel is read at all, and how far."""
    one = found.listed
    if one is None:
        return view.html("post.not_listed", channel=found.channel)
    key = one.state
    if one.state == "read" and one.read_to is None:
        key = "first"
    elif one.state == "read" and found.number > (one.read_to or 0):
        key = "yet"
    said = view.html(f"post.not_read.{key}", channel=found.channel, days=KEPT_FOR.days)
    if key in {"first", "yet"} and one.problem is None:
        said = join(" ", (said, _when(view, pace, zone)))
    if one.state != "read" or one.problem is None:
        return said
    problem = view.html("post.cannot_be_read", problem=view.label("reading.problem", one.problem))
    return join("\n", (said, problem))


def _when(view: View, pace: Pace | None, zone: str) -> Html:
    """Say when a post that was not read yet is."""
    if pace is not None and pace.blocked is not None:
        since = f"{shown_moment(pace.blocked.since, zone)} ({show_zone(zone)})"
        return view.html("post.nothing_read", since=since)
    if pace is None or pace.interval_s is None:
        return view.html("post.ask_again")
    return view.html("post.looked_every", every=show_short(max(1, round(pace.interval_s)), "duration"))


def _verdict(view: View, post: SeenPost) -> Html:
    understood = post.understood
    lines = [
        view.html(f"post.verdict.{understood.verdict}", reason=view.label("post_reason", understood.reason)),
    ]
    if understood.is_near_miss:
        lines.append(view.html("post.near_miss"))
    origin = understood.forwarded_from
    if origin is not None and (origin.title or origin.channel):
        lines.append(view.html("post.forwarded", origin=origin.title or origin.channel))
    return join("\n", lines)


def _tokens(view: View, found: PostAnswer, understood: Understood) -> Html:
    lines = [_token(view, one, understood.reason, found.meant.get(one.address)) for one in understood.tokens]
    if found.of_pools:
        tokens = (_token_alone(view, one.address, one.chain) for one in found.of_pools)
        lines.append(view.html("post.tokens_of_pools", tokens=view.listed(tokens, ", ")))
    lines += [_refused(view, one) for one in understood.refused[:MAX_REFUSED]]
    if len(understood.refused) > MAX_REFUSED:
        lines.append(view.html("post.more", count=len(understood.refused) - MAX_REFUSED))
    return join("\n", lines)


def _token_alone(view: View, address: str, chain: str) -> Html:
    return view.html("post.token_alone", address=address, chain=view.label("chain", chain))


def _token(view: View, one: NamedToken, reason: Reason, meant: CalledToken | None) -> Html:
    """Where it stood is said unless it is the reason of it all. `meant`: what it was called as."""
    if meant is not None and meant.address != one.address:
        chain = view.label("chain", meant.chain)
        return view.html("post.token_of_pool", address=meant.address, chain=chain, pool=one.address)
    key = "post.token" if one.is_first else "post.token_before"
    if one.is_first and one.found == reason:
        key = "post.token_alone"
    return view.html(
        key,
        address=one.address,
        chain=view.label("chain", one.chain or (meant.chain if meant else "unknown")),
        found=view.label("post_reason", one.found),
    )


def _refused(view: View, one: Refused) -> Html:
    return view.html("post.refused", what=one.what, reason=view.label("post_reason", one.reason))


def _called(view: View, found: PostAnswer, meant: Sequence[Meant], now: datetime) -> Html:
    post = found.post
    if post is None or post.understood.verdict != "call":
        return Html()
    lines = [_outcome(view, one, now) for one in meant]
    lines += [view.html("post.waiting", address=address) for address in found.waiting]
    if not lines:
        lines.append(view.html("post.first_look" if _was_there_before(found, post) else "post.unresolved"))
    return join("\n", lines)


def _was_there_before(found: PostAnswer, post: SeenPost) -> bool:
    """Whether the channel was first looked at when the post stood there already: else its tokens were called."""
    known = any(token.chain in CHAINS and not token.is_pool for token in post.understood.calls)
    return known or (found.listed is not None and post.posted_at <= found.listed.added_at)


def _outcome(view: View, one: Meant, now: datetime) -> Html:
    if one.explained is None:
        return view.html("post.undecided", address=one.call.token.address)
    name = token_name(view, one.explained.calls[0].decided.call.token)
    return view.html("post.call", name=name, outcome=outcome_line(view, one.explained, now))


def _times(view: View, post: SeenPost, zone: str) -> Html:
    if post.understood == UNREAD:
        read = shown_moment(post.read_at, zone, exact=True)
        return view.html("post.times_unread", read=read, zone=show_zone(zone))
    after = ago((post.read_at - post.posted_at).total_seconds())
    posted, read = (shown_moment(at, zone, exact=True) for at in (post.posted_at, post.read_at))
    return view.html("post.times", posted=posted, read=read, after=after, zone=show_zone(zone))


def _buttons(view: View, meant: Sequence[Meant]) -> Keyboard:
    return tuple(
        (
            view.button(
                "button.post_why",
                ShowWhy.of(one.call.token.address, one.call.id),
                name=token_name(view, one.explained.calls[0].decided.call.token),
            ),
        )
        for one in meant
        if one.explained is not None
    )
