"""What became of a channel's posts, by reason; and whether its silence is odd enough to tell somebody."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

from domain.posts.reasons import Reason
from domain.posts.understanding import Understood

CHANCE: Final = 0.001
"""So unlikely has a silence to be, by the channel's own habit."""
MIN_CALLS: Final = 5
"""Fewer are no habit."""
MIN_POSTS: Final = 10
MIN_NEAR_MISSES: Final = 3


class PostCounts:
    """Of one channel, as long as somebody keeps it. Each post is counted once; of edits see `edited`."""

    def __init__(self) -> None:
        self.posts = 0
        self.calls = 0
        self.reasons: Counter[Reason] = Counter()
        self.posts_since_call = 0
        self.near_misses: Counter[Reason] = Counter()
        """Since the last call, by reason."""

    def take(self, understood: Understood, *, has_called: bool = False) -> None:
        """`has_called`: whatever the post says by now, an earlier reading of it called."""
        self.posts += 1
        self.reasons[understood.reason] += 1
        if has_called or understood.verdict == "call":
            self.calls += 1
            self._called()
            return
        self.posts_since_call += 1
        if understood.is_near_miss:
            self.near_misses[understood.reason] += 1

    def edited(self, before: Understood, after: Understood) -> None:
        """Take a post that was taken already as it reads now: many channels insert the address by an edit."""
        if after.verdict == "call":
            self.calls += before.verdict != "call"
            self._called()

    def _called(self) -> None:
        self.posts_since_call = 0
        self.near_misses.clear()

    def posts_but_no_calls(self) -> Reason | None:
        """The commonest near miss of a channel that used to call and only posts now; `None` while nothing is odd."""
        misses = self.near_misses.total()
        if self.calls < MIN_CALLS or self.posts_since_call < MIN_POSTS or misses < MIN_NEAR_MISSES:
            return None
        share = self.calls / (self.posts - self.posts_since_call)
        silence = self.posts_since_call * math.log1p(-min(share, 0.99))
        return self.near_misses.most_common(1)[0][0] if silence < math.log(CHANCE) else None
