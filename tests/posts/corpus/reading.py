"""The corpus, read: posts as files have them, what is expected of each, and how well a reading of them does.

`README.md` says how a post is written down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from solders.pubkey import Pubkey
from solders.signature import Signature

from domain.posts.post import Button, ForwardedFrom, Post, Run
from domain.posts.understanding import Understood, understand

POSTED: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
EDITED: Final = POSTED + timedelta(minutes=7)
_HOLE: Final = re.compile(r"\{(mint|pump|pool|wallet|sig|evm|EVM|hash)(\d{1,2})(?::(lower|upper|cut|zwsp|spaced))?\}")
_TAG: Final = re.compile(r'<(code|pre|b|a href="[^"]*")>|</(code|pre|b|a)>')


class Written(Struct, frozen=True, forbid_unknown_fields=True, rename={"is_": "is"}):
    """A post of a file, with what is expected of it."""

    style: str
    text: str
    is_: str
    tokens: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    chain: str | None = None
    symbol: str | None = None
    cap: float | None = None
    price: float | None = None
    liquidity: float | None = None
    reason: str | None = None
    earlier: tuple[str, ...] = ()
    buttons: tuple[dict[str, str], ...] = ()
    forwarded: str | None = None
    before: str | None = None
    """The text before it was edited."""
    note: str | None = None


class _File(Struct, frozen=True):
    post: list[Written]


@dataclass(slots=True)
class Score:
    """Of calls: how many there are, were found, and were found with their tokens."""

    posts: int = 0
    said: int = 0
    true: int = 0
    right: int = 0
    wrong: list[str] = field(default_factory=list[str])

    @property
    def precision(self) -> float:
        return self.right / self.said if self.said else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1.0


def files() -> dict[str, list[Written]]:
    """The posts of each file, by its name."""
    return {
        path.stem: msgspec.toml.decode(path.read_bytes(), type=_File).post
        for path in sorted(Path(__file__).parent.glob("*.toml"))
    }


def filled(text: str) -> str:
    """A text with an address, made of nothing but its name, in each hole."""
    return _HOLE.sub(lambda hole: _damaged(_made(hole[1], hole[2]), hole[3]), text)


def post_of(written: Written, text: str | None = None) -> Post:
    return Post(
        channel="@corpus",
        number=1,
        runs=runs(filled(written.text if text is None else text)),
        buttons=tuple(Button(one["text"], filled(one["url"])) for one in written.buttons),
        posted_at=POSTED,
        edited_at=EDITED if written.before is not None and text is None else None,
        forwarded_from=ForwardedFrom(channel=written.forwarded) if written.forwarded else None,
    )


def read(written: Written, reader: Callable[..., Understood] = understand) -> Understood:
    earlier = frozenset(map(filled, written.earlier))
    before = reader(post_of(written, written.before), earlier=earlier) if written.before is not None else None
    return reader(post_of(written), earlier=earlier, before=before)


def named(written: Written) -> set[tuple[str, bool]]:
    """The tokens and pools that are expected, each with whether it is a pool."""
    tokens = {(filled(one).replace("0X", "0x"), False) for one in written.tokens}
    return tokens | {(filled(one), True) for one in written.pools}


def score(posts: Iterable[Written], reader: Callable[..., Understood] = understand) -> Score:
    """A call is right if every token and pool of it is, and no other."""
    result = Score()
    for written in posts:
        understood = read(written, reader)
        found = {(token.address, token.is_pool) for token in understood.tokens}
        result.posts += 1
        result.true += written.is_ == "call"
        result.said += understood.verdict == "call"
        is_right = written.is_ == understood.verdict == "call" and found == named(written)
        result.right += is_right
        if not is_right and "call" in {written.is_, understood.verdict}:
            result.wrong.append(f"{written.style}: {written.text!r}: {understood.verdict}, {understood.reason}")
    return result


def runs(text: str) -> tuple[Run, ...]:
    """Cut at the tags that a file may have; everything else is text."""
    found: list[Run] = []
    code, links, at = 0, list[str](), 0
    for tag in _TAG.finditer(text):
        found.append(Run(text[at : tag.start()], is_code=code > 0, link=links[-1] if links else None))
        at = tag.end()
        name, end = tag[1] or "", tag[2]
        code += (name in {"code", "pre"}) - (end in {"code", "pre"})
        if name.startswith("a "):
            links.append(name[len('a href="') : -1])
        elif end == "a" and links:
            links.pop()
    found.append(Run(text[at:]))
    return tuple(run for run in found if run.text)


def _made(kind: str, number: str) -> str:
    seed = sha256(f"{kind.lower()} {number}".encode()).digest()
    if kind.lower() == "evm":
        return "0x" + (seed[:20].hex() if kind == "evm" else seed[:20].hex().upper())
    if kind == "hash":
        return "0x" + seed.hex()
    if kind == "sig":
        return str(Signature(seed + sha256(seed).digest()))
    address = str(Pubkey(bytes([seed[0] % 100 + 100]) + seed[1:]))
    return address[:-4] + "pump" if kind == "pump" else address


def _damaged(address: str, how: str | None) -> str:
    middle = len(address) // 2
    return {
        None: address,
        "lower": address.lower(),
        "upper": address.upper(),
        "cut": address[:-4],
        "zwsp": f"{address[:middle]}\u200b{address[middle:]}",
        "spaced": f"{address[:middle]} {address[middle:]}",
    }[how]
