"""Where a token can be bought, as the operator wants it offered: links to bots and pages, by chain."""

from __future__ import annotations

import re
import tomllib
from typing import Final, get_args

import msgspec
from msgspec import Struct

from domain.calls.events import Chain
from runtime.errors import FatalError

MAX_OF_A_CHAIN: Final = 3
"""As many as one row of buttons has room for."""
MAX_NAME_LENGTH: Final = 20
_URL: Final = re.compile(r"https://[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?:/[A-Za-z0-9./?=&_+{}-]{0,300})?")
_PLACE: Final = "{address}"


class Venue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    url: str
    """https, with `{address}` once where the token's address belongs."""
    chains: tuple[Chain, ...] = ("solana",)

    def link(self, address: str) -> str:
        return self.url.replace(_PLACE, address)


class Venues(Struct, frozen=True):
    listed: tuple[Venue, ...] = ()

    def on(self, chain: Chain) -> tuple[Venue, ...]:
        return tuple(venue for venue in self.listed if chain in venue.chains)


NO_VENUES: Final = Venues()


class _File(Struct, forbid_unknown_fields=True):
    venue: tuple[Venue, ...] = ()


def load_venues(text: str) -> Venues:
    """Read `config/venues.toml`. Raises `FatalError` with everything that is wrong with it."""
    try:
        listed = msgspec.convert(tomllib.loads(text), _File).venue
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise FatalError(f"venues.toml: {error}") from error
    venues = Venues(listed)
    problems = [problem for venue in listed for problem in _problems(venue)]
    problems += [
        f"{len(found)} venues on {chain}, {MAX_OF_A_CHAIN} at most"
        for chain in get_args(Chain)
        if len(found := venues.on(chain)) > MAX_OF_A_CHAIN
    ]
    if problems:
        raise FatalError("venues.toml: " + "; ".join(problems))
    return venues


def _problems(venue: Venue) -> list[str]:
    found: list[str] = []
    if not venue.name.strip() or len(venue.name) > MAX_NAME_LENGTH or not venue.name.isprintable():
        found.append(f"{venue.name!r} is no name of 1 to {MAX_NAME_LENGTH} characters")
    if not _URL.fullmatch(venue.url) or venue.url.count(_PLACE) != 1 or set("{}") & set(venue.link("")):
        found.append(f"{venue.url!r} is no https address with {_PLACE} once in it")
    elif "{" in venue.url.split("/")[2]:
        found.append(f"{venue.url!r} has {_PLACE} in its host")
    if not venue.chains:
        found.append(f"{venue.name!r} is on no chain")
    return found
