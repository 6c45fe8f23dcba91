from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.feed.sources.base import venue
from managers.feed.sources.links import media_link, telegram_handle, web_link, x_handle
from sandbox.market.traits import HOSTILE_LINKS

ALPHABET = "abc/:@.?#[]%&=<>\"'\\ +_-\n\u202e"


@pytest.mark.parametrize(
    "link", ["https://a.example", "http://a.example:8080/b?c=d#e", "https://x.com/i/communities/1"]
)
def test_a_link_stays_as_it_is(link: str):
    assert web_link(link) == media_link(link) == link


@pytest.mark.parametrize(
    "link",
    [
        *HOSTILE_LINKS,
        "https://",
        "https:///path",
        "//a.example",
        "a.example",
        " https://a.example",
        "https://a.example/\n",
        "https://a.example/ü",
        "https://a.example:port/",
        "https://a.example:99999/",
        "https://user:password@a.example/",
        5,
        True,
        ["https://a.example"],
        {},
    ],
)
def test_what_is_no_link_is_unknown(link: object):
    assert web_link(link) is None
    assert media_link(link) is None


def test_that_there_is_none_is_an_answer():
    assert (web_link(""), x_handle(""), telegram_handle("")) == ("", "", "")
    assert (web_link(None), x_handle(None), telegram_handle(None), media_link("")) == (None, None, None, None)


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ("otter", "otter"),
        ("@Otter_1", "Otter_1"),
        ("https://x.com/otter", "otter"),
        ("https://www.twitter.com/@otter/status/1?s=20", "otter"),
        ("https://mobile.twitter.com/otter/", "otter"),
        ("https://x.com/i/communities/1928374", "i/communities/1928374"),
        ("i/communities/1928374", "i/communities/1928374"),
        ("otter/status/1", None),
        ("https://x.com/i/lists/1", None),
        ("https://x.com/intent/tweet?text=a", None),
        ("https://x.com/search?q=otter", None),
        ("https://x.com/", None),
        ("https://x.com.evil.example/otter", None),
        ("https://evil.example/x.com/otter", None),
        ("sixteen_letters_", None),
        ("two words", None),
        ("otter\n", None),
        (7, None),
    ],
)
def test_handles_on_x(text: object, handle: str | None):
    assert x_handle(text) == handle


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ("otter_chat", "otter_chat"),
        ("@otter_chat", "otter_chat"),
        ("https://t.me/otter_chat", "otter_chat"),
        ("https://t.me/s/otter_chat/12", "otter_chat"),
        ("https://telegram.me/otter_chat?start=1", "otter_chat"),
        ("https://t.me/+AbCd_ef-12", "+AbCd_ef-12"),
        ("https://t.me/joinchat/AbCd_ef-12", "joinchat/AbCd_ef-12"),
        ("https://t.me/", None),
        ("+AbCd_ef-12", "+AbCd_ef-12"),
        ("https://t.me/joinchat", None),
        ("https://t.me/share/url?url=a", None),
        ("https://t.me/otter-chat", None),
        ("https://t.me/1abc", None),
        ("https://t.me.evil.example/otter_chat", None),
        ("tg://resolve?domain=otter_chat", None),
        ("abc", None),
        (None, None),
    ],
)
def test_names_on_telegram(text: object, handle: str | None):
    assert telegram_handle(text) == handle


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Pump.fun", "pump.fun"),
        ("a" * 40, "a" * 40),
        ("a" * 41, None),
        ("", None),
        (".x", None),
        ("K\u212a", None),
        (3, None),
    ],
)
def test_names_of_places(text: object, name: str | None):
    assert venue(text) == name


@given(st.text(ALPHABET, max_size=40) | st.text(max_size=40).map("https://x.com/".__add__) | st.text(max_size=600))
def test_whatever_comes_out_is_safe_and_stays_itself(text: str):
    for read in (web_link, x_handle, telegram_handle):
        found = read(text)
        if found:
            assert found.isascii()
            assert found.isprintable()
            assert not set(found) & set(" \"'<>\\")
            assert read(found) == found
    link = web_link(text)
    assert link in {text, None}
