"""The words by which results, hopes, boards and warnings are known. How they are weighed stands in `wording.py`.

Every pattern is bounded, so that no text takes longer than its length; all but a few look at small letters.
"""

from __future__ import annotations

import re
from typing import Final

from domain.posts.abroad import WARNING_ABROAD, WARNING_UNSPACED
from domain.posts.amounts import AMOUNT

MULTIPLE: Final = re.compile(
    r"(?<![\w.,])\+?\d{1,5}(?:[.,]\d{1,2})?\+? ?[x×хX](?![^\W_])\+?"
    r"|(?<![^\W_])x ?\d{1,5}(?:[.,]\d{1,2})?(?![^\W_])\+?"
    r"|(?<![\w.,])\d{1,4} ?(?:икс(?:а|ов)?|倍)"
)
TIMES: Final = re.compile(
    r"\b\d{1,4}(?:\.\d)?x'?e?d\b|\b(?:doubled|tripled|quadrupled) (?:already|(?:from|since|after) )"
)
PERCENT: Final = re.compile(r"[+-]? ?\d{1,6}(?:[.,]\d{1,2})? ?%")
HOPE_BEFORE: Final = re.compile(
    r"\b(?:can|hold(?:ing)? (?:for|until|to)|(?:my|best|safe) bet|take profits?|sell(?:ing)?|limit|could|should"
    r"|might|may|will|would|gonna|going to|go(?:es)? to"
    r"|easy|easily|potential(?:ly)?"
    r"|targets?|tps?|aim\w*|"
    r"looking for|expect\w*|want|hop(?:e|ing)|next|possible|if|ready|about to|to do|poised|minimum|min|at least a"
    r"|for an?|"
    r"let's|lets|send it to|road to|before|until|till|i see|see an?|who wants|dreams?|puede|podr[ií]a|va a|"
    r"busc\w+|entra\w* agora pega|(?:ora|adesso) fa|farà|fará|vai (?:dar|fazer)|könnte|wird|pourrait|może|zrobi"
    r"|yapar|bisa|có thể|tiềm năng|mục tiêu|kỳ vọng"
    r"|даст|сделает|зробить|يمكن|ممكن|الهدف|hedef\w*|objectif|ziel|продам|ожида\w+|жду|может|цель|будет|минимум"
    r"|можно)\b|'ll\b|目标|可能",
)
HOPE_LATER: Final = re.compile(
    r"\b(?:mark (?:my words|it|this)|soon|incoming|easy|easily|programmed|let's|target|speedrun|mission"
    r"|next stop|possible|potential)\b"
)
STILL_BUYING: Final = re.compile(
    r"\b(?:(?:small|new|my|late|quick) (?:entry|bag|buy|position)|adding|buying|aping"
    r"|taking a (?:small )?position|grabb(?:ed|ing)"
    r"|(?:taking|took|opening|opened) an? (?:small |quick )?(?:long|entry)|long(?:ing)? (?:here|now|this)"
    r"|(?:buy|entry|entering|enter|in) here"
    r"|sending higher|still (?:going|early|cheap|room)|looks? (?:ready|good)|new (?:team|devs?|owners?)"
    r"|cto|took over|takeover)\b"
)
OF_SOMETHING: Final = re.compile(
    r"\W{0,3}(?:\d|the |more|less|bigger|larger|higher|lower|faster|better|your|volume|vol\b|holders?|liq|supply"
    r"|mcap|mc\b|market|growth"
    r"|founders?|team|than|or\b|to\b|-|–|/|account|platform|on my|x\b|users|followers|buys?|sells?|developers?|devs?)"
)
SIZE_BEFORE: Final = re.compile(
    r"\b(?:volume|vol|holders?|liq(?:uidity)?|followers|buys|members|users|supply)\W{1,3}(?:is |up )?$"
)
HOPE_AFTER: Final = re.compile(
    r"\W{0,4}(?:from here|on the (?:day|hour|week)|today|this week|potential|target|soon|incoming|from (?:launch"
    r"|the bottom|bottom|lows?|the lows?)"
    r"|possible|easily|easy|gem|play|loading|coming|next"
    r"|minimum|or (?:zero|nothing)"
    r"|leverage|long|short|tax|if\b|bonus|points?|boost|entry|moon|runner|candidate|opportunity|setup|\?)"
)
STATISTIC: Final = re.compile(
    r"\b(?:avg|average|best|median|win ?rate|hit ?rate|record|stats|statistics|max|leverage|score|total|history"
    r"|caller|accuracy)\b"
)
HEADLINE_HOPE: Final = re.compile(
    r"\b(?:one more|quick|fast|scalp\w*|swing|looking at|this is (?:an?|the|our|my)|feels like|imo|tonight|today"
    r"|tomorrow|gems?|plays?|of the (?:day|week|month|year|season|cycle|winter|spring|summer|autumn|fall)"
    r"|of (?:january|february|march|april|may|june|july|august|september|october|november|december))\b"
    r"|\d ?x? ?[-–/~] ?$"
)
ANNOUNCED: Final = re.compile(
    r"\W{0,3}(?:calls?|alerts?|signals?|pumps?)\b(?!\W{0,3}(?:✅|🎯|done|hit|reached|closed))"
)
"""What a multiple is the name of, where it is large: nobody's third call of the day did a hundred times."""
LARGE: Final = 10.0
HUGE: Final = 50.0
FAR: Final = 20.0
ANNOUNCES: Final = re.compile(r"\b(?:call|alert|signal|pump)\W{1,3}$")
ONLY_MULTIPLE: Final = re.compile(r"[\W_]*(?:\d{1,5}(?:[.,]\d)? ?x|x ?\d{1,5})[\W_]*")
CELEBRATED: Final = re.compile(r"[✅🎯🎉🥳🏆💰🤑👏🍾💯🎊]")
BUYERS: Final = re.compile(
    r"\b(?:wallets?|traders?|kols?|whales?|insiders?|snipers?|degens?|smart money|influencers?|devs?|founders?|guys?"
    r"|people|someone|somebody|funds?)\b[^\n]{0,80}\b(?:bought|buys|buying|aped?|apes|aping|entered|loaded|loading"
    r"|grabbed|picked|scooped|swapped|holds|accumulat\w+|got in|is in|are in)\b"
)
OURS: Final = re.compile(r"\b(?:we|us|our|my|i|congrats|congratulations|vip|members?|called)\b")
OTHERS: Final = re.compile(
    r"\b(?:(?:our|my|the|his|her|their)? ?(?:last|previous|prev|past|prior|earlier|other|old|yesterday'?s?) "
    r"(?:calls?|gems?|picks?|plays?|ones?|tokens?|coins?|signals?|launch(?:es)?|projects?|deploy\w*|runner)"
    r"|(?:team|devs?|people|guys?|ones?|creators?|makers?|founders?|builders?|minds?)"
    r" (?:is |are )?(?:behind|of|from)|last (?:week|month|night|time)|yesterday"
    r"|same (?:meta|dev|team|deployer)|(?:dev|team"
    r"|deployer)(?:'s|s)? (?:last|previous|other|first)|like \$?\w+"
    r"|beta (?:to|of|for)|missed)\b"
)
DONE_BEFORE: Final = re.compile(
    r"\b(?:did|does|done|hit|hits|hitting|reached|achieved|secured|made|makes|gave|gives|up|printed|pulled"
    r"|smashed|delivered|"
    r"already|unlocked|banked|locked|now|currently|ran|went|pumped|just|over|dropped|flew|sent|(?:is|are|'re|now"
    r"|sits|sitting) at|gains?|profits?|results?|multiplier|peak|doing|that's"
    r"|thats|another|"
    r"дал\w*|сделал\w*|уже|hizo|ya van?|fez|deu|hat|达到|涨了)"
    r"\W{1,4}(?:(?:an?|another|over|than|more|about|almost|nearly|nice|clean|solid|insane|crazy|huge|us|you|y'all"
    r"|our|it's|by|at|un|ein|for|to)\W{1,3}){0,3}$"
)
DONE_AFTER: Final = re.compile(
    r"[\W_]{0,6}(?:(?:baby|in|and|so|an?|the|of|since|from|after|on|over|solid|nice|clean|с|от|desde) ){0,3}"
    r"(?:done|achieved|reached|hit|secured|completed|profits?|gains?|made|up|and counting|already|bang|now|ath|"
    r"(?:(?:my|our|the|this|first|initial|vip|private|channel|group|моего|нашего|mi|la"
    r"|\$?\d{1,4}k) ?){0,2}(?:calls?|entry|alerts?"
    r"|signals?|posts?|mention|колла|вход\w*|llamada)"
    r"|(?:we|i|it was) (?:called|posted|entered|shared)|called|calling|\d{1,3} ?(?:m|min|mins|minutes|h|hr|hrs"
    r"|hours?|days?|d)\b|✅|🎯)"
)
SURELY_DONE: Final = re.compile(r"\W{0,3}?(?:✅|\b(?:done|achieved|reached|secured|completed)\b(?! soon))")
BOAST: Final = re.compile(
    r"\b(?:told (?:you|ya|u|y'all|them)|(?:we|i) did it|did it again|who(?:'s| is) still|could have made|should have"
    r"|winner|banger|doubt(?:ed|ers?)?|did you catch|caught (?:this|the|that)|easy money|in profit|moon ?bags?"
    r"|initials?"
    r"|(?:members?|we|you|everyone|subscribers?) (?:are |is |'re )?(?:all )?up)\b"
)
PLAN: Final = re.compile(r"(?<![^\W_])(?:plan|strategy|tps?|targets?|take profits?|sl|stop ?loss) ?#?\d{0,2} ?[:=–-]")
PLAN_CAME_TRUE: Final = re.compile(r"\b(?:hit|done|reached|smashed|out)\b|✅")
RESULT: Final = re.compile(
    r"\bentry\W{0,3}\$?[\d.,]+ ?[kmb]?\b[^\n]{0,12}\b(?:ath|now|current|peak|high)\W{0,3}\$?[\d.,]+ ?[kmb]?\b"
    r"|\bcalled (?:it |this |\$\w{1,15} )?(?:at|@) ?\$?[\d.,]+ ?[kmb]?\b[^\n]{0,24}\b(?:now|today|currently)\b|"
    r"achievement unlocked|multiplier (?:detected|alert|hit)|profit alert|profits? (?:secured|booked)|new (?:ath"
    r"|all[- ]time high)(?! (?:soon|incoming|next))"
    r"|\bath\b[^\n]{0,40}\b(?:posted|called|shared|alerted) (?:it )?(?:at|@)"
    r"|\bath (?:hit|reached|broken|alert)|\b(?:tp|targets?|take profit) ?#?\d{0,2} ?(?:hit|reached|done|achieved"
    r"|smashed|✅)"
    r"|all (?:targets?|tps?) (?:are |were |got )?(?:hit|reached|done|smashed)|\b(?:signal|call"
    r"|trade)\b[^\n]{0,20}\bupdate\b|\bcall (?:result|performance)"
    r"|(?:profit|gains?|roi|pnl)\W{0,4}\+? ?\d{2,6} ?%|\d{2,6} ?% (?:profit|gains?\b|since|from (?:our|my|the"
    r"|this) (?:call|entry|alert)|up since)"
    r"|up \d{2,6} ?% (?:since|from|after)|\bcalled (?:it )?(?:at|@) ?\$?[\d.,]+ ?[kmb]?\b[^\n]{0,24}\b(?:now|ath"
    r"|currently|hit|to)\b"
    r"|(?:who|anyone) (?:is |else )?(?:caught|bought|made money|rode)|(?:congrats?"
    r"|congratulations) to (?:everyone|all|those)"
)
ARROW: Final = re.compile(
    AMOUNT
    + r"(?: ?mc| ?mcap)?(?: ?(?:[-—–=]{1,3}>|→|➡|➜|⇒|=>|>{1,3}|⟶|➔|👉|~>|⏩) ?| to )"
    + AMOUNT.replace("<number>", "<number2>").replace("<unit>", "<unit2>"),
    re.IGNORECASE,
)
WEAK_ARROW: Final = re.compile(r" to |[^>=~–—-]>[^>]", re.IGNORECASE)
"""May stand between what is hoped, too."""
OF_PEOPLE: Final = re.compile(
    r"\W{0,3}(?:holders?|members|followers|users|buys|buyers|wallets|txns?|transactions|subs\w*)\b"
)
SINCE: Final = re.compile(
    r"\b(?:calls?|called|posted|shared|alerted|shilled|listened|followed|trusted|believed|joined|entered|entry"
    r"|bought|gave|in)\b[^\n\d$]{0,16}"
    + AMOUNT
    + r"(?![\d.,]| ?(?:sol|eth|bnb|usd[ct]?)\b)"
    + r"[^\n\d]{0,28}\b(?:now|hits?|ath|reached|currently|touched|today|sold at|it's at|is at|are at|'re at"
    r"|(?:sitting|sits|trading) at)\b[^\n\d$]{0,12}"
    + AMOUNT.replace("<number>", "<number2>").replace("<unit>", "<unit2>"),
    re.IGNORECASE,
)
REACHED: Final = re.compile(
    r"\b(?:our|my) (?:last )?call\b[^\n]{0,24}\b(?:reached|hits?|did|is up|made)\b"
    r"|\$?\d[\d.,]{0,8} ?[kmb] (?:mc|mcap|market cap|cap) (?:hit|reached|done|✅)"
    r"|(?:congrats?|congratulations) to the (?:whole|entire) (?:community|team|fam\w*)|\bmy bad (?:guys|everyone"
    r"|all|fam|team)\b"
    r"|\b(?:hits?|reached|crossed|passed|broke) \$?\d[\d.,]{0,8} ?[kmb]\b[^\n]{0,30}\bcalled\b"
    r"|\d{2,6} ?% [^\n]{0,20}since (?:the |our |my |this )?(?:alert|call|entry|post)\b"
    r"|\d{2,6} ?% (?:up (?:since|from)|roi|profit|gains?\b)|(?:profits?|gains?|roi)[^\n\d%]{0,12}\d{2,6} ?%"
    r"|\b(?:done|did|hit|made|was|another|became|already|now|got|our|my|clean|easy)\W{1,3}(?:an? )?\d{1,3}[- ]?bagger"
    r"|\b\d{1,3}[- ]?bagger\b[^\n]{0,12}(?:[✅🎯🎉]|\b(?:done|already|now|secured|achieved|in \d))"
    r"|\+ ?\d{2,6} ?% (?:already|so far|in (?:just )?(?:\d|an? )|and counting|✅)"
    r"|^\W*rip \$\w{2,15}\b|\bdumped on (?:us|everyone|everybody|you|all)\b"
    r"|(?:result|gains?|profit)\W{1,3}\+ ?\d{2,6} ?%|^\W*\+ ?\d{2,6} ?%\W*✅"
)
WAS_AND_IS: Final = re.compile(
    AMOUNT
    + r" ?(?:mc |mcap )?(?:entry|call)\b[^\n\d$]{0,16}"
    + AMOUNT.replace("<number>", "<number2>").replace("<unit>", "<unit2>")
    + r"[^\n\d]{0,6}\b(?:now|mc|today)\b",
    re.IGNORECASE,
)
AGO: Final = re.compile(
    r"\b(?:ago|yesterday|last night|this morning)\b[^\n\d]{0,40}\b(?:at|for) "
    + AMOUNT
    + r"[^\n\d]{0,24}\b(?:it'?s|it is|is|sits|trades|now|we are|we're)\b[^\n\d]{0,12}"
    + AMOUNT.replace("<number>", "<number2>").replace("<unit>", "<unit2>")
    + r" ?(?:mc )?(?:now|today|right now)\b",
    re.IGNORECASE,
)
THIS: Final = re.compile(r"\b(?:it|this)\b.*\d.*\d")
TOOK: Final = re.compile(
    r"\W{1,2}(?:in|within|after|over) (?:just |only |under |less than |about |like )?(?:an? |one |two |three "
    r"|four |five |\d{1,3} ?)"
    r"(?:s|sec|seconds|m|min|mins|minutes?|h|hrs?|hours?|days?|night)\b"
)
UPDATED: Final = re.compile(
    r"\b(?:update|status|progress|checkpoint|апдейт|обновление|actualización|atualização|güncelleme"
    r"|aggiornamento|mise à jour)\b"
    r"|更新|업데이트|تحديث"
)
"""Heads a card that says what became of a call."""
THEN_AND_NOW: Final = re.compile(
    r"\b(?:entry|entered|call(?:ed)?|opened|start(?:ed)?|posted|вход|entrada|giriş)\b(?: ?(?:mc|mcap|at|price"
    r"|market cap))?"
    r"\W{1,4}\d[^%]{0,60}?\b(?:now|current(?:ly)?|сейчас|ahora|agora|şimdi)\b(?: ?(?:mc|mcap|at|price"
    r"|market cap))?\W{1,4}\d"
)
WENT: Final = re.compile(r"\b(?:from|went|ran|pumped|sent|rallied|flew|called|moved)\b")
EXIT: Final = re.compile(
    r"(?<!dev )(?<!devs )(?<!dev: )(?<!team )(?<!whale )\b(?:i |we |just |i've |i have )?(?:sold (?:all|half"
    r"|the rest|everything|my (?:bags?|position|tokens|initials?|moon ?bag)|out|some|most)|took (?:some )?profits?"
    r"|taking profits?|(?:trade|position|signal|call)s? (?:#?\d{1,6} )?(?:is |now )?closed|closed (?:my|our"
    r"|the) (?:trade|position)"
    r"|exit(?:ed)? (?:my|our|the|all|full)|stop(?:ped)?(?: ?loss)? (?:hit|out)|sl hit"
    r"|(?<!\w )closed\W{1,3}[+-] ?\d{1,5} ?%?|(?:we|i) sold(?=\W*$|[,.;!]| (?:here|now|it|this|today|at)\b)"
    r"|(?:bags?|position|everything) (?:is|was|are) sold|already sold(?! out)"
    r"|(?:i'm|im|i am|we're|we are) (?:fully |all |completely )?out of (?:this|it|here|\$\w{1,15})(?! world)"
    r"|(?:got|was|were|been) stopped(?: out)?|clos(?:ing|ed) (?:this|it|here|mine|\$\w{1,12})[^\n]{0,12}"
    r" (?:at|in|for|with) (?:break ?even|(?:an? )?(?:small |tiny |big )?(?:loss|profit|win))"
    r"|closed \$\w{1,12} (?:in (?:profit|the green)|with|at|for)"
    r"|cut (?:my|the) loss)\b"
)
OUT_AT: Final = re.compile(r"^\W*(?:(?:i'?m|we'?re|we are|i am|fully|all) )?out (?:at|@) ?\$?\d[\d.,]{0,8} ?[kmx]?\b")
SELL_CARD: Final = re.compile(r"^\W{0,6}(?:🔴|🟥|🔻)\W{0,4}(?:sell|sold|продажа|卖出|venta|venda|satış)\b")
SOLD_BY_OTHERS: Final = re.compile(
    r"\b(?:pre ?sale|whitelist|mint|round|allocations?|tickets?|spots?|nfts?|supply|snipers?|devs?|insiders?"
    r"|bundle(?:r|d)?s?|holders?|whales?|jeets?|team|deployer|creator|buyers?|paper ?hands|kols?|they|he|she|everyone"
    r"|wallets?"
    r"|traders?|funds?|дев\w*|снайпер\w*|кит[ыа]?|инсайдер\w*|разработчик\w*)\b[^.;!?\n]{0,24}$"
    r"|(?:开发者|老鼠仓|庄家|狙击手)[^。！？\n]{0,4}$"
)
INTO_THIS: Final = re.compile(
    r"\b(?:(?:get|ape) in(?:to)?|rotat(?:ed|ing)|grabb(?:ed|ing)|aping|aped|(?:for|into|to buy) this)\b"
    r"|\bsold (?:some|my|all|half)(?: of)?(?: my)? \$?(?:sol|eth|bnb|usdc)\b"
    r"|\b(?:para entrar|e entrei|y entré|и (?:зашел|зашёл|взял)\w*|і (?:зайшов|взяв)|ve buna|per entrare|um hier"
    r"|i wszedłem)\b"
)
DIP_BULLETIN: Final = re.compile(
    r"\b(?:dip|dump|drawdown|crash|drop) (?:alert|notice|detected|notification|buy alert|warning)\b"
)
DIP: Final = re.compile(
    r"\b(?:down|dipped|dropped|retraced|pulled back|dumped|fell)\b(?: by| about| over"
    r"| almost)? ?[-~]? ?\d{1,3} ?% ?(?:from|since|off|after|below)"
    r"|- ?\d{1,3} ?% (?:from|since) (?:our |my |the )?(?:call|entry|alert)"
)
DIP_OF_A_CALL: Final = re.compile(
    r"\b(?:dip|dump|pullback|retrace|correction)(?:ping|ped|d)? (?:on|of) "
    r"(?:[\w']{1,12} ){0,3}(?:call|entry|pick|play)\b"
)
BUYING: Final = re.compile(
    r"\b(?:entry|buy(?:ing)?|bought|adding|added|bounce|reversal|bottom(?:ed)?|support|aped?|in|cto|takeover)\b"
)
WARNING: Final = re.compile(
    r"\b(?:scam (?:warning|alert)|(?:is|it's|total|pure) (?:an? )?(?:\w+ )?(?:scam|honeypot|rug)\b|got rugged"
    r"|(?:has |was |been |just )?rugged\b"
    r"(?! (?:before|twice|once|\d|in the past|previous|last|other))|rug ?pull(?:ed)? (?:alert|warning|confirmed)"
    r"|(?:lp|liq|liquidity) (?:got |was |has been |is )?(?:pulled|removed|drained|rugged)"
    r"|(?:is|are) (?:a )?(?:copycat|impostor|fake)"
    r"|rug alert|dev (?:has )?(?:pulled|drained|removed) (?:the )?(?:lp|liq\w*)|stay away|do(?:n't| not) (?:buy"
    r"|touch|ape)(?! (?:high|at|above|the (?:top|ath|pump)|before|until|more|in|yet|now|if|too|big|with|late"
    r"|your|money"
    r"|meme ?coins?|shitcoins?|what|anything|everything|over|like|blind\w*|unless|without|large|heavy|all))"
    r"|avoid (?:this|it|the)|honeypot (?:detected|alert|confirmed)"
    r"|fake (?:ca|contract|token|coin)|not (?:our|the real|the official) (?:ca|contract|token)"
    r"|(?:is|are) not (?:us|ours)|, not (?:mine|ours)|impersonat\w+ (?:me|us|our)"
    r"|(?:did(?:n't| not)|never) (?:launch|deploy|create|make)(?:ed|d)? (?:it|this|that|any)"
    r"|(?:fakes?|copy|clone|copycat) of (?:our|us)|report and block"
    r"|run away from (?:this|it)|impersonat(?:or|ion) (?:token|coin)"
    r"|honeypot\W{1,3}(?:you )?(?:can't|cant|cannot) sell|" + WARNING_ABROAD + r")\b"
    r"|\bbeware of (?:this|these)\b"
    r"|⚠️? ?скам|" + WARNING_UNSPACED
)
NOT_SO: Final = re.compile(
    r"\b(?:not?|never|non|isn't|said|says?|thought|no|não|kein|keine|не|hasn't|won't|can't|cannot|anti|0|un"
    r"|last|previous|who"
    r"|ever)\W{1,3}(?:been |be "
    r"|get |got |a )?$"
    r"|\b(?:beware of|watch out for|ignore|avoid|careful (?:of|with))\W{1,3}"
    r"(?:(?:any|all|every|the|those|other)\W{1,3})?$"
    r"|\b(?:jeets?|paper ?hands?|weak hands?|haters|fudders|tourists|bots|flippers|sellers"
    r"|snipers)\W{1,3}(?:please )?$"
)
FAKE: Final = re.compile(r"\bfake (?:ca|contract|token|coin)\b")
TARGETS: Final = re.compile(
    r"\b(?:targets?|tps?|plan|take profits?|goals?|strategy|цел[иь]|objetivos?|metas?|ziele?|objectifs?"
    r"|hedef(?:ler)?)\b|目标"
)
TARGET: Final = re.compile(r"\b(?:sell(?:ing)?|out|take|tp ?\d?|target|secure|trim|hold|rest)\b")
FACT: Final = re.compile(
    r"[:：]|\b(?:dev|team|lp|liq\w*|mint|holders?|tax(?:es)?|mc|mcap|cap|chain|supply|audit\w*|kyc|dox\w*|renounc\w*"
    r"|revoked?|burn\w*|lock\w*|website|socials?|cex|community|chart|volume|app|utility|partner\w*|marketing|cto"
    r"|narrative|bundle\w*|snipers?|product|founder|backed|roadmap|game)\b|(?:\w+ ){5}"
)
NEW: Final = re.compile(
    r"\b(?:(?:next|another|new|fresh) (?:one|call|gem|play|pick|token|coin|entry|buy|signal|pair|launch|alert)"
    r"|now (?:this one|onto|looking at)"
    r"|here(?:'s| is) (?:my |our |the |a )?(?:next|new|another|today'?s)|next up|moving on to|новый колл"
    r"|следующ\w+|nueva? (?:gema|llamada|entrada))\b"
)
NOT_NEW: Final = re.compile(
    r"new call(?:er)? (?:update|result)|new (?:ath|high)|next (?:one|call|gem|play|pick) (?:soon|later|tomorrow)"
)
HEADING: Final = re.compile(
    r"\b(?:top|leader ?board|ranking|ranks?|hall of fame|recap|weekly|daily|monthly|results?|performance|winners?"
    r"|report|scoreboard|"
    r"trending|best (?:calls?|callers?|performers?)|biggest (?:gainers|movers)|gainers|today'?s (?:calls|wins)"
    r"|last \d+ calls|last calls|our calls|wins|топ|итоги|resultados|resumen|榜)\b|排行"
)
REPORT: Final = re.compile(
    r"\b(?:report|recap|stats|statistics|summary|scoreboard|итоги|статистика|сводка|отч[её]т|resumen|resumo|haftalık"
    r"|rapport|wochenbericht|podsumowanie|riepilogo|підсумки)\b|战报|战绩|周报"
)
FIGURE: Final = re.compile(
    r"^\W{0,4}(?:(?:total |all )?(?:calls|signals|tokens|plays|wins?|winners|loss(?:es)?|losers|rugs?|rugged|hits?"
    r"|misses|hit ?rate|win ?rate|accuracy|avg|average|median|\d{1,3} ?x ?(?:\+|or more)?|колл\w*|сигнал\w*|винрейт"
    r"|в (?:плюс|минус)\w*|llamadas|señales|chamadas|ganad\w*|ganh\w*|perd\w*|aciertos|acertos)[^:\n\d]{0,16})"
    r"[:：=–-]\W{0,3}\d|^\W{0,4}(?:best|biggest|top|worst|лучш\w+|mejor|melhor|en iyi|beste|migliore)"
    r"(?: (?:call|one|колл|llamada|chamada|win))?\W{1,3}\$"
)
"""Lines of a report on many calls."""
ITEM: Final = re.compile(r"^\W{0,4}(?:\d{1,2}\ufe0f?\u20e3?[.):\s]|#\d|🥇|🥈|🥉|🏅|•|▪|└|├|┣|┗|-|—|\$)")
ADDRESS: Final = re.compile(r"[a-z0-9]{26}")
