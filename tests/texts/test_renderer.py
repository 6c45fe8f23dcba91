from pathlib import Path

import pytest
from hypothesis import given

from runtime.errors import FatalError
from tests.texts.hostile import hostile_text
from tests.texts.telegram_html import assert_harmless, assert_sendable, parse, shown
from texts import Texts
from texts.markup import Html


def write(directory: Path, language: str, content: str) -> None:
    folder = directory / language
    folder.mkdir(exist_ok=True)
    (folder / f"{len(list(folder.iterdir()))}.toml").write_text(content, encoding="utf-8")


@pytest.fixture
def texts(tmp_path: Path) -> Texts:
    write(
        tmp_path,
        "en",
        """
        "number" = "{count} {count:call waits|calls wait}"
        "greet" = "Hello <b>{name:10}</b>!"
        "wrap" = "{inner:html} and {outer}"
        "address" = "<code>{address}</code> {address}"
        "family.market_cap" = "Market cap & more"
        """.replace("cap &", "cap &amp;"),
    )
    write(tmp_path, "en", '"second.file" = "two"')
    write(
        tmp_path,
        "de",
        """
        "number" = "{count} {count:Ruf wartet|Rufe warten}"
        "greet" = "Hallo <b>{name:10}</b>!"
        "wrap" = "{inner:html} und {outer}"
        "address" = "<code>{address}</code> {address}"
        "family.market_cap" = "Marktwert"
        "second.file" = "zwei"
        """,
    )
    return Texts.load(tmp_path)


def test_arguments_are_escaped_and_bounded(texts: Texts) -> None:
    assert texts.render("greet", name="<i>") == "Hello <b>&lt;i&gt;</b>!"
    assert texts.render("greet", name="abcdefghijklm") == "Hello <b>abcdefghi…</b>!"


def test_what_the_renderer_made_is_not_escaped_again(texts: Texts) -> None:
    inner = texts.render("greet", name="Ann")
    assert texts.render("wrap", inner=inner, outer="&") == "Hello <b>Ann</b>! and &amp;"


def test_rendered_and_outside_text_cannot_be_mistaken(texts: Texts) -> None:
    with pytest.raises(TypeError):
        texts.render("wrap", inner="<b>from outside</b>", outer="")
    with pytest.raises(TypeError):
        texts.render("greet", name=Html("<b>rendered</b>"))


def test_copyable_text_is_left_as_it_is(texts: Texts) -> None:
    copyable, elsewhere = shown(texts.render("address", address="a.b/c")).split(" ")
    assert copyable == "a.b/c"
    assert elsewhere != "a.b/c"


def test_a_word_fits_its_number(texts: Texts) -> None:
    assert [texts.plain("number", count=count) for count in (0, 1, 2, "1", "1,001", "≥1")] == [
        "0 calls wait",
        "1 call waits",
        "2 calls wait",
        "1 call waits",
        "1,001 calls wait",
        "≥1 calls wait",
    ]


def test_languages_fall_back(texts: Texts) -> None:
    assert texts.render("second.file", "de") == "zwei"
    assert texts.render("second.file", "de-AT") == "zwei"
    assert texts.render("second.file", "xx") == "two"
    assert texts.render("second.file", "") == "two"


def test_plain_and_labels(texts: Texts) -> None:
    assert texts.plain("greet", name="<i>") == "Hello <i>!"
    assert texts.label("family", "market_cap") == "Market cap & more"
    assert texts.label("family", "market_cap", "de") == "Marktwert"
    assert texts.label("family", "new_field_s") == "New field s"


def test_missing_keys_and_arguments_are_errors(texts: Texts) -> None:
    with pytest.raises(KeyError):
        texts.render("nothing")
    with pytest.raises(KeyError):
        texts.render("greet")
    with pytest.raises(FatalError, match="no text 'nothing'"):
        texts.check(("greet", "nothing"))


@given(name=hostile_text)
def test_hostile_arguments_never_break_a_text(name: str) -> None:
    html = Texts.load().render("start.back", name=name, state=Html("on"))
    assert_sendable(html)
    assert_harmless(html)
    assert parse(html).tags == ["b"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('"a" = "<b>{x}"', "never closed"),
        ('"a" = "<script>x</script>"', "not a tag"),
        ('"a" = "{x.__class__}"', "not a plain name"),
        ('"a" = "{x!r}"', "not a plain name"),
        ('"a" = "{}"', "not a plain name"),
        ('"a" = "{x"', "'a'"),
        ('"a" = "{x:>10}"', "length or in html"),
        ('"a" = "{x:0}"', "length or in html"),
        ('"a" = "{x:call|}"', "two words"),
        ('"a" = "{x:a|b|c}"', "two words"),
        ('"a" = "{x:<b>|b}"', "two words"),
        ('"a" = "<a href=\\"{x}\\">y</a>"', "unescaped"),
        ('"a" = ""', "is empty"),
        ('"a" = 1', "not a string"),
        ("a.b = 'nested'", "not a string"),
        ('"a" = ', "0.toml"),
    ],
)
def test_a_broken_text_is_refused_at_start(tmp_path: Path, content: str, problem: str) -> None:
    write(tmp_path, "en", content)
    with pytest.raises(FatalError, match=problem):
        Texts.load(tmp_path)


def test_all_problems_are_reported_together(tmp_path: Path) -> None:
    write(tmp_path, "en", '"a" = "<b>"\n"b" = "{"')
    write(tmp_path, "en", '"c" = "fine"')
    write(tmp_path, "en", '"c" = "again"')
    with pytest.raises(FatalError) as refused:
        Texts.load(tmp_path)
    assert all(f"'{key}'" in str(refused.value) for key in "abc")


def test_every_language_says_the_same(tmp_path: Path) -> None:
    write(tmp_path, "en", '"a" = "{x}"\n"b" = "b"')
    write(tmp_path, "de", '"a" = "{y}"\n"c" = "c"')
    with pytest.raises(FatalError) as refused:
        Texts.load(tmp_path)
    assert all(f"'{key}'" in str(refused.value) for key in "abc")


def test_english_is_needed(tmp_path: Path) -> None:
    write(tmp_path, "de", '"a" = "a"')
    with pytest.raises(FatalError, match="'en'"):
        Texts.load(tmp_path)
