from __future__ import annotations

import re
from pathlib import Path

import pytest

import sandbox.telegram

PAGE = Path(sandbox.telegram.__file__).resolve().parent / "page"
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
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
    for path in FILES:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.search(r"[\"'(`](?:https?:)?//[a-z0-9]", text) is None, path.name


def test_every_file_that_is_referred_to_exists():
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    wanted = {PAGE / name for name in re.findall(r"/page/([\w./-]+)", page)}
    for script in SCRIPTS:
        imported = re.findall(r'from "(\.[\w./-]+)"', script.read_text(encoding="utf-8"))
        wanted |= {(script.parent / name).resolve() for name in imported}
    assert wanted | {PAGE / "index.html"} == set(FILES)
