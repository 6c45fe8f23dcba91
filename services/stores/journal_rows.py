"""What a journal entry becomes in PostgreSQL. Every statement executed again changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal, LiteralString, cast

import msgspec

from domain.admins.deeds import Deed
from domain.stored.alerts import Alert
from domain.stored.erasures import Erasure
from domain.stored.journal import DeliveryRecord
from domain.stored.outgoing import Envelope
from domain.stored.snapshots import PresetChange, SharedSet
from domain.subscribers.subscriber import Subscriber
from runtime.errors import BotError
from services.stores import payment_rows

Kind = Literal[
    "subscriber",
    "call",
    "claim",
    "put",
    "delivery",
    "shared_set",
    "preset",
    "invoice",
    "arrival",
    "entitlement",
    "payment_cursor",
    "erasure",
    "admin_action",
]
KEPT_OF_ERASED: Final = ("invoices", "arrivals", "entitlements", "erasures", "admin_actions")
"""Tables that keep rows of somebody who was deleted: the books, that they were, and what admins did."""
Write = tuple[LiteralString, tuple[object, ...]]
"""A statement and its values."""


class UnreadableEntryError(BotError):
    """The entry is not what its kind promises."""


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
# $1: any number of `DecidedCall`. Thousands come in a second, so PostgreSQL, which reads their JSON anyway, takes them
# apart as well.
PUT_CALLS: Final[LiteralString] = """
    WITH decided AS (SELECT d, d -> 'call' AS call, d #> '{call,channel}' AS channel FROM unnest($1::jsonb[]) AS d),
    put_channels AS (
        INSERT INTO channels (channel_id, title, document, updated_at)
        SELECT DISTINCT ON (channel ->> 'id')
            channel ->> 'id', channel ->> 'title', channel - 'also' - 'made_by', (call ->> 'received_at')::timestamptz
        FROM decided ORDER BY channel ->> 'id', (call ->> 'received_at')::timestamptz DESC
        ON CONFLICT (channel_id) DO UPDATE SET
            title = excluded.title, document = excluded.document, updated_at = excluded.updated_at
        WHERE channels.updated_at < excluded.updated_at
    )
    INSERT INTO calls
        (call_id, token_address, channel_id, called_at, received_at, market_cap_usd, document, decided_at, reason,
        checked_channels)
    SELECT call ->> 'id', call #>> '{token,address}', coalesce(channel ->> 'made_by', channel ->> 'id'),
        (call ->> 'called_at')::timestamptz,
        (call ->> 'received_at')::timestamptz, (call #>> '{token,market_cap_usd}')::double precision, call,
        (d ->> 'decided_at')::timestamptz, d ->> 'reason',
        ARRAY(SELECT jsonb_array_elements_text(d -> 'checked_channels'))
    FROM decided
    ON CONFLICT (call_id) DO NOTHING
"""
PUT_CLAIM: Final[LiteralString] = """
    INSERT INTO claims (call_id, user_id, token_address, claimed_at, document) VALUES ($1, $2, $3, $4, $5::jsonb)
    ON CONFLICT (call_id, user_id) DO NOTHING
"""
PUT_OUTGOING: Final[LiteralString] = """
    INSERT INTO outgoing (key, user_id, kind, decided_at, document) VALUES ($1, $2, $3, $4, $5::jsonb)
    ON CONFLICT (key, user_id, decided_at) DO NOTHING
"""
# `deliveries` and `outgoing` are cut by weeks, so the time of the decision belongs to their identity; it is the same
# whenever a row is written (docs/adr/0028).
# "sent" and "merged" are the last word: a dead letter may be sent again and then counts as sent.
PUT_DELIVERY: Final[LiteralString] = """
    INSERT INTO deliveries
        (call_id, user_id, kind, set_number, status, message_id, decided_at, sent_at, latency_s, may_repeat,
        reason, chat_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (call_id, user_id, kind, decided_at) DO UPDATE SET
        set_number = excluded.set_number, status = excluded.status, message_id = excluded.message_id,
        sent_at = excluded.sent_at, latency_s = excluded.latency_s,
        may_repeat = excluded.may_repeat, reason = excluded.reason, chat_id = excluded.chat_id
    WHERE deliveries.status NOT IN ('sent', 'merged')
"""
PUT_SHARED_SET: Final[LiteralString] = """
    INSERT INTO shared_sets (code, creator_id, document, shared_at) VALUES ($1, $2, $3::jsonb, $4)
    ON CONFLICT (code) DO NOTHING
"""
PUT_PRESET: Final[LiteralString] = """
    INSERT INTO presets (key, document, revision, changed_at) VALUES ($1, $2::jsonb, $3, $4)
    ON CONFLICT (key) DO UPDATE SET
        document = excluded.document, revision = excluded.revision, changed_at = excluded.changed_at
    WHERE presets.revision < excluded.revision
"""
PUT_PRESET_CHANGE: Final[LiteralString] = """
    INSERT INTO preset_changes (key, revision, document, changed_at) VALUES ($1, $2, $3::jsonb, $4)
    ON CONFLICT (key, revision) DO NOTHING
"""
# Written when it begins, and again when it is over.
PUT_ADMIN_ACTION: Final[LiteralString] = """
    INSERT INTO admin_actions (number, at, admin_id, role, action, user_id, details, outcome, said)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (number) DO UPDATE SET
        user_id = excluded.user_id, details = excluded.details, outcome = excluded.outcome, said = excluded.said
    WHERE admin_actions.outcome = 'begun'
"""
# Nothing is deleted a second time: they may have begun anew since. $6: tables that are kept.
PUT_ERASURE: Final[LiteralString] = """
    INSERT INTO erasures (number, user_id, born_at, asked_at, document, deleted)
    SELECT $1, $2, $3, $4, $5::jsonb, erase_person($2, $6)
    WHERE NOT EXISTS (SELECT 1 FROM erasures WHERE number = $1)
"""
PUT_REJECTED: Final[LiteralString] = """
    INSERT INTO journal_rejected (entry_id, kind, payload, reason, rejected_at) VALUES ($1, $2, $3, $4, now())
    ON CONFLICT (entry_id) DO NOTHING
"""


def writes_of(kind: str, payload: bytes, added_at: datetime) -> list[Write]:
    """Return what an entry does, in order. `UnreadableEntryError` when it is not what its kind promises.

    Of a call PostgreSQL says so: it refuses the values.
    """
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
    return [(PUT_CALLS, ([_storable_json(payload)],))]


def _claim_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # the decision counts: by it the fourteen days end, however late Redis was told of it
    alert = msgspec.json.decode(payload, type=Alert)
    call_id, address = storable_text(alert.call_id), storable_text(alert.token_address)
    return [(PUT_CLAIM, (call_id, alert.user_id, address, alert.decided_at, _storable_json(payload)))]


def _put_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # an envelope carries its own clock
    one = msgspec.json.decode(payload, type=Envelope)
    return [(PUT_OUTGOING, (storable_text(one.key), one.user_id, one.kind, one.decided_at, _storable_json(payload)))]


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
        record.chat_id,
    )
    return [(PUT_DELIVERY, row)]


def _shared_set_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # a shared set carries its own clock
    shared = msgspec.json.decode(payload, type=SharedSet)
    return [(PUT_SHARED_SET, (shared.code, shared.creator_id, _storable_json(payload), shared.shared_at))]


def _preset_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # a change carries its own clock
    change = msgspec.json.decode(payload, type=PresetChange)
    document, at = _storable_json(payload), change.changed_at
    return [
        (PUT_PRESET, (change.key, document, change.revision, at)),
        (PUT_PRESET_CHANGE, (change.key, change.revision, document, at)),
    ]


def _erasure_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # an erasure carries its own clock
    one = msgspec.json.decode(payload, type=Erasure)
    row = (one.number, one.user_id, one.born_at, one.asked_at, _storable_json(payload), list(KEPT_OF_ERASED))
    return [(PUT_ERASURE, row)]


def _admin_action_writes(payload: bytes, added_at: datetime) -> list[Write]:
    del added_at  # what an admin did carries its own clock
    one = msgspec.json.decode(payload, type=Deed)
    details, said = storable_text(one.details), storable_text(one.said)
    row = (one.number, one.at, one.admin_id, one.role, one.action, one.user_id, details, one.outcome, said)
    return [(PUT_ADMIN_ACTION, row)]


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
    "claim": _claim_writes,
    "put": _put_writes,
    "delivery": _delivery_writes,
    "shared_set": _shared_set_writes,
    "preset": _preset_writes,
    "invoice": lambda payload, _: payment_rows.invoice_writes(payload, _storable_json(payload)),
    "arrival": lambda payload, at: payment_rows.arrival_writes(payload, _storable_json(payload), at),
    "entitlement": lambda payload, _: payment_rows.entitlement_writes(payload, _storable_json(payload)),
    "payment_cursor": lambda payload, _: payment_rows.cursor_writes(payload, _storable_json(payload)),
    "erasure": _erasure_writes,
    "admin_action": _admin_action_writes,
}
