from __future__ import annotations

import re
from pathlib import Path

import pytest

import sandbox.telegram

PAGE = Path(sandbox.telegram.__file__).parent / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
MARKUP_FROM_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|\beval\(|new Function"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_stay_small_and_never_parse_markup(script: Path):
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert MARKUP_FROM_TEXT.search(text) is None


def test_the_page_needs_nothing_that_its_content_policy_refuses():
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text) is None


def test_the_page_asks_no_other_host():
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.search(r"[\"'(`](?:https?:)?//[a-z0-9]", text) is None, path.name


def test_every_file_that_is_referred_to_exists():
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    wanted = set(re.findall(r"/page/([\w.-]+)", page))
    for script in SCRIPTS:
        wanted |= set(re.findall(r'from "\./([\w.-]+)"', script.read_text(encoding="utf-8")))
    assert wanted | {"index.html"} == {path.name for path in PAGE.iterdir()}
