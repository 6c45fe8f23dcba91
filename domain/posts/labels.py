"""What is written before an address, and what it is the address of, then."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from domain.posts.people import are_somebodys, is_where_to_pay

Kind = Literal["token", "pool", "wallet", "transaction", "other_token"]


class Label(NamedTuple):
    kind: Kind
    is_sure: bool = True
    """Otherwise only where the post has another address that may be what it calls."""
    is_list: bool = False
    """It speaks of several: what follows in the next lines is of the same kind."""
    is_any: bool = False
    """It says "address", and not of what."""


MAX_BEFORE: Final = 60
"""Characters before an address that may be its label."""

_OF_TOKENS: Final = (
    r"ca|c/a|contracts?(?: address)?|mint(?: address)?|token(?: (?:address|contract|mint))?|address|addy|coin"
    r"|контракт|адрес(?: контракта| токена)?|токен|合约(?:地址)?|合約(?:地址)?|代币|地址"
    r"|contrato|direcci[oó]n(?: del contrato)?|endere[cç]o|adresse(?: du contrat)?|contrat|kontrat|s[oö]zle[sş]me"
    r"|kontrak|コントラクト|컨트랙트"
)
_OF_POOLS: Final = (
    r"pair(?: address)?|pool(?: (?:address|id))?|lp(?: (?:address|mint|token))?|amm|bonding curve|curve"
    r"|пул|пара|池子"
)
_PAYING: Final = (
    r"payments?(?: (?:wallet|address))?|(?:pre ?sale|deposit|contribution|whitelist) (?:wallet|address)"
    r"|buy (?:me|us) a (?:coffee|beer|drink)|support (?:me|us|(?:the|our|my|this) \w{2,12})"
    r"|оплат[аыу](?: \w{2,12}){0,3}|реквизиты(?: для оплаты)?|adresse de paiement|(?:direcci[oó]n de )?pago|pagamento"
    r"|адрес для оплаты|[oö]deme(?: adresi| i[cç]in)?|(?:付款|收款|打款|转账|打赏|捐款|捐赠)(?:地址)?"
    r"|my (?:(?:sol(?:ana)?|eth|evm|btc|bsc|base) )?(?:address|addy)"
)
_PEOPLE: Final = r"wallets|traders|whales|snipers|insiders|(?:top )?holders|kols"
_SEVERAL: Final = (
    rf"{_PEOPLE}|wallets? list|list of wallets|winners|donations?|donate|tips?(?: jar)?|treasury"
    r"|(?:rewards?|prizes?) (?:sent|paid)|payouts?|paid out|победители|кошельки|kazananlar|ganadores|中奖(?:地址|名单)?"
)
_OF_WALLETS: Final = (
    rf"{_PAYING}|{_SEVERAL}"
    r"|wallet(?: address)?(?: for \w{3,12}| of (?:the |an? )?\w{2,12})?|(?:marketing|community|charity|legal) fund"
    r"|dev(?:eloper)?(?: wallet| address)?|deployer(?: wallet| address)?|creator|owner|whale|trader"
    r"|buyer|seller|holder|maker|(?<!no )pre ?sale|multisig|(?:mint |freeze |update )?authority|signer"
    r"|(?:bought|aped|sniped|sold|held|owned|deployed|created|launched|made|minted|funded|dumped|signed|drained|hacked"
    r"|exploited|stolen|scammed|rugged) by|funder|him|her|them"
    r"|insider|sniper|copy ?trade|from|sender|recipient|fee payer"
    r"|(?:rugger|scammer|thief|hacker|exploiter|attacker|drainer)(?: s)?(?: wallet| address)?"
    r"|du (?:pirate|hacker)|del (?:hacker|atacante)|хакера?|黑客(?:地址)?"
    r"|кошел[её]к(?: дева| для \w{3,12})?|дев|донат"
    r"|(?:钱包|錢包|聪明钱|巨鲸|鲸鱼|交易员|老鼠仓|庄家|狙击手)(?:钱包)?(?:地址)?|c[uü]zdan(?:[ıi](?:m[ıi]z)?)?"
    r"|지갑|ウォレット|dompet|محفظة"
    r"|(?:billetera|cartera|carteira|portefeuille)(?: d[aeou]l?(?: la)? \w{2,12})?"
)
_OF_TRANSACTIONS: Final = r"tx(?:n|id| hash| id)?|transaction(?: hash)?|hash|sig(?:nature)?|proof|транзакция|交易"
_NOT_THIS_ONE: Final = (
    r"(?:fakes?|scam|impostor|copycat|фейк|假)(?: (?:one|ca|contract|token|coin|mint|address))?(?: is)?"
)
_LIKE_ANOTHER: Final = (
    r"similar to|remind(?:s|ing)? (?:me|us) of|same (?:dev|team|deployer|guys?|people) (?:as|of|behind)"
    r"|(?:dev|team|deployer|guys?|people|makers?|creators?) (?:of|behind)|(?:dev|team|deployer) (?:also )?(?:made|did)"
    r"|(?:copy|clone|fork|brother|sister) (?:of|to)|inspired by|better than|not"
)
_ABOUT: Final = (
    r"(?:(?: (?:is|are|for|of|on|here|below|now|please|to|copy|follow|track|watch|block|avoid))*"
    r"(?: (?:\$\w{1,20}|sol(?:ana)?|eth(?:ereum)?|base|bsc|bnb|pump(?: ?fun)?|here|below|again"
    r"|today|(?:this|of the) (?:week|month)))?)"
)
_UNSPACED: Final = r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_LABEL: Final = re.compile(
    rf"(?:(?<![^\W_])|(?<={_UNSPACED})(?={_UNSPACED}))"
    rf"(?:(?<!\$)(?P<wallet>{_OF_WALLETS})|(?P<pool>{_OF_POOLS})|(?P<transaction>{_OF_TRANSACTIONS})"
    rf"|(?P<fake>(?<!\$)(?<!no )(?<!not a )(?:{_NOT_THIS_ONE}))|(?P<other>{_LIKE_ANOTHER})|(?P<token>{_OF_TOKENS}))"
    rf"{_ABOUT}\s*$",
    re.IGNORECASE,
)
_BEHIND: Final = re.compile(
    r"[`* \t]{0,4}(?:[(\[←<=–—-]|is)[ \t-]{0,4}(?:(?:my|our|the|his|her|their|a|this) ){0,2}(?:\w{1,12} )?"
    r"(?:wallet|deployer|кошел[её]к)\b(?!\W{0,3}(?:\d|0|empty|clean|in\b|bought|buys?|buying|sold|has|have|had|holds?"
    r"|holding|still|aped?|aping|added|adding|loaded|loading|entered|scooped|swapped|grabbed|got|took|is|was|just)\b)",
    re.IGNORECASE,
)
_SURELY_WALLET: Final = re.compile(
    rf"wallet|address|authority|кошел|钱|錢|鲸|交易员|老鼠仓|庄家|狙击手"
    rf"|cartera|billetera|carteira|portefeuille|zdan|지갑|ウォレット|dompet|محفظة|fund$| by$|^(?:{_PAYING}"
    rf"|{_SEVERAL})$",
    re.IGNORECASE,
)
"""Other words for people are labels with a colon only: "bought by a whale" says nothing of what comes next."""
_ONLY_A_ROLE: Final = re.compile(r"(?:(?:top|big|biggest|largest|first|fresh|new|smart|best) )?\S+", re.IGNORECASE)
_ANY_ADDRESS: Final = frozenset(
    {"address", "addy", "адрес", "地址", "dirección", "direccion", "endereço", "endereco", "adresse"}
)
_ARE_PEOPLE: Final = re.compile(rf"{_PEOPLE}|winners", re.IGNORECASE)
_MANY: Final = re.compile(_SEVERAL, re.IGNORECASE)
_SAID_OF_THEM: Final = re.compile(
    r"\b(?:by|with|from|for|and|of|no|love|are|is|has|have|in|the)\b|(?<!top )\b\d|(?:\w+ ){4}", re.IGNORECASE
)
_NUMBERED: Final = re.compile(r"\W*\d{1,2}\W*")

_KINDS: Final[dict[str, Label]] = {
    "token": Label("token"),
    "pool": Label("pool"),
    "transaction": Label("transaction"),
    "fake": Label("other_token"),
    "other": Label("other_token", is_sure=False),
}


class _Before(NamedTuple):
    words: str
    is_own_line: bool
    is_heading: bool
    """It ends as a label does, or is short."""


def label_of(text: str, at: int) -> Label | None:
    """What the line says right before this place; a line that begins here is spoken for by the one before it."""
    before = _before(text, at)
    return _label(text, at, before) if before is not None else None


def _label(text: str, at: int, before: _Before) -> Label | None:
    plain = _plain(before.words)
    found = _LABEL.search(plain)
    name = (found.lastgroup or "") if found else ""
    if name == "token" and before.is_own_line and found and found["token"].lower() not in _ANY_ADDRESS:
        return Label("token")
    if is_where_to_pay(before.words, _lines_before(text, at)):
        return Label("wallet")
    if are_somebodys(before.words) and (not before.is_own_line or _is_colon(before.words)):
        return Label("wallet", is_list=True)
    if found and name == "wallet":
        return _of_somebody(found, plain, before)
    if name == "fake" and not _is_colon(before.words):
        name = "other"  # it may be its name
    if name == "token" and found and before.is_heading and found["token"].lower() in _ANY_ADDRESS:
        return Label("token", is_any=True)
    return _KINDS.get(name) if before.is_heading else None


def _of_somebody(found: re.Match[str], plain: str, before: _Before) -> Label | None:
    who = found["wallet"]
    is_list = bool(_MANY.fullmatch(who))
    if _ARE_PEOPLE.fullmatch(who) and _SAID_OF_THEM.search(plain, 0, found.start()):
        return None
    if not (before.is_heading or is_list or found.start() == 0):
        return None
    if _SURELY_WALLET.search(who) or _is_colon(before.words):
        return Label("wallet", is_list=is_list)
    return Label("wallet", is_sure=False) if _ONLY_A_ROLE.fullmatch(plain) else None


def is_wallet_behind(text: str, end: int) -> bool:
    """Whether the line says so after the address: `<address> (dev wallet)`."""
    return bool(_BEHIND.match(text, end, end + MAX_BEFORE))


def _before(text: str, at: int) -> _Before | None:
    start = text.rfind("\n", max(0, at - MAX_BEFORE), at) + 1 or max(0, at - MAX_BEFORE)
    words = text[start:at]
    if any(character.isalnum() for character in words) and not _NUMBERED.fullmatch(words):
        return _Before(words, is_own_line=True, is_heading=True)
    end = start - 1
    while end > 0 and at - end < MAX_BEFORE and text[end - 1].isspace():
        end -= 1
    if end <= 0:
        return None
    begin = text.rfind("\n", max(0, end - MAX_BEFORE), end) + 1
    line = text[max(begin, end - MAX_BEFORE) : end]
    return _Before(line, is_own_line=False, is_heading=_is_heading(line))


def _lines_before(text: str, at: int) -> str:
    """What stands before this place, and the two lines above it."""
    start = at
    for _ in range(3):
        start = text.rfind("\n", max(0, at - 4 * MAX_BEFORE), max(0, start))
        if start < 0:
            break
    return text[max(0, start, at - 4 * MAX_BEFORE) : at]


def _is_heading(line: str) -> bool:
    return line.rstrip(" *_`👇⬇️").endswith((":", "：")) or sum(map(str.isalnum, line)) <= len("contract address")


def _is_colon(before: str) -> bool:
    return ":" in before[-4:] or "：" in before[-4:] or "=" in before[-4:]


def _plain(before: str) -> str:
    kept = "".join(character if character.isalnum() or character in "$/" else " " for character in before)
    return " ".join(kept.split()).replace(" / ", "/")
