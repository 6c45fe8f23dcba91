"""Results, exits and warnings in other languages than English. How they are weighed stands in `wording.py`.

`shown.py` leaves marks out that are no letters of their own, so Thai and Hindi stand here without theirs.
"""

from __future__ import annotations

import re
from typing import Final

from domain.posts.amounts import AMOUNT

_TO: Final = AMOUNT.replace("<number>", "<number2>").replace("<unit>", "<unit2>")
_CONGRATS: Final = (
    r"felicidades|felicitaciones|enhorabuena|parab[eé]ns|complimenti|bravi|félicitations|bravo|gratulacje|glückwunsch"
    r"|поздравля\w+|вітаю|tebrik\w*|selamat|chúc mừng|čestita\w*|مبروك|تبریک"
)
_WHO_CAME: Final = (
    r"los que|quienes|el que|quem|chi (?:è|ha)|ceux qui|wer|kto|ko je|tko je"
    r"|кто|тем|тех|хто|alanlar|girenler|yang ikut|من دخل|لكل من"
)
RESULT_ABROAD: Final = re.compile(
    r"(?:已经?|翻了|涨了|达到|做到|实现|吃到|斩获) ?\d{1,4}(?:\.\d)? ?(?:倍|x)|\d ?倍(?:了|达成|到手|收益)"
    r"|恭喜[^\n]{0,16}(?:上车|吃肉|群友|兄弟)"
    r"|\d ?x (?:yapt[ıi]k?|oldu|verdi(?:k)?|geldi|gördü|tamam)\b"
    r"|\b(?:уже|сделал\w*|дал[аио]?|поймал\w*|забрал\w*)\b[^\n\d]{0,12}\+? ?\d[\d.,]{0,5} ?(?:икс\w*|[xх%])"
    r"|\b(?:зашли|зашёл|зашел|вошли|взяли|брали|entramos|entré|compramos|llamamos"
    r"|girdik)\b[^\n\d]{0,12}\d[\d.,]{0,5} ?[kкmм]"
    r"\b[^\n\d]{0,24}\b(?:сейчас|уже|теперь|ya|ahora|va|şimdi)\b[^\n\d]{0,12}\d"
    r"|从 ?\d[\d.]{0,5} ?[k万w亿m]?[^\n\d]{0,4}到 ?\d"
    r"|\d ?% (?:от|с) (?:нашего|моего|колла|входа)|\bзаскамил\w*|\bдев(?:елопер)? (?:слил|скинул)|\bизвините\b"
    r"|(?:حققنا|وصلنا|حقق|وصلت|تم تحقيق)[^\n\d]{0,12}\d[\d.,]{0,5} ?(?:أضعاف|ضعف|x|%)"
    r"|\d ?(?:أضعاف|ضعف|x) من (?:التوصية|دخولنا|الدخول|إشارتنا)"
    r"|\b(?:déjà|schon|già) (?:\+ ?)?\d{1,5} ?[x%]|\d ?x (?:depuis notre|seit unserem|dal nostro)"
    r"|\b(?:adesso|ora|già|ahora|ya|agora|já|maintenant|jetzt|już)(?: (?:è|siamo|está|estamos|vamos|va|por|en|em"
    r"|no|a|al|à"
    r"|un|uno|na|bei)){0,3} (?:\+ ?)?\d{1,4}(?:[.,]\d)? ?x(?![^\W_])"
    r"|\b(?:ya|já|se) (?:se )?multiplic(?:ó|aron|ou|aram)(?: por)?\b|\b(?:зробив|зробила|дав|дала) [xх]?\d"
    r"|\b(?:lãi|lời) \d{1,4} ?(?:lần|x|%)|\b(?:udah|sudah) (?:naik )?\d{1,4}(?:[.,]\d)? ?(?:x|kali lipat)\b"
    rf"|\b(?:{_CONGRATS})\b[^\n]{{0,40}}\b(?:{_WHO_CAME})\b|\b(?:{_WHO_CAME})\b[^\n]{{0,60}}\b(?:{_CONGRATS})\b"
)
FROM_TO: Final = re.compile(
    rf"\b(?:de|da|von|от|с|від|з|od|z|từ|dari) {AMOUNT} ?(?:a|até|hasta|à|auf|bis|до|на|do|lên|đến|ke) {_TO}"
    rf"|{AMOUNT.replace('<number>', '<number3>').replace('<unit>', '<unit3>')}'?(?:dan|den|tan|ten) "
    rf"{AMOUNT.replace('<number>', '<number4>').replace('<unit>', '<unit4>')}'?(?:ya|ye|na|ne|a|e)\b",
)
"""A way that a token went, or that it may go, or a range: that others than itself say."""
WENT_FROM_TO: Final = re.compile(
    r"\b(?:subi[óou]+|pas[óou]+|fue|foi|pegó|lleg[óou]+|bateu|saiu|voló|è passat\w|è salit\w|est passé\w?"
    r"|monté\w?|stieg"
    r"|gestiegen|вырос\w*|дошл\w+|дош[её]л|улетел\w*|виріс\w*|urósł|poszedł|çıktı|gitti|uçtu|tăng|naik)\b"
)
EXIT_ABROAD: Final = re.compile(
    r"\b(?:sattım|sattık|k[aâ]r(?:ımı|ı)? ald(?:ım|ık)|pozisyonu kapattı[mk]"
    r"|продал[аи]? (?:вс[её]|половину|остаток|часть|свой|свою|мешок)"
    r"|закрыл(?:а|и)? [^\n]{0,24}(?:полностью|позици\w+|сделк\w+)"
    r"|(?:зафиксировал[аи]?|фиксирую|фиксируем|снял[аи]?) (?:всю |часть |половину )?(?:прибыль|профит)"
    r"|vend[ií] (?:todo|la mitad|el resto|mi posici[oó]n|parte)|vendimos|cerr(?:é|amos) (?:mi|la|todo|nuestra)"
    r"|tom(?:é|amos) ganancias|vendi (?:tudo|metade|o resto|minha)|realizei (?:o )?lucro"
    r"|(?:j'ai|on a) (?:tout |déjà )?vendu|pris mes (?:profits|gains)|(?:alles|hälfte|den rest) verkauft"
    r"|gewinne? mitgenommen|position geschlossen|venduto (?:tutto|metà)"
    r"|(?:закрыл(?:а|и|ся|ись)?|закрываю(?:сь)?|закрываемся|вышел|вышла|вышли|выхожу|выходим"
    r"|продал[аи]?)\b[^\n]{0,24}?"
    r" (?:в (?:минус|плюс|ноль|безубыток|убыток|профит)"
    r"|по (?:стопу|безубытку)|с (?:прибылью|убытком|минусом)|из (?:позиции|сделки|токена|монеты))"
    r"|(?:выбило|вынесло|закрыло) по стопу|стоп (?:сработал|выбило)"
    r"|(?:закри(?:в|ла|ли)(?:ся|ся)?|вийш(?:ов|ла|ли)|прода(?:в|ла|ли))\b[^\n]{0,24}?"
    r" (?:з позиції|в (?:мінус|плюс|нуль|безбиток)|по стопу|все|усе|половину|решту)"
    r"|(?:zararla|zararına|k[aâ]rla|stopla) (?:satt|çıkt|kapat)\w*|satıldı(?=\W*$|[,.;!])|pozisyondan çıkt[ıi][mk]"
    r"|stop oldu[mk]|stop patladı|(?:bu|şu) (?:coin|token|proje)\w* çıkt[ıi][mk]|zarar (?:ettim|ettik|kestim|kestik)"
    r"|sa[ií](?:mos)? (?:de tudo|com (?:lucro|preju\w*|perda)|no (?:zero a zero|lucro|preju\w*))|stopei|stopamos"
    r"|zerei (?:tudo"
    r"|a posição|minha posição)|encerr(?:ei|amos) (?:a |minha |nossa )?(?:posição|operação)"
    r"|(?:me |nos )?sal(?:í|imos) (?:de todo|con (?:p[eé]rdidas?|ganancias?)|en (?:verde|rojo|negativo|tablas))"
    r"|(?:saltó|tocó) (?:el|mi|nuestro) stop|cerr(?:é|amos) [^\n]{0,16}(?:en|con) [-+] ?\d{1,4}"
    r"|(?:sono|siamo) (?:uscit[oi]|fuori)(?: da| in|\W*$)|ho chiuso (?:la posizione|tutto|in)|abbiamo chiuso"
    r"|(?:je suis|on est) sorti\w{0,2} (?:en|à|avec|de la position)|j'ai coupé (?:la position|ma position|tout|en)"
    r"|(?:komplett|ganz|wieder) (?:draußen|raus)|rausgehauen|ausgestoppt|mit (?:gewinn|verlust) (?:raus|verkauft"
    r"|geschlossen)"
    r"|wysz(?:edłem|łam|liśmy) (?:z \$|z pozycji|z tego|z tej|na|w)|sprzeda(?:łem|łam|liśmy) (?:wszystko|całość"
    r"|resztę|połowę)"
    r"|wybiło (?:mnie |nas )?(?:na )?(?:stop\w*|sl)|alles verkocht|uitgestopt"
    r"|(?:đã )?(?:chốt (?:lời|lãi|lỗ)|cắt lỗ) (?:rồi|hết|xong|toàn bộ)|đã (?:chốt|cắt lỗ)"
    r"|(?:udah|sudah) (?:cut ?loss|cl|tp semua|jual semua|keluar semua)"
    r"|فروختم|فروختیم|خارج شد(?:م|یم)|بعت|بعنا|أغلقت|أغلقنا|خرجت|خرجنا|تم البيع|جنيت الأرباح|جنينا الأرباح)\b"
    r"|\b(?:закрыл(?:а|и|ся|ись)?|вышел|вышла|вышли)\b[^\n]{0,24}? в [-+–]? ?\d{1,4} ?%"
    r"|cerrad[oa] (?:la )?(?:posici[oó]n|operaci[oó]n)"
    r"|(?:全部?|已经?|一半|都)(?:卖|出|清)(?:出|掉|了|完|仓)|清仓|获利了结|已?(?:出|回)本|止[盈损](?:走人|离场"
    r"|出局|了)|已(?:经)?止[盈损]"
    r"|전량 매도|익절 ?(?:했|완료)|손절 ?(?:했|완료)|利確(?:し|済)|損切り(?:し|済)"
)
OURS: Final = re.compile(
    r"(?:on est|je suis|j'ai|sono|siamo|ho |abbiamo|me sal|nos sal|saí|stopei|stopamos|zerei|encerr)"
)
"""Begins what somebody says of themselves."""
WARNING_ABROAD: Final = (
    r"(?:est|c'est) une (?:grosse |pure )?arnaque|n'achetez (?:surtout )?pas(?! (?:trop|plus))|(?:gros|énorme"
    r"|pur) scam|n[e'](?: ?y)? ?touchez (?:surtout )?pas"
    r"|es una? (?:gran )?(?:estafa|timo)|no (?:l[oa] )?compr(?:en|es|éis)(?! (?:m[uá]|demasiado|si|hasta))"
    r"|é (?:um )?golpe|não comprem?(?! (?:muito|se|até))|è una truffa|non comprate(?! (?:troppo|se))"
    r"|ist (?:ein |reiner )?(?:scam|betrug)|finger weg|nicht kaufen"
    r"|(?<!fazla )(?<!çok )almayın|dolandırıcılık|penipuan|jangan (?:di)?(?:beli|sentuh)(?! (?:banyak|terlalu))"
    r"|(?<!ليس )(?<!ليست )احتيال|(?<!ليست )(?<!ليس )(?:عملة|العملة|توكن|المشروع|مشروع) (?:هي |هو )?نصب|نصاب(?:ين"
    r"|ة)?"
    r"|لا تشتر(?:وا|ي|وه|وها)?(?! (?:بكل|بمبلغ|كثير|فوق))|ابتعدوا عن"
    r"|کلاهبردار\w*|نخرید(?! (?:زیاد|بالا))|(?:मत|न) खरीद\w*|धोखा|oszustwo|nie kupuj(?:cie)?(?! (?:za|na gór|więcej))"
    r"|не купуйте(?! (?:багато|на))|шахрайств\w*|oplichting|niet kopen|țeapă|nu cumpărați|nekupujte|podvod"
    r"|köp inte|bedrägeri|μην αγορασετε|μην αγοράσετε|απάτη|הונאה|אל תקנו"
    r"|это (?:чист\w+ |полн\w+ |явн\w+ )?(?:скам|развод|лохотрон|ханипот|рагпул)|не заходите(?! (?:много|на|всем"
    r"|больш))"
    r"|es un (?:rug|scam|fraude|honeypot)|no entr(?:en|es|éis)(?! (?:con|a lo|muy|tarde|si|todav))"
    r"|bu (?:bir )?(?:coin |token |proje )?(?:scam|rug)|(?<!fazla )(?<!çok )(?<!yüklü )girmeyin"
    r"|não entr(?:em|e)(?! (?:muito|com|pesado|se|ainda))|non entrate(?! (?:con|troppo|se))|nicht einsteigen"
    r"|jangan masuk(?! (?:banyak|semua|terlalu))|đừng vào(?! (?:nhiều|to|hết))"
    r"|(?<!không phải )(?<!không )lừa đảo|đừng mua(?! nhiều)|не (?:покупать|покупайте|берите|лезьте)(?! (?:много|на))"
)
WARNING_UNSPACED: Final = (
    r"(?<!不)是个?(?:骗局|貔貅)|(?:不要|别|勿)(?:购?买|碰)(?![太多高])|詐欺(?:です|注意)|買わないで"
    r"|사기(?:입니다|예요|코인)|사지 ?마|러그(?:풀)?(?:입니다|예요|임|당했)|먹튀|買うな|買ってはいけ"
    r"|ラグ(?:プル)?(?:です|され)"
    r"|大家快(?:卖|跑)|是(?:个|一个)?(?:诈骗|杀猪盘|跑路盘)|อยาซอ|หลอกลวง"
)
