"""What PostgreSQL is asked about channels that are read."""

from __future__ import annotations

from typing import Final, LiteralString

_SELECT: Final[LiteralString] = """
    SELECT channel, title, state, added_by, added_at, read_to, revision, last_post_at, last_read_at, problem,
        problem_since, moved_to, gap_at
    FROM read_channels
"""
ALL: Final[LiteralString] = _SELECT + " ORDER BY channel"
ONE: Final[LiteralString] = _SELECT + " WHERE channel = $1"
# Who configured a channel wins over a suggestion; what an admin did with it stays. `added_by` is an admin, but of what
# is suggested: then it is the person who did, and it is theirs to be forgotten.
CONFIGURED: Final[LiteralString] = """
    INSERT INTO read_channels (channel, state, added_at) SELECT x, 'read', $2 FROM unnest($1::text[]) x
    ON CONFLICT (channel) DO UPDATE SET state = 'read', added_by = NULL, added_at = excluded.added_at
    WHERE read_channels.state = 'suggested'
"""
ADD: Final[LiteralString] = """
    INSERT INTO read_channels (channel, state, added_by, added_at) VALUES ($1, 'read', $2, $3)
    ON CONFLICT (channel) DO UPDATE SET state = 'read', added_by = excluded.added_by
    WHERE read_channels.state NOT IN ('read', 'suggested')
"""
SUGGEST: Final[LiteralString] = """
    INSERT INTO read_channels (channel, state, added_by, added_at) VALUES ($1, 'suggested', $2, $3)
    ON CONFLICT (channel) DO NOTHING
"""
SUGGESTED_BY: Final[LiteralString] = (
    "SELECT count(*) AS open FROM read_channels WHERE state = 'suggested' AND added_by = $1"
)
SUGGESTION: Final[LiteralString] = _SELECT + " WHERE channel = $1 AND state = 'suggested' FOR UPDATE"
DECIDE: Final[LiteralString] = """
    UPDATE read_channels SET state = $2, added_by = $3, added_at = CASE WHEN $2 = 'read' THEN $4 ELSE added_at END
    WHERE channel = $1
"""
FORGET_SUGGESTIONS: Final[LiteralString] = "DELETE FROM read_channels WHERE state = 'suggested' AND added_by = $1"
STATE_OF: Final[LiteralString] = "SELECT state FROM read_channels WHERE channel = $1 FOR UPDATE"
STATE: Final[LiteralString] = "UPDATE read_channels SET state = $2 WHERE channel = $1 AND state = ANY($3)"
# Another channel has its name, and an admin wants that one read: nothing is known of it.
START_ANEW: Final[LiteralString] = """
    WITH anew AS (
        UPDATE read_channels SET read_to = NULL, last_post_at = NULL, title = NULL, problem = NULL,
            problem_since = NULL, gap_at = NULL, revision = revision + 1
        WHERE channel = $1 AND problem = 'replaced' AND state = 'read' RETURNING channel),
    posts AS (DELETE FROM read_posts WHERE channel IN (SELECT channel FROM anew))
    DELETE FROM channel_tokens WHERE channel IN (SELECT channel FROM anew)
"""
# It was removed, and is read again: its next look is a first one, which takes its latest posts anew. Tokens that it
# called in earlier ones stay known.
READ_AGAIN: Final[LiteralString] = """
    WITH anew AS (
        UPDATE read_channels SET read_to = NULL, last_post_at = NULL, problem = NULL, problem_since = NULL,
            moved_to = NULL, gap_at = NULL, added_at = $2, revision = revision + 1
        WHERE channel = $1),
    latest AS (SELECT number, posted_at FROM read_posts WHERE channel = $1 ORDER BY number DESC LIMIT $3),
    posts AS (DELETE FROM read_posts WHERE channel = $1 AND number IN (SELECT number FROM latest))
    DELETE FROM channel_tokens WHERE channel = $1 AND called_at >= (SELECT min(posted_at) FROM latest)
"""
PROBLEM: Final[LiteralString] = """
    UPDATE read_channels SET problem = $2::text, moved_to = $4::text,
        last_read_at = CASE WHEN $2::text IS NULL THEN $3::timestamptz ELSE last_read_at END,
        problem_since = CASE WHEN $2::text IS NULL THEN NULL ELSE coalesce(problem_since, $3::timestamptz) END
    WHERE channel = $1
"""

POSTS: Final[LiteralString] = """
    SELECT number, posted_at, digest, verdict, reason, understood FROM read_posts
    WHERE channel = $1 ORDER BY number DESC LIMIT $2
"""
UNDERSTOOD: Final[LiteralString] = """
    SELECT number, verdict, reason, understood FROM read_posts WHERE channel = $1 AND number = $2 FOR UPDATE
"""
UNDERSTAND: Final[LiteralString] = """
    UPDATE read_posts SET verdict = $3, reason = $4, understood = $5 WHERE channel = $1 AND number = $2
"""
POST: Final[LiteralString] = """
    SELECT number, posted_at, digest, verdict, reason, understood FROM read_posts WHERE channel = $1 AND number = $2
"""
SEEN_POST: Final[LiteralString] = """
    SELECT number, posted_at, read_at, verdict, reason, understood FROM read_posts WHERE channel = $1 AND number = $2
"""
# A pool's call bears the address of its token, so it is looked for among what was written when the post was read.
CALLS_OF_POST: Final[LiteralString] = """
    SELECT call_id, frame FROM channel_calls WHERE call_id = ANY($1)
    UNION
    SELECT call_id, frame FROM channel_calls
    WHERE written_at BETWEEN $4 AND $4 + interval '2 hours' AND channel = $2 AND number = $3
    ORDER BY 1
"""
WAITING_OF_POST: Final[LiteralString] = """
    SELECT address FROM unresolved_calls WHERE channel = $1 AND number = $2 ORDER BY 1
"""
WAITING: Final[LiteralString] = """
    SELECT count(DISTINCT (channel, address)) AS calls, min(since) AS since FROM unresolved_calls
"""
WAITING_FOR: Final[LiteralString] = """
    SELECT channel, number, address, document, since FROM unresolved_calls WHERE address = $1
"""
TOKENS: Final[LiteralString] = "SELECT address, called_at FROM channel_tokens WHERE channel = $1"
# The revision tells whether somebody else has read on meanwhile.
READ_ON: Final[LiteralString] = """
    UPDATE read_channels SET read_to = greatest(read_to, $3), revision = revision + 1, title = coalesce($4, title),
        last_post_at = greatest(CASE WHEN last_post_at > $6 THEN $6 ELSE last_post_at END, $5), last_read_at = $6,
        problem = NULL, problem_since = NULL,
        moved_to = NULL, gap_at = CASE WHEN $7 THEN $6 ELSE gap_at END
    WHERE channel = $1 AND revision = $2
"""
PUT_POSTS: Final[LiteralString] = """
    INSERT INTO read_posts (channel, number, posted_at, read_at, digest, verdict, reason, understood)
    SELECT $1, * FROM unnest($2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::bytea[], $6::text[], $7::text[],
        $8::text[])
    ON CONFLICT (channel, number) DO UPDATE SET posted_at = excluded.posted_at, digest = excluded.digest,
        verdict = excluded.verdict, reason = excluded.reason, understood = excluded.understood
"""
PUT_TOKENS: Final[LiteralString] = """
    INSERT INTO channel_tokens (channel, address, called_at) SELECT $1, * FROM unnest($2::text[], $3::timestamptz[])
    ON CONFLICT (channel, address) DO NOTHING RETURNING address
"""
MOVE_CURSOR: Final[LiteralString] = """
    UPDATE channel_calls_cursor SET cursor = greatest(cursor, $1) + $2 RETURNING cursor
"""
PUT_CALLS: Final[LiteralString] = """
    INSERT INTO channel_calls (cursor, call_id, channel, number, written_at, frame)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::text[])
    ON CONFLICT (call_id) DO NOTHING
"""
PUT_UNRESOLVED: Final[LiteralString] = """
    INSERT INTO unresolved_calls (channel, number, address, since, asked_at, document)
    SELECT $1, x.number, x.address, x.since, x.since, x.document
    FROM unnest($2::bigint[], $3::text[], $4::timestamptz[], $5::text[]) AS x (number, address, since, document)
    ON CONFLICT DO NOTHING
"""
# Who was never asked about, then who was not for longest, so that those nobody knows do not keep the others from it. An
# address is asked about once, however many posts name it.
UNRESOLVED: Final[LiteralString] = """
    UPDATE unresolved_calls SET asked_at = greatest($2, since + interval '1 microsecond') WHERE address IN (
        SELECT address FROM unresolved_calls GROUP BY address
        ORDER BY bool_or(asked_at <= since) DESC, min(asked_at) LIMIT $1)
    RETURNING channel, number, address, document, since
"""
# Whose document nobody can read any more.
GIVE_UP: Final[LiteralString] = """
    DELETE FROM unresolved_calls WHERE (channel, number, address) IN (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]))
"""
RESOLVED: Final[LiteralString] = """
    DELETE FROM unresolved_calls WHERE channel = $1 AND number = $2 AND address = $3
"""

NEWEST: Final[LiteralString] = "SELECT cursor FROM channel_calls_cursor"
SINCE: Final[LiteralString] = "SELECT cursor, frame FROM channel_calls WHERE cursor > $1 ORDER BY cursor LIMIT $2"
FORGET_CALLS: Final[LiteralString] = """
    DELETE FROM channel_calls WHERE cursor IN (
        SELECT cursor FROM channel_calls WHERE written_at < $1 ORDER BY written_at LIMIT $2)
"""
FORGET_POSTS: Final[LiteralString] = """
    DELETE FROM read_posts WHERE ctid = ANY (ARRAY(SELECT ctid FROM read_posts WHERE read_at < $1 LIMIT $2))
"""
FORGET_TOKENS: Final[LiteralString] = """
    DELETE FROM channel_tokens WHERE ctid = ANY (ARRAY(SELECT ctid FROM channel_tokens WHERE called_at < $1 LIMIT $2))
"""
# What stood in a channel before it was read has called nothing here, and is not counted.
COUNTS_OF_EACH: Final[LiteralString] = """
    SELECT c.channel, s.since,
        (SELECT count(*) FROM read_posts p WHERE p.channel = c.channel AND p.posted_at >= s.since) AS posts,
        (SELECT count(*) FROM calls WHERE calls.channel_id = c.channel AND calls.called_at >= s.since) AS calls
    FROM read_channels c CROSS JOIN LATERAL (SELECT greatest($2, c.added_at) AS since) s
    WHERE c.channel = ANY($1)
"""
REASONS: Final[LiteralString] = """
    SELECT verdict, reason, count(*) AS posts FROM read_posts WHERE channel = $1 AND posted_at > $2
    GROUP BY 1, 2 ORDER BY 3 DESC, 2
"""
