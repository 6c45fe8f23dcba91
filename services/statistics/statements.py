"""What PostgreSQL is asked for statistics. Days are those of UTC."""

from __future__ import annotations

from typing import Final, LiteralString

from services.subscribers.counted import GETS_ALERTS, PAYS

# $1 now, $2 since when what was paid for has ended without grace left.
PEOPLE: Final[LiteralString] = (
    "WITH p AS (SELECT s.paused, s.unreachable, (s.document ->> 'created_at')::timestamptz AS born,"  # noqa: S608
    " s.document ->> 'banned_at' IS NOT NULL AS banned, "
    + GETS_ALERTS
    + " AS active, "
    + PAYS
    + """ AS paying
        FROM subscribers s, (SELECT $1::timestamptz AS now, $2::timestamptz AS over) c
    )
    SELECT count(*) AS total, count(*) FILTER (WHERE active) AS active, count(*) FILTER (WHERE paying) AS paying,
        count(*) FILTER (WHERE paused) AS paused, count(*) FILTER (WHERE unreachable) AS blocked,
        count(*) FILTER (WHERE banned) AS banned,
        count(*) FILTER (WHERE born > $1::timestamptz - interval '1 day') AS new_day,
        count(*) FILTER (WHERE born > $1::timestamptz - interval '7 days') AS new_week,
        count(*) FILTER (WHERE born > $1::timestamptz - interval '30 days') AS new_month,
        (SELECT count(*) FROM erasures WHERE asked_at > $1::timestamptz - interval '30 days') AS deleted_month
    FROM p
"""
)
NEW_BY_DAY: Final[LiteralString] = """
    SELECT ((document ->> 'created_at')::timestamptz AT TIME ZONE 'UTC')::date AS day, plan AS part, count(*) AS value
    FROM subscribers WHERE (document ->> 'created_at')::timestamptz >= $1 GROUP BY 1, 2 ORDER BY 1, 2
"""

# $1 now or since when, $2 days of each window. What pays for an invoice and is here to stay; of a part of the amount it
# is that part of the price. What comes beyond the price is no revenue: nothing was sold for it, and it may go back. In
# Stars every charge sells the same again.
_PAID: Final[LiteralString] = """
    FROM unnest($2::integer[]) AS d (days), arrivals a JOIN invoices i ON i.id = a.invoice_id,
        LATERAL (SELECT (i.document ->> 'price_usd')::numeric AS price, (i.document ->> 'amount')::numeric AS asked) o,
        LATERAL (SELECT coalesce(sum(b.amount) FILTER (WHERE b.asset = i.document ->> 'asset'), 0) AS whole,
                coalesce(sum(b.amount) FILTER (WHERE b.asset = i.document ->> 'asset'
                    AND (b.arrived_at, b.key) < (a.arrived_at, a.key)), 0) AS before,
                count(*) FILTER (WHERE b.asset <> i.document ->> 'asset'
                    AND b.document #>> '{arrival,ruling}' = 'accepted'
                    AND (b.arrived_at, b.key) < (a.arrived_at, a.key)) AS others
            FROM arrivals b
            WHERE b.invoice_id = i.id AND b.stage = 'final' AND NOT b.refunded
                AND b.document #>> '{arrival,ruling}' IS DISTINCT FROM 'dismissed') e,
        LATERAL (SELECT CASE WHEN o.asked <= 0 THEN 0
            WHEN i.method = 'stars' THEN o.price * a.amount / o.asked
            WHEN a.asset = i.document ->> 'asset'
                THEN o.price * least(a.amount, greatest(0, o.asked - e.before)) / o.asked
            WHEN a.document #>> '{arrival,ruling}' = 'accepted' AND e.others = 0
                THEN o.price * greatest(0, o.asked - e.whole) / o.asked
            ELSE 0 END AS usd) w
    WHERE a.stage = 'final' AND NOT a.refunded AND a.document #>> '{arrival,ruling}' IS DISTINCT FROM 'dismissed'
"""
REVENUE: Final[LiteralString] = (
    "SELECT d.days, i.method, count(*) FILTER (WHERE w.usd > 0) AS payments, sum(w.usd) AS usd,"
    " coalesce(sum(a.amount) FILTER (WHERE i.method = 'stars'), 0) AS stars"
    + _PAID
    + " AND a.arrived_at > $1::timestamptz - make_interval(days => d.days) AND a.arrived_at <= $1"
    " GROUP BY 1, 2 ORDER BY 1, 2"
)
REVENUE_BY_DAY: Final[LiteralString] = (
    "SELECT (a.arrived_at AT TIME ZONE 'UTC')::date AS day, i.method AS part, sum(w.usd)::double precision AS value"
    + _PAID
    + " AND a.arrived_at >= $1::timestamptz GROUP BY 1, 2 ORDER BY 1, 2"
)
# $1 now, $2 as above, $3 what the keys of refunds begin with: what an admin takes back is none. Who paid before and
# pays again renews; who paid, and whose time has run out, has lapsed.
RENEWALS: Final[LiteralString] = """
    WITH t AS (SELECT $1::timestamptz - interval '30 days' AS began, $2::timestamptz AS over),
    bought AS (
        SELECT user_id, given_at, row_number() OVER (PARTITION BY user_id ORDER BY given_at, key) AS nth
        FROM entitlements WHERE price_usd > 0 AND days > 0
    )
    SELECT (SELECT count(*) FROM bought WHERE nth = 1 AND given_at > t.began) AS first,
        (SELECT count(*) FROM bought WHERE nth > 1 AND given_at > t.began) AS renewed,
        (SELECT count(*) FROM entitlements WHERE days < 0 AND starts_with(key, $3) AND given_at > t.began) AS refunded,
        (SELECT count(*) FROM subscribers s
            WHERE s.paid_until <= t.over AND s.paid_until > t.over - interval '30 days'
                AND EXISTS (SELECT 1 FROM bought b WHERE b.user_id = s.user_id)) AS lapsed
    FROM t
"""

# $1 since when, $2 plans whose alerts are late on purpose.
ALERTS_BY_DAY: Final[LiteralString] = """
    SELECT (decided_at AT TIME ZONE 'UTC')::date AS day,
        CASE WHEN kind = 'digest' THEN 'digest' WHEN status IN ('sent', 'merged') THEN 'sent' ELSE 'not_sent' END
            AS part,
        count(*) AS value
    FROM deliveries
    WHERE kind IN ('alert', 'digest') AND NOT (kind = 'alert' AND status = 'digest') AND decided_at >= $1
    GROUP BY 1, 2 ORDER BY 1, 2
"""
LATENCY_BY_DAY: Final[LiteralString] = """
    SELECT (d.decided_at AT TIME ZONE 'UTC')::date AS day,
        percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY d.latency_s) AS values, count(*) AS measured
    FROM deliveries d JOIN subscribers s ON s.user_id = d.user_id
    WHERE d.kind = 'alert' AND d.status IN ('sent', 'merged') AND d.latency_s IS NOT NULL AND NOT d.may_repeat
        AND s.plan <> ALL ($2::text[]) AND d.decided_at >= $1
    GROUP BY 1 ORDER BY 1
"""
# The same, of one window.
DELIVERED: Final[LiteralString] = """
    SELECT count(*) FILTER (WHERE d.kind = 'alert' AND d.status IN ('sent', 'merged')) AS sent,
        count(*) FILTER (WHERE d.kind = 'digest') AS in_digests,
        count(*) FILTER (WHERE d.kind = 'alert' AND d.status = 'withheld') AS withheld,
        count(*) FILTER (WHERE d.status = 'dead') AS dead,
        percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY d.latency_s) FILTER (WHERE d.kind = 'alert'
            AND d.status IN ('sent', 'merged') AND NOT d.may_repeat AND s.plan <> ALL ($2::text[])) AS latency,
        count(d.latency_s) FILTER (WHERE d.kind = 'alert'
            AND d.status IN ('sent', 'merged') AND NOT d.may_repeat AND s.plan <> ALL ($2::text[])) AS measured
    FROM deliveries d LEFT JOIN subscribers s ON s.user_id = d.user_id
    WHERE d.kind IN ('alert', 'digest') AND d.decided_at > $1
"""
