"""What a journal entry becomes in PostgreSQL. Every statement executed again changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal, LiteralString, cast

import msgspec
from msgspec import Struct

from domain.calls import Call
from domain.errors import BotError
from domain.subscribers import Subscriber

Kind = Literal["subscriber", "call", "delivery"]
DeliveryStatus = Literal["sent", "merged", "digest", "withheld", "dead"]
Write = tuple[LiteralString, tuple[object, ...]]
"""A statement and its values."""


class UnreadableEntryError(BotError):
    """The entry is not what its kind promises."""


class DeliveryRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one alert. `(call_id, user_id, kind)` is its identity."""

    call_id: str
    user_id: int
    kind: str = "alert"
    set_number: int
    status: DeliveryStatus
    """`merged`: it went out inside another message; `digest`: it was too old to go out as new; `withheld`: the
    subscriber no longer receives; `dead`: Telegram never takes it."""
    message_id: int | None = None
    decided_at: datetime
    sent_at: datetime | None = None
    latency_s: float | None = None
    """From `received_at` of the call to `sent_at`."""
    may_repeat: bool = False
    """An earlier attempt had an unknown outcome."""
    reason: str | None = None


# A later revision replaces an earlier one, never the other way round: entries may arrive again.
PUT_SUBSCRIBER: Final[LiteralString] = """
    INSERT INTO subscribers
        (user_id, chat_id, name, plan, paid_until, paused, unreachable, document, revision, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10)
    ON CONFLICT (user_id) DO UPDATE SET
        chat_id = excluded.chat_id, name = excluded.name, plan = excluded.plan,
        paid_until = excluded.paid_until, paused = excluded.paused, unreachable = excluded.unreachable,
        document = excluded.document, revision = excluded.revision, updated_at = excluded.updated_at
    WHERE subscribers.revision < excluded.revision
"""
PUT_SUBSCRIBER_CHANGE: Final[LiteralString] = """
    INSERT INTO subscriber_changes (user_id, revision, document, changed_at) VALUES ($1, $2, $3::jsonb, $4)
    ON CONFLICT (user_id, revision) DO NOTHING
"""
PUT_CALL: Final[LiteralString] = """
    INSERT INTO calls (call_id, token_address, channel_id, called_at, received_at, market_cap_usd, document)
    VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb)
    ON CONFLICT (call_id) DO NOTHING
"""
PUT_CHANNEL: Final[LiteralString] = """
    INSERT INTO channels (channel_id, title, document, updated_at) VALUES ($1, $2, $3::jsonb, $4)
    ON CONFLICT (channel_id) DO UPDATE SET
        title = excluded.title, document = excluded.document, updated_at = excluded.updated_at
    WHERE channels.updated_at < excluded.updated_at
"""
# "sent" is the last word: a dead letter may be sent again and then counts as sent.
PUT_DELIVERY: Final[LiteralString] = """
    INSERT INTO deliveries
        (call_id, user_id, kind, set_number, status, message_id, decided_at, sent_at, latency_s, may_repeat,
        reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (call_id, user_id, kind) DO UPDATE SET
        set_number = excluded.set_number, status = excluded.status, message_id = excluded.message_id,
        decided_at = excluded.decided_at, sent_at = excluded.sent_at, latency_s = excluded.latency_s,
        may_repeat = excluded.may_repeat, reason = excluded.reason
    WHERE deliveries.status <> 'sent'
"""
PUT_REJECTED: Final[LiteralString] = """
    INSERT INTO journal_rejected (entry_id, kind, payload, reason, rejected_at) VALUES ($1, $2, $3, $4, now())
    ON CONFLICT (entry_id) DO NOTHING
"""


def writes_of(kind: str, payload: bytes, added_at: datetime) -> list[Write]:
    """Return what an entry does, in order. `UnreadableEntryError` when it is not what its kind promises."""
    to_writes = _KINDS.get(kind)
    if to_writes is None:
        raise UnreadableEntryError(f"unknown kind {kind!r}")
    try:
        return to_writes(payload, added_at)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableEntryError(f"unreadable {kind}: {error}") from error


def storable_text(text: str) -> str:
    """Drop what PostgreSQL cannot store; names are attacker-controlled."""
    return text.replace("\x00", "")


def _subscriber_writes(payload: bytes, added_at: datetime) -> list[Write]:
    who = msgspec.json.decode(payload, type=Subscriber)
    document = _storable_json(payload)
    row = (
        who.user_id,
        who.chat_id,
        storable_text(who.name),
        who.plan,
        who.paid_until,
        who.paused,
        who.unreachable,
        document,
        who.revision,
        added_at,
    )
    return [
        (PUT_SUBSCRIBER, row),
        (PUT_SUBSCRIBER_CHANGE, (who.user_id, who.revision, document, added_at)),
    ]


def _call_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # a call carries its own clock
    call = msgspec.json.decode(payload, type=Call)
    channel_id = storable_text(call.channel.id)
    title = None if call.channel.title is None else storable_text(call.channel.title)
    row = (
        storable_text(call.id),
        storable_text(call.token.address),
        channel_id,
        call.called_at,
        call.received_at,
        call.token.market_cap_usd,
        _storable_json(payload),
    )
    channel = (channel_id, title, _storable_json(msgspec.json.encode(call.channel)), call.received_at)
    return [(PUT_CHANNEL, channel), (PUT_CALL, row)]


def _delivery_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # a delivery carries its own clock
    record = msgspec.json.decode(payload, type=DeliveryRecord)
    row = (
        storable_text(record.call_id),
        record.user_id,
        record.kind,
        record.set_number,
        record.status,
        record.message_id,
        record.decided_at,
        record.sent_at,
        record.latency_s,
        record.may_repeat,
        None if record.reason is None else storable_text(record.reason),
    )
    return [(PUT_DELIVERY, row)]


def _storable_json(payload: bytes) -> str:
    """Return the JSON without NUL characters, which `jsonb` refuses."""
    if b"\\u0000" not in payload:
        return payload.decode()
    return msgspec.json.encode(_without_nul(msgspec.json.decode(payload))).decode()


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, list):
        return [_without_nul(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {storable_text(name): _without_nul(item) for name, item in members.items()}
    return value


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


_KINDS: Final[dict[str, Callable[[bytes, datetime], list[Write]]]] = {
    "subscriber": _subscriber_writes,
    "call": _call_writes,
    "delivery": _delivery_writes,
}
