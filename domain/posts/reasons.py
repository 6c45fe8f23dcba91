"""Why a post is, or is not, a call: the codes that `/why`, counts and `docs/posts.md` use."""

from __future__ import annotations

from typing import Final, Literal, get_args

Found = Literal[
    "address_in_code", "address_after_label", "bare_address", "token_link", "pool_link", "button", "start_payload"
]
"""Where a token's address stood, the surest place first."""

Update = Literal["repeated", "result", "exit", "dip_notice", "warning", "news", "already_read"]
"""Why a post that names a token is no call of it."""

LeftOut = Literal[
    "undecodable",
    "lower_cased",
    "pool_key",
    "unknown_link",
    "other_chain",
    "hash",
    "account",
    "wallet",
    "other_token",
    "transaction",
    "program",
    "stable_coin",
    "wrapped_coin",
    "invite",
]
"""Why something that looks like an address, or leads somewhere, is no token. Those that tell most come first."""

Nothing = Literal[
    "board", "list", "result", "exit", "dip_notice", "warning", "news", "symbol_only", "no_token", "empty"
]
"""Why a post that names no token, or too many, is no call."""

Later = Literal["unfollowed_chain", "unreadable"]
"""What no text says: its token is on a chain that is not followed; it could not be read, so far."""

Reason = Found | Update | LeftOut | Nothing | Later

RANKS: Final[dict[Found, int]] = {
    "address_in_code": 0,
    "address_after_label": 0,
    "bare_address": 1,
    "token_link": 2,
    "pool_link": 3,
    "button": 4,
    "start_payload": 5,
}
"""Of the places in which a post names tokens, those of the lowest rank count."""

LEFT_OUT: Final[tuple[LeftOut, ...]] = get_args(LeftOut)
NEAR_MISSES: Final[frozenset[Reason]] = frozenset(
    {
        "undecodable",
        "lower_cased",
        "pool_key",
        "unknown_link",
        "other_chain",
        "unfollowed_chain",
        "account",
        "symbol_only",
    }
)
"""What a channel's calls would be taken for if it changed how it writes them."""
REASONS: Final[frozenset[str]] = frozenset(
    reason for group in (Found, Update, LeftOut, Nothing, Later) for reason in get_args(group)
)
