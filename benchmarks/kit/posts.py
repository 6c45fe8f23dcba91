"""Posts of channels, understood: how fast on one core, and how well, file by file of the corpus.

Beside it what most bots do: the first word of the text or of a link that looks like an address is a call.
"""

from __future__ import annotations

import re
from collections.abc import Container
from time import process_time
from typing import Final

from benchmarks.kit.report import Row, at_least, for_comparison
from domain.posts.keys import Key, key_of
from domain.posts.post import Post
from domain.posts.understanding import NamedToken, Understood, understand
from tests.posts.corpus import reading

POSTS_PER_SECOND: Final = 2_000.0
PRECISION = RECALL = 0.97

_LOOKS_LIKE_IT: Final = re.compile(r"0x[0-9a-fA-F]{40}|[1-9A-HJ-NP-Za-km-z]{32,44}")


def rows(measured_s: float) -> list[Row]:
    """Fill `measured_s` seconds of this core with posts of the corpus, one after the other."""
    files = reading.files()
    posts = [reading.post_of(written) for found in files.values() for written in found]
    longest_s, rate = _speed(posts, measured_s)
    result = [
        at_least("parser: posts on one core", rate, "/s", POSTS_PER_SECOND),
        for_comparison("parser: the slowest post of the corpus", longest_s * 1e3, "ms"),
    ]
    for name, found in files.items():
        score = reading.score(found)
        other = reading.score(found, _by_looks)
        what = f"posts written {name}" if name != "everyday" else "everyday posts"
        result += [
            for_comparison(f"{what}: how many, of which calls", score.posts, f"({score.true})"),
            at_least(f"{what}: precision", score.precision, "", PRECISION),
            at_least(f"{what}: recall", score.recall, "", RECALL),
            for_comparison(f"{what}: precision of a pattern alone", other.precision, ""),
            for_comparison(f"{what}: recall of a pattern alone", other.recall, ""),
        ]
    return result


def _speed(posts: list[Post], measured_s: float) -> tuple[float, float]:
    """The slowest post at its best, and posts a second; in processor time, so neighbours do not count."""
    best = [float("inf")] * len(posts)
    began = process_time()
    read = 0
    while process_time() - began < measured_s:
        for number, post in enumerate(posts):
            before = process_time()
            understand(post)
            best[number] = min(best[number], process_time() - before)
        read += len(posts)
    return max(best), read / (process_time() - began)


def _by_looks(post: Post, *, earlier: Container[str], before: Understood | None = None) -> Understood:
    del before
    everything = [run.text for run in post.runs] + [run.link or "" for run in post.runs]
    found = _LOOKS_LIKE_IT.search(" ".join([*everything, *(button.target for button in post.buttons)]))
    key = key_of(found.group()) if found else None
    if not isinstance(key, Key) or key.address in earlier:
        return Understood(verdict="none", reason="no_token")
    chain = "solana" if key.family == "solana" else None
    token = NamedToken(key.address, chain, is_pool=False, found="bare_address", called_at=post.posted_at, is_first=True)
    return Understood(verdict="call", reason="bare_address", tokens=(token,))
