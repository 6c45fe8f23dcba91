"""What PostgreSQL is asked about broadcasts. Of whom one is for, `domain.broadcasts.segments` is the definition."""

from __future__ import annotations

from typing import Final, LiteralString

from services.subscribers.counted import GETS_ALERTS, HAS_PLAN

# $1 segment, $2 language, $3 now, $4: what was paid for until then has ended, days of grace included.
_MEANT: Final[LiteralString] = (
    " FROM subscribers s, LATERAL (SELECT $3::timestamptz AS now, $4::timestamptz AS over) c, LATERAL (SELECT "  # noqa: S608
    + HAS_PLAN
    + " AS active, "
    + GETS_ALERTS
    + """ AS alerts) p
    WHERE NOT s.unreachable AND s.document ->> 'banned_at' IS NULL
        AND s.document #> '{preferences,news}' IS DISTINCT FROM 'false'::jsonb
        AND CASE $1::text
            WHEN 'everybody' THEN true
            WHEN 'paying' THEN p.active AND s.plan NOT IN ('free', 'trial')
            WHEN 'trial' THEN p.active AND s.plan = 'trial'
            WHEN 'free' THEN s.plan = 'free'
            WHEN 'ended' THEN NOT p.active
            WHEN 'alerts' THEN p.alerts
            WHEN 'no_alerts' THEN NOT p.alerts
            WHEN 'language' THEN coalesce(s.document ->> 'language', 'en') = $2::text
            ELSE false
        END
"""
)
COUNT: Final[LiteralString] = "SELECT count(*) AS people" + _MEANT
WHO: Final[LiteralString] = "SELECT s.user_id" + _MEANT + " ORDER BY s.user_id"
ENROL: Final[LiteralString] = (
    "INSERT INTO broadcast_recipients (broadcast_id, user_id) SELECT $5::text, s.user_id" + _MEANT
)
LANGUAGES: Final[LiteralString] = """
    SELECT coalesce(document ->> 'language', 'en') AS language, count(*) AS people FROM subscribers
    GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $1
"""

_SELECT: Final[LiteralString] = """
    SELECT id, created_by, created_at, html, segment, language, state, due_at, started_at, ended_at, shown_chat_id,
        shown_message_id, total, counts::text AS counts
    FROM broadcasts
"""
FIND: Final[LiteralString] = _SELECT + " WHERE id = $1"
LATEST: Final[LiteralString] = _SELECT + " ORDER BY created_at DESC, id LIMIT $1"
OPEN: Final[LiteralString] = (
    _SELECT
    + """
    WHERE ended_at IS NULL AND state IN ('running', 'paused', 'cancelled') ORDER BY started_at, id
"""
)
DRAFT: Final[LiteralString] = """
    INSERT INTO broadcasts (id, created_by, created_at, html, segment, language, state)
    VALUES ($1, $2, $3, $4, 'everybody', '', 'draft')
"""
REWRITE: Final[LiteralString] = "UPDATE broadcasts SET html = $2 WHERE id = $1 AND state = 'draft'"
AIM: Final[LiteralString] = "UPDATE broadcasts SET segment = $2, language = $3 WHERE id = $1 AND state = 'draft'"
DISCARD: Final[LiteralString] = "DELETE FROM broadcasts WHERE id = $1 AND state = 'draft'"
SCHEDULE: Final[LiteralString] = """
    UPDATE broadcasts SET state = 'scheduled', due_at = $2 WHERE id = $1 AND state = 'draft'
"""
UNSCHEDULE: Final[LiteralString] = """
    UPDATE broadcasts SET state = 'draft', due_at = NULL WHERE id = $1 AND state = 'scheduled'
"""
BEGIN: Final[LiteralString] = """
    UPDATE broadcasts SET state = 'running', started_at = $2, due_at = coalesce(due_at, $2)
    WHERE id = $1 AND state IN ('draft', 'scheduled')
"""
TOTAL: Final[LiteralString] = """
    UPDATE broadcasts SET total = (SELECT count(*) FROM broadcast_recipients WHERE broadcast_id = $1) WHERE id = $1
"""
PAUSE: Final[LiteralString] = "UPDATE broadcasts SET state = 'paused' WHERE id = $1 AND state = 'running'"
RESUME: Final[LiteralString] = "UPDATE broadcasts SET state = 'running' WHERE id = $1 AND state = 'paused'"
CANCEL: Final[LiteralString] = """
    UPDATE broadcasts SET state = 'cancelled' WHERE id = $1 AND state IN ('running', 'paused')
"""
SHOWN: Final[LiteralString] = "UPDATE broadcasts SET shown_chat_id = $2, shown_message_id = $3 WHERE id = $1"
DUE: Final[LiteralString] = "SELECT id FROM broadcasts WHERE state = 'scheduled' AND due_at <= $1 ORDER BY due_at, id"
NEXT_DUE: Final[LiteralString] = "SELECT min(due_at) AS at FROM broadcasts WHERE state = 'scheduled'"

NEXT: Final[LiteralString] = """
    SELECT user_id FROM broadcast_recipients WHERE broadcast_id = $1 AND state = 'left' ORDER BY user_id LIMIT $2
"""
NOTE: Final[LiteralString] = """
    UPDATE broadcast_recipients r SET state = x.state FROM unnest($2::bigint[], $3::text[]) AS x (user_id, state)
    WHERE r.broadcast_id = $1 AND r.user_id = x.user_id
"""
# $2: the key of its envelopes. Who was deleted meanwhile is in neither table.
COUNTS: Final[LiteralString] = """
    SELECT
        count(*) FILTER (WHERE r.state = 'left') AS left,
        count(*) FILTER (WHERE r.state = 'put' AND d.status IS NULL) AS under_way,
        count(*) FILTER (WHERE d.status IN ('sent', 'merged')) AS sent,
        count(*) FILTER (WHERE d.status = 'withheld' AND d.reason = 'unreachable') AS blocked,
        count(*) FILTER (WHERE d.status = 'dead') AS failed,
        count(*) FILTER (WHERE r.state = 'skipped' OR d.status = 'withheld' AND d.reason <> 'unreachable') AS skipped
    FROM broadcast_recipients r
        LEFT JOIN deliveries d ON d.call_id = $2 AND d.user_id = r.user_id AND d.kind = 'broadcast'
    WHERE r.broadcast_id = $1
"""
END: Final[LiteralString] = """
    UPDATE broadcasts SET ended_at = $2, counts = $3::jsonb,
        state = CASE state WHEN 'running' THEN 'done' ELSE state END
    WHERE id = $1 AND ended_at IS NULL AND state IN ('running', 'cancelled')
"""
FORGET: Final[LiteralString] = "DELETE FROM broadcast_recipients WHERE broadcast_id = $1"
