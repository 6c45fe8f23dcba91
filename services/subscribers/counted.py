"""Who has a plan and who gets alerts, as PostgreSQL counts them: `Subscriber.has_plan_at` of everybody at once.

Of a statement in which `s` is a row of `subscribers`, `c.now` the moment, and `c.over` when what was paid for ended if
its days of grace end now.
"""

from __future__ import annotations

from typing import Final, LiteralString

HAS_PLAN: Final[LiteralString] = (
    "(s.plan = 'free' OR coalesce(s.paid_until > CASE s.plan WHEN 'trial' THEN c.now ELSE c.over END, false))"
)
GETS_ALERTS: Final[LiteralString] = (
    "("
    + HAS_PLAN
    + " AND NOT s.paused AND NOT s.unreachable AND s.document ->> 'banned_at' IS NULL"
    + " AND s.document @? '$.filter_sets[*] ? (!(@.enabled == false))')"
)
# A payment that was not refunded, and of what is left more than was given for nothing since.
PAYS: Final[LiteralString] = """
    (s.plan NOT IN ('free', 'trial') AND s.paid_until > c.now AND EXISTS (
        SELECT 1 FROM entitlements e
        WHERE e.user_id = s.user_id AND e.price_usd > 0 AND e.days > 0
            AND NOT EXISTS (
                SELECT 1 FROM entitlements b WHERE b.user_id = e.user_id AND b.key = 'refund:' || e.key)
            AND s.paid_until - make_interval(days => greatest(0, (
                SELECT coalesce(sum(g.days), 0) FROM entitlements g
                WHERE g.user_id = e.user_id AND g.price_usd = 0 AND g.given_at > e.given_at
                    AND NOT starts_with(g.key, 'refund:')))::integer) > c.now))
"""
# $1 now, $2 as `c.over`.
BY_PLAN: Final[LiteralString] = (
    "SELECT s.plan, count(*) AS people, count(*) FILTER (WHERE "  # noqa: S608
    + HAS_PLAN
    + ") AS active FROM subscribers s, (SELECT $1::timestamptz AS now, $2::timestamptz AS over) c"
    " GROUP BY s.plan ORDER BY people DESC, s.plan"
)
