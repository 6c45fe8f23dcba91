"""What is kept of a person, as they get it: one file of each content, oldest first."""

from __future__ import annotations

from typing import Final, LiteralString

from msgspec import Struct


class Content(Struct, frozen=True, kw_only=True):
    name: str
    """Of the file, without its ending; with `exported.` before it the key of what it is called in `texts/`."""
    statement: LiteralString
    """Takes the user id."""
    documents: frozenset[str] = frozenset()
    """Columns that are JSON."""


# What was accepted for somebody, whatever became of it: of a claim that has ended the delivery is left, of one that
# waits for a sender there is none yet.
_ALERTS: Final[LiteralString] = """
    SELECT call_id, coalesce(d.decided_at, a.claimed_at) AS decided_at, coalesce(d.kind, 'alert') AS kind,
        coalesce(d.status, 'waiting') AS status, d.reason, d.sent_at, d.latency_s, d.may_repeat, d.set_number,
        coalesce(a.token_address, o.token_address, c.token_address) AS token_address,
        c.document #>> '{token,symbol}' AS symbol, c.document #>> '{token,name}' AS token_name,
        coalesce(c.channel_id, o.channel_id) AS channel_id, c.document #>> '{channel,title}' AS channel,
        coalesce(c.called_at, o.called_at) AS called_at, coalesce(c.market_cap_usd, o.market_cap_usd) AS market_cap_usd,
        coalesce((c.document #>> '{token,price_usd}')::double precision, o.price_usd) AS price_usd,
        coalesce((c.document #>> '{token,liquidity_usd}')::double precision, o.liquidity_usd) AS liquidity_usd,
        (c.document -> 'token')::text AS figures, (a.document -> 'also')::text AS further_sets
    FROM (SELECT * FROM claims WHERE user_id = $1) a
        FULL JOIN (SELECT * FROM deliveries WHERE user_id = $1 AND kind IN ('alert', 'digest')) d USING (call_id)
        LEFT JOIN calls c USING (call_id) LEFT JOIN outcomes o USING (call_id)
    ORDER BY 2, 1
"""
_OUTCOMES: Final[LiteralString] = """
    SELECT o.call_id, o.token_address, o.channel_id, o.called_at, o.measure, o.price_usd, o.market_cap_usd,
        o.liquidity_usd, o.peak_multiple, o.peak_at, o.at_least, o.wick_multiple, o.reachable_multiple, o.return_1h,
        o.return_24h, o.return_7d, o.ended_at, o.ending,
        (SELECT json_agg(json_build_object('rung', m.rung, 'multiple', m.multiple, 'reached_at', m.reached_at)
            ORDER BY m.rung) FROM milestones m WHERE m.call_id = o.call_id)::text AS milestones
    FROM outcomes o
    WHERE o.call_id IN (SELECT call_id FROM claims WHERE user_id = $1
        UNION SELECT call_id FROM deliveries WHERE user_id = $1 AND kind IN ('alert', 'digest'))
    ORDER BY o.called_at, o.call_id
"""
_MESSAGES: Final[LiteralString] = """
    SELECT o.kind, o.decided_at, o.key, d.status, d.reason, d.sent_at, (o.document -> 'payload')::text AS payload
    FROM outgoing o LEFT JOIN deliveries d ON d.call_id = o.key AND d.user_id = o.user_id AND d.kind = o.kind
    WHERE o.user_id = $1 ORDER BY o.decided_at, o.key
"""
_SETTINGS: Final[LiteralString] = """
    SELECT name, plan, paid_until, paused, unreachable, revision, updated_at, document::text AS document
    FROM subscribers WHERE user_id = $1
"""
_SETTINGS_HISTORY: Final[LiteralString] = """
    SELECT revision, changed_at, document::text AS document FROM subscriber_changes WHERE user_id = $1
    ORDER BY revision
"""
_SHARED: Final[LiteralString] = """
    SELECT code, shared_at, document::text AS document FROM shared_sets WHERE creator_id = $1 ORDER BY shared_at
"""
_INVOICES: Final[LiteralString] = """
    SELECT id, method, created_at, expires_at, document::text AS document FROM invoices WHERE user_id = $1
    ORDER BY created_at
"""
_PAYMENTS: Final[LiteralString] = """
    SELECT a.key, a.invoice_id, a.asset, a.amount, a.arrived_at, a.stage, a.refunded, a.recorded_at,
        a.document::text AS document
    FROM arrivals a JOIN invoices i ON i.id = a.invoice_id WHERE i.user_id = $1 ORDER BY a.arrived_at
"""
_ENTITLEMENTS: Final[LiteralString] = """
    SELECT key, plan, days, price_usd, given_at, document::text AS document FROM entitlements WHERE user_id = $1
    ORDER BY given_at
"""
_WATCHES: Final[LiteralString] = """
    SELECT id, token_address, name, subject, side, value, each_time, base_usd, crossings, created_at, ended_at, ending
    FROM watches WHERE user_id = $1 ORDER BY id
"""

_SUGGESTED: Final[LiteralString] = """
    SELECT channel, title, added_at FROM read_channels WHERE added_by = $1 AND state = 'suggested' ORDER BY added_at
"""
_ACTIVITY: Final[LiteralString] = "SELECT at, what, detail FROM activity WHERE user_id = $1 ORDER BY at"

_DOCUMENT: Final = frozenset({"document"})

CONTENTS: Final = (
    Content(name="alerts", statement=_ALERTS, documents=frozenset({"figures", "further_sets"})),
    Content(name="outcomes", statement=_OUTCOMES, documents=frozenset({"milestones"})),
    Content(name="messages", statement=_MESSAGES, documents=frozenset({"payload"})),
    Content(name="settings", statement=_SETTINGS, documents=_DOCUMENT),
    Content(name="settings_history", statement=_SETTINGS_HISTORY, documents=_DOCUMENT),
    Content(name="shared_filters", statement=_SHARED, documents=_DOCUMENT),
    Content(name="watches", statement=_WATCHES),
    Content(name="suggested_channels", statement=_SUGGESTED),
    Content(name="invoices", statement=_INVOICES, documents=_DOCUMENT),
    Content(name="payments", statement=_PAYMENTS, documents=_DOCUMENT),
    Content(name="entitlements", statement=_ENTITLEMENTS, documents=_DOCUMENT),
    Content(name="activity", statement=_ACTIVITY),
)
