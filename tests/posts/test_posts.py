"""No text raises, hangs or yields an address that does not decode; marks, labels, links and counts, each by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calls.addresses import is_mint
from domain.posts.counting import MIN_POSTS, PostCounts
from domain.posts.keys import Key, key_of
from domain.posts.links import Astray, Lead, follow
from domain.posts.post import Button, Entity, ForwardedFrom, Post, Run, runs_of
from domain.posts.reasons import NEAR_MISSES, REASONS
from domain.posts.understanding import Understood, understand
from tests.posts.corpus import reading
from tests.posts.corpus.reading import EDITED, POSTED, filled

PIECES: Final = st.sampled_from(
    [
        *map(filled, ("{mint1}", "{mint1:lower}", "{mint2:cut}", "{pump1}", "{evm1}", "{EVM1}", "{hash1}", "{sig1}")),
        *(
            "CA: ",
            "wallet: ",
            "pair: ",
            "tx ",
            "\n",
            " ",
            "/",
            "?start=",
            "_",
            "0x",
            "$TOK ",
            "4x ",
            "from my call",
            "1. ",
            "-> ",
        ),
        *(
            "https://",
            "https://dexscreener.com/base/",
            "https://dexscreener.com/solana/",
            "https://pump.fun/",
            "https://t.me/bot?start=",
            "tg://",
            "[::1",
            "mc 45k",
        ),
        *(
            "\u200b",
            "\u202e",
            "\ufe0f",
            "𝗖𝗔",
            "Ａ",
            "\ud83d",
            "\x00",
            "١٢",
            "0.0₄1",
            "💰",
            "%F0%9F",
            "9" * 40,
            "合约：",
        ),
    ]
)
TEXTS: Final = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=300), st.lists(PIECES, max_size=30).map("".join)
)
LINKS: Final = st.one_of(st.none(), TEXTS, TEXTS.map("https://dexscreener.com/".__add__))
RUNS: Final = st.lists(st.builds(Run, TEXTS, is_code=st.booleans(), link=LINKS), max_size=6).map(tuple)
ALL_POSTS: Final = st.builds(
    Post,
    channel=st.just("@any"),
    number=st.integers(),
    runs=RUNS,
    buttons=st.lists(st.builds(Button, TEXTS, TEXTS), max_size=3).map(tuple),
    posted_at=st.just(POSTED),
    edited_at=st.sampled_from([None, EDITED]),
    forwarded_from=st.one_of(st.none(), st.builds(ForwardedFrom, channel=TEXTS, title=TEXTS)),
)


LOWERED: Final = re.compile(r"[1-9a-z]{32,44}")
"""A pool's key as links of DexScreener have it."""


def decodes(address: str) -> bool:
    if address.startswith("0x"):
        return len(bytes.fromhex(address[2:])) == 20 and address == address.lower()
    return is_mint(address)


@given(ALL_POSTS, st.frozensets(st.sampled_from([filled("{mint1}"), filled("{evm1}")])))
def test_whatever_a_post_holds_its_addresses_decode(post: Post, earlier: frozenset[str]) -> None:
    understood = understand(post, earlier=earlier)
    assert understood.reason in REASONS
    for token in understood.tokens:
        assert decodes(token.address) or (token.is_pool and LOWERED.fullmatch(token.address))
        assert (token.chain == "solana") == (not token.address.startswith("0x"))
        assert token.is_first == (token.address not in earlier)
    assert bool(understood.calls) == (understood.verdict == "call")
    assert bool(understood.tokens) == (understood.verdict != "none")
    assert not any(token.address in earlier for token in understood.calls)
    again = understand(post, earlier=earlier, before=understood)
    assert not again.calls
    assert (
        {(token.address, token.called_at) for token in again.tokens}
        == {(token.address, token.called_at) for token in understood.tokens}
        or understood.verdict == "none"
        or again.verdict == "none"
    )


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=120))
def test_whatever_a_word_is_what_it_names_decodes(word: str) -> None:
    key = key_of(word)
    assert not isinstance(key, Key) or decodes(key.address)


@given(TEXTS)
def test_whatever_a_link_is_where_it_leads_decodes(link: str) -> None:
    led = follow(link)
    if isinstance(led, Lead):
        assert decodes(led.key.address) or (led.kind == "pool" and LOWERED.fullmatch(led.key.address))
    assert not isinstance(led, Astray) or led.reason in REASONS


ENTITIES: Final = st.lists(
    st.builds(
        Entity,
        kind=st.sampled_from(["code", "pre", "text_link", "other"]),
        offset=st.integers(-5, 60),
        length=st.integers(-5, 60),
        url=st.sampled_from([None, "https://pump.fun/"]),
    ),
    max_size=8,
)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=40), ENTITIES)
def test_cut_at_its_marks_a_text_is_still_the_whole_text(text: str, entities: list[Entity]) -> None:
    runs = runs_of(text, entities)
    units = "".join(run.text for run in runs).encode("utf-16-le", "surrogatepass")
    assert units == text.encode("utf-16-le", "surrogatepass")


def test_marks_count_in_units_of_utf_16() -> None:
    mint = filled("{mint1}")
    text = f"🚀🚀 {mint} chart"
    runs = runs_of(text, [Entity("code", 5, len(mint)), Entity("text_link", 6 + len(mint), 5, "https://x.example/")])
    assert [run.text for run in runs if run.is_code] == [mint]
    assert [run.text for run in runs if run.link] == ["chart"]
    assert understand(plain(*runs)).reason == "address_in_code"


@pytest.mark.parametrize(
    "post", ["1%1." * 3_000, "❗\u200b" * 5_000, filled("{mint1} ") * 200, "ca is " * 2_000, "a." * 5_000]
)
def test_a_text_that_is_made_to_be_slow_is_read_to_its_end(post: str) -> None:
    assert understand(plain(Run(post), Run(filled("{mint2}"), is_code=True))).reason in REASONS


def plain(*runs: Run) -> Post:
    return Post(channel="@any", number=1, runs=runs, posted_at=POSTED)


def heard(text: str) -> Understood:
    return understand(plain(*reading.runs(filled(text))))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CA: {mint1}", "address_after_label"),
        ("<code>{mint1}</code>", "address_in_code"),
        ("{mint1}", "bare_address"),
        ("https://pump.fun/{mint1}", "token_link"),
        ("https://dexscreener.com/solana/{mint1}", "pool_link"),
        ("Pair: {mint1}", "pool_link"),
        ("https://t.me/bot?start=15_{mint1}", "start_payload"),
    ],
)
def test_the_reason_of_a_call_is_where_its_address_stands(text: str, reason: str) -> None:
    assert (heard(text).verdict, heard(text).reason) == ("call", reason)


@pytest.mark.parametrize(
    ("link", "chain"),
    [
        ("https://dexscreener.com/base/{evm1}", "base"),
        ("https://www.geckoterminal.com/eth/pools/{evm1}", "ethereum"),
        ("https://gmgn.ai/bsc/token/me_{evm1}", "bsc"),
        ("https://www.gate.com/alpha/base-{evm1}", "base"),
        ("https://honeypot.is/base?address={evm1}", None),
        ("https://ave.ai/token/{evm1}-bsc", "bsc"),
        ("https://bullx.io/terminal?chainId=8453&address={evm1}", "base"),
    ],
)
def test_the_path_of_a_link_is_authority_for_the_chain(link: str, chain: str | None) -> None:
    led = follow(filled(link))
    assert isinstance(led, Lead)
    assert (led.key.address, led.chain) == (filled("{evm1}"), chain)


@pytest.mark.parametrize(
    ("link", "chain"),
    [
        ("https://poocoin.app/tokens/{evm1}", "bsc"),
        ("https://www.dexview.com/base/{evm1}?utm_source=tg", "base"),
        ("https://moonshot.com/?ref=me&token={mint1}", "solana"),
        ("https://pump.fun/advanced?ref=x&mint={mint1}&v=2", "solana"),
        ("https://axiom.trade/terminal?v=2&address={mint1}&chain=sol", "solana"),
        ("https://pancakeswap.finance/swap?chain=bsc&inputCurrency=BNB&outputCurrency={evm1}&slippage=3", "bsc"),
    ],
)
def test_a_site_that_is_known_may_have_its_token_in_the_query(link: str, chain: str) -> None:
    led = follow(filled(link))
    key = filled(link[link.index("{") : link.index("}") + 1])
    assert isinstance(led, Lead)
    assert (led.kind, led.key.address, led.chain) == ("token", key, chain)


@pytest.mark.parametrize(
    "link",
    [
        "https://gmgn.ai/?chain=sol&address={wallet1}",
        "https://dexscreener.com/portfolio?token={wallet1}",
        "https://solscan.io/account/{wallet1}?token={mint1}",
        "https://etherscan.io/tx/{hash1}?token={evm1}",
        "https://newlaunchpad.example/?token={mint1}",
    ],
)
def test_a_query_of_somebodys_page_or_of_an_unknown_site_is_no_token(link: str) -> None:
    assert not isinstance(follow(filled(link)), Lead)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Address: {wallet1}\nhttps://hypurrscan.io/address/{wallet1}", "none"),
        ("Address: {wallet1}\nhttps://solscan.io/account/{wallet1}", "none"),
        ("Whale opened a long\nAddress: {evm1}\nhttps://etherscan.io/address/{evm1}", "none"),
        ("$KELP\nAddress: {evm1}\nhttps://etherscan.io/address/{evm1}", "call"),
        ("CA: {mint1}\nhttps://solscan.io/account/{mint1}", "call"),
    ],
)
def test_an_address_whose_profile_is_linked_is_somebodys(text: str, verdict: str) -> None:
    post = Post(channel="@any", number=1, runs=(Run(filled(text)),), posted_at=POSTED)
    assert understand(post).verdict == verdict


def test_a_link_that_contradicts_itself_leads_nowhere() -> None:
    assert follow(filled("https://dexscreener.com/base/{mint1}")) == Astray("undecodable", filled("{mint1}"), "base")
    assert follow(filled("https://dexscreener.com/solana/{evm1}")) == Astray("undecodable", filled("{evm1}"), "solana")


@pytest.mark.parametrize("case", [str, str.lower])
def test_a_pool_is_looked_up_as_its_link_has_it(case: Callable[[str], str]) -> None:
    pool = case(filled("{pool1}"))
    (token,) = heard(f"chart https://dexscreener.com/solana/{pool}").calls
    assert (token.address, token.is_pool, token.chain) == (pool, True, "solana")
    both = heard(f"https://dexscreener.com/solana/{filled('{pool1}')} https://dexscreener.com/solana/{pool}")
    assert [token.address for token in both.calls] == [filled("{pool1}")]
    elsewhere = heard(f"https://geckoterminal.com/solana/pools/{filled('{pool1:lower}')}")
    assert (elsewhere.verdict, elsewhere.reason) == ("none", "lower_cased")


@pytest.mark.parametrize(
    "text", ["这个{}不错", "合约地址：{}快上车", "{}입니다", "ซื้อ{}แล้ว", "العقد{}جديد", "{}を少し", "नया{}कॉल", "חוזה{}"]
)
@pytest.mark.parametrize("hole", ["{pump1}", "{evm1}"])
def test_scripts_without_latin_letters_may_touch_an_address(text: str, hole: str) -> None:
    address = filled(hole)
    assert [token.address for token in heard(text.replace("{}", address)).calls] == [address]


@pytest.mark.parametrize("text", ["с{}", "{}е", "é{}", "{}ο"])
def test_a_letter_that_looks_like_a_latin_one_may_be_a_part_of_an_address(text: str) -> None:
    found = heard(text.replace("{}", filled("{mint1}")))
    assert (found.verdict, found.reason, found.is_near_miss) == ("none", "undecodable", True)


def test_the_chain_of_a_bare_address_is_that_of_the_links_beside_it() -> None:
    assert [token.chain for token in heard("{evm1} https://dexscreener.com/base/{evm2}").tokens] == ["base"]
    two = heard("{evm1} https://dexscreener.com/base/{evm2} https://dexscreener.com/bsc/{evm3}")
    assert [token.chain for token in two.tokens] == [None]


def test_a_channel_that_changes_how_it_writes_is_noticed() -> None:
    counts = PostCounts()
    for number in range(20):
        counts.take(heard("CA: {mint1}" if number % 2 else "good morning"))
    assert counts.posts_but_no_calls() is None
    for number in range(MIN_POSTS):
        assert counts.posts_but_no_calls() is None
        counts.take(heard("CA: {mint1:lower}" if number % 2 else "good morning"))
    assert counts.posts_but_no_calls() == "lower_cased"
    assert counts.near_misses == {"lower_cased": MIN_POSTS // 2}
    counts.take(heard("CA: {mint1}"))
    assert counts.posts_but_no_calls() is None
    assert counts.reasons["lower_cased"] == MIN_POSTS // 2


def test_an_edit_that_inserts_the_address_is_a_call_like_any_other() -> None:
    before, called = heard("CA in 10 seconds"), heard("CA: {mint1}")
    counts = PostCounts()
    for _ in range(10):
        counts.take(called)
    for number in range(40):
        counts.take(heard("$FROG to the moon") if number % 2 else before)
        if not number % 2:
            continue
        counts.take(before)
        counts.edited(before, called)
        assert counts.posts_but_no_calls() is None
    assert counts.calls == 30
    counts.edited(called, called)
    assert counts.calls == 30, "the same post once more"


def test_a_channel_that_only_talks_for_a_while_is_not() -> None:
    counts = PostCounts()
    for _ in range(20):
        counts.take(heard("CA: {mint1}"))
    for _ in range(50):
        counts.take(heard("gm, no calls over the holidays"))
    assert counts.posts_but_no_calls() is None


def test_near_misses_are_reasons() -> None:
    assert NEAR_MISSES < REASONS
