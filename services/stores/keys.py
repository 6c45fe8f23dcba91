"""Every key in Redis: what it means, what it is, how long it lives. No other file spells one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.calls.lifetimes import ACCEPTED_FOR, REJECTED_FOR
from domain.stored.outgoing import Envelope
from runtime.clock import milliseconds
from services.stores.redis_key import DAY_S, HOUR_S, MINUTE_S, RedisKey

ACCEPTED_S: Final = int(ACCEPTED_FOR.total_seconds())


SUBSCRIBER: Final = RedisKey(
    pattern="subscriber:{}",
    kind="string",
    lives_s=None,
    meaning="By user id: the subscriber's document (JSON of domain.subscribers.subscriber.Subscriber).",
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
    lives_s=ACCEPTED_S,
    meaning="By token address and user id: this user gets (or got) an alert for this token. It ends 14 days after the "
    "decision, however late it was written. "
    "JSON {timestamp, channels_checked, status, channels_called_at, call_id}.",
)
REJECTED_TOKEN: Final = RedisKey(
    pattern="processed_token:{}",
    kind="hash",
    lives_s=int(REJECTED_FOR.total_seconds()),
    meaning="By token address, once for all users: the channels whose calls of it were already held against "
    "everybody's filters. Fields `timestamp`, `status` and, per channel, `channel:{id}` with the time of its call.",
)
CHANNEL_INFO: Final = RedisKey(
    pattern="channel:{}:info",
    kind="string",
    lives_s=30 * MINUTE_S,
    meaning="By channel id: what the source says of it, else our own record (JSON of domain.calls.events.Channel).",
)
CHANNEL_RECORD: Final = RedisKey(
    pattern="channel:{}:record",
    kind="string",
    lives_s=30 * DAY_S,
    meaning="By channel id: our own record (JSON of domain.calls.events.Channel); PostgreSQL has it in `records`.",
)
CALL: Final = RedisKey(
    pattern="call:{}",
    kind="string",
    lives_s=ACCEPTED_S,
    meaning="By call id: the call as it was decided (JSON of domain.calls.events.Call), for the card and what "
    "follows it. Kept only when somebody gets an alert for it.",
)
LATE_CALL: Final = RedisKey(
    pattern="call:{}:late:{}",
    kind="string",
    lives_s=ACCEPTED_S,
    meaning="By call id and time of the decision (ms): the call as it passed late (JSON of domain.calls.events.Call).",
)
WAITING_CALL: Final = RedisKey(
    pattern="waiting:{}:{}",
    kind="string",
    lives_s=DAY_S,
    meaning="By partition and call id: who would take the call if a missing figure came in time "
    "(JSON of domain.stored.alerts.WaitingCall).",
)
WAITING_CALLS: Final = RedisKey(
    pattern="waiting:{}",
    kind="sorted set",
    lives_s=None,
    meaning="By partition: the ids of all waiting calls by the time (ms) when the last of their waits ends.",
)
RECENT_ALERTS: Final = RedisKey(
    pattern="came_up:{}",
    kind="sorted set",
    lives_s=HOUR_S,
    meaning="By user id, for those with a cap: alerts whose turn came within the last hour, `sent:{score}:{call}` or "
    "`held:{score}:{call}`, by time (ms).",
)
HELD_CALLS: Final = RedisKey(
    pattern="held:{}",
    kind="hash",
    lives_s=None,
    meaning="By user id: call id -> the call that waits for their digest (JSON of domain.stored.alerts.HeldCall).",
)
TOLD_ORDER: Final = RedisKey(
    pattern="told_order:{}",
    kind="sorted set",
    lives_s=14 * DAY_S,
    meaning="By user id: ids of calls that digests told of, by when (ms, times 1,000) plus the place in the digest. "
    "Without it a digest's further pages are in an order of their own.",
)
CARD_KEYBOARD: Final = RedisKey(
    pattern="card_keyboard:{}:{}",
    kind="string",
    lives_s=ACCEPTED_S,
    meaning="By user id and the id of a message in their chat: the buttons that a tap has put under it, in place of "
    "its own (JSON rows of domain.delivery.messages.Button). No card is edited later than this lives.",
)
DELAYED_ALERTS: Final = RedisKey(
    pattern="delayed:{}",
    kind="sorted set",
    lives_s=None,
    meaning="By user id: alerts (JSON of domain.stored.alerts.Alert) that the plan makes due later, by that time (ms).",
)
DUE: Final = RedisKey(
    pattern="due:{}:{}",
    kind="sorted set",
    lives_s=None,
    meaning="By job of the schedule and partition (`all` for a job of no single user): whom it is due for (user id, or "
    "`<user id>/<invoice>`), by the time (ms) when it is.",
)
PUT: Final = RedisKey(
    pattern="put:{}:{}:{}:{}",
    kind="string",
    lives_s=90 * DAY_S,
    meaning="By kind of message, user id, subject and step: it was put into the outbox, decided at this time (ms). "
    "Whoever puts it again changes nothing.",
)
MEDIA_FILE: Final = RedisKey(
    pattern="media:{}",
    kind="string",
    lives_s=7 * DAY_S,
    meaning="By digest of kind and address of a picture or film: the file id under which Telegram has it.",
)
CLAIM_REPLY: Final = RedisKey(
    pattern="claim:{}",
    kind="string",
    lives_s=5 * MINUTE_S,
    meaning="By digest of a batch of claims: what it was answered, so that asking again after a lost reply "
    "gets the same answer. Kept only when something was accepted.",
)
JOURNALED_CALL: Final = RedisKey(
    pattern="journaled:{}",
    kind="string",
    lives_s=5 * MINUTE_S,
    meaning="By call id: its decision is in the journal; a batch that is claimed again adds no second entry.",
)
FEED_CURSOR: Final = RedisKey(
    pattern="feed:{}:cursor",
    kind="string",
    lives_s=None,
    meaning="By source: everything up to this position is decided; a restarted feed goes on from here.",
)
OUTBOX: Final = RedisKey(
    pattern="outbox:{}",
    kind="stream",
    lives_s=None,
    meaning="By partition: what waits for a sender (JSON of domain.stored.outgoing.Outgoing). An entry goes when its "
    "outcome is known.",
)
IN_FLIGHT: Final = RedisKey(
    pattern="in_flight:{}",
    kind="hash",
    lives_s=None,
    meaning="By partition: outbox entry -> when a request for it left (ms); its outcome is not known yet.",
)
SETTLED_LOCALLY: Final = RedisKey(
    pattern="settled_locally:{}",
    kind="string",
    lives_s=DAY_S,
    meaning="By entry of the local store: it was held or buried; bringing that to Redis again changes nothing.",
)
EPOCH: Final = RedisKey(
    pattern="epoch",
    kind="string",
    lives_s=None,
    meaning="A random word, written when this Redis was filled. Gone or another: Redis was emptied since.",
)
NEXT_EPOCH: Final = RedisKey(
    pattern="epoch:next:{}",
    kind="string",
    lives_s=DAY_S,
    meaning="By a random word: this Redis is being filled, and that is its epoch when it is full. Gone before: it was "
    "emptied meanwhile.",
)
DATABASE: Final = RedisKey(
    pattern="database",
    kind="string",
    lives_s=None,
    meaning="The id of the PostgreSQL that belongs to this Redis. Another one there: it was emptied, or exchanged.",
)
JOURNAL_AT: Final = RedisKey(
    pattern="journal_at",
    kind="string",
    lives_s=None,
    meaning="The last entry of the journal that PostgreSQL has committed: one that has less has lost something.",
)
IN_DOUBT: Final = RedisKey(
    pattern="in_doubt",
    kind="hash",
    lives_s=MINUTE_S,
    meaning="While Redis is filled: partition -> what of it may have arrived already (JSON list of user id and call "
    "id, or key), told by who sent it. Of a partition that nobody speaks for, all may have.",
)
REPORTED_ALARMS: Final = RedisKey(
    pattern="told_alarms",
    kind="string",
    lives_s=None,
    meaning="Alarms that admins know of and that are not over (JSON of monitoring.alarm_memory.ReportedAlarms).",
)
DEAD_LETTERS: Final = RedisKey(
    pattern="dead_letters",
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
HELD_INPUT: Final = RedisKey(
    pattern="held_input:{}",
    kind="string",
    lives_s=10 * MINUTE_S,
    meaning="By user id: what the user typed last, while they are asked how it was meant.",
)
CONFIRMATION: Final = RedisKey(
    pattern="confirm:{}:{}",
    kind="string",
    lives_s=MINUTE_S,
    meaning="By user id of an admin and the token in a button: what they are asked whether they mean it "
    "(JSON of administration.confirmations.Meant). It goes with the answer.",
)
SHARED_SET: Final = RedisKey(
    pattern="shared_set:{}",
    kind="string",
    lives_s=None,
    meaning="By code of the link: the snapshot of a filter set (JSON of domain.stored.snapshots.SharedSet).",
)
SHARED_BY: Final = RedisKey(
    pattern="shared_by:{}",
    kind="hash",
    lives_s=None,
    meaning="By user id: digest of what a shared set says -> its code, so that sharing it again makes no second link.",
)
PRESETS: Final = RedisKey(
    pattern="presets",
    kind="hash",
    lives_s=None,
    meaning="Key of a preset -> what an admin made of it (JSON of domain.stored.snapshots.PresetChange).",
)
FENCES: Final = RedisKey(
    pattern="fences",
    kind="hash",
    lives_s=None,
    meaning="Name of a lease -> its fencing number: how often it was taken. Whoever has an older one changes nothing.",
)
MATCH_CURSORS: Final = RedisKey(
    pattern="match:cursors",
    kind="hash",
    lives_s=None,
    meaning="Partition -> the entry of the calls' stream up to which everything is decided for its subscribers.",
)
SLOT_LEASES: Final = RedisKey(
    pattern="slot_leases",
    kind="string",
    lives_s=None,
    meaning="Which sender may use how many slots of Telegram's overall limit, and until when "
    "(JSON, read and written by the scripts of services.cluster.slot_leases alone).",
)
SENT_LATELY: Final = RedisKey(
    pattern="sent_lately",
    kind="hash",
    lives_s=None,
    meaning="Sender (another at every start) -> which of its requests still count against Telegram's limits "
    "(time in ms, then JSON of cluster.sent_lately.SentLately). What counts no more goes at the next exchange.",
)
ASKED_LATELY: Final = RedisKey(
    pattern="asked_lately:{}",
    kind="string",
    lives_s=120,
    meaning="By process: which of its requests to providers still count (JSON of cluster.asked_lately.AskedLately).",
)
LEASE: Final = RedisKey(
    pattern="lease:{}",
    kind="string",
    lives_s=10,
    meaning="By what is leased (`match:3`, `ingest`): number and owner of the process that alone may do it.",
)
MEMBERS: Final = RedisKey(
    pattern="members",
    kind="hash",
    lives_s=None,
    meaning="Owner -> the process that runs under this name (JSON of services.cluster.members.Member).",
)
MEMBERS_SEEN: Final = RedisKey(
    pattern="members:seen",
    kind="sorted set",
    lives_s=None,
    meaning="The owners by the time (ms) of their last sign of life.",
)
CALLS: Final = RedisKey(
    pattern="calls",
    kind="stream",
    lives_s=None,
    meaning="Calls on their way from the feed to those who match them (JSON of domain.calls.events.Call).",
)
PUBLISHED: Final = RedisKey(
    pattern="published:{}",
    kind="string",
    lives_s=5 * MINUTE_S,
    meaning="By digest of a batch of calls: it is in the stream. After a lost reply it is not added again.",
)
CHANGES: Final = RedisKey(
    pattern="changes",
    kind="stream",
    lives_s=None,
    meaning="What a process changed, for the others: {user_id, revision, by} or {preset, by}. The latest 100,000.",
)
TICKS: Final = RedisKey(
    pattern="ticks",
    kind="stream",
    lives_s=None,
    meaning="Price ticks, those of a second together (JSON list of calls.events.PriceTick). The latest two minutes.",
)
SEALED_BY: Final = RedisKey(
    pattern="sealed_by",
    kind="hash",
    lives_s=None,
    meaning="Fingerprint of a key, or `plain` -> when somebody last sealed by it (ms). Who lacks one does not start.",
)
ERASING: Final = RedisKey(
    pattern="erasing",
    kind="hash",
    lives_s=None,
    meaning="User id -> their deletion (JSON of domain.stored.erasures.Erasure); nothing of theirs is stored.",
)
ERASED: Final = RedisKey(
    pattern="erased",
    kind="hash",
    lives_s=None,
    meaning="Number of a deletion -> what was deleted (JSON of domain.stored.erasures.Erasure): an older backup of "
    "PostgreSQL brings nobody back.",
)

ALL_KEYS: Final = tuple(key for key in vars().values() if isinstance(key, RedisKey))


def stored_call_key(call_id: str, late_s: float | None, decided_at: datetime) -> str:
    """Name the stored call: as it was decided at first or, where it passed late, with the figures that came then."""
    if late_s is None:
        return CALL.of(call_id)
    return LATE_CALL.of(call_id, milliseconds(decided_at))


def unique_key(envelope: Envelope) -> str:
    """Name what is set when a message is put into an outbox, so that it is put once."""
    return PUT.of(envelope.kind, envelope.user_id, envelope.subject, envelope.step)
