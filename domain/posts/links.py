"""Where a link leads: to a token, to a pool that trades one, to a bot with a token in its luggage, or to neither.

A key counts by the place where it stands. The chain in a link's path is authority for the chain of its address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from domain.posts.chains import EVM_CHAINS, SOLANA, chain_of
from domain.posts.keys import Key, key_of
from domain.posts.reasons import LeftOut

Kind = Literal["token", "pool", "start"]


class Lead(NamedTuple):
    """An address that a link leads to."""

    kind: Kind
    key: Key
    """Of a pool: perhaps without its capitals, as some sites write it."""
    chain: str | None
    """`None`: the link does not say which EVM chain."""


class Astray(NamedTuple):
    """A link that leads to no token, and what it says instead of one."""

    reason: LeftOut
    what: str
    chain: str | None = None


_EXPLORERS: Final[dict[str, str]] = {
    "etherscan.io": "ethereum",
    "basescan.org": "base",
    "bscscan.com": "bsc",
    "arbiscan.io": "arbitrum",
    "polygonscan.com": "polygon",
    "optimistic.etherscan.io": "optimism",
    "snowtrace.io": "avalanche",
    "blastscan.io": "blast",
    "lineascan.build": "linea",
    "sonicscan.org": "sonic",
    "berascan.com": "berachain",
    "abscan.org": "abstract",
    "uniscan.xyz": "unichain",
    "eth.blockscout.com": "ethereum",
    "base.blockscout.com": "base",
}
"""Of EVM chains. They show a contract as they show anybody's account, in `/address/`."""
_PATHS: Final[dict[str, tuple[tuple[str, Kind], ...]]] = {
    "dexscreener.com": (("<chain>/<key>", "pool"),),
    "geckoterminal.com": (("<chain>/pools/<key>", "pool"), ("<chain>/tokens/<key>", "token")),
    "birdeye.so": (("token/<key>", "token"), ("<chain>/token/<key>", "token"), ("token/<key>/<key>", "token")),
    "pump.fun": (("coin/<key>", "token"), ("advanced/coin/<key>", "token"), ("<key>", "token")),
    "gmgn.ai": (("<chain>/token/<key>", "token"),),
    "photon-sol.tinyastro.io": (("lp/<key>", "pool"), ("r/<any>/<key>", "token")),
    "photon-base.tinyastro.io": (("lp/<key>", "pool"),),
    "axiom.trade": (("meme/<key>", "pool"), ("t/<key>", "token"), ("t/<key>/<any>", "token")),
    "dextools.io": (("app/<chain>/pair-explorer/<key>", "pool"), ("app/<chain>/token/<key>", "token")),
    "gate.com": (("alpha/<key>", "token"),),
    "gate.io": (("alpha/<key>", "token"),),
    "solscan.io": (("token/<key>", "token"),),
    **dict.fromkeys(_EXPLORERS, (("token/<key>", "token"),)),
    "rugcheck.xyz": (("tokens/<key>", "token"),),
    "letsbonk.fun": (("token/<key>", "token"),),
    "bonk.fun": (("token/<key>", "token"),),
    "jup.ag": (("tokens/<key>", "token"), ("swap/<pair>", "token")),
    "four.meme": (("token/<key>", "token"),),
    "clanker.world": (("clanker/<key>", "token"),),
    "app.uniswap.org": (("explore/tokens/<chain>/<key>", "token"), ("explore/pools/<chain>/<key>", "pool")),
    "defined.fi": (("<chain>/<key>", "pool"),),
    "ave.ai": (("token/<key>", "token"),),
    "poocoin.app": (("tokens/<key>", "token"),),
    "dexview.com": (("<chain>/<key>", "token"),),
    "moonshot.com": (("<key>", "token"),),
    "tokensniffer.com": (("token/<chain>/<key>", "token"),),
    "gopluslabs.io": (("token-security/<chain>/<key>", "token"),),
    "app.bubblemaps.io": (("<chain>/token/<key>", "token"),),
    "moonshot.money": (("<key>", "token"),),
    "believe.app": (("coin/<key>", "token"),),
    "trade.padre.gg": (("trade/<chain>/<key>", "pool"),),
    "web3.okx.com": (("token/<chain>/<key>", "token"),),
    "web3.binance.com": (("token/<chain>/<key>", "token"),),
    "debot.ai": (("token/<chain>/<key>", "token"),),
    "dex.coinmarketcap.com": (("token/<chain>/<key>", "token"),),
    "phantom.com": (("tokens/<chain>/<key>", "token"),),
    "fomo.family": (("tokens/<chain>/<key>", "token"),),
    "mevx.io": (("<chain>/<key>", "token"),),
    "xxyy.io": (("<chain>/<key>", "pool"),),
    "pro.xxyy.io": (("<chain>/<key>", "pool"),),
    "app.meteora.ag": tuple((f"{kind}/<key>", "pool") for kind in ("dlmm", "pools", "dammv2", "dbc")),
}
"""By site: how its paths are built, and what the address in them is of. Languages in front of a path are left away."""
_CHAINS: Final[dict[str, str]] = {
    **_EXPLORERS,
    "four.meme": "bsc",
    "poocoin.app": "bsc",
    "clanker.world": "base",
    "photon-base.tinyastro.io": "base",
}
_QUERIES: Final[dict[str, tuple[str, ...]]] = {
    "bullx.io": ("address",),
    "neo.bullx.io": ("address",),
    "raydium.io": ("outputMint", "outputCurrency", "inputMint"),
    "jup.ag": ("buy", "sell"),
    "app.uniswap.org": ("outputCurrency", "inputCurrency"),
    "swap.pump.fun": ("output", "input"),
    "pancakeswap.finance": ("outputCurrency", "inputCurrency"),
    "honeypot.is": ("address",),
    "v2.bubblemaps.io": ("address",),
}
"""By site: where in the query a token stands, the one that is bought first."""
_ANY_QUERIES: Final = (
    "token",
    "tokenAddress",
    "mint",
    "ca",
    "contract",
    "contractAddress",
    "outputMint",
    "outputCurrency",
)
"""In the query of any site that is known, beside its own."""
_TRADING: Final = frozenset({"terminal", "trade", "swap", "chart", "token", "tokens", "buy", "coin"})
"""Pages whose `address` is what they trade; elsewhere it may be somebody's."""
_CHAIN_QUERIES: Final = ("chain", "chainId", "chain_id", "network")
_ACCOUNTS: Final = frozenset({"account", "accounts", "address", "wallet", "profile", "portfolio", "user", "u"})
_TRANSACTIONS: Final = frozenset({"tx", "txs", "transaction", "signature"})
_TOKENS: Final = frozenset({"token", "tokens", "coin", "coins", "ca", "mint", "contract"})
_PROFILES: Final = frozenset({"debank.com", "app.cielo.finance", "kolscan.io", "zapper.xyz", "app.zerion.io"})
_WITHOUT_CASE: Final = frozenset({"dexscreener.com"})
_LOWERED: Final = re.compile(r"[1-9a-z]{32,44}")
"""Sites whose own links have the keys of pools in small letters: they look a key up without regard to its case."""
_TELEGRAM: Final = frozenset({"t.me", "telegram.me", "telegram.dog"})
_LANGUAGE: Final = re.compile(r"[a-z]{2}(?:-[A-Za-z]{2})?")
_NAMED_CHAINS: Final = frozenset({"tron", "ton", "sui", "aptos", "near", "cardano", "xrpl", "hedera"})
_IN_PAYLOAD: Final = re.compile(r"(?<![A-Za-z0-9])(?:0[xX][0-9a-fA-F]{40}|[A-Za-z0-9]{32,44})(?![A-Za-z0-9])")
_LOOKS_LIKE_KEY: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{32,70}(?![A-Za-z0-9])")


def follow(link: str) -> Lead | Astray | None:
    """What a link says by itself; nothing is asked for. `None` for one that has nothing to do with tokens."""
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        host = (parts.hostname or "").removeprefix("www.").removeprefix("m.")
    except ValueError:  # a link that no browser would follow either
        return None
    query = dict(parse_qsl(parts.query[:1024], max_num_fields=None)[:32])
    if parts.scheme == "tg" or host in _TELEGRAM:
        return _start(parts.path, query)
    if parts.scheme not in {"http", "https"}:
        return None
    segments = [unquote(segment) for segment in parts.path.split("/") if segment][:8]
    found = _by_path(host, segments)
    if not isinstance(found, Lead):
        asked = _by_query(host, segments, query)
        found = asked if isinstance(asked, Lead) else found or asked
    if host in _WITHOUT_CASE and isinstance(found, Astray):
        found = _looked_up(found)
    if isinstance(found, Lead) and found.chain is None:
        named = next((query[name] for name in _CHAIN_QUERIES if name in query), None)
        return _lead(found.kind, found.key.address, chain_of(named)) if named else found
    return found or _astray(host, segments, parts.query)


def _looked_up(led: Astray) -> Lead | Astray:
    key = led.what.lower()
    if led.reason != "lower_cased" or led.chain != SOLANA or not _LOWERED.fullmatch(key):
        return led
    return Lead("pool", Key(key, "solana"), SOLANA)


def _by_path(host: str, segments: list[str]) -> Lead | Astray | None:
    patterns = _PATHS.get(host, ())
    for pattern, kind in patterns:
        if found := _match(pattern, kind, segments, _CHAINS.get(host)):
            return found
    if patterns and len(segments) > 1 and _LANGUAGE.fullmatch(segments[0]):
        for pattern, kind in patterns:
            if found := _match(pattern, kind, segments[1:], _CHAINS.get(host)):
                return found
        # A language may stand within: `/app/en/ether/pair-explorer/<key>`.
    if patterns and len(segments) > 2 and _LANGUAGE.fullmatch(segments[1]):  # noqa: PLR2004 - one before, one behind
        for pattern, kind in patterns:
            if found := _match(pattern, kind, [segments[0], *segments[2:]], _CHAINS.get(host)):
                return found
    return None


def _match(pattern: str, kind: Kind, segments: list[str], chain: str | None) -> Lead | Astray | None:
    wanted = pattern.split("/")
    if len(wanted) != len(segments):
        return None
    word: str | None = None
    other = False
    for want, segment in zip(wanted, segments, strict=True):
        if want == "<chain>":
            chain = chain_of(segment)
            other = segment.lower() in _NAMED_CHAINS
            if chain is None and not other:
                return None
        elif want == "<key>":
            word = word or segment
        elif want == "<pair>":
            word = _bought(segment)
        elif want != "<any>" and want != segment.lower():
            return None
    if word is None:
        return None
    return Astray("other_chain", word) if other else _lead(kind, word, chain)


def _bought(pair: str) -> str:
    """Of `SOL-<mint>`, or the other way round, the side that is an address of a token."""
    return next((side for side in reversed(pair.split("-")) if isinstance(key_of(side), Key)), pair)


def _lead(kind: Kind, word: str, chain: str | None) -> Lead | Astray:
    """What stands before an address, joined by a sign, says who shares it (`eye1_<address>`) or its chain."""
    key = key_of(word)
    if not isinstance(key, Key):
        before, _, last = word.replace("-", "_").rpartition("_")
        if chain_of(last) and before:  # `<address>-<chain>`
            before, last = last, before
        if isinstance(key_of(last), Key):
            key, chain = key_of(last), chain or chain_of(before)
    if not isinstance(key, Key):
        reason = "pool_key" if key == "hash" else key
        return Astray(reason or "undecodable", word, chain)
    if key.family == "solana":
        return Lead(kind, key, SOLANA) if chain in {None, SOLANA} else Astray("undecodable", word, chain)
    return Lead(kind, key, chain) if chain in EVM_CHAINS or chain is None else Astray("undecodable", word, chain)


def _by_query(host: str, segments: list[str], query: Mapping[str, str]) -> Lead | Astray | None:
    found: Lead | Astray | None = None
    for name in (*_QUERIES.get(host, ()), *_named_anywhere(host, segments)):
        if name in query and key_of(query[name]) is not None:
            found = _lead("token", query[name], None)
            if isinstance(found, Lead):
                return found
    return found


def _named_anywhere(host: str, segments: list[str]) -> tuple[str, ...]:
    words = {segment.lower() for segment in segments}
    if (host not in _PATHS and host not in _QUERIES) or words & (_ACCOUNTS | _TRANSACTIONS):
        return ()
    return (*_ANY_QUERIES, "address") if words & _TRADING else _ANY_QUERIES


def _start(path: str, query: Mapping[str, str]) -> Lead | Astray | None:
    """A bot's luggage: an address between whatever the bot's owner needs to know."""
    payload = query.get("start") or query.get("startapp") or query.get("startgroup")
    if payload is None:
        return Astray("invite", path) if path.startswith(("/+", "/joinchat/")) or "invite" in query else None
    for found in _IN_PAYLOAD.finditer(payload.replace("_", " ")):
        key = key_of(found.group())
        if isinstance(key, Key):
            return Lead("start", key, SOLANA if key.family == "solana" else None)
        if key == "lower_cased":
            return Astray(key, found.group())
    return None


def _astray(host: str, segments: list[str], query: str) -> Astray | None:
    words = {segment.lower() for segment in segments}
    last = segments[-1] if segments else ""
    if words & _TRANSACTIONS:
        return Astray("transaction", last)
    if host in _PROFILES or words & _ACCOUNTS:
        return Astray("account", last.rpartition("_")[2], _EXPLORERS.get(host))
    before = segments[-2].lower() if len(segments) > 1 else ""
    if before in _TOKENS and host not in _PATHS and (key := key_of(last)) is not None:
        return Astray(key, last) if not isinstance(key, Key) else Astray("unknown_link", last)
    if any(_LOOKS_LIKE_KEY.search(part) and _has_key(part) for part in (*segments, query)):
        return Astray("unknown_link", last)
    return None


def _has_key(part: str) -> bool:
    return any(isinstance(key_of(word), Key) for word in _LOOKS_LIKE_KEY.findall(part))
