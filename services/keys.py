"""Every key in Redis: what it means, what it is, how long it lives. No other file spells one.

Parts come from outside (a token address, a channel's name); `:` inside a part is quoted, so that no name of
one thing can be read as the name of another.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S
DAY_S: Final = 24 * HOUR_S


class RedisKey(Struct, frozen=True, kw_only=True):
    pattern: str
    """`{}` stands for a part."""
    kind: Literal["string", "hash", "set", "stream"]
    lives_s: int | None
    """Seconds until it expires; `None` is for ever."""
    meaning: str

    def of(self, *parts: str | int) -> str:
        """Return the key of one thing. As many parts as the pattern has, or `IndexError`."""
        return self.pattern.format(*(_quoted(part) for part in parts))

    @property
    def expires_s(self) -> int:
        """The lifetime of a key that has one."""
        if self.lives_s is None:
            raise RuntimeError(f"{self.pattern} never expires")
        return self.lives_s


SUBSCRIBER: Final = RedisKey(
    pattern="subscriber:{}",
    kind="string",
    lives_s=None,
    meaning="By user id: the subscriber's document (JSON of domain.subscribers.Subscriber).",
)
SUBSCRIBERS: Final = RedisKey(
    pattern="subscribers",
    kind="set",
    lives_s=None,
    meaning="The user ids of all subscriber documents: nobody has to walk the database for them.",
)
ACCEPTED_TOKEN: Final = RedisKey(
    pattern="processed_token:{}:{}",
    kind="string",
    lives_s=14 * DAY_S,
    meaning="By token address and user id: this user gets (or got) his alert for this token. "
    "JSON {timestamp, channels_checked, status, channels_called_at}.",
)
REJECTED_TOKEN: Final = RedisKey(
    pattern="processed_token:{}",
    kind="string",
    lives_s=HOUR_S,
    meaning="By token address, once for all users: the channels whose calls of it were already held against "
    "everybody's filters. JSON as for an accepted token.",
)
CHANNEL_INFO: Final = RedisKey(
    pattern="channel:{}:info",
    kind="string",
    lives_s=30 * MINUTE_S,
    meaning="By channel id: what the source says about the channel (JSON of domain.calls.Channel).",
)
CALL: Final = RedisKey(
    pattern="call:{}",
    kind="string",
    lives_s=14 * DAY_S,
    meaning="By call id: the call as it was decided (JSON of domain.calls.Call), for the card and what "
    "follows it. Kept only when somebody gets an alert for it.",
)
CLAIM_REPLY: Final = RedisKey(
    pattern="claim:{}",
    kind="string",
    lives_s=5 * MINUTE_S,
    meaning="By digest of a batch of claims: what it was answered, so that asking again after a lost reply "
    "gets the same answer. Kept only when something was accepted.",
)
FEED_CURSOR: Final = RedisKey(
    pattern="feed:{}:cursor",
    kind="string",
    lives_s=None,
    meaning="By source: everything up to this position is decided; a restarted feed goes on from here.",
)
OUTBOX: Final = RedisKey(
    pattern="outbox",
    kind="stream",
    lives_s=None,
    meaning="Alerts that wait for a sender (JSON of services.outbox.Alert). An entry goes when its outcome is known.",
)
IN_FLIGHT: Final = RedisKey(
    pattern="outbox:in_flight",
    kind="hash",
    lives_s=None,
    meaning="By outbox entry: a request for it left at this time (ms) and its outcome is not known yet.",
)
DEAD_LETTERS: Final = RedisKey(
    pattern="outbox:dead",
    kind="stream",
    lives_s=None,
    meaning="Alerts that can never be delivered, each with the reason.",
)
JOURNAL: Final = RedisKey(
    pattern="journal",
    kind="stream",
    lives_s=None,
    meaning="Changes on their way to PostgreSQL; an entry goes when it is committed there.",
)
EXPECTED_INPUT: Final = RedisKey(
    pattern="input:{}",
    kind="string",
    lives_s=10 * MINUTE_S,
    meaning="By user id: which question the user's next text message answers.",
)

ALL_KEYS: Final = (
    SUBSCRIBER,
    SUBSCRIBERS,
    ACCEPTED_TOKEN,
    REJECTED_TOKEN,
    CHANNEL_INFO,
    CALL,
    CLAIM_REPLY,
    FEED_CURSOR,
    OUTBOX,
    IN_FLIGHT,
    DEAD_LETTERS,
    JOURNAL,
    EXPECTED_INPUT,
)


def _quoted(part: str | int) -> str:
    text = str(part)
    if "%" in text or ":" in text:
        return text.replace("%", "%25").replace(":", "%3A")
    return text
