"""How PostgreSQL computes a record: what `domain.tracking.records.record` says of the same outcomes.

No row leaves the database for it. $1: as of when; $2: the window, NULL for the whole life; $3: whose.
"""

# ruff: noqa: S608 - put together of constants alone: the type checker refuses anything else

from __future__ import annotations

from typing import Final, LiteralString

from domain.tracking.records import Window
from services.stores.counted import AT_ENTRY, COUNTS, PEAK, PEAK_AFTER_S
from services.stores.counted import REACHABLE as REACHABLE_AS_TOLD
from services.stores.merged import MERGED, counted_for

_OF_WINDOW: Final[LiteralString] = (
    COUNTS
    + """ AND o.called_at <= $1::timestamptz
        AND ($2::interval IS NULL OR o.called_at > $1::timestamptz - $2::interval)
"""
)
_COLUMNS: Final[LiteralString] = (
    "o.token_address, o.called_at, o.number, "
    + PEAK
    + " AS peak, "
    + PEAK_AFTER_S
    + """ AS peak_after_s,
    o.at_least, o.ended_at, o.ending IS NOT NULL AND o.ending <> 'age' AS died,
    o.return_1h * o.scale AS return_1h, o.return_24h * o.scale AS return_24h, o.return_7d * o.scale AS return_7d, """
)
_MEASURE: Final[LiteralString] = """
    , firsts AS (SELECT DISTINCT ON (token_address) * FROM mine ORDER BY token_address, called_at, number),
    due AS (
        SELECT f.*, i.horizon, i.multiple FROM firsts f CROSS JOIN LATERAL (
            SELECT horizon, coalesce(multiple, CASE WHEN f.died AND f.ended_at <= f.called_at + horizon THEN 0 END)
                AS multiple
            FROM (VALUES (interval '1 hour', f.return_1h), (interval '1 day', f.return_24h),
                (interval '7 days', f.return_7d)) AS v (horizon, multiple)
        ) AS i),
    returns AS (
        SELECT extract(epoch FROM horizon)::integer AS horizon_s, count(multiple) AS n, avg(multiple) AS average,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY multiple) AS median
        FROM due WHERE called_at + horizon <= $1::timestamptz AND multiple IS NOT NULL GROUP BY horizon)
    SELECT (SELECT count(*) FROM mine) AS calls, (SELECT min(called_at) FROM mine) AS oldest_at,
        (SELECT min(called_at + horizon) FROM due WHERE called_at + horizon > $1::timestamptz AND multiple IS NOT NULL)
            AS return_at,
        (SELECT coalesce(jsonb_agg(returns), '[]')::text FROM returns) AS returns,
        count(*) AS tokens, count(*) FILTER (WHERE ended_at IS NULL) AS open,
        count(*) FILTER (WHERE at_least) AS at_least, count(*) FILTER (WHERE peak >= 2) AS won,
        count(*) FILTER (WHERE died) AS died, avg(peak) AS average, max(peak) AS best, min(peak) AS worst,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY peak) AS median,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY peak_after_s) AS peak_after_s, count(reachable) AS reachable_n,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY reachable) AS reachable,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY peak) FILTER (WHERE reachable IS NOT NULL) AS reachable_peak
    FROM firsts
"""
_SELECT: Final[LiteralString] = "WITH mine AS (SELECT " + _COLUMNS
_BEGIN: Final[LiteralString] = _SELECT + REACHABLE_AS_TOLD + " AS reachable"
# Of all channels that are this one.
CHANNEL: Final[LiteralString] = (
    _BEGIN
    + " FROM outcomes o WHERE o.channel_id = ANY ("
    + counted_for("$3::text")
    + ") AND "
    + _OF_WINDOW
    + ")"
    + _MEASURE
)
PRESET: Final[LiteralString] = (
    _BEGIN
    + " FROM record_calls m JOIN outcomes o USING (call_id) WHERE m.kind = 'preset' AND m.subject = $3 AND "
    + _OF_WINDOW
    + ")"
    + _MEASURE
)
# A number that was given back and is used again is another set.
FILTER_SET: Final[LiteralString] = (
    _BEGIN
    + """
    FROM record_calls m JOIN outcomes o USING (call_id) WHERE m.kind = 'set' AND m.subject = $3
        AND o.called_at > coalesce((
            SELECT max(c.changed_at) FROM subscriber_changes c
            WHERE c.user_id = split_part($3, ':', 1)::bigint AND NOT c.document @> jsonb_build_object('filter_sets',
                jsonb_build_array(jsonb_build_object('number', split_part($3, ':', 2)::integer)))), '-infinity')
        AND """
    + _OF_WINDOW
    + ")"
    + _MEASURE
)
# The alerts that somebody got, alone or in a digest.
_TOLD: Final[LiteralString] = """
    FROM outcomes o JOIN (
            SELECT call_id, min(sent_at) AS sent_at FROM deliveries d
            WHERE d.user_id = $3::bigint AND d.kind IN ('alert', 'digest') AND d.status IN ('sent', 'merged')
                AND ($2::interval IS NULL OR d.decided_at > $1::timestamptz - $2::interval)
            GROUP BY call_id) AS d USING (call_id)
        WHERE """
PERSON: Final[LiteralString] = (
    _SELECT
    + "CASE WHEN "
    + AT_ENTRY
    + " THEN "
    + REACHABLE_AS_TOLD
    + " END AS reachable"
    + _TOLD
    + _OF_WINDOW
    + ")"
    + _MEASURE
)
BEST_OF_PERSON: Final[LiteralString] = (
    """
    SELECT * FROM (
        SELECT DISTINCT ON (o.token_address) o.call_id, o.token_address, o.channel_id AS channel, o.symbol, o.called_at,
            """
    + PEAK
    + """ AS multiple, o.at_least, o.ended_at IS NULL AS open
    """
    + _TOLD
    + _OF_WINDOW
    + " ORDER BY o.token_address, o.called_at, o.number) AS firsts ORDER BY multiple DESC, called_at LIMIT $4"
)
# The highest of any token; of one called again and again the reader keeps the best.
BEST: Final[LiteralString] = (
    """
    SELECT o.call_id, o.token_address, coalesce(c.title, o.channel_id) AS channel, o.symbol, o.called_at,
        """
    + PEAK
    + """ AS multiple, o.at_least, o.ended_at IS NULL AS open
    FROM outcomes o LEFT JOIN channels c USING (channel_id) WHERE """
    + _OF_WINDOW
    + " ORDER BY coalesce(o.peak_multiple, 1) * o.scale DESC, o.called_at LIMIT $3"
)
BASE: Final[LiteralString] = (
    """
    SELECT count(*) AS n, count(*) FILTER (WHERE peak >= 2) AS hits FROM (
        SELECT DISTINCT ON (o.token_address) """
    + PEAK
    + """ AS peak
        FROM outcomes o WHERE ($3::text IS NULL OR o.token_address >= $3) AND ($4::text IS NULL OR o.token_address < $4)
            AND """
    + _OF_WINDOW
    + " ORDER BY o.token_address, o.called_at, o.number) AS firsts"
)
# As PostgreSQL orders them, whatever its collation is.
ORDERED: Final[LiteralString] = "SELECT part FROM unnest($1::text[]) AS part ORDER BY part"

# The alert was sent at a price that is known; what could be had since. The liquidity at the peak is that at its rung.
ENTERED: Final[LiteralString] = """
    SELECT o.number, o.entry_at, o.entry_multiple, o.entry_liquidity_usd, coalesce(o.peak_multiple, 1) AS peak_multiple,
        o.peak_at, o.called_at, o.return_1h, o.return_24h, o.return_7d, o.reachable_multiple,
        (SELECT m.liquidity_usd FROM milestones m WHERE m.call_id = o.call_id ORDER BY m.rung DESC LIMIT 1)
            AS peak_liquidity_usd
    FROM outcomes o WHERE o.entry_multiple IS NOT NULL AND o.entry_liquidity_usd IS NOT NULL
        AND o.updated_at >= coalesce(
            (SELECT at FROM record_cursors WHERE name = 'outcomes') - $1::interval, '-infinity')
"""
REACHABLE: Final[LiteralString] = """
    UPDATE outcomes o SET reachable_multiple = x.reachable
    FROM unnest($1::bigint[], $2::double precision[]) AS x (number, reachable) WHERE o.number = x.number
"""

# What has changed

# Each page in one statement: members, what has to be computed, how far it was read.
TAKE_CLAIMS: Final[LiteralString] = """
    WITH page AS (
        SELECT number, call_id, user_id, claimed_at, document
        FROM claims WHERE number > (SELECT number FROM record_cursors WHERE name = 'claims') ORDER BY number LIMIT $1),
    passed AS (
        SELECT call_id, user_id, claimed_at, (document ->> 'set_number')::integer AS set_number FROM page
        UNION ALL
        SELECT call_id, user_id, claimed_at, f.set::integer
        FROM page CROSS JOIN LATERAL jsonb_array_elements_text(document -> 'also') AS f (set)),
    members AS (
        SELECT 'set' AS kind, user_id || ':' || set_number AS subject, call_id FROM passed WHERE set_number > 0
        UNION
        SELECT 'preset', s ->> 'follows', p.call_id
        FROM passed p
            CROSS JOIN LATERAL (
                SELECT c.document FROM subscriber_changes c
                WHERE c.user_id = p.user_id AND c.changed_at <= p.claimed_at + interval '1 second'
                ORDER BY c.revision DESC LIMIT 1) AS doc
            CROSS JOIN LATERAL jsonb_array_elements(doc.document -> 'filter_sets') AS s
        WHERE (s ->> 'number')::integer = p.set_number AND s ->> 'follows' IS NOT NULL),
    put AS (
        INSERT INTO record_calls (kind, subject, call_id) SELECT kind, subject, call_id FROM members
        ON CONFLICT DO NOTHING RETURNING kind, subject),
    marked AS (
        INSERT INTO records (kind, subject, due_at) SELECT DISTINCT kind, subject, $2::timestamptz FROM put
        ON CONFLICT (kind, subject) DO UPDATE SET
            due_at = least(records.due_at, greatest(excluded.due_at, records.as_of + $3::interval))),
    read AS (
        UPDATE record_cursors SET number = (SELECT max(number) FROM page)
        WHERE name = 'claims' AND EXISTS (SELECT 1 FROM page))
    SELECT count(*) AS claims FROM page
"""
# Calls of which something was written down since; $3: clocks of two processes may differ by so much.
MARK_CHANGED: Final[LiteralString] = (
    """
    WITH changed AS (
        SELECT call_id, channel_id FROM outcomes WHERE updated_at >= coalesce(
            (SELECT at FROM record_cursors WHERE name = 'outcomes') - $3::interval, '-infinity')),
    subjects AS (
        SELECT 'channel' AS kind, channel_id AS subject FROM changed
        UNION SELECT 'channel', o.main FROM changed JOIN """
    + MERGED
    + """ AS o USING (channel_id)
        UNION SELECT m.kind, m.subject FROM changed JOIN record_calls m USING (call_id)),
    marked AS (
        INSERT INTO records (kind, subject, due_at) SELECT kind, subject, $1::timestamptz FROM subjects
        ON CONFLICT (kind, subject) DO UPDATE SET
            due_at = least(records.due_at, greatest(excluded.due_at, records.as_of + $2::interval))),
    moved AS (UPDATE record_cursors SET at = $1::timestamptz WHERE name = 'outcomes')
    SELECT count(*) AS changed FROM changed
"""
)
DUE: Final[LiteralString] = "SELECT kind, subject FROM records WHERE due_at <= $1 ORDER BY due_at LIMIT $2"
PUT: Final[LiteralString] = """
    WITH day AS (
        INSERT INTO record_days (kind, subject, day, as_of, document)
        VALUES ($1, $2, ($4::timestamptz AT TIME ZONE 'UTC')::date, $4, $5::jsonb)
        ON CONFLICT (kind, subject, day) DO UPDATE SET as_of = excluded.as_of, document = excluded.document
        WHERE record_days.as_of <= excluded.as_of)
    INSERT INTO records (kind, subject, due_at, as_of, document)
    VALUES ($1, $2, coalesce($3::timestamptz, 'infinity'), $4, $5::jsonb)
    ON CONFLICT (kind, subject) DO UPDATE SET
        due_at = excluded.due_at, as_of = excluded.as_of, document = excluded.document
    WHERE records.as_of IS NULL OR records.as_of <= excluded.as_of
"""
POSTPONE: Final[LiteralString] = "UPDATE records SET due_at = $3 WHERE kind = $1 AND subject = $2"
GET: Final[LiteralString] = """
    SELECT subject, document::text AS document FROM records
    WHERE kind = $1 AND subject = ANY($2) AND document IS NOT NULL
"""
AS_OF: Final[LiteralString] = """
    SELECT document::text AS document FROM record_days WHERE kind = $1 AND subject = $2 AND as_of <= $3
    ORDER BY day DESC LIMIT 1
"""
# The best by what is sure: the lower end of the interval; those with too few tokens for one, by how many.
_CHANNELS: Final[LiteralString] = (
    """
    SELECT r.subject, c.title, r.document::text AS document, count(*) OVER () AS total
    FROM records r LEFT JOIN channels c ON c.channel_id = r.subject
    WHERE r.kind = 'channel' AND r.document IS NOT NULL AND (r.document #>> '{by_window,WINDOW,tokens}')::integer > 0
        AND r.subject NOT IN (SELECT channel_id FROM """
    + MERGED
    + """ AS o)
    ORDER BY (r.document #>> '{by_window,WINDOW,wins,low_percent}')::double precision DESC NULLS LAST,
        (r.document #>> '{by_window,WINDOW,tokens}')::integer DESC, r.subject
    LIMIT $1 OFFSET $2
"""
)
CHANNELS: Final[dict[Window, LiteralString]] = {
    "life": _CHANNELS.replace("WINDOW", "life"),
    "30d": _CHANNELS.replace("WINDOW", "30d"),
    "7d": _CHANNELS.replace("WINDOW", "7d"),
    "24h": _CHANNELS.replace("WINDOW", "24h"),
}
