"""What an admin types: a text with tags of ours, and a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.broadcasts.times import LATEST, read_moment
from runtime.errors import UserFacingError
from services.broadcasts.markup import MAX_UTF16, read_markup
from texts.markup import to_plain, utf16_length

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PIECES = (
    *(
        "<b>",
        "</b>",
        "<i>",
        "</i>",
        "<b >",
        '<a href="https://x.example/?a=1&b=2">',
        "</a>",
        "<script>",
        "&lt;",
        "&",
        "<",
    ),
    *(
        "<blockquote expandable>",
        "</blockquote>",
        "<B>",
        "text ",
        "\n",
        "\u202e",
        "👩\u200d🚀",
        '"',
        "&amp;lt;",
        "<b >",
        "<b >",
    ),
)


@pytest.mark.parametrize(
    ("typed", "html"),
    [
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("<b>Hi</b>\n there", "<b>Hi</b>\n there"),
        ("<B>Hi</b>", "<b>Hi</b>"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("&lt;b&gt; &copy;", "&lt;b&gt; &amp;copy;"),
        ('<a href="https://x.example/?a=1&b">x</a>', '<a href="https://x.example/?a=1&amp;b">x</a>'),
        ("a\u202eb\x00c\u200bd", "abcd"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("<b onclick=x>y", "&lt;b onclick=x&gt;y"),
    ],
)
def test_our_tags_are_meant_and_all_else_is_text(typed: str, html: str) -> None:
    assert read_markup(typed) == html


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("<a href='http://x.example'>x</a>", "broadcast.link"),
        ('<a  href="https://x.example" >x</a>', "broadcast.link"),
        ("", "broadcast.empty"),
        ("<b> </b>", "broadcast.empty"),
        ("<b>x", "broadcast.never_closed"),
        ("x</b>", "broadcast.closes_nothing"),
        ("<b><i>x</b></i>", "broadcast.closes_nothing"),
        ("<a>x</a>", "broadcast.link"),
        ('<a href="http://x.example">x</a>', "broadcast.link"),
        ('<a href="javascript:x">x</a>', "broadcast.link"),
        ('<a href="https://exаmple.com">x</a>', "broadcast.link"),
        ('<b href="https://x.example">x</b>', "broadcast.attribute"),
        ("<b expandable>x</b>", "broadcast.attribute"),
        ("<b>" * 9 + "x" + "</b>" * 9, "broadcast.too_deep"),
        ("x" * (MAX_UTF16 + 1), "broadcast.too_long"),
        ("🚀" * (MAX_UTF16 // 2 + 1), "broadcast.too_long"),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_do(typed: str, key: str) -> None:
    with pytest.raises(UserFacingError) as refused:
        read_markup(typed)
    assert refused.value.key == key


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=20).map("".join))
def test_whatever_is_typed_telegram_takes_it_or_it_is_refused(typed: str) -> None:
    try:
        html = read_markup(typed)
    except UserFacingError:
        return
    assert to_plain(html).strip()
    assert utf16_length(to_plain(html)) <= MAX_UTF16
    assert read_markup(html) == html or "&amp;" in html


@pytest.mark.parametrize(
    ("typed", "zone", "at"),
    [
        ("18:00", "UTC", datetime(2026, 11, 20, 18, tzinfo=UTC)),
        ("18.00", "Europe/Berlin", datetime(2026, 11, 20, 17, tzinfo=UTC)),
        ("9:30", "UTC", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
        ("Tomorrow 18:00", "UTC", datetime(2026, 11, 21, 18, tzinfo=UTC)),
        ("today at 18:00", "UTC", datetime(2026, 11, 20, 18, tzinfo=UTC)),
        ("2026-12-24 18:00", "America/New_York", datetime(2026, 12, 24, 23, tzinfo=UTC)),
        ("in 2h", "UTC", datetime(2026, 11, 20, 14, tzinfo=UTC)),
        ("in 90 min", "UTC", datetime(2026, 11, 20, 13, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_on_the_clock_of_who_typed_it(typed: str, zone: str, at: datetime) -> None:
    assert read_moment(typed, NOW, zone) == at


@pytest.mark.parametrize(
    "typed",
    ["", "soon", "25:00", "2026-02-30 10:00", "in x", "18", "in 0h", "today 11:00", "2020-01-01 10:00", "in 9999d"],
)
def test_what_is_no_time_to_come_is_refused(typed: str) -> None:
    with pytest.raises(UserFacingError, match="moment"):
        read_moment(typed, NOW, "UTC")


@given(st.text(max_size=30) | st.from_regex(r"(in )?\d{1,6}[hmd:.]\d{0,2}", fullmatch=True))
def test_whatever_is_typed_is_a_time_to_come_or_refused(typed: str) -> None:
    try:
        at = read_moment(typed, NOW, "Pacific/Apia")
    except UserFacingError:
        return
    assert NOW - timedelta(seconds=1) < at <= NOW + LATEST
