"""What is written before an address, and what it is the address of, then."""

from __future__ import annotations

import re
from typing import Final, Literal

Label = Literal["token", "pool", "wallet", "transaction"]

MAX_BEFORE: Final = 60
"""Characters before an address that may be its label."""

_OF_TOKENS: Final = (
    r"ca|c/a|contracts?(?: address)?|mint(?: address)?|token(?: (?:address|contract|mint))?|address|addy|coin"
    r"|контракт|адрес(?: контракта| токена)?|токен|合约(?:地址)?|合約(?:地址)?|代币|地址"
    r"|contrato|direcci[oó]n(?: del contrato)?|endere[cç]o|adresse(?: du contrat)?|contrat|kontrat|s[oö]zle[sş]me"
    r"|kontrak|コントラクト|컨트랙트"
)
_OF_POOLS: Final = r"pair(?: address)?|pool(?: (?:address|id))?|lp(?: address)?|amm|bonding curve|curve|пул|пара|池子"
_OF_WALLETS: Final = (
    r"wallets?(?: address)?|dev(?: wallet| address)?|deployer(?: wallet| address)?|creator|owner|whale|trader"
    r"|buyer|seller"
    r"|maker|donat(?:e|ions?)|tips?(?: jar)?|treasury|multisig|(?:mint |freeze |update )?authority|signer"
    r"|funded by|funder"
    r"|insider|sniper|copy ?trade|from|sender|recipient|fee payer"
    r"|(?:rugger|scammer|thief|hacker|exploiter|attacker|drainer)(?: s)?(?: wallet| address)?"
    r"|du (?:pirate|hacker)|del (?:hacker|atacante)|хакера?|黑客(?:地址)?"
    r"|кошел[её]к(?: дева)?|дев|донат|钱包(?:地址)?|錢包|billetera|cartera|carteira|portefeuille|c[uü]zdan"
)
_OF_TRANSACTIONS: Final = r"tx(?:n|id| hash| id)?|transaction(?: hash)?|hash|sig(?:nature)?|proof|транзакция|交易"
_ABOUT: Final = (
    r"(?:(?: (?:is|for|of|on|here|below|now|please|to|copy|follow|track|watch))*"
    r"(?: (?:\$\w{1,20}|sol(?:ana)?|eth(?:ereum)?|base|bsc|bnb|pump(?: ?fun)?|here|below|again))?)"
)
_LABEL: Final = re.compile(
    rf"(?<![^\W_])(?:(?<!\$)(?P<wallet>{_OF_WALLETS})|(?P<pool>{_OF_POOLS})|(?P<transaction>{_OF_TRANSACTIONS})"
    rf"|(?P<token>{_OF_TOKENS}))"
    rf"{_ABOUT}\s*$",
    re.IGNORECASE,
)
_BEHIND: Final = re.compile(
    r"[`*\s]{0,4}(?:[(\[←<=–—-]|is)[\s-]{0,4}(?:(?:my|our|the|his|her|their|a|this) ){0,2}(?:\w{1,12} )?(?:wallet"
    r"|deployer|кошел[её]к)\b",
    re.IGNORECASE,
)
_SEND: Final = re.compile(
    r"(?:send|deposit|transfer|contribute|donate|отправ\w{1,6}|env[ií]a\w{0,3})\b[^\n]{0,40}(?:\bto|\bна|\ba)\s*\W*$",
    re.IGNORECASE,
)
_SURELY_WALLET: Final = re.compile(
    r"wallet|address|authority|кошел|钱包|錢包|cartera|billetera|carteira", re.IGNORECASE
)
"""Other words for people are labels with a colon only: "bought by a whale" says nothing of what comes next."""


def label_of(text: str, at: int) -> Label | None:
    """What the line says right before this place; a line that begins here is spoken for by the one before it."""
    before = _line_before(text, at)
    if not before:
        return None
    if _SEND.search(before):
        return "wallet"
    plain = _plain(before)
    found = _LABEL.search(plain)
    if found is None:
        return None
    label = found.lastgroup
    if label == "wallet" and not _SURELY_WALLET.search(found["wallet"]) and not _is_colon(before):
        return None
    return label if label in {"pool", "wallet", "transaction"} else "token"  # pyright: ignore[reportReturnType]


def is_wallet_behind(text: str, end: int) -> bool:
    """Whether the line says so after the address: `<address> (dev wallet)`."""
    return bool(_BEHIND.match(text, end, end + MAX_BEFORE))


def _line_before(text: str, at: int) -> str:
    start = text.rfind("\n", max(0, at - MAX_BEFORE), at) + 1 or max(0, at - MAX_BEFORE)
    before = text[start:at]
    if any(character.isalnum() for character in before):
        return before
    end = start - 1
    while end > 0 and at - end < MAX_BEFORE and text[end - 1].isspace():
        end -= 1
    if end <= 0:
        return ""
    begin = text.rfind("\n", max(0, end - MAX_BEFORE), end) + 1
    line = text[max(begin, end - MAX_BEFORE) : end]
    return line if _is_heading(line) else ""


def _is_heading(line: str) -> bool:
    return line.rstrip(" *_`👇⬇️").endswith((":", "：")) or sum(map(str.isalnum, line)) <= len("contract address")


def _is_colon(before: str) -> bool:
    return ":" in before[-4:] or "：" in before[-4:] or "=" in before[-4:]


def _plain(before: str) -> str:
    kept = "".join(character if character.isalnum() or character in "$/" else " " for character in before)
    return " ".join(kept.split()).replace(" / ", "/")
