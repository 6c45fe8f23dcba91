"""What tells of a token and calls nothing: a purchase, what was burnt, locked or listed, a prize, a question.

The purchase is one that the token's own bot announces, the question whether an address is the right one.
Each has a shape of its own; the same words beside a call ("LP burned", "giveaway at 100k") leave it one.
"""

from __future__ import annotations

import re
from typing import Final

from domain.posts.phrases import NEW

_HEAD: Final = 80
_BUY_BOT: Final = re.compile(
    r"\W*(?!(?:whales?|insiders?|kols?|smart|fresh|devs?|snipers?|dip|big|money|next|we"
    r"|i) )(?:\$?[\w.]{1,20} )?(?:new )?buy\W*"
)
_SPENT: Final = re.compile(r"\d[\d.,]{0,12} ?(?:w?sol|w?eth|w?bnb|usd[ct]?)\b[^\w\n]{0,3}\(? ?\$|\bspent\b|\bgot\b")
_PROVEN: Final = re.compile(r"\b(?:txn?|tx ?hash|transaction|proof|signature)\b")
_LIQUIDITY: Final = re.compile(
    r"\W*(?:\$?\w{2,15} )?(?:100% )?(?:lp|liquidity|liq)(?: (?:tokens?|is|are|was|has been|just|got))*"
    r" (?:burned|burnt|burn|locked|lock)\b(?: (?:for|of|on) \$?[\w ]{1,24})?(?: (?:alert|detected|confirmed"
    r"|event))?\W*"
)
_OFFERED: Final = re.compile(
    r"\b(?:buy(?:ing)? (?:here|now|this)|bought|aped?|aping|entry|entries|bags?|loading|loaded|adding|gems?"
    r"|early|mcap|mc"
    r"|market ?cap|targets?|tp\d?|grab\w*|in at|sending)\b"
)
_EXCHANGE: Final = (
    r"(?:binance(?: (?:alpha|futures))?|coinbase|kucoin|okx|bybit|mexc|gate(?:\.io)?|kraken|upbit|bithumb|bitget"
    r"|robinhood"
    r"|htx|huobi|bingx|lbank|bitmart|crypto\.com)"
)
_LISTS: Final = re.compile(
    rf"\b{_EXCHANGE}\b[^\n]{{0,30}}\b(?:will (?:list|launch|add)|to (?:list|launch)|lists|listed|has listed"
    rf"|announce[sd]?[^\n]{{0,16}}\b(?:listing|launch))\b"
    rf"|\b(?:listing|listed|will (?:be listed|list|launch)) on {_EXCHANGE}\b"
)
_OFFICIAL: Final = re.compile(
    r"\b\d{1,2}[:.]\d{2} ?(?:utc|gmt|msk|est|cet|am|pm)\b|\butc\b|\btrading (?:opens|starts|begins|will open"
    r"|goes live)\b"
    r"|\bdeposits? (?:open|are open|opened)\b|\b(?:as )?published by\b|\bannounce[sd]?\b|\bofficial announcement\b"
)
_PRIZE: Final = re.compile(
    r"\b(?:giveaway|contest|raffle|competition|sweepstakes?|quiz|sorteo|sorteio|çekiliş|розыгрыш|конкурс"
    r"|розіграш|concours"
    r"|gewinnspiel|verlosung|konkurs)\b|抽奖|이벤트"
)
_WON: Final = re.compile(
    r"\b(?:winners?|wins?|drop your|prizes?|tag \d|ganador\w*|ganhador\w*|победител\w*|переможц\w*|kazanan\w*"
    r"|gagnants?"
    r"|gewinner|zwycięzc\w*)\b|中奖|당첨"
)
_ASKS: Final = re.compile(
    r"\b(?:is|are|which|confirm|verify|know if)\b[^\n]{0,110}?\b(?:right|correct|real|official|legit|original"
    r"|true|actual) "
    r"(?:one|ca|contract|token|address|coin|mint)\b[^\n?]{0,8}\?"
)
_ASKS_OF_KNOWN: Final = re.compile(r"\bis (?:the|this|that|our) \$?\w{2,15} (?:contract|ca|token|address|mint|coin)\b")
_SAYS_YES: Final = re.compile(r"\b(?:yes|yep|yeah|correct|confirmed|that's (?:it|the one))\b")
_ANSWERED: Final = re.compile(r"\b(?:buying|bought|aped?|aping|entry|in at|adding|loaded|grabbed)\b")


def is_notice(lowered: list[str]) -> bool:
    """`lowered` are the lines of a post, in small letters."""
    whole = "\n".join(lowered)
    head = next((line for line in lowered if any(map(str.isalnum, line))), "")
    if _is_question(whole):
        return not _ANSWERED.search(whole)
    if len(head) <= _HEAD and _BUY_BOT.fullmatch(head):
        return bool(_SPENT.search(whole) and _PROVEN.search(whole))
    if _OFFERED.search(whole):
        return False
    if len(head) <= _HEAD and _LIQUIDITY.fullmatch(head):
        return bool(_PROVEN.search(whole))
    if _PRIZE.search(head) and _WON.search(whole) and not NEW.search(whole):
        return True
    return any(_LISTS.search(line) for line in lowered) and bool(_OFFICIAL.search(whole))


def _is_question(whole: str) -> bool:
    """Whether it asks for the right address; who says yes to one that nobody has named before has called it."""
    found = _ASKS.search(whole)
    if found is None:
        return False
    answer = whole[found.end() : found.end() + _HEAD]
    return _ASKS_OF_KNOWN.search(found.group()) is not None or not _SAYS_YES.search(answer)
