"""Entities: what the markups become, and what may never happen whatever the input."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.telegram.errors import ApiError
from sandbox.telegram.markup.entities import Entity, as_json, clean, detect, trim, utf16_length
from sandbox.telegram.markup.html import parse_html
from sandbox.telegram.markup.links import LinkError, checked_link, checked_link_or_none
from sandbox.telegram.markup.markdown import parse_markdown_v2
from sandbox.telegram.server import TelegramSandbox
from tests.sandbox.telegram_kit import UNLIMITED, call, started

Parser = Callable[[str], tuple[str, list[Entity]]]

any_text = st.text(st.characters(exclude_categories=["Cs"]))
html_soup = st.lists(
    st.sampled_from(
        [
            "<", ">", "/", "=", '"', "'", "&", ";", " ", "\n", "\0", "b", "a", "href", "<b>", "</b>", "<i>",
            "</i>", "<a href='", "</a>", "<pre>", "</pre>", "<code class='language-py'>", "</code>",
            "<blockquote expandable>",
            "</blockquote>", "<tg-emoji emoji-id='5'>", "</tg-emoji>", "<span class=tg-spoiler>", "</span>", "</>",
            "&lt;", "&#", "&#x1F600;", "&#xD800;", "&#99999999;", "😀", "é", "https://x.com",
        ]
    )
    | any_text
).map("".join)  # fmt: skip
markdown_soup = st.lists(
    st.sampled_from(
        ["_", "__", "*", "~", "||", "`", "```", "```py\n", "[", "]", "(", ")", "](https://x.com)", "![", "\\", ">",
         "\n>", "\n", "**>", "a", "😀", "!", "tg://emoji?id=5", "tg://user?id=5", "."]
    )
    | any_text
).map("".join)  # fmt: skip


def check(plain: str, entities: list[Entity]) -> None:
    end = utf16_length(plain)
    for entity in entities:
        assert entity.offset >= 0
        assert entity.length > 0
        assert entity.end <= end


def parsed(parser: Parser, source: str) -> tuple[str, list[Entity]] | ApiError:
    try:
        return parser(source)
    except ApiError as error:
        return error


@given(source=html_soup | markdown_soup, parser=st.sampled_from([parse_html, parse_markdown_v2]))
def test_markup_is_parsed_or_refused_in_its_own_words(source: str, parser: Parser) -> None:
    result = parsed(parser, source)
    if isinstance(result, ApiError):
        assert result.code == 400
        assert result.description.startswith("Bad Request: can't parse entities: ")
        for offset in re.findall(r"at byte offset (\d+)", result.description):
            assert int(offset) <= len(source.encode())
    else:
        check(*result)
        check(*trim(*result))


@given(any_text)
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert parse_html(html.escape(text, quote=False)) == (text, [])
    plain, entities = parse_html(f"<b>{html.escape(text)}</b>")
    assert plain == text
    assert entities == ([Entity("bold", 0, utf16_length(text))] if text else [])
    escaped = re.sub(r"([_*\[\]()~`>#+\-=|{}.!\\])", r"\\\1", text)
    assert parse_markdown_v2(escaped) == (text, [])


@given(any_text)
def test_utf16_length_is_that_of_the_encoding(text: str) -> None:
    assert utf16_length(text) == len(text.encode("utf-16-le")) // 2


@given(any_text | html_soup)
def test_detected_entities_lie_within_the_text_and_apart(text: str) -> None:
    found = detect(text, [])
    check(text, found)
    for one, other in pairwise(found):
        assert one.end <= other.offset


@given(any_text)
def test_an_address_is_refused_or_written_in_one_way(url: str) -> None:
    checked = checked_link_or_none(url)
    assert checked is None or checked_link(checked) == checked


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("x.com", "http://x.com/"),
        ("HTTPS://X.com:8080?a", "https://x.com:8080/?a"),
        ("TG://Resolve?domain=a", "tg://resolve?domain=a"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1:80/a"),
    ],
)
def test_addresses(url: str, checked: str) -> None:
    assert checked_link(url) == checked


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost", "Wrong HTTP URL"),
        ("http://x.com/a b", "Wrong HTTP URL"),
        ("ftp://x.com", "Unsupported URL protocol"),
        ("javascript:alert(1)", "Wrong HTTP URL"),
        ("http://x.com:99999/", "Wrong port number specified in the URL"),
    ],
)
def test_addresses_that_are_refused(url: str, why: str) -> None:
    with pytest.raises(LinkError) as refusal:
        checked_link(url)
    assert str(refusal.value) == f"URL '{url}' is invalid: {why}"


@pytest.mark.parametrize(
    ("source", "plain", "entities"),
    [
        ("<b>a</b>", "a", [Entity("bold", 0, 1)]),
        ("<STRONG>a</strong >", "a", [Entity("bold", 0, 1)]),
        ("<i>😀</i><em>x</em>", "😀x", [Entity("italic", 0, 2), Entity("italic", 2, 1)]),
        ("<u>a</u><ins>b</ins>", "ab", [Entity("underline", 0, 1), Entity("underline", 1, 1)]),
        ("<s>a</s><del>b</del>", "ab", [Entity("strikethrough", 0, 1), Entity("strikethrough", 1, 1)]),
        ('<span class="tg-spoiler">a</span>', "a", [Entity("spoiler", 0, 1)]),
        ("<tg-spoiler>a</tg-spoiler>", "a", [Entity("spoiler", 0, 1)]),
        ("<code>a&lt;b</code>", "a<b", [Entity("code", 0, 3)]),
        ("<pre>a</pre>", "a", [Entity("pre", 0, 1)]),
        ('<pre><code class="language-py">a</code></pre>', "a", [Entity("pre", 0, 1, language="py")]),
        ("<code class='language-py'>a</code>", "a", [Entity("code", 0, 1)]),
        ("<a href='example.com'>a</a>", "a", [Entity("text_link", 0, 1, url="http://example.com/")]),
        ("<a href='https://x.com/?a=1&amp;b=2'>a</a>", "a", [Entity("text_link", 0, 1, url="https://x.com/?a=1&b=2")]),
        ("<a>example.com</a>", "example.com", [Entity("text_link", 0, 11, url="http://example.com/")]),
        ("<a href='javascript:x'>a</a>", "a", []),
        ("<a href='tg://user?id=5'>a</a>", "a", [Entity("text_mention", 0, 1, user={"id": 5})]),
        ("<tg-emoji emoji-id='536'>👍</tg-emoji>", "👍", [Entity("custom_emoji", 0, 2, custom_emoji_id="536")]),
        ("<blockquote>a</blockquote>", "a", [Entity("blockquote", 0, 1)]),
        ("<blockquote expandable>a</blockquote>", "a", [Entity("expandable_blockquote", 0, 1)]),
        ("a & b &amp; &quot; &nbsp; &#38; &#x26;", 'a & b & " &nbsp; & &', []),
        ("<b></b>x", "x", []),
    ],
)
def test_html(source: str, plain: str, entities: list[Entity]) -> None:
    assert parse_html(source) == (plain, entities)


@pytest.mark.parametrize(
    ("source", "plain", "entities"),
    [
        ("*a*", "a", [Entity("bold", 0, 1)]),
        ("_a_ __b__", "a b", [Entity("italic", 0, 1), Entity("underline", 2, 1)]),
        ("~a~||b||", "ab", [Entity("strikethrough", 0, 1), Entity("spoiler", 1, 1)]),
        ("`a*b`", "a*b", [Entity("code", 0, 3)]),
        ("```\na.b```", "a.b", [Entity("pre", 0, 3)]),
        ("```py\na```", "a", [Entity("pre", 0, 1, language="py")]),
        ("[a](https://x.com/\\))", "a", [Entity("text_link", 0, 1, url="https://x.com/)")]),
        ("[a](tg://user?id=5)", "a", [Entity("text_mention", 0, 1, user={"id": 5})]),
        ("![👍](tg://emoji?id=5)", "👍", [Entity("custom_emoji", 0, 2, custom_emoji_id="5")]),
        (">a\n>b\nc", "a\nb\nc", [Entity("blockquote", 0, 3)]),
        (">a\n>b||", "a\nb", [Entity("expandable_blockquote", 0, 3)]),
        ("*_a_*", "a", [Entity("italic", 0, 1), Entity("bold", 0, 1)]),
        ("\\*a\\.", "*a.", []),
    ],
)
def test_markdown_v2(source: str, plain: str, entities: list[Entity]) -> None:
    assert parse_markdown_v2(source) == (plain, entities)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/start now", [("bot_command", "/start")]),
        ("try /top@some_bot, or/not", [("bot_command", "/top@some_bot")]),
        ("1/2 and a//b", []),
        ("@ann_b see https://x.com/a. ok", [("mention", "@ann_b"), ("url", "https://x.com/a")]),
        (
            "dexscreener.com/sol?x=1, #gem $BONK #1",
            [("url", "dexscreener.com/sol?x=1"), ("hashtag", "#gem"), ("cashtag", "$BONK")],
        ),
        ("mail a.b@c.io", [("email", "a.b@c.io")]),
        ("$1.5k up 2.5x", []),
        ("😀 /start", [("bot_command", "/start")]),
    ],
)  # fmt: skip
def test_what_telegram_finds_by_itself(text: str, found: list[tuple[str, str]]) -> None:
    raw = text.encode("utf-16-le")
    seen = [(each.type, raw[each.offset * 2 : each.end * 2].decode("utf-16-le")) for each in detect(text, [])]
    assert seen == found


def test_nothing_is_found_inside_code_and_links() -> None:
    marked = [Entity("code", 0, 11)]
    assert detect("example.com", marked) == marked


def test_hostile_characters_are_taken_out() -> None:
    assert clean("a\u202eb\u2028c\0d\re\tf\ng") == "abc de f\ng"


def test_entities_are_trimmed_with_the_text() -> None:
    assert trim("  a  ", []) == ("a", [])
    assert trim("  a b  ", [Entity("bold", 2, 5)]) == ("a b", [Entity("bold", 0, 3)])
    assert as_json([Entity("bold", 0, 3)]) == [{"type": "bold", "offset": 0, "length": 3}]


async def test_overlapping_entities_are_settled_as_telegram_does() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        for text, kinds in (
            ("<code><b>a</b></code>", ["code"]),
            ("<b><code>a</code></b>", ["code"]),
            ("<b>x<code>a</code>y</b>", ["bold", "code", "bold"]),
            ("<blockquote>x<code>a</code></blockquote>", ["blockquote", "code"]),
            ("<a href='https://x.com'>x<code>a</code></a>", ["text_link"]),
            ("<a href='tg://user?id=5'>stranger</a>", []),
            (f"<a href='tg://user?id={ann.id}'>Ann</a> x.com", ["text_mention", "url"]),
        ):
            answer = await call(telegram, "sendMessage", chat_id=ann.id, text=text, parse_mode="HTML")
            assert [each["type"] for each in answer["result"].get("entities", [])] == kinds
