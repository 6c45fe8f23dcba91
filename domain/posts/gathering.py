"""Everything in a post that could be a token's address, in order of trust, and what was left out of it and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from msgspec import Struct

from domain.posts.chains import EVM_CHAINS, SOLANA
from domain.posts.keys import Key, key_of
from domain.posts.labels import Kind, Label, is_wallet_behind, label_of
from domain.posts.links import Astray, Lead, follow
from domain.posts.people import presents_somebody
from domain.posts.post import Button, Post
from domain.posts.reasons import RANKS, Found, Later, LeftOut
from domain.posts.shown import Shown, read

MAX_BUTTONS: Final = 100
MAX_WORDS: Final = 100
MAX_LEFT_OUT: Final = 20

_WORD: Final = re.compile(r"(?<![A-Za-z0-9])(?:[EUk0]Q[A-Za-z0-9_-]{46}|[A-Za-z0-9]{26,130})(?![A-Za-z0-9])")
"""Nobody writes a space between Chinese and an address, or before the ending of a Korean word."""
_ALIKE: Final = re.compile(r"[\u00aa-\u052f\u13a0-\u13ff\u1c80-\u1fff\u2c60-\u2dff\ua640-\ua7ff\uab30-\uabbf]")
"""Letters of alphabets in which some look like Latin ones: one that touches an address may stand for a part of it."""
_PROSE: Final = re.compile(r"[A-Za-z]+")
_LETTER: Final = re.compile(r"[^\W\d_]")
_AMOUNT: Final = re.compile(r"\d[\d.,]{0,12} ?(?:sol|eth|bnb|usd[tc]?)\b", re.IGNORECASE)
_NEXT: Final = re.compile(
    r"\b(?:ca|contract|mint|token|bought|buys?|buying|aped?|aping|into|this)\b|[:：]", re.IGNORECASE
)
_REMARK: Final = 32
"""Characters that a list has behind each of its addresses: a name, an amount."""
_PEOPLE: Final = re.compile(
    r"\b(?:wallets?|whales?|traders?|smart money|hackers?|exploiters?|attackers?|scammers?|drainers?)\b|钱包|кошел",
    re.IGNORECASE,
)


class Candidate(Struct, frozen=True):
    """Something that may be what a post calls."""

    address: str
    """Base58 of 32 bytes as it is written, or 0x and 40 hex digits in small letters. Of a pool also base58 that has
    lost its capitals, where the site looks it up all the same."""
    chain: str | None
    """`None`: an EVM chain, and the post does not say which."""
    found: Found
    is_pool: bool = False
    """The address stands where pools stand: whoever knows pools says what it trades. It may be the token's own."""
    at: int = 0
    """Where in the text; 0 for links and buttons."""
    is_any: bool = False
    """It is called an address, and not what it is the address of."""


class Refused(Struct, frozen=True):
    """Something that looked like it and is not."""

    what: str
    """Attacker-controlled text."""
    reason: LeftOut | Later
    chain: str | None = None


_OTHERWISE: Final[dict[Kind, LeftOut]] = {"wallet": "wallet", "other_token": "other_token"}


class _Doubtful(NamedTuple):
    """Named beside what is called, unless it is the only one that the text names."""

    candidate: Candidate
    otherwise: LeftOut


class Gathered(Struct, frozen=True):
    candidates: tuple[Candidate, ...]
    """Each address once, at its surest place; the surest places first."""
    refused: tuple[Refused, ...]


def gather(post: Post, text: Shown) -> Gathered:
    found = [*_settled(list(_in_text(text))), *_in_links(text.links), *_in_buttons(post.buttons)]
    refused = [one for one in found if isinstance(one, Refused)]
    of_somebody = _PEOPLE.search(text.words) is not None
    candidates = [
        one for one in found if isinstance(one, Candidate) and not _is_somebodys(one, refused, of_somebody=of_somebody)
    ]
    candidates.sort(key=lambda one: RANKS[one.found])
    chosen = _each_once(candidates)
    return Gathered(_with_chain(chosen, [*candidates, *refused]), _unexplained(refused, chosen))


def _settled(found: list[Candidate | Refused | _Doubtful]) -> Iterator[Candidate | Refused]:
    others = {one.address for one in found if isinstance(one, Candidate)}
    for one in found:
        if not isinstance(one, _Doubtful):
            yield one
        elif others:
            yield Refused(one.candidate.address, one.otherwise)
        else:
            yield one.candidate


def _is_somebodys(one: Candidate, refused: list[Refused], *, of_somebody: bool) -> bool:
    """A link to an account is no call of it. On EVM chains explorers show contracts on the pages of accounts, too."""
    if RANKS[one.found] == 0 and not one.is_any:
        return False
    for other in refused:
        if other.what != one.address or other.reason not in {"account", "wallet"}:
            continue
        is_contract = other.reason == "account" and other.chain in EVM_CHAINS
        if not is_contract or (of_somebody and (one.is_any or one.found == "bare_address")):
            return True
    return False


def _in_text(text: Shown) -> Iterator[Candidate | Refused | _Doubtful]:
    wallets_until, is_list = -1, False
    is_profile = presents_somebody(text.words)
    for found in islice(_WORD.finditer(text.words), MAX_WORDS):
        word, at = found.group(), found.start()
        key = key_of(word)
        if key is None or (key == "undecodable" and _PROSE.fullmatch(word)):
            continue
        if isinstance(key, Key) and _is_touched(text.words, at, found.end()):
            key = "undecodable"
        label = label_of(text.text, at)
        goes_on = wallets_until >= 0 and _goes_on(text.text[wallets_until:at], is_list=is_list)
        if label is None and goes_on:
            label = Label("wallet", is_list=is_list)
        elif is_wallet_behind(text.text, found.end()) or (label is None and is_profile):
            label = Label("wallet")
        is_wallet = label is not None and label.kind == "wallet"
        wallets_until, is_list = (found.end(), label.is_list) if label and is_wallet else (-1, False)
        yield _by_label(word, key, label, at, is_code=text.is_code(at))


def _goes_on(between: str, *, is_list: bool) -> bool:
    """Whether somebody's address is followed by another's: beside it, or in a list in the next line."""
    if is_list and between.count("\n") == 1 and len(between) <= _REMARK and not _NEXT.search(between):
        return True
    return not _LETTER.search(_AMOUNT.sub("", between)) and (is_list or "\n" not in between)


def _is_touched(words: str, start: int, end: int) -> bool:
    around = words[max(0, start - 1) : start] + words[end : end + 1]
    return any(_ALIKE.match(character) and character.isalpha() for character in around)


def _by_label(
    word: str, key: Key | LeftOut, label: Label | None, at: int, *, is_code: bool
) -> Candidate | Refused | _Doubtful:
    kind = label.kind if label else None
    if kind == "transaction":
        return Refused(word, "transaction")
    otherwise = _OTHERWISE.get(kind) if kind else None
    if otherwise and label and label.is_sure:
        return Refused(key.address if isinstance(key, Key) else word, otherwise)
    if not isinstance(key, Key):
        return Refused(word, key)
    chain = _chain_of(key)
    if kind == "pool":
        return Candidate(key.address, chain, "pool_link", is_pool=True, at=at)
    found: Found = "address_in_code" if is_code else "address_after_label" if kind == "token" else "bare_address"
    candidate = Candidate(key.address, chain, found, at=at, is_any=label is not None and label.is_any)
    return _Doubtful(candidate, otherwise) if otherwise else candidate


def _chain_of(key: Key) -> str | None:
    return SOLANA if key.family == "solana" else None


def _in_links(links: tuple[str, ...]) -> Iterator[Candidate | Refused]:
    for link in links:
        led = follow(link)
        if isinstance(led, Lead):
            places: dict[str, Found] = {"token": "token_link", "pool": "pool_link", "start": "start_payload"}
            yield Candidate(led.key.address, led.chain, places[led.kind], is_pool=led.kind == "pool")
        elif led is not None:
            yield _refused(led)


def _in_buttons(buttons: tuple[Button, ...]) -> Iterator[Candidate | Refused]:
    for target in dict.fromkeys(button.target for button in buttons[:MAX_BUTTONS]):
        led = follow(read(target))
        if isinstance(led, Lead):
            place: Found = "start_payload" if led.kind == "start" else "button"
            yield Candidate(led.key.address, led.chain, place, is_pool=led.kind == "pool")
        elif led is not None:
            yield _refused(led)


def _refused(led: Astray) -> Refused:
    key = key_of(led.what) if led.reason == "account" else None
    return Refused(key.address if isinstance(key, Key) else led.what, led.reason, led.chain)


def _each_once(candidates: list[Candidate]) -> list[Candidate]:
    """The surest place of each; a key without its capitals is left out where another has them."""
    first: dict[str, Candidate] = {}
    for one in candidates:
        first.setdefault(one.address, one)
    whole = {address.lower() for address in first if address != address.lower()}
    return [one for address, one in first.items() if address not in whole]


def _with_chain(chosen: list[Candidate], every: list[Candidate | Refused]) -> tuple[Candidate, ...]:
    """An address that stands alone gets the chain of the links to it, or of the only chain that links name."""
    named: dict[str, str] = {}
    chains: set[str] = set()
    for one in every:
        if one.chain is None or one.chain not in EVM_CHAINS:
            continue
        if isinstance(one, Candidate) or one.reason == "account":
            named[one.address if isinstance(one, Candidate) else one.what] = one.chain
        if isinstance(one, Candidate) or one.reason == "pool_key":
            chains.add(one.chain)
    only = next(iter(chains)) if len(chains) == 1 else None
    return tuple(
        one if one.chain else Candidate(one.address, named.get(one.address, only), one.found, one.is_pool, one.at)
        for one in chosen
    )


def _unexplained(refused: list[Refused], chosen: list[Candidate]) -> tuple[Refused, ...]:
    """A copy that has lost its capitals is explained by the one that has them."""
    whole = {one.address.lower() for one in chosen}
    kept = [one for one in dict.fromkeys(refused) if one.reason != "lower_cased" or one.what.lower() not in whole]
    return tuple(kept[:MAX_LEFT_OUT])
