from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.events import Call, Chain, Channel, ChannelRecord, Disagreement, Origin, Token
from domain.calls.links import chart_url, token_links
from domain.calls.venues import NO_VENUES, Venues, load_venues
from domain.delivery.messages import Message
from domain.filters.shown import show_price
from domain.subscribers.subscriber import ALL_BUTTONS, Card, CardField, Preferences
from handlers.conversation.menus import View
from handlers.delivery.buttons import MuteHere
from handlers.delivery.muting_menus import under_alert
from handlers.tokens.menus import token_card
from services.cards.pieces import MAX_WIDTH
from services.delivery.cards import MAX_CARDS, Shown, alert_card, card_of, merged_card
from services.tokens.tokens import CalledHere, KnownToken
from tests.texts.hostile import hostile_text
from tests.texts.telegram_html import assert_harmless, assert_sendable, shown, units
from texts import Texts

TEXTS = Texts.load()
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADDRESS = "7GCihgDB8fe6KNjn2MYtkzZcRjQy3t9GHdC8uHYmW2hr"
BARE = Call(id="1", token=Token(address=ADDRESS), channel=Channel(id="@alpha"), called_at=AT, received_at=AT)
FULL = Call(
    id="2",
    token=Token(
        address=ADDRESS,
        name="Popcat",
        symbol="POP",
        price_usd=0.0000123,
        market_cap_usd=123_000.0,
        liquidity_usd=35_000.0,
        holders=340,
        created_at=AT - timedelta(minutes=12),
    ),
    channel=Channel(
        id="@alpha",
        title="Alpha Calls",
        record=ChannelRecord(calls=128, win_rate_percent=42.0, average_multiple=3.1),
    ),
    called_at=AT,
    received_at=AT,
)


def card(
    call: Call, *, set_names: Sequence[str] = (), speed_s: float | None = 0.0142, may_repeat: bool = False
) -> Message:
    return alert_card(TEXTS, call=call, set_names=set_names, speed_s=speed_s, language="en", may_repeat=may_repeat)


def test_the_name_of_the_channel_leads_to_the_post() -> None:
    post = "https://t.me/alpha/12?single"
    assert f'<a href="{post}">📣 <b>Alpha Calls</b></a>' in card(replace(FULL, link=post)).html
    compact, _ = merged_card(TEXTS, [Shown(call=replace(FULL, link=post))], language="en", card=Card(compact=True))
    assert f'<a href="{post}">' in compact.html
    for odd in (
        "https://t.me/alpha/12?a=1&b=2",
        "https://t.me",
        "https://user@t.me/1",
        "https://t.me/\N{CYRILLIC SMALL LETTER A}",
    ):
        assert "<a " not in card(replace(FULL, link=odd)).html


@pytest.mark.parametrize(
    ("chain", "name", "explorer"),
    [
        ("ethereum", "Ethereum", "https://etherscan.io/token/"),
        ("bsc", "BNB Smart Chain", "https://bscscan.com/token/"),
        ("base", "Base", "https://basescan.org/token/"),
    ],
)
def test_a_card_says_on_which_other_chain_a_token_lives(chain: Chain, name: str, explorer: str) -> None:
    address = "0x52908400098527886e0f7030069857d2e4169ee7"
    call = replace(FULL, token=replace(FULL.token, address=address, chain=chain))
    said = card(call)
    assert shown(said.html).splitlines()[:4] == ["Popcat · $\u2060POP", f"⛓ {name}", "$123k market cap at call", ""]
    links = [button.url for row in said.keyboard for button in row if button.url]
    assert links == [f"https://dexscreener.com/{chain}/{address}", explorer + address]
    assert {f"{name}:{address}" for name in ("watch", "mute")} <= {
        button.data for row in said.keyboard for button in row
    }
    merged, _ = merged_card(TEXTS, [Shown(call=call)], language="en", card=Card(compact=True))
    assert f"⛓ {name} · $123k" in shown(merged.html).replace("\N{NO-BREAK SPACE}", " ")


def test_an_address_in_hex_without_its_chain_is_searched_for() -> None:
    assert chart_url("0x52908400098527886e0f7030069857d2e4169ee7").startswith("https://dexscreener.com/search?q=0x5290")
    assert chart_url(ADDRESS) == f"https://dexscreener.com/solana/{ADDRESS}"


def test_a_full_card() -> None:
    text = shown(card(FULL, set_names=("My gems",), may_repeat=True).html)
    assert text.splitlines() == [
        "Popcat · $\u2060POP",
        "$123k market cap at call",
        "",
        ADDRESS,
        "Liq    $35k      Age      12m",
        "Price  $0.0₄123  Holders  340",
        "📣 Alpha Calls",
        "42% win rate · 3.1x average · 128 calls",
        "",
        "✓ My gems · ⚡ sent in 14 ms",
        "↻ This one may be a repeat.",
    ]
    assert f"<code>{ADDRESS}</code>" in card(FULL).html


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "⚡ sent in 14 ms"),
        (("Fresh gems",), "✓ Fresh gems · ⚡ sent in 14 ms"),
        (("Fresh gems", "My rules"), "✓ Fresh gems, My rules · ⚡ sent in 14 ms"),
        (("Fresh gems", "My rules", "Night", "4"), "✓ Fresh gems, My rules +2 · ⚡ sent in 14 ms"),
        (("\u200b", "My rules"), "✓ My rules · ⚡ sent in 14 ms"),
        (("x" * 32, "y" * 32), f"✓ {'x' * 23}…, {'y' * 23}… · ⚡ sent in 14 ms"),
    ],
)
@pytest.mark.parametrize("compact", [False, True])
def test_a_card_names_all_filters_that_passed(names: Sequence[str], said: str, *, compact: bool) -> None:
    one = Shown(call=FULL, set_names=names, speed_s=0.014)
    alone = card_of(TEXTS, one, language="en", card=Card(compact=compact))
    assert shown(alone.html).splitlines()[-1] == said
    merged, _ = merged_card(TEXTS, [one, one], language="en", card=Card(compact=compact))
    assert shown(merged.html).splitlines().count(said) == 2


KNOWN = replace(
    FULL,
    token=replace(
        FULL.token,
        mint_revoked=True,
        freeze_revoked=False,
        lp_locked_percent=100.0,
        top10_percent=18.0,
        developer_percent=2.0,
        snipers_percent=7.0,
    ),
    calling_channels=4,
)


def test_what_is_known_of_its_safety_and_its_callers() -> None:
    lines = shown(card(KNOWN).html).splitlines()
    first = lines.index("🟢 mint off · 🔴 freeze on")
    assert lines[first + 1 : first + 3] == ["LP locked 100% · top 10 18% · dev 2%", "snipers 7%"]
    assert all(units(line) <= 36 for line in lines[first : first + 3])
    assert "called by 4 channels" in lines


BUSY = replace(
    FULL,
    token=replace(
        FULL.token,
        volume_1h_usd=48_000.0,
        volume_24h_usd=300_000.0,
        price_change_5m_percent=-12.5,
        website="http://www.popcat.example/?a=1&b=2",
        x_handle="popcat",
        telegram="+AbCdEfGh12",
    ),
)


def test_volume_change_and_links() -> None:
    html = card(BUSY).html
    lines = shown(html).replace("\N{WORD JOINER}", "").splitlines()
    assert "Vol 1h  $48k      Chg 5m   -12.5%" in lines, "one span of those that are known"
    assert "🌐 popcat.example · X · Telegram" in lines
    assert 'href="https://popcat.example"' in html, "where the address has to be escaped, its host alone"
    assert 'href="https://x.com/popcat"' in html
    assert 'href="https://t.me/+AbCdEfGh12"' in html


@given(hostile_text, hostile_text, hostile_text)
def test_a_link_leads_to_what_it_shows_or_is_left_out(website: str, handle: str, group: str) -> None:
    for one in token_links(replace(FULL.token, website=website, x_handle=handle, telegram=group)):
        host = urlsplit(one.address).hostname or ""
        assert one.name in {host, host.removeprefix("www.")} if one.at == "website" else host in {"x.com", "t.me"}
    assert_sendable(card(replace(FULL, token=replace(FULL.token, website=website, x_handle=handle))).html)


@pytest.mark.parametrize(
    "address", ["https://a.example@evil.example", "javascript:alert(1)", "https://", "ftp://a.example"]
)
def test_an_address_that_pretends_is_no_link(address: str) -> None:
    assert token_links(replace(FULL.token, website=address)) == ()


def test_figures_that_are_wide_stand_below_each_other() -> None:
    wide = replace(BUSY.token, holders=1_234_567, price_change_5m_percent=1_234_567.0, volume_1h_usd=None)
    lines = shown(card(replace(BUSY, token=wide)).html).splitlines()
    assert "Liq      $35k" in lines
    assert max(map(len, lines[lines.index("Liq      $35k") :][:6])) <= MAX_WIDTH


ALPHA = Channel(id="@alpha", title="Alpha Calls")


@pytest.mark.parametrize(
    ("first", "cap", "said"),
    [
        (Channel(id="@beta", title="Beta Gems"), 42_000.0, "4 channels · first: Beta Gems at $42k"),
        (Channel(id="@beta", title="Beta Gems"), None, "4 channels · first: Beta Gems"),
        (Channel(id="@beta"), 42_000.0, "4 channels · first: @\u2060beta at $42k"),
        (ALPHA, 42_000.0, "4 channels · this one was first, at $42k"),
        (ALPHA, None, "4 channels · this one was first"),
        (None, 42_000.0, "called by 4 channels"),
    ],
)
def test_who_was_first_of_several_callers(first: Channel | None, cap: float | None, said: str) -> None:
    call = replace(KNOWN, first_channel=first, first_market_cap_usd=cap)
    assert said in shown(card(call).html).splitlines()
    assert said in shown(chosen(call, Card(compact=True)).html)
    assert "first" not in shown(card(replace(call, calling_channels=1)).html)


def test_of_taxes_and_risk_only_what_is_known_is_said() -> None:
    def line(**known: float) -> str:
        return shown(card(replace(KNOWN, token=replace(KNOWN.token, **known))).html).replace("\n", " · ")

    assert "· risk 12/100 · tax 5% buy, 0% sell ·" in line(risk_score=12.0, buy_tax_percent=5.0, sell_tax_percent=0.0)
    assert "· buy tax 5% ·" in line(buy_tax_percent=5.0)
    assert "· 🔴 sell tax 100% ·" in line(sell_tax_percent=100.0)
    assert "· 🔴 risk 100/100 · 🔴 tax 23.5% buy, 0% sell ·" in line(
        risk_score=100.0, buy_tax_percent=23.5, sell_tax_percent=0.0
    )
    assert "· risk 69/100 · tax 9.9% buy, 9.9% sell ·" in line(
        risk_score=69.0, buy_tax_percent=9.9, sell_tax_percent=9.9
    )
    assert "· 🔴 risk 70/100 · 🔴 tax 0% buy, 10% sell ·" in line(
        risk_score=70.0, buy_tax_percent=0.0, sell_tax_percent=10.0
    )
    assert not {"tax", "risk"} & set(line().split())
    assert not {"tax", "risk"} & set(line(buy_tax_percent=float("nan"), risk_score=-1.0).split())


def told(**by: tuple[str, float]) -> dict[str, Origin]:
    return {name: Origin(source, AT - timedelta(seconds=age_s)) for name, (source, age_s) in by.items()}


SOURCED = replace(
    FULL,
    token=replace(
        FULL.token,
        risk_score=12.0,
        top10_percent=18.0,
        origins=told(
            market_cap_usd=("dexscreener", 2),
            liquidity_usd=("dexscreener", 2),
            risk_score=("rugcheck", 4),
            x_handle=("birdeye", 90),
            holders=("native", 50),
        ),
    ),
)


def test_a_card_says_whose_figures_it_shows_and_how_old_they_are() -> None:
    def lines(call: Call, card: Card, at: datetime | None = AT) -> list[str]:
        message = card_of(TEXTS, Shown(call=call, decided_at=at), language="en", card=card)
        return shown(message.html).replace("\N{NO-BREAK SPACE}", " ").splitlines()

    said = "DexScreener, RugCheck · 4s old"
    assert said in lines(SOURCED, Card())
    assert "DexScreener · 2s old" in lines(SOURCED, Card(hidden=frozenset({"security"})))
    assert "DexScreener, RugCheck · 1m 4s old" in lines(SOURCED, Card(), AT + timedelta(minutes=1))
    for nobody in (
        lines(FULL, Card()),
        lines(SOURCED, Card(compact=True)),
        lines(SOURCED, Card(hidden=frozenset({"sources"}))),
    ):
        assert not [line for line in nobody if " old" in line and "DexScreener" in line]
    unknown = replace(SOURCED, token=replace(SOURCED.token, origins=told(liquidity_usd=("<b>else", 2))))
    assert "<b>else · 2s old" in lines(unknown, Card())
    assert "DexScreener, RugCheck · 2s old" in lines(SOURCED, Card(), None), "since the newest of them"


def looked_up(hidden: frozenset[CardField] = frozenset(), /, **by: tuple[str, float]) -> str:
    """The sources under a token that somebody has looked up."""
    token = replace(
        SOURCED.token,
        volume_1h_usd=5_000.0,
        volume_24h_usd=90_000.0,
        created_at=AT - timedelta(days=3),
        origins=told(**by),
    )
    known = KnownToken(token=token, calls=(), explanation=None, at=AT)
    html = token_card(View(texts=TEXTS, language="en"), known, Preferences(card=Card(hidden=hidden)), NO_VENUES).html
    return next((line for line in shown(html).replace("\N{NO-BREAK SPACE}", " ").splitlines() if " old" in line), "")


@pytest.mark.parametrize(
    ("cap_s", "price_s", "asked", "said"),
    [(900.0, 900.0, True, True), (900.0, 2.0, True, False), (2.0, 2.0, True, False), (900.0, 900.0, False, False)],
)
def test_that_no_source_has_a_price_is_said_where_all_were_asked(
    cap_s: float,
    price_s: float,
    asked: bool,  # noqa: FBT001
    said: bool,  # noqa: FBT001
) -> None:
    token = replace(SOURCED.token, origins=told(market_cap_usd=("native", cap_s), price_usd=("native", price_s)))
    one = CalledHere(channel="a", channel_id="@a", called_at=AT, market_cap_usd=1.0, outcome=None)
    known = KnownToken(token=token, calls=(one,), explanation=None, at=AT, asked=asked, complete=asked)
    text = shown(token_card(View(texts=TEXTS, language="en"), known, Preferences(), NO_VENUES).html)
    assert ("No source has a price for it now." in text) is said
    assert ("Calls here: at least 1" in text) is not asked, "what is a limit is no count"


def test_a_token_that_is_muted_says_so_and_leads_to_where_that_ends() -> None:
    known = KnownToken(token=SOURCED.token, calls=(), explanation=None, at=AT)
    for until, said in ((AT + timedelta(hours=1), True), (AT - timedelta(hours=1), False)):
        preferences = Preferences(muted_tokens={SOURCED.token.address: until})
        card = token_card(View(texts=TEXTS, language="en"), known, preferences, NO_VENUES)
        assert ("🔇 You have muted it until" in card.html) is said
        assert ("All that is muted" in [one.text for row in card.keyboard for one in row]) is said


def test_a_token_that_is_looked_up_says_how_old_its_price_is() -> None:
    fresh = {"market_cap_usd": ("dexscreener", 2.0), "price_usd": ("dexscreener", 2.0)}
    assert looked_up(**fresh) == "DexScreener · 2s old"
    assert looked_up(**fresh, risk_score=("rugcheck", 9.0)) == "DexScreener, RugCheck · 9s old", "of the same moment"
    apart = "DexScreener, RugCheck · price 2s old, other figures up to 40m"
    assert looked_up(**fresh, risk_score=("rugcheck", 2_400.0)) == apart
    hidden = frozenset[CardField]({"market_cap", "security"})
    assert looked_up(hidden, **fresh, risk_score=("rugcheck", 2_400.0)) == apart, "they stand there all the same"
    worth = {"market_cap_usd": ("jupiter", 300.0), "price_usd": ("dexscreener", 2.0)}
    assert looked_up(**worth) == "Jupiter, DexScreener · 5m old", "the older of what is read first"
    assert looked_up(**fresh, volume_1h_usd=("dexscreener", 2.0), volume_24h_usd=("native", 90_000.0)) == (
        "DexScreener · 2s old"
    ), "of the volumes one is shown"
    of_old = looked_up(**fresh, created_at=("native", 90_000.0))
    assert of_old.endswith(" · 2s old"), "since when it trades does not get old"
    assert looked_up(market_cap_usd=("native", 7_200.0), risk_score=("rugcheck", 2.0)).endswith(" · 2h old")
    assert looked_up(frozenset({"sources"}), **fresh) == ""


@pytest.mark.parametrize("compact", [False, True])
def test_what_two_sources_do_not_agree_on_is_flagged(compact: bool) -> None:  # noqa: FBT001 - a parameter
    def flagged(hidden: frozenset[CardField] = frozenset(), /, **others: tuple[str, float]) -> list[str]:
        disputed = {name: Disagreement(source, value) for name, (source, value) in others.items()}
        call = replace(SOURCED, token=replace(SOURCED.token, mint_revoked=True, disputed=disputed))
        lines = shown(chosen(call, Card(compact=compact, hidden=hidden)).html).splitlines()
        return [line for line in lines if line.startswith("⚠")]

    assert flagged() == []
    cap = {"market_cap_usd": ("jupiter", 320_000.0), "price_usd": ("jupiter", 0.0001)}
    assert flagged(**cap) == ["⚠️ Market cap: $123k (DexScreener), $320k (Jupiter)"]
    assert flagged(**cap, holders=("goplus", 90.0), mint_revoked=("goplus", 0.0)) == [
        "⚠️ Market cap: $123k (DexScreener), $320k (Jupiter) · also Holders, Mint revoked"
    ]
    assert flagged(mint_revoked=("goplus", 0.0)) == ["⚠️ Mint revoked: yes (feed), no (GoPlus)"]
    assert flagged(price_usd=("jupiter", 0.0001)) == ["⚠️ Price: $0.0₄123 (feed), $0.0001 (Jupiter)"]
    assert flagged(frozenset({"sources"}), **cap) == []


def test_a_card_with_all_that_can_be_known_is_not_long() -> None:
    token = replace(BUSY.token, **dict.fromkeys(("buy_tax_percent", "sell_tax_percent", "risk_score"), 0.0))
    token = replace(
        token,
        mint_revoked=True,
        freeze_revoked=True,
        lp_locked_percent=100.0,
        origins=SOURCED.token.origins,
        disputed={"market_cap_usd": Disagreement("jupiter", 320_000.0)},
    )
    call = replace(BUSY, token=token, calling_channels=3, first_channel=Channel(id="@beta", title="Beta Gems"))
    assert len(shown(card(call, set_names=("My gems",)).html).splitlines()) <= 18


VENUES = load_venues(
    """
    [[venue]]
    name = "Alpha bot"
    url = "https://t.me/alpha_bot?start=r-me-{address}"
    [[venue]]
    name = "Swap"
    url = "https://swap.example/?out={address}&in=ETH"
    chains = ["ethereum", "base"]
    """
)


def test_places_to_buy_at_are_the_operators_choice_and_can_be_hidden() -> None:
    def row(call: Call, card: Card, venues: Venues = VENUES) -> list[tuple[str, str | None]]:
        keyboard = card_of(TEXTS, Shown(call=call), language="en", card=card, venues=venues).keyboard
        return [(button.text, button.url) for row in keyboard for button in row if "🛒" in button.text]

    assert row(FULL, Card()) == [("🛒 Alpha bot", f"https://t.me/alpha_bot?start=r-me-{ADDRESS}")]
    address = "0x52908400098527886e0f7030069857d2e4169ee7"
    on_base = replace(FULL, token=replace(FULL.token, address=address, chain="base"))
    assert row(on_base, Card()) == [("🛒 Swap", f"https://swap.example/?out={address}&in=ETH")]
    assert row(FULL, Card(), NO_VENUES) == []
    assert row(FULL, Card(buttons=("copy", "chart"))) == []
    under = under_alert(View(texts=TEXTS, language="en"), FULL, Preferences(), AT, venues=VENUES)
    assert "🛒 Alpha bot" in {button.text for row in under for button in row}, "it stays after a mute"
    odd = replace(FULL, token=replace(FULL.token, address="x" * 40))
    assert row(odd, Card()) == [], "what is no address is not sent to anybody's bot"


def test_who_wants_to_mutes_a_channel_with_one_tap() -> None:
    def taps(card: Card) -> set[str | None]:
        return {button.data for row in chosen(FULL, card).keyboard for button in row}

    one_tap = MuteHere("channel", ADDRESS).pack()
    assert one_tap not in taps(Card()), "two taps, unless somebody wants one"
    assert one_tap in taps(Card(buttons=ALL_BUTTONS))
    assert all(len(row) <= 3 for row in chosen(FULL, Card(buttons=ALL_BUTTONS)).keyboard)


def test_no_line_ends_within_a_figure() -> None:
    aged = replace(FULL, token=replace(FULL.token, created_at=AT - timedelta(minutes=3, seconds=5)))
    assert "3m\N{NO-BREAK SPACE}5s" in card(aged).html
    assert "⚡ sent in 14\N{NO-BREAK SPACE}ms" in card(aged).html


def test_what_is_hidden_is_not_there() -> None:
    hidden = frozenset[CardField](CardField.__args__)
    for compact in (False, True):
        message = chosen(KNOWN, Card(compact=compact, hidden=hidden, buttons=()))
        assert message.keyboard == ()
        assert shown(message.html).splitlines()[:1] == ["Popcat · $\u2060POP"]
        for word in ("market cap at call", "Liq ", "mint", "Alpha", "feed to you"):
            assert word not in shown(message.html)


def test_a_late_card_says_when_it_passed() -> None:
    assert "Passed 3m after the call." in shown(chosen(KNOWN, Card(), late_s=180.0).html)


@pytest.mark.parametrize(
    ("delay", "said"),
    [
        (timedelta(seconds=60), None),
        (timedelta(seconds=60.5), "1m"),
        (timedelta(minutes=4, seconds=0.4), "4m"),
        (timedelta(minutes=4, seconds=12), "4m 12s"),
        (-timedelta(hours=1), None),
    ],
)
@pytest.mark.parametrize("compact", [False, True])
def test_a_call_that_reached_us_late_says_so(delay: timedelta, said: str | None, compact: bool) -> None:  # noqa: FBT001 - a parameter
    call = replace(FULL, received_at=AT + delay)
    text = shown(chosen(call, Card(compact=compact)).html)
    assert ("before it reached me" in text) == (said is not None)
    assert said is None or f"⏱ Called {said} before it reached me." in text
    assert "sent in 14 ms" in text, "our own part of it was quick"


def test_what_passed_late_does_not_say_twice_how_old_it_is() -> None:
    text = shown(chosen(replace(FULL, received_at=AT + timedelta(minutes=4)), Card(), late_s=600.0).html)
    assert "Passed 10m after the call." in text
    assert "before it reached me" not in text


def chosen(call: Call, card: Card, late_s: float | None = None) -> Message:
    return alert_card(
        TEXTS,
        call=call,
        set_names=(),
        speed_s=0.014,
        language="en",
        may_repeat=False,
        card=card,
        late_s=late_s,
    )


def test_what_is_not_known_is_not_invented() -> None:
    text = shown(card(BARE, speed_s=None).html)
    assert text.split("\n\n") == ["Unnamed token\nMarket cap not known", f"{ADDRESS}\n📣 @\u2060alpha"]


def test_buttons_copy_and_link_the_address() -> None:
    copy, chart, explorer = card(FULL).keyboard[0]
    assert copy.copy == ADDRESS
    assert chart.url == f"https://dexscreener.com/solana/{ADDRESS}"
    assert explorer.url == f"https://solscan.io/token/{ADDRESS}"


@pytest.mark.parametrize("address", ["", "a b", "x" * 65, "../../evil", "a?b=c", "адрес"])
def test_an_address_that_is_none_gets_no_buttons(address: str) -> None:
    call = Call(id="1", token=Token(address=address), channel=Channel(id="c"), called_at=AT, received_at=AT)
    assert card(call).keyboard == ()
    assert_sendable(card(call).html)


maybe_text = st.none() | hostile_text
maybe_figure = st.none() | st.floats() | st.sampled_from([0.0, -1.0, 1e300, 5e-324, 12.5])
maybe_count = st.none() | st.integers() | st.just(10**400)

tokens = st.builds(
    Token,
    address=st.just(ADDRESS) | hostile_text,
    name=maybe_text,
    symbol=maybe_text,
    price_usd=maybe_figure,
    market_cap_usd=maybe_figure,
    liquidity_usd=maybe_figure,
    holders=maybe_count,
    mint_revoked=st.none() | st.booleans(),
    lp_locked_percent=maybe_figure,
    top10_percent=maybe_figure,
    created_at=st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds of a strategy are naive
)
records = st.builds(ChannelRecord, calls=maybe_count, win_rate_percent=maybe_figure, average_multiple=maybe_figure)
channels = st.builds(Channel, id=hostile_text, title=maybe_text, record=st.none() | records)


@given(tokens, channels, st.lists(hostile_text, max_size=4), maybe_figure, st.booleans())
def test_every_card_can_be_sent(
    token: Token,
    channel: Channel,
    set_names: list[str],
    speed_s: float | None,
    may_repeat: bool,  # noqa: FBT001 - drawn, not passed
) -> None:
    call = Call(id="1", token=token, channel=channel, called_at=AT, received_at=AT)
    message = card(call, set_names=set_names, speed_s=speed_s, may_repeat=may_repeat)
    assert_sendable(message.html)
    assert_harmless(message.html)
    one = Shown(
        call=replace(call, calling_channels=10**400),
        set_names=set_names,
        speed_s=speed_s,
        may_repeat=may_repeat,
        late_s=speed_s,
    )
    merged, count = merged_card(TEXTS, [one] * 12, language="en", card=Card())
    assert 1 <= count <= MAX_CARDS
    assert_sendable(merged.html)
    assert_harmless(merged.html)


def test_the_longest_cards_share_one_message_as_far_as_they_fit() -> None:
    long = replace(FULL, token=replace(FULL.token, name="😀" * 99, symbol="W" * 99), channel=Channel(id="W" * 99))
    merged, count = merged_card(TEXTS, [Shown(call=long, set_names=["x" * 99] * 5)] * 12, language="en", card=Card())
    assert count == MAX_CARDS
    assert_sendable(merged.html)
    assert len(merged.keyboard) == count


@pytest.mark.parametrize(
    ("price_usd", "expected"),
    [
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (-1.0, None),
        (0.0, "$0"),
        (0.5, "$0.5"),
        (0.0123, "$0.0123"),
        (0.00012345, "$0.000123"),
        (0.0000123, "$0.0₄123"),
        (1.23e-10, "$0.0₉123"),
        (0.99999, "$1.00"),
        (1.234, "$1.23"),
        (999.994, "$999.99"),
    ],
)
def test_prices(price_usd: float | None, expected: str | None) -> None:
    assert show_price(price_usd) == expected


@given(st.floats(min_value=1e-300, max_value=0.99))
def test_small_prices_keep_three_digits(price_usd: float) -> None:
    text = show_price(price_usd)
    assert text is not None
    zeros, digits = 0, text.removeprefix("$0.")
    if digits[:1] == "0" and digits[1:2] in set("₀₁₂₃₄₅₆₇₈₉"):
        subscript = "".join(c for c in digits[1:] if c in "₀₁₂₃₄₅₆₇₈₉")
        zeros = int(subscript.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")))
        digits = digits[1 + len(subscript) :]
    assert float(f"0.{digits}e-{zeros}") == pytest.approx(price_usd, rel=0.006)


@pytest.mark.parametrize("compact", [False, True])
def test_a_name_of_letters_that_only_look_like_others_is_flagged(compact: bool) -> None:  # noqa: FBT001 - a parameter
    said = "⚠️ This is not “Popcat”: some letters only look like these."
    forged = replace(FULL, token=replace(FULL.token, name="P\u043epcat"))
    assert said in shown(chosen(forged, Card(compact=compact)).html)
    assert said not in shown(chosen(FULL, Card(compact=compact)).html)
