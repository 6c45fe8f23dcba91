"""The golden corpus: every post is understood as it is meant, also when it is dressed up in ways that mean nothing."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from domain.posts.post import Button, Post, Run
from domain.posts.reasons import REASONS
from domain.posts.shown import MAX_RUNS
from domain.posts.understanding import Understood, understand
from tests.posts.corpus import reading
from tests.posts.corpus.reading import EDITED, POSTED, Written

FILES: Final = reading.files()
POSTS: Final = [
    pytest.param(written, id=f"{name}-{number}-{written.style}".replace(" ", "_"))
    for name, posts in FILES.items()
    for number, written in enumerate(posts)
]
CALLS: Final = [one for posts in FILES.values() for one in posts if one.is_ == "call" and one.before is None]


def test_the_corpus_is_large_and_of_many_styles() -> None:
    posts = [one for found in FILES.values() for one in found]
    assert len(posts) >= 150
    assert len({one.style for one in posts}) >= 12
    assert {one.is_ for one in posts} == {"call", "update", "none"}


@pytest.mark.parametrize("written", POSTS)
def test_a_post_is_understood(written: Written) -> None:
    understood = reading.read(written)
    assert (understood.verdict, understood.reason) == (written.is_, written.reason or understood.reason)
    assert understood.reason in REASONS
    if written.is_ == "none":
        assert understood.tokens == ()
    elif written.is_ == "call" or written.tokens or written.pools:
        assert {(token.address, token.is_pool) for token in understood.tokens} == reading.named(written)
    if written.chain is not None and understood.tokens:
        assert {token.chain or "any" for token in understood.tokens} == {written.chain}


@pytest.mark.parametrize("written", POSTS)
def test_what_a_post_states_is_read(written: Written) -> None:
    stated = reading.read(written).stated
    for expected, found in (
        (written.cap, stated.market_cap_usd),
        (written.price, stated.price_usd),
        (written.liquidity, stated.liquidity_usd),
    ):
        assert expected is None or found == pytest.approx(expected)
    assert written.symbol in {None, stated.symbol}


def named(understood: Understood) -> tuple[str, set[tuple[str, str | None]]]:
    return understood.verdict, {(token.address, token.chain) for token in understood.tokens}


def dressed(post: Post, *, runs: tuple[Run, ...] | None = None, buttons: tuple[Button, ...] = ()) -> Post:
    return Post(
        channel=post.channel,
        number=post.number,
        runs=post.runs if runs is None else runs,
        buttons=(*post.buttons, *buttons),
        posted_at=POSTED,
    )


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("written", CALLS, ids=lambda one: one.style)
def test_what_means_nothing_changes_nothing(written: Written) -> None:
    post = reading.post_of(written)
    earlier = frozenset(map(reading.filled, written.earlier))
    plain = named(understand(post, earlier=earlier))
    size = -(-sum(len(run.text) for run in post.runs) // (MAX_RUNS - len(post.runs)))
    invite = Run("VIP", link="https://t.me/+abcdefgh")
    for other in (
        dressed(
            post,
            runs=(*post.runs, Run("\n\nNot financial advice. "), invite, Run(" | "), Run("X", link="https://x.com/me")),
        ),
        dressed(post, runs=(Run("🔥 "), *post.runs, Run(" 🔥"))),
        dressed(
            post, runs=tuple(Run("\u200b".join(run.text), is_code=run.is_code, link=run.link) for run in post.runs)
        ),
        dressed(
            post,
            runs=tuple(Run(run.text.replace("\n", "\r\n"), is_code=run.is_code, link=run.link) for run in post.runs),
        ),
        dressed(
            post, buttons=(Button("Join", "https://t.me/+abcdefgh"), Button("Bot", "https://t.me/bot?start=ref_1"))
        ),
        dressed(
            post,
            runs=tuple(
                Run(piece, is_code=run.is_code, link=run.link) for run in post.runs for piece in pieces(run.text, size)
            ),
        ),
    ):
        assert named(understand(other, earlier=earlier)) == plain


@pytest.mark.parametrize("written", CALLS, ids=lambda one: one.style)
def test_what_was_called_is_called_no_second_time(written: Written) -> None:
    once = reading.read(written)
    again = understand(reading.post_of(written), earlier={token.address for token in once.tokens})
    assert again.verdict in {"update", "none"}
    assert not again.calls


def test_an_address_that_was_inserted_is_called_when_it_was() -> None:
    by_before = {
        one.before: reading.read(one) for one in FILES["after"] if one.before is not None and one.is_ == "call"
    }
    inserted = by_before["CA in a minute, be ready $QUICK"]
    assert [token.called_at for token in inserted.calls] == [EDITED]
    second = by_before["{mint29}"]
    assert [(token.called_at, token.is_first) for token in second.tokens] == [(POSTED, False), (EDITED, True)]
    assert [token.called_at for token in second.calls] == [EDITED]


def test_of_an_edit_that_nobody_dates_only_what_was_read_before_says_when() -> None:
    """A page that was not read for long must not make a late call a fresh one."""
    text = "CA: 7GCihgDB8fe6KNjn2MYtkzZcRjQy3t9GHdC8uHYmW2hr"
    shown = Post(channel="@a", number=1, runs=(Run(text),), posted_at=POSTED, edited_at=EDITED, is_edit_dated=False)
    teaser = understand(replace(shown, runs=(Run("CA in a minute"),), edited_at=None))
    unread = Understood(verdict="none", reason="unreadable")
    for before, called_at in ((None, POSTED), (unread, POSTED), (teaser, EDITED)):
        assert [token.called_at for token in understand(shown, before=before).calls] == [called_at]
    dated = replace(shown, is_edit_dated=True)
    assert [token.called_at for token in understand(dated).calls] == [EDITED]


def test_a_forwarded_post_keeps_where_it_comes_from() -> None:
    forwarded = [reading.read(one) for one in FILES["before"] if one.forwarded]
    assert [one.forwarded_from and one.forwarded_from.channel for one in forwarded] == ["alphadog"]


@pytest.mark.parametrize("name", FILES)
def test_calls_of_every_file_are_found(name: str) -> None:
    score = reading.score(FILES[name])
    assert (score.precision, score.recall) >= (0.97, 0.97), score.wrong
