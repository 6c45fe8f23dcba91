"""What is asked before something is muted, what is said then, and the list of what is muted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal, get_args

from domain.buttons.cards import MuteToken
from domain.calls.addresses import call_tag
from domain.calls.events import Call
from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.messages import Button, Message
from domain.subscribers.subscriber import Preferences
from handlers.conversation.menus import Keyboard, View, lines, message
from handlers.conversation.pages import Page
from handlers.delivery.buttons import (
    CloseMute,
    MuteAll,
    MuteChannel,
    MuteHere,
    MuteOnly,
    ShowDelivery,
    ShowMuted,
    Snooze,
    UnmuteAll,
    UnmuteChannel,
    UnmuteHere,
    UnmuteToken,
)
from handlers.delivery.standing import local_moment
from runtime.errors import UserFacingError
from services.cards.buttons import card_keyboard
from services.cards.pieces import readable, ticker
from texts.markup import Html, utf16_length

MUTED_PER_PAGE: Final = 8
_NOTHING_MORE: Final = Html()
_ROOM_FOR_BOTH: Final = 32
"""For ticker and name on a button, in UTF-16 units."""
Mutable = Literal["token", "channel", "all"]
MUTABLE: Final[tuple[Mutable, ...]] = get_args(Mutable)
_MUTE: Final[dict[Mutable, str]] = {
    "token": "button.mute_token",
    "channel": "button.mute_channel",
    "all": "button.mute_all",
}
_UNDO: Final[dict[Mutable, str]] = {
    "token": "button.undo_token",
    "channel": "button.undo_channel",
    "all": "button.undo_all",
}
MUTED: Final[dict[Mutable, str]] = {"token": "mute.token", "channel": "mute.channel", "all": "mute.all"}
UNMUTED: Final[dict[Literal["token", "channel"], str]] = {
    "token": "delivery.token_unmuted",
    "channel": "delivery.channel_unmuted",
}


def question(view: View, address: str, call: Call | None) -> Message:
    """Ask what is meant; the channel is offered where the call is known."""
    name = name_of(address, call)
    rows = [(view.button("button.mute_token", MuteOnly(address), name=name),)]
    if call is not None:
        title = call.channel.title or call.channel.id
        rows.append((view.button("button.mute_channel", MuteChannel(address), title=title),))
    rows.append((view.button("button.mute_all", MuteAll()),))
    return message(view.html("mute.ask"), keyboard=tuple(rows))


def known(what: str) -> Mutable:
    """Find what a button of any age names."""
    for one in MUTABLE:
        if one == what:
            return one
    raise UserFacingError("callback.stale")


def under_alert(
    view: View,
    call: Call,
    preferences: Preferences,
    now: datetime,
    *,
    asks: bool = False,
    venues: Venues = NO_VENUES,
) -> Keyboard:
    """The buttons of an alert: its own, then what of it is muted, to be undone; and if it `asks`, what else could be.

    Its own stay where they are, so that a second tap on 🔇 hits 🔇.
    """
    address, title = call.token.address, call.channel.title or call.channel.id
    until = muted_until(preferences, address, call.channel.ids, now)
    names = {"token": name_of(address, call), "channel": title, "all": ""}
    rows = list(card_keyboard(view.texts, call, view.language, preferences.card.buttons, venues))
    if any(until.values()):
        rows = [tuple(_changed(view, button, address) for button in row) for row in rows]
    for what in MUTABLE:
        end, name = until[what], names[what]
        if end is not None:
            moment = local_moment(preferences, end, now)
            rows.append((view.button(_UNDO[what], UnmuteHere(what, address), name=name, until=moment),))
        elif asks:
            rows.append((view.button(_MUTE[what], MuteHere(what, address), name=name, title=name),))
    if asks:
        rows.append((view.button("button.back", CloseMute(address)),))
    return tuple(rows)


def muted_until(
    preferences: Preferences, address: str, channel_ids: Collection[str], now: datetime
) -> dict[Mutable, datetime | None]:
    """Until when each of the three is muted; now for a channel, which stays so, and `None` for what is not."""
    return {
        "token": muted(preferences, now).get(address),
        "channel": now if preferences.muted_channels.keys() & {*channel_ids} else None,
        "all": snoozed_until(preferences, now),
    }


def _changed(view: View, button: Button, address: str) -> Button:
    mute = MuteToken(address)
    return view.button("button.mute_changed", mute) if button.data == mute.pack() else button


def name_of(address: str, call: Call | None) -> str:
    """How a token is called in lists: by its ticker, and by its name where there is room beside that."""
    if call is None:
        return _short(address)
    symbol, name = ticker(call.token), readable(call.token.name)
    if not (symbol and name):
        return symbol or name or _short(address)
    both, is_same = f"{symbol} · {name}", name.casefold() == symbol.removeprefix("$").casefold()
    return symbol if is_same or utf16_length(both) > _ROOM_FOR_BOTH else both


def token_muted(view: View, address: str, name: str, until: str) -> Message:
    return _done(view, view.button("button.mute_undo", UnmuteToken(address, 0)), "mute.token", name=name, until=until)


def channel_muted(view: View, channel_id: str, title: str) -> Message:
    undo = view.button("button.mute_undo", UnmuteChannel(call_tag(channel_id), 0))
    return _done(view, undo, "mute.channel", title=title)


def all_muted(view: View, until: str, waits: Html) -> Message:
    """`waits`: what is said of the calls that are held."""
    return _done(view, view.button("button.mute_undo", Snooze("off")), "mute.all", waits, until=until)


def _done(view: View, undo: Button, key: str, more: Html = _NOTHING_MORE, **what: str) -> Message:
    keyboard = ((undo, view.button("button.muted_list", ShowMuted(0))),)
    return message(lines(view.html(key, **what), more), keyboard=keyboard)


def muted_menu(view: View, preferences: Preferences, asked: int, now: datetime) -> Message:
    """Everything where that is, channels, which stay muted, then tokens by when they come back."""
    all_until = snoozed_until(preferences, now)
    end = "" if all_until is None else local_moment(preferences, all_until, now)
    channels = sorted(preferences.muted_channels.items(), key=lambda item: item[1].casefold())
    tokens = sorted(muted(preferences, now).items(), key=lambda item: item[1])
    names = preferences.muted_names
    buttons = [
        *([view.button("button.unmute_all", UnmuteAll(asked), until=end)] if end else []),
        *(
            view.button("button.unmute_channel", UnmuteChannel(call_tag(one), asked), title=title)
            for one, title in channels
        ),
        *(
            view.button(
                "button.unmute",
                UnmuteToken(address, asked),
                name=names.get(address) or _short(address),
                until=local_moment(preferences, until, now),
            )
            for address, until in tokens
        ),
    ]
    page = Page.at(asked, total=len(buttons), per_page=MUTED_PER_PAGE)
    what = what_is_muted(view, preferences, now)
    listed = view.html("delivery.muted", what=what) if what else Html()
    back = (view.button("button.back", ShowDelivery()),)
    return message(
        view.html("delivery.all_muted", until=end) if end else Html(),
        listed if buttons else view.html("delivery.none_muted"),
        keyboard=(*((button,) for button in page.of(buttons)), *page.turning(view, ShowMuted), back),
    )


def what_is_muted(view: View, preferences: Preferences, now: datetime) -> str:
    """Count channels and tokens, of which there are any: `1 channel, 2 tokens`."""
    counts = {
        "value.muted_channels": len(preferences.muted_channels),
        "value.muted_tokens": len(muted(preferences, now)),
    }
    return ", ".join(view.plain(key, count=count) for key, count in counts.items() if count)


def snoozed_until(preferences: Preferences, now: datetime) -> datetime | None:
    """Until when everything is muted; `None`: it is not."""
    until = preferences.snoozed_until
    return until if until is not None and until > now else None


def count_muted(preferences: Preferences, now: datetime) -> int:
    """How many lines the list has."""
    everything = snoozed_until(preferences, now) is not None
    return everything + len(muted(preferences, now)) + len(preferences.muted_channels)


def muted(preferences: Preferences, now: datetime) -> dict[str, datetime]:
    """The tokens that are muted now."""
    return {address: until for address, until in preferences.muted_tokens.items() if until > now}


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"
