import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.texts.telegram_html import shown, units
from texts.markup import Html, MarkupError, columns, cut, to_plain, utf16_length


@given(st.text(st.characters(codec=None)))
def test_length_is_counted_as_telegram_counts(text: str) -> None:
    assert utf16_length(text) == units(text)


@given(st.text(), st.integers(1, 30))
def test_cut_keeps_a_prefix_within_the_limit(text: str, limit: int) -> None:
    shortened = cut(text, limit)
    assert utf16_length(shortened) <= limit
    assert text == shortened or text.startswith(shortened[:-1])


@pytest.mark.parametrize(
    "html",
    ["plain", "<b>bold <i>both</i></b>", "a &lt;b&gt; &amp; &quot;c&quot;", "<code>x</code>\n<pre>y</pre>"],
)
def test_plain_is_what_a_strict_reader_sees(html: str) -> None:
    assert to_plain(html) == shown(html)


def test_links_and_expandable_quotes_are_known() -> None:
    html = '<a href="https://example.org">here</a> <blockquote expandable>long</blockquote>'
    assert to_plain(html) == "here long"


@pytest.mark.parametrize(
    "html",
    [
        "<b>open",
        "closed</b>",
        "<b><i>crossed</b></i>",
        "<script>x</script>",
        '<b class="x">x</b>',
        '<b href="x">x</b>',
        "1 < 2",
        "2 > 1",
        "you & me",
        "&nbsp;",
        "&#60;",
        '<a href="a"b">x</a>',
        "</b x>",
    ],
)
def test_what_telegram_might_refuse_is_refused(html: str) -> None:
    with pytest.raises(MarkupError):
        to_plain(html)


def test_columns_stand_straight() -> None:
    assert columns([]) == ""
    rows = [(Html("Age"), Html("12m")), (Html("R &amp; D"), Html("&lt; 3"))]
    assert shown(columns(iter(rows))).splitlines() == ["Age    12m", "R & D  < 3"]
    assert columns(rows).startswith("<pre>Age ")
