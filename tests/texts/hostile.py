"""Texts that somebody chose in order to break a message or to be clicked."""

from hypothesis import strategies as st

HOSTILE = (
    "<b>Pump</b>",
    '</b></code><a href="https://evil.example">click</a>',
    "&lt;&amp;&#60;&unknown;",
    "<",
    "&",
    "@scam_bot",
    "t.me/scam_bot?start=1",
    "https://evil.example/a?b=c",
    "tg://resolve?domain=scam",
    "#airdrop $AIRDROP /start",
    "free.airdrop.com",
    "1.2.3.4/wallet",
    "mail@evil.example",
    "line\nbreak\r\n\ttab\u2028next\u2029next",
    "\u202egnp.exe\u202c \u2066left\u2069",
    "zero\u200bwidth\u200djoiner\ufeffbom\u00adsoft",
    "\x00\x01\x1b[31mred\x7f\x9b",
    "Z\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309\u030a",
    "\u3164\u115f\u2800",
    "\U000e0041\U000e0042",
    "\ud83d lone \ude00",
    "👨‍👩‍👧‍👦🏴‍☠️🇩🇪" * 20,
    "W" * 10_000,
    "😀" * 10_000,
    "a@b.c/d#e$F" * 1_000,
    "",
    "   ",
    "{name}{0}%s",
)

hostile_text = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(codec=None), max_size=200),
    st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=4).map("".join),
    st.text("<>&\"'@#$/.:ab 1\u200b\u202e\n", max_size=60),
)
