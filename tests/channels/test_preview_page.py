"""What is read from pages that were written here, by what is known of Telegram's, and from what nobody should send."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.posts.post import Button, ForwardedFrom, Post, Run
from managers.channels.base import ChannelClosedError, Page
from managers.channels.html_bounds import MAX_OPEN, is_bounded
from managers.channels.markup import MAX_TEXT
from managers.channels.preview_page import MAX_BYTES, MAX_POSTS, read_landing, read_page
from managers.http.answers import ForeignAnswerError
from runtime.errors import TransientError

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
POSTED = datetime(2026, 11, 29, 9, 41, 7, tzinfo=UTC)
TIME = '<a class="tgme_widget_message_date"><time datetime="2026-11-29T09:41:07+00:00" class="time">09:41</time></a>'


def post(inner: str, *, data: str = "Alpha/7", meta: str = TIME, kind: str = "") -> str:
    return (
        f'<div class="tgme_widget_message_wrap"><div class="tgme_widget_message {kind}" data-post="{data}">'
        '<div class="tgme_widget_message_user"><a href="https://t.me/Alpha"><i>A</i></a></div>'
        '<div class="tgme_widget_message_bubble"><div class="tgme_widget_message_author">Alpha <time>x</time></div>'
        f'{inner}<div class="tgme_widget_message_footer"><span class="tgme_widget_message_views">1.2K</span>'
        f'<span class="tgme_widget_message_meta">{meta}</span></div></div></div></div>'
    )


def said(text: str) -> str:
    return f'<div class="tgme_widget_message_text js-message_text" dir="auto">{text}</div>'


def page(*posts: str, name: str = "Alpha", end: str = "</body></html>") -> bytes:
    heading = f'<div class="tgme_channel_info_header_username"><a href="https://t.me/{name}">@{name}</a></div>'
    title = '<div class="tgme_channel_info_header_title"><span>Alpha &amp; Co</span></div>'
    body = f'<section class="tgme_channel_history">{"".join(posts)}</section>'
    return f"<!DOCTYPE html><html><head></head><body>{title}{heading if name else ''}{body}{end}".encode()


def read(*posts: str) -> Page:
    return read_page(page(*posts), "@alpha", now=NOW).page


def only(*posts: str) -> Post:
    [found] = read(*posts).posts
    return found


@pytest.mark.parametrize(
    ("html", "runs"),
    [
        ("a<br>b<br/><br/>c", (Run("a\nb\n\nc"),)),
        ("CA: <code>x1</code>!", (Run("CA: "), Run("x1", is_code=True), Run("!"))),
        ("up<pre>x1\nx2</pre>down", (Run("up\n"), Run("x1\nx2", is_code=True), Run("\ndown"))),
        ('<pre><code class="language-sol">x1</code></pre>', (Run("x1", is_code=True),)),
        ("a\n   b", (Run("a    b"),)),
        ('<a href="https://a.io/x?y=1&amp;z=2">chart</a>', (Run("chart", link="https://a.io/x?y=1&z=2"),)),
        ('<a href="https://a.io/x?y=1&amp;amp;z=2" onclick="x">c</a>', (Run("c", link="https://a.io/x?y=1&z=2"),)),
        ('see <a href="https://a.io/x/">a.io/x</a> now', (Run("see a.io/x now"),)),
        ('<a href="https://a.io/1"><b>o</b>ne</a><a href="https://a.io/2">2</a>', "12"),
        ('<a href="?q=%23gem">#gem</a> <a href="javascript:x()">x</a> <a>y</a>', (Run("#gem x y"),)),
        ('<a href="tg://resolve?domain=b&amp;start=x">b</a>', (Run("b", link="tg://resolve?domain=b&start=x"),)),
        ('<i class="emoji" style="background-image:url(\'//e\')"><b>🐸</b></i>!', (Run("🐸!"),)),
        ('<tg-emoji emoji-id="5"><i class="emoji"><b>🔥</b></i></tg-emoji>', (Run("🔥"),)),
        ('<img class="emoji" alt="🔥" src="x"><img alt="no">', (Run("🔥"),)),
        ("<tg-spoiler>x1</tg-spoiler>", (Run("x1"),)),
        ("a<blockquote>b<br>c</blockquote>d", (Run("a\nb\nc\nd"),)),
        ("&lt;b&gt; &amp;amp; &#36;X &quot;", (Run('<b> &amp; $X "'),)),
        ("a<script>b()</script><style>c</style><!-- d -->e", (Run("ae"),)),
        ("<b><i>a<s>b</i>c</b>d", (Run("abcd"),)),
        ("<div class='tgme_widget_message_text js-message_text'>twice</div>", (Run("twice"),)),
        ("", ()),
        ("<br> <br>", ()),
    ],
)
def test_text(html: str, runs: tuple[Run, ...] | str):
    found = only(post(said(html))).runs
    if isinstance(runs, str):
        runs = (Run("one", link="https://a.io/1"), Run("2", link="https://a.io/2"))
    assert found == runs


def test_what_stands_around_the_text_is_none_of_it():
    inner = (
        '<div class="tgme_widget_message_forwarded_from">Forwarded from '
        '<a class="tgme_widget_message_forwarded_from_name" href="https://t.me/Beta/12?single"><span>Be<b>ta</b></span></a>'
        ' <span class="tgme_widget_message_forwarded_from_author">Joe</span></div>'
        '<a class="tgme_widget_message_reply" href="https://t.me/Alpha/5"><div class="tgme_widget_message_text '
        'js-message_reply_text">before</div><time datetime="2020-01-01T00:00:00+00:00"></time></a>'
        '<div class="media_supported_cont">' + said("shown") + "</div>"
        '<div class="media_not_supported_cont">' + said("Please open Telegram to view this post") + "</div>"
        '<a class="tgme_widget_message_link_preview" href="https://x.io"><div class="link_preview_title">Other</div>'
        + said("other") + '<time datetime="2020-01-01T00:00:00+00:00"></time></a>'
        '<div class="tgme_widget_message_reactions">🔥 12</div>'
    )  # fmt: skip
    found = only(post(inner))
    assert found.runs == (Run("shown"),)
    assert found.posted_at == POSTED
    assert found.forwarded_from == ForwardedFrom(channel="@beta", title="Beta", number=12)


@pytest.mark.parametrize(
    ("header", "origin"),
    [
        ('<span class="tgme_widget_message_forwarded_from_name">Joe</span>', ForwardedFrom(title="Joe")),
        (
            '<a class="tgme_widget_message_forwarded_from_name" href="https://t.me/Beta">B</a>',
            ForwardedFrom(channel="@beta", title="B"),
        ),
        (
            '<a class="tgme_widget_message_forwarded_from_name" href="https://evil.io/Beta/1">B</a>',
            ForwardedFrom(title="B"),
        ),
        ("Forwarded from", ForwardedFrom(title="Forwarded from")),
    ],
)
def test_where_a_post_comes_from(header: str, origin: ForwardedFrom):
    assert (
        only(post(f'<div class="tgme_widget_message_forwarded_from">{header}</div>{said("x")}')).forwarded_from
        == origin
    )


def test_buttons_lead_away_from_the_post():
    keys = "".join(
        f'<a class="tgme_widget_message_inline_button url_button" href="{href}" onclick="x"><span>{name}</span></a>'
        for name, href in (
            ("Buy", "https://t.me/bot?start=a&amp;amp;b"),
            ("Like", "https://t.me/alpha/7"),
            ("Evil", "javascript:x()"),
            ("Other", "https://t.me/alpha/8"),
        )
    )
    assert only(post(said("x") + keys)).buttons == (
        Button("Buy", "https://t.me/bot?start=a&b"),
        Button("Other", "https://t.me/alpha/8"),
    )


@pytest.mark.parametrize(
    ("meta", "is_edited"),
    [
        (f"edited &nbsp;{TIME}", True),
        (f"Edited {TIME}", True),
        (f'<span class="tgme_widget_message_from_author">Joe</span>,&nbsp;edited {TIME}', True),
        (f'<span class="tgme_widget_message_from_author">edited</span>,&nbsp;{TIME}', False),
        (TIME, False),
    ],
)
def test_the_mark_of_an_edit(meta: str, *, is_edited: bool):
    assert only(post(said("edited"), meta=meta)).edited_at == (NOW if is_edited else None)


def test_one_unreadable_post_costs_itself():
    found = read(
        post(said("a"), data="alpha/3"),
        post(said("no time"), data="alpha/4", meta=""),
        post(said("no zone"), data="alpha/5", meta='<time datetime="2026-11-29T09:41:07"></time>'),
        post(said("no year"), data="alpha/6", meta='<time datetime="0001-01-01T00:00:00+14:00"></time>'),
        post("", data="alpha/7"),
        post(said("whose"), data="beta/8"),
        post(said("which"), data="alpha/0"),
        post(said("which"), data="alpha/99999999999"),
        post(said("b"), data="ALPHA/9"),
        post(said("again"), data="alpha/9"),
        post(said("pinned"), data="alpha/10", kind="service_message"),
        post(said("c"), data="alpha/2"),
    )
    assert [(one.number, one.runs) for one in found.posts] == [(2, (Run("c"),)), (3, (Run("a"),)), (9, (Run("b"),))]
    assert found.unreadable == 8


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00+00:00", "2026-12-01T12:00:01+00:00", "9999-12-31T23:59:59Z"])
def test_a_time_at_which_no_channel_posted_is_none(moment: str):
    found = read(post(said("a"), data="alpha/3"), post(said("b"), meta=f'<time datetime="{moment}"></time>'))
    assert ([one.number for one in found.posts], found.unread) == ([3], (7,))


def test_a_page_of_as_many_emoji_as_telegram_lets_anybody_write_is_read():
    emoji = '<i class="emoji" style="background-image:url(\'//telegram.org/img/emoji/40/F09F94A5.png\')"><b>🔥</b></i>'
    whole = page(*[post(said(emoji * 4_090 + f" CA {number}"), data=f"alpha/{number}") for number in range(1, 21)])
    found = read_page(whole, "@alpha", now=NOW).page.posts
    assert [one.runs for one in found] == [(Run("🔥" * 4_090 + f" CA {number}"),) for number in range(1, 21)]


def test_a_page_on_which_no_post_can_be_read_has_changed():
    two = [post(said("x"), data=f"alpha/{number}", meta="") for number in (1, 2)]
    assert read(*two) == Page(channel="@alpha", title="Alpha & Co", unreadable=2, unread=(1, 2), first_number=1)
    with pytest.raises(ForeignAnswerError, match="not one of 3"):
        read(*two, post(said("x"), data="alpha/3", meta=""))


NONE = '<div class="tgme_widget_message_wrap"><div class="tme_no_messages_found">No posts found</div></div>'


def test_a_page_without_posts_is_known_by_its_heading():
    for posts in ((), (NONE,)):
        assert read(*posts) == Page(channel="@alpha", title="Alpha & Co")
    by_the_app = post(said("x"), kind="service_message", data="alpha/9")
    assert read(by_the_app) == Page(channel="@alpha", title="Alpha & Co", first_number=9)
    with pytest.raises(ForeignAnswerError, match="has a number"):
        read('<div class="tgme_widget_message_wrap">Alpha 7</div>')
    with pytest.raises(ForeignAnswerError, match="no place"):
        read_page(page().replace(b"tgme_channel_history", b"history"), "@alpha", now=NOW)


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"<html></html>",
        b"<!doctype html><html><title>Just a moment...</title></html>",
        b'{"ok": true}</html>',
        page(post(said("x")), end=""),
        page(post(said("x")))[:-300],
        page(post(said("x"), data="beta/1"), post(said("x"), data="gamma/1")),
        page(post(said("x"), data="beta/1"), name="Gamma"),
        page(post(said("x"), data="what/ever/1")),
        page(name=""),
    ],
    ids=lambda body: body[:24].decode(),
)
def test_a_page_of_somebody_else_says_nothing(foreign: bytes):
    with pytest.raises(ForeignAnswerError):
        read_page(foreign, "@alpha", now=NOW)


@pytest.mark.parametrize(
    "moved",
    [page(post(said("x"), data="Beta/1"), name="Beta"), page(post(said("x"), data="Beta/1")), page(name="Beta")],
)
def test_a_page_under_another_name(moved: bytes):
    with pytest.raises(ChannelClosedError) as error:
        read_page(moved, "@alpha", now=NOW)
    assert (error.value.why, error.value.now) == ("moved", "@beta")


def card(kind: str, inside: str, *, name: str = "Alpha") -> bytes:
    return (
        f"<html><head><title>Telegram: {kind} @{name}</title></head>"
        f'<body><div class="tgme_page">{inside}</div></body></html>'
    ).encode()


SUBSCRIBERS = '<div class="tgme_page_extra">12 402 subscribers</div>'
CONTACT = "If you have <strong>Telegram</strong>, you can contact @alpha right away."


def test_the_card_of_a_name():
    assert read_landing(card("View", SUBSCRIBERS), "@alpha") == "no_preview"
    assert read_landing(card("Contact", CONTACT), "@alpha") == "not_found"
    assert read_landing(card("View", '<a href="tg://join?invite=x">Join</a>'), "@alpha") == "private"
    bare = b"<title>Telegram: Contact @alpha</title></html>"
    offer = card("View", f'{SUBSCRIBERS}<a class="tgme_page_context_link" href="/s/alpha">Preview channel</a>')
    for foreign in (card("Contact", CONTACT, name="beta"), card("Log in", ""), b"", bare, offer):
        with pytest.raises(ForeignAnswerError):
            read_landing(foreign, "@alpha")


ATTRIBUTES = b" ".join(b"a%d=1" % number for number in range(20_000))


@pytest.mark.parametrize(
    "hostile",
    [
        b"<div>" * 300_000,
        b"<b>" * 300_000,
        b"<div " + ATTRIBUTES + b">",
        b'<a b="' * 100_000,
        b"<script>" + b"<i " * 100_000,
        b"<!--" + b"<i " * 100_000,
        b"<p>" + b"".join(b"<b a=%d>" % number for number in range(40)) + b"</p>" + b"<p>x</p>" * 10_000,
        b"<br>" * 50_000,
        b"x" * 11_000_000,
        post("x", data="alpha/1").encode() * (MAX_POSTS + 1),
    ],
    ids=lambda body: body[:12].decode(),
)
def test_pages_beyond_all_bounds_are_not_read(hostile: bytes):
    with pytest.raises(ForeignAnswerError):
        read_page(page(hostile.decode()), "@alpha", now=NOW)


def test_within_the_bounds_much_is_cut():
    deep = MAX_OPEN - 40
    found = read(
        post(said("x" * 1_000_000), data="alpha/1"), post(said("<div>" * deep + "y" + "</div>" * deep), data="alpha/2")
    )
    assert [len(run.text) for one in found.posts for run in one.runs] == [MAX_TEXT, 1]
    assert len(page(post(said("x" * 1_000_000)))) < MAX_BYTES


WORDS = [
    "div",
    "b",
    "a",
    "pre",
    "code",
    "br",
    "p",
    "table",
    "td",
    "svg",
    "script",
    "time",
    "template",
    "blockquote",
    "html",
]
CLASSES = [
    *("tgme_widget_message", "js-message_text", "tgme_widget_message_text", "service_message", "emoji", "tgme_page"),
    *("tgme_widget_message_meta", "tgme_widget_message_forwarded_from", "tgme_widget_message_inline_button"),
    *(
        "tgme_channel_history",
        "tgme_channel_info_header_username",
        "tgme_widget_message_reply",
        "tme_no_messages_found",
    ),
]
SOUP = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["<", ">", "&", '"', "</", "<!--", "-->", "<![CDATA[", "]]>", "&#0;", "&#xd800;", "@alpha", "edited"]
    ),
    st.builds("</{}>".format, st.sampled_from(WORDS)),
    st.builds(
        '<{} class="{} {}" data-post="alpha/{}" href="{}" datetime="{}">'.format,
        st.sampled_from(WORDS),
        st.sampled_from(CLASSES),
        st.sampled_from(CLASSES),
        st.sampled_from(["1", "2", "", "x", "9" * 30, "٣"]),
        st.sampled_from(["https://t.me/alpha/1", "https://[", "tg://x", "//", "\x00"]),
        st.sampled_from(["2026-11-29T09:41:07+00:00", "9999-12-31T23:59:59-14:00", "x", ""]),
    ),
)


@given(soup=st.lists(SOUP, max_size=40), is_within=st.booleans())
def test_no_page_of_any_kind_raises_anything_else(soup: list[str], *, is_within: bool):
    body = "".join(soup).encode("utf-8", "replace")
    body = page(body.decode()) if is_within else body + b"</html>"
    for reading in (lambda: read_page(body, "@alpha", now=NOW), lambda: read_landing(body, "@alpha")):
        try:
            reading()
        except TransientError:
            continue


@given(st.binary(max_size=2_000))
def test_nor_do_any_bytes(body: bytes):
    for whole in (body, body + b"</html>", page("\0").replace(b"\0", body)):
        try:
            read_page(whole, "@alpha", now=NOW)
        except TransientError:
            continue


VISIBLE = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))


@given(st.lists(st.tuples(st.text(VISIBLE, min_size=1, max_size=30), st.booleans()), max_size=8))
def test_text_comes_back_as_it_was(pieces: list[tuple[str, bool]]):
    html = "<br/>".join(f"<code>{escape(text)}</code>" if is_code else escape(text) for text, is_code in pieces)
    found = only(post(said(html), data="alpha/1"))
    assert "".join(run.text for run in found.runs) == "\n".join(text for text, _ in pieces).strip()


@given(st.lists(st.sampled_from(["<i>", "</i>", "<br>", '<a b="c">', "x", "<p/>"]), max_size=60))
def test_bounds_hold_for_short_pages(parts: list[str]):
    assert is_bounded("".join(parts).encode())
