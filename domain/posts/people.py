"""Sentences that say whose an address is, or where to pay, without being a label of it.

An address that somebody is paid at and one of a trader look like a token's; what stands above them tells.
"""

from __future__ import annotations

import re
from typing import Final

_COIN: Final = r"\d[\d.,]{0,8} ?(?:sol|eth|bnb|ton|usd[tc]?|\$)"
_AMOUNT: Final = re.compile(rf"{_COIN}(?![a-z])|\$ ?\d", re.IGNORECASE)
_SENT_TO: Final = re.compile(
    r"(?:send(?:ing)?|deposit|transfer|contribute|donate|отправ\w{1,6}|env[ií]a\w{0,3})\b[^\n]{0,40}"
    r"(?:\bto|\bна|\ba)\s*\W*$"
    rf"|{_COIN} ?(?:-+>|=>|→|➡️?|to|:|：)\s*$"
    r"|^\W*(?:please )?(?:pay|send|deposit|transfer)\b(?! it\b)[^\n]{0,30}[:：]\W*$"
    r"|\b(?:done|sent|paid|came|moved|transferred|withdrawn|withdrew|funded) (?:from|to)\W*$"
    r"|\b(?:sends?|forwards?|drains?) (?:everything|it all|all|funds|the funds|them|your \w{2,12}"
    r"|what \w{2,12}) to\W*$"
    r"|\b(?:this|that) (?:address|account|wallet) (?:has |just )?(?:drained|stole|scammed|hacked"
    r"|robbed)\b[^\n]{0,40}$"
    r"|\b(?:blacklist|interact(?:ed|ing)? with|stay away from wallet)\W*$"
    r"|\b(?:refunds?|payouts?|rewards?)\b[^\n]{0,32}\b(?:from|to)\W*$"
    r"|\b(?:team|dev|marketing|treasury) (?:tokens|supply|funds?|allocation|share)\b[^\n]{0,32}\b(?:in|at|with"
    r"|to)\W*$"
    r"|\b(?:revoke|approvals?|allowances?|permissions?)\b[^\n]{0,30}\b(?:to|for|from|of)\W*$"
    r"|\b(?:sniped|bundled|dumped|sold|bought) [^\n]{0,24}\b(?:with|from|using)\W*$",
    re.IGNORECASE,
)
"""What ends right before the address."""
_HOLDER: Final = re.compile(
    r"\b(?:top|biggest|largest|first|second|third|main|other|#\d) holders?\b[^\n:]{0,40}\b(?:is|are)\b"
    r"(?: (?:the|an?|our))?(?: \w{2,12}){0,2}?(?: (?:pool|lp|curve|wallet|exchange|account|vault|contract"
    r"|address))?\W*$",
    re.IGNORECASE,
)
_HOLDS: Final = re.compile(
    r"(?: (?:the|an?|our))?(?: \w{2,12}){0,2} (?:pool|lp|curve|wallet|exchange|account|vault|contract|address)\W*$"
    r"|(?:is|are)\W*$",
    re.IGNORECASE,
)
"""Not "the biggest holder is bullish on"."""
_ORDER: Final = re.compile(
    rf"\b(?<!n't )(?<!not )(?<!never )(?:pay|send|transfer|deposit|contribute)\b[^\n]{{0,40}}?{_COIN}\b"
    r"[^\n]{0,24}(?:\bhere\b|\bto\b|\bbelow\b|👇|⬇|:\s*$)"
    rf"|{_COIN}\b[^\n]{{0,24}}\b(?:send|pay|deposit|transfer)\b[^\n]{{0,12}}\b(?:here|to|below)\b"
    r"|\bsend\b[^\n]{0,30}\b(?:to the (?:address|wallet)|(?:only )?from (?:your|a|phantom|solflare|metamask))"
    r"|(?<!\w)(?:оплата|для оплаты|к оплате|оплатить|реквизиты|付款|收款|打款|转账)",
    re.IGNORECASE,
)
"""What tells people to pay, in the lines above the address or before it."""
_PAYS_ABROAD: Final = re.compile(
    r"\b(?:pag(?:a|ar|ue|uen|ando)|dep[oó]sit[ae]\w{0,2}|env[ií](?:a|e|en|ar|ad)|pagad|transfier[ae]n?"
    r"|перев[её]д\w+|перевод\w*"
    r"|отправ\w+|оплат\w+|заплат\w+|g[oö]nder(?:in|iniz|ip|ilir|erek)?|[oö]de(?:me|yin|r)\w*|yat[ıi]r\w*"
    r"|pay(?:ez|er)|envoyez|versez"
    r"|zahl(?:e|t|en)|sende[nt]?|überweis\w*|chuyển|nạp|kirim(?:kan)?|bayar|transfer)\b"
    r"|打到|转到|转入|汇款|支付|付款|付 ?\d|입금|송금|결제|送金|入金|振込|أرسل|ارسل|ادفع|حول|تحويل|भेज",
    re.IGNORECASE,
)
_SERVICE: Final = re.compile(
    r"\b(?:vip|premium|lifetime|memberships?|subscriptions?|subscribe|ads?|advert\w*|promo\w*"
    r"|(?:a|per|each) (?:month|week|year)|monthly|yearly|(?:channel|group|chat|bot) (?:is|costs?|price)|whitelist|wl"
    r"|private (?:group|chat|channel)|per post|entry fee|подписк\w+|реклам\w+|доступ\w*)\b|入群|会员|广告",
    re.IGNORECASE,
)
_TRADE: Final = re.compile(
    r"\b(?:bought|buys?|buying|aped?|apes|aping|entered|entry|entries|swapped|bags?"
    r"|in (?:at|on|this|it|here)|into|calls?|called"
    r"|mc|mcap|market ?cap|grabbed|scooped|picked|loaded|added|adding|(?:is|are|got) in|купил\w*|взял\w*|зашел"
    r"|зашёл)\b"
    r"|买|冲|\bca\b",
    re.IGNORECASE,
)
_PRIZE: Final = re.compile(
    r"^[^\w$]*(?:[\w']+ ){0,2}(?:winners|lucky (?:ones|wallets))(?=\W*$|\W*[:：]| of\b)"
    r"|\braffle (?:winners?|results?|is over|done)\b"
    r"|\bgiveaway (?:is )?(?:done|over|closed|ended|finished|results?|winners?)\b|\bwinners?\b[^\n]{0,24}[:：]\W*$"
    r"|\b(?:prizes?|rewards?|airdrops?|gifts?)\b[^\n]{0,16}\b(?:went|goes?|sent|paid) (?:out )?to\W*$"
    r"|(?:победител|трейдер|скамер|хакер)\w*[^\n]{0,24}[:：]\W*$",
    re.IGNORECASE,
)
_THEIR_WALLET: Final = re.compile(
    r"(?:^\W*|\b(?:here(?:'s| is)|found|follow|track|copy|watch|meet|add|block|avoid) )"
    r"(?:an?|this|that|these|those|his|her|their|my|our|the following)(?: \w+){0,2} wallets?\b"
    r"|\b(?:which|what) (?:wallet|account|address|addy) (?:i|we|he|she|they)\b"
    r"|\b(?:wallet|(?:my|our|his|her|their) (?:address|addy|account))\b[^\n]{0,48}\b(?:track|follow|copy) (?:it"
    r"|him|her|them|me|us|along|away)\b"
    r"|\b(?:wallets?|accounts?|traders?) to (?:copy|follow|track|watch|block|avoid)\b"
    r"|\bthis (?:address|account|trader|whale|guy) (?:has|had|never|made|won|is up|drained|drains|stole|steals"
    r"|scammed|rugged|hacked|dumps|empties)\b|\bserial (?:rugger|scammer)\b",
    re.IGNORECASE,
)
_RECORD: Final = re.compile(r"\b(?:wr|win ?rate)\W{0,3}\d", re.IGNORECASE)
_EARNED: Final = re.compile(r"\b(?:pnl|profits?|realized|realised)\b|\+\d[\d.,]{0,8} ?(?:sol|eth|bnb)\b", re.IGNORECASE)
_FOLLOW: Final = re.compile(r"\b(?:track(?:er|ing)?|copy(?:ing)?|follow)\b", re.IGNORECASE)


def is_where_to_pay(before: str, above: str) -> bool:
    """`before` is what stands right before the address, `above` that and the two lines above it."""
    if _SENT_TO.search(before) or (_HOLDER.search(before) and _HOLDS.search(before)) or _ORDER.search(above):
        return True
    if not _AMOUNT.search(above) or _TRADE.search(above):
        return False
    return bool(_PAYS_ABROAD.search(above) or _SERVICE.search(above))


def are_somebodys(line: str) -> bool:
    """Whether the line above an address announces whose it is, and perhaps others below it: winners, a wallet."""
    return bool(_PRIZE.search(line) or (_THEIR_WALLET.search(line) and not _TRADE.search(line)))


def presents_somebody(words: str) -> bool:
    """Whether it says how well somebody trades, and not what: then its address is theirs."""
    return bool(_RECORD.search(words) and _EARNED.search(words) and _FOLLOW.search(words) and not _TRADE.search(words))
