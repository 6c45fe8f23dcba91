"""How the answer to a pasted token reads: what it is now, then who called it here, then what came of it for you."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from domain.calls.events import Call, Channel
from domain.calls.venues import Venues
from domain.delivery.messages import Message
from domain.filters.numbers import show_short
from domain.filters.shown import shown_figure
from domain.posts.gathering import Refused
from domain.posts.keys import coin_named
from domain.subscribers.subscriber import Card, CardButton, Preferences
from handlers.conversation.menus import Keyboard, View, in_rows, lines, message
from handlers.delivery.buttons import ShowMuted
from handlers.delivery.muting_menus import muted
from handlers.delivery.standing import local_moment
from handlers.tokens.buttons import ShowToken
from handlers.why.cards import verdict_and_fate
from handlers.why.misses import newest_first
from services.cards.buttons import buy_row, row_of_buttons
from services.cards.pieces import Pieces, block, span_said
from services.tokens.outcomes import CallOutcome
from services.tokens.tokens import CalledHere, KnownToken
from services.watches.watches import Found
from texts.markup import Html

MAX_CALLS: Final = 4
_NOW_FOR: Final = timedelta(minutes=3)
"""So long a figure is what it is now."""
_NO_PEAK: Final = 1.005
"""Shown with two digits it would be 1x."""
_BUTTONS: Final[tuple[CardButton, ...]] = ("copy", "chart", "explorer", "why", "watch")
_PER_ROW: Final = 3


def token_card(view: View, known: KnownToken, preferences: Preferences, venues: Venues) -> Message:
    """`preferences`: which pieces of a card they want to see, and whether they have muted it."""
    card = preferences.card
    token, pieces = known.token, Pieces(view.texts, view.language, card.hidden)
    muted_until = muted(preferences, known.at).get(token.address)
    muted_list = view.button("button.muted_list", ShowMuted(0))
    return message(
        block(pieces.title(token), pieces.warning(token), pieces.chain(token), _worth(view, known)),
        block(
            view.html("card.address", address=token.address),
            pieces.figures(token, known.at),
            pieces.links(token),
            pieces.security(token),
            pieces.sources_now(token, known.at),
            pieces.disputed(token),
        ),
        block(_callers(view, known), *_calls(view, known)),
        _theirs(view, known),
        view.html("token.muted", until=local_moment(preferences, muted_until, known.at)) if muted_until else Html(),
        keyboard=(*_keyboard(view, known, card, venues), *(((muted_list,),) if muted_until else ())),
    )


def no_token(view: View, left_out: Refused) -> Html:
    """Say what an address is instead of a token's, and what to send."""
    name = coin_named(left_out.what)
    if name is not None:
        return view.html(f"token.left_out.{left_out.reason}", name=name)
    if left_out.reason == "program":
        return view.html("token.left_out.program")
    return view.html("token.left_out", what=left_out.what, reason=view.label("post_reason", left_out.reason))


def which(view: View, ticker: str, found: Sequence[Found], now: datetime) -> Message:
    """Ask which of several tokens of the same ticker is meant."""
    buttons = (
        view.button(
            "button.token",
            ShowToken(one.address),
            name=one.name or one.symbol or view.plain("value.unnamed_token"),
            address=f"{one.address[:4]}…{one.address[-4:]}",
            ago=_ago(one.called_at, now),
        )
        for one in newest_first(found)
    )
    return message(view.html("token.which", ticker=ticker), keyboard=in_rows(buttons, 1))


def _worth(view: View, known: KnownToken) -> Html:
    """Say what it is worth, how long ago that was, and how many times as much as at its first call."""
    cap = shown_figure(known.token.market_cap_usd, "usd")
    if cap is None:
        return view.html("card.market_cap_unknown")
    at = known.token.origins["market_cap_usd"].at
    if _worth_now(known) is None:
        then = view.html("token.worth_then", cap=cap, ago=_ago(at, known.at))
        return lines(then, view.html("token.no_price") if _nobody_knows(known) else Html())
    worth = view.html("token.worth", cap=cap)
    first = known.calls[0].market_cap_usd if known.calls and known.complete else None
    multiple = shown_figure((known.token.market_cap_usd or 0) / first, "multiple") if first else None
    return worth if multiple is None else Html(worth + view.html("token.since_first", multiple=multiple))


def _worth_now(known: KnownToken) -> float | None:
    """The market cap; `None` where none is known of the present."""
    cap = known.token.market_cap_usd
    is_now = cap is not None and known.at - known.token.origins["market_cap_usd"].at <= _NOW_FOR
    return cap if is_now else None


def _nobody_knows(known: KnownToken) -> bool:
    """Whether providers were asked, and none has a price of the present."""
    price = known.token.origins.get("price_usd")
    return known.asked and _worth_now(known) is None and (price is None or known.at - price.at > _NOW_FOR)


def _callers(view: View, known: KnownToken) -> Html:
    if not known.calls:
        return view.html("token.not_called")
    channels = len({one.channel_id for one in known.calls})
    return view.html(
        "token.called" if known.complete else "token.called_most", calls=len(known.calls), channels=channels
    )


def _calls(view: View, known: KnownToken) -> Iterator[Html]:
    """The first call, then the newest ones."""
    calls = known.calls
    shown = calls if len(calls) <= MAX_CALLS else (calls[0], *calls[1 - MAX_CALLS :])
    for place, one in enumerate(shown):
        if place == 1 and len(shown) < len(calls):
            yield view.html("token.more_calls", count=len(calls) - len(shown))
        yield _call(view, one, known)


def _call(view: View, one: CalledHere, known: KnownToken) -> Html:
    cap = shown_figure(one.market_cap_usd, "usd")
    ago = _ago(one.called_at, known.at)
    line = (
        view.html("token.call", channel=one.channel, ago=ago)
        if cap is None
        else view.html("token.call_at", channel=one.channel, ago=ago, cap=cap)
    )
    if one.outcome is None:
        return line
    now = _worth_now(known)
    multiple = now / one.market_cap_usd if now and one.market_cap_usd else None
    return Html(line + view.html("token.became", what=_became(view, one.outcome, multiple)))


def _became(view: View, outcome: CallOutcome, now: float | None) -> Html:
    """`now`: the multiple at which it stands, which may be above the highest that was confirmed so far."""
    value = shown_figure(outcome.multiple, "multiple")
    if now is not None and now >= max(_NO_PEAK, outcome.multiple):
        peak = view.html("token.above", value=shown_figure(now, "multiple"))
    elif value is None or outcome.multiple < _NO_PEAK:
        peak = view.html("card.outcome_no_peak")
    else:
        value = view.plain("value.at_least", value=value) if outcome.at_least else value
        after = span_said(view.texts, view.language, "value.after", outcome.after_s)
        peak = view.html("card.outcome_peak", value=value, after=after)
    if outcome.ending is None or outcome.ending == "age":
        return peak
    return view.html("token.died", peak=peak, why=view.plain(f"value.died.{outcome.ending}"))


def _theirs(view: View, known: KnownToken) -> Html:
    """Say what the call that tells most came to for who asks."""
    telling = known.telling
    if known.explanation is None or telling is None:
        return Html()
    channel = telling.decided.call.channel
    line = verdict_and_fate(view, telling, known.at, known.explanation.subscriber.preferences.time_zone)
    return view.html("token.theirs", channel=channel.title or channel.id, outcome=line)


def _keyboard(view: View, known: KnownToken, card: Card, venues: Venues) -> Keyboard:
    telling = known.telling
    call = _asked(known) if telling is None else telling.decided.call
    chosen: tuple[CardButton, ...] = tuple(name for name in _BUTTONS if name != "why" or telling is not None)
    buttons = row_of_buttons(view.texts, replace(call, token=known.token), view.language, chosen)
    again = view.button("button.refresh", ShowToken(known.token.address))
    buy = buy_row(view.texts, known.token, view.language, card.buttons, venues)
    return (*in_rows((*buttons, again), _PER_ROW), *((buy,) if buy else ()))


def _asked(known: KnownToken) -> Call:
    """As much of a call as the buttons of a token need."""
    return Call(id="", token=known.token, channel=Channel(id=""), called_at=known.at, received_at=known.at)


def _ago(at: datetime, now: datetime) -> str:
    return show_short(max(0, round((now - at).total_seconds())), "duration")
