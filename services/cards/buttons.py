"""The buttons below a card."""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from domain.calls.addresses import MAX_ADDRESS_LENGTH, call_tag, is_address
from domain.calls.events import Call, Chain, Token
from domain.calls.links import chart_url, explorer_url
from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.messages import Button
from domain.subscribers.subscriber import CardButton
from texts.renderer import Texts

Row = tuple[Button, ...]

_ADDRESS: Final = re.compile(r"[A-Za-z0-9]{1,64}")
"""What can safely be put on the clipboard and into a link. Wider than base58, so that no real token is refused."""
_PER_ROW: Final = 3


def card_keyboard(
    texts: Texts, call: Call, language: str, chosen: tuple[CardButton, ...], venues: Venues = NO_VENUES
) -> tuple[Row, ...]:
    """Build the buttons under the card of one call."""
    buttons = row_of_buttons(texts, call, language, chosen)
    rows = [buttons[start : start + _PER_ROW] for start in range(0, len(buttons), _PER_ROW)]
    rows.append(buy_row(texts, call.token, language, chosen, venues))
    return tuple(row for row in rows if row)


def row_of_buttons(
    texts: Texts, call: Call, language: str, chosen: tuple[CardButton, ...], number: int | None = None
) -> Row:
    """Build the chosen buttons; `number` tells the first one to which card of several they belong."""
    if not _ADDRESS.fullmatch(call.token.address):
        return ()
    buttons = (button for name in chosen if (button := _button(texts, call, language, name)))
    return tuple(
        replace(button, text=f"{number}. {button.text}") if number and index == 0 else button
        for index, button in enumerate(buttons)
    )


def buy_row(texts: Texts, token: Token, language: str, chosen: tuple[CardButton, ...], venues: Venues) -> Row:
    """Link the operator's venues on which the token's chain trades."""
    if "buy" not in chosen or not is_address(token.address):
        return ()
    return tuple(
        Button(text=texts.plain("button.buy_at", language, venue=venue.name), url=venue.link(token.address))
        for venue in venues.on(token.chain)
    )


def chart_of(address: str, chain: Chain | None) -> str | None:
    """Where a token's chart is; `None` for what is no address."""
    return chart_url(address, chain) if _ADDRESS.fullmatch(address) else None


def _button(texts: Texts, call: Call, language: str, name: CardButton) -> Button | None:
    address, chain = call.token.address, call.token.chain
    text = texts.plain(f"button.{name}", language)
    match name:
        case "copy":
            return Button(text=text, copy=address)
        case "chart":
            return Button(text=text, url=chart_url(address, chain))
        case "explorer":
            return Button(text=text, url=explorer_url(address, chain))
        case "why" if len(address) <= MAX_ADDRESS_LENGTH:
            return Button(text=text, data=f"why:{address}:{call_tag(call.id)}")
        case "mute" | "watch" | "mute_caller" if is_address(address):
            return Button(text=text, data=f"{'mhere:channel' if name == 'mute_caller' else name}:{address}")
        case "why" | "mute" | "watch" | "mute_caller" | "buy":
            return None  # no token of this chain; places to buy at have a row of their own
