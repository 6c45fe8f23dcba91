"""Who was deleted and when, what deletes them, and tables that are kept for a while, cut by weeks."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ERASURES = (
    # Of somebody who was deleted this is left, beside the books: the id, so that nothing that arrives later brings
    # them back, and when. `born_at`: when the document was made that was deleted; it tells a later one from it.
    """
    CREATE TABLE erasures (
        number text PRIMARY KEY,
        user_id bigint NOT NULL,
        born_at timestamptz,
        asked_at timestamptz NOT NULL,
        erased_at timestamptz NOT NULL DEFAULT now(),
        deleted jsonb NOT NULL,
        done_at timestamptz,
        document jsonb NOT NULL
    )
    """,
    "CREATE INDEX erasures_by_user ON erasures (user_id)",
    "CREATE INDEX claims_by_user ON claims (user_id, claimed_at)",
    # Every table that says whose a row is, also those that come after this; returns how many rows by table.
    """
    CREATE FUNCTION erase_person(who bigint, kept text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
    DECLARE
        one record;
        gone bigint;
        part text;
        counts jsonb := '{}';
        said text := '"[a-z]*(user|creator)_id": ?' || who || '[,}]';
    BEGIN
        FOR one IN
            SELECT c.relname AS name, a.attname AS place
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND a.attname IN ('user_id', 'creator_id') AND NOT a.attisdropped AND c.relname <> ALL (kept)
            ORDER BY 1
        LOOP
            EXECUTE format('DELETE FROM %I WHERE %I = $1', one.name, one.place) USING who;
            GET DIAGNOSTICS gone = ROW_COUNT;
            IF gone > 0 THEN
                counts := counts || jsonb_build_object(one.name, gone);
            END IF;
        END LOOP;
        FOREACH part IN ARRAY ARRAY['records', 'record_days', 'record_calls'] LOOP
            EXECUTE format('DELETE FROM %I WHERE kind = ''set'' AND starts_with(subject, $1)', part) USING who || ':';
        END LOOP;
        DELETE FROM watch_firings f WHERE NOT EXISTS (SELECT 1 FROM watches w WHERE w.id = f.watch_id);
        DELETE FROM journal_rejected WHERE encode(payload, 'escape') ~ said;
        RETURN counts;
    END
    $$
    """,
)

_FUNCTIONS = (
    # When a partition ends, by what PostgreSQL says of its bounds; NULL for the default one.
    """
    CREATE FUNCTION partitions_of(parent text)
    RETURNS TABLE (name text, starts_at timestamptz, ends_at timestamptz) LANGUAGE sql STABLE AS $$
        SELECT c.relname::text,
            coalesce((regexp_match(bounds, 'FROM \\(''([^'']+)''\\)'))[1]::timestamptz, '-infinity'),
            (regexp_match(bounds, 'TO \\(''([^'']+)''\\)'))[1]::timestamptz
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
            LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bounds) b
        WHERE i.inhparent = to_regclass(quote_ident(parent))
    $$
    """,
    # Returns whether it was made. What has come for that time meanwhile is moved into it.
    """
    CREATE FUNCTION add_partition(parent text, first_day date, days integer) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        part text := parent || '_' || to_char(first_day, 'YYYYMMDD');
        starts timestamptz := first_day::timestamp AT TIME ZONE 'UTC';
        ends timestamptz := (first_day + days)::timestamp AT TIME ZONE 'UTC';
    BEGIN
        IF EXISTS (SELECT 1 FROM partitions_of(parent) p WHERE p.starts_at < ends AND starts < p.ends_at) THEN
            RETURN false;
        END IF;
        PERFORM set_config('lock_timeout', '3000', true);
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_rest');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING INDEXES)', part, parent);
        EXECUTE format('WITH moved AS (DELETE FROM %I WHERE decided_at >= $1 AND decided_at < $2 RETURNING *)
            INSERT INTO %I SELECT * FROM moved', parent || '_rest', part) USING starts, ends;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, starts, ends);
        RETURN true;
    END
    $$
    """,
    # Returns how many were dropped. What came too late for a partition of its own goes as well.
    """
    CREATE FUNCTION drop_partitions(parent text, before timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
    DECLARE
        old text;
        dropped integer := 0;
    BEGIN
        PERFORM set_config('lock_timeout', '3000', true);
        FOR old IN SELECT p.name FROM partitions_of(parent) p WHERE p.ends_at <= before LOOP
            EXECUTE format('DROP TABLE %I', old);
            dropped := dropped + 1;
        END LOOP;
        EXECUTE format('DELETE FROM %I WHERE decided_at < $1', parent || '_rest') USING before;
        RETURN dropped;
    END
    $$
    """,
    # What stands already becomes the first partition, up to the end of this week; it is not copied.
    """
    CREATE FUNCTION cut_by_weeks(parent text, key text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        before text := parent || '_before';
        latest timestamptz;
        boundary date;
    BEGIN
        EXECUTE format('ALTER TABLE %I RENAME TO %I', parent, before);
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', before, parent || '_pkey');
        EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (%s)', before, key);
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS) PARTITION BY RANGE (decided_at)', parent, before);
        EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (%s)', parent, key);
        EXECUTE format('SELECT max(decided_at) FROM %I', before) INTO latest;
        boundary := date_trunc('week', greatest(latest, now()) AT TIME ZONE 'UTC')::date + 7;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', parent, before,
            boundary::timestamp AT TIME ZONE 'UTC');
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_rest', parent);
        FOR week IN 0..2 LOOP
            PERFORM add_partition(parent, boundary + 7 * week, 7);
        END LOOP;
    END
    $$
    """,
    """
    CREATE FUNCTION uncut(parent text, key text) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        whole text := parent || '_whole';
    BEGIN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', whole, parent);
        EXECUTE format('INSERT INTO %I SELECT DISTINCT ON (%s) * FROM %I ORDER BY %s, decided_at', whole, key, parent,
            key);
        EXECUTE format('DROP TABLE %I', parent);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', whole, parent);
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (%s)', parent, parent || '_pkey', key);
    END
    $$
    """,
)
_CUT = (
    "ALTER INDEX deliveries_by_user RENAME TO deliveries_before_by_user",
    "DROP INDEX outgoing_by_time",
    "SELECT cut_by_weeks('deliveries', 'call_id, user_id, kind, decided_at')",
    "SELECT cut_by_weeks('outgoing', 'key, user_id, decided_at')",
    "CREATE INDEX deliveries_by_user ON deliveries (user_id, decided_at)",
    "CREATE INDEX outgoing_by_user ON outgoing (user_id, decided_at)",
    "CREATE INDEX outgoing_by_time ON outgoing (decided_at)",
    "DROP FUNCTION cut_by_weeks(text, text)",
    "CREATE INDEX subscriber_changes_by_time ON subscriber_changes (changed_at)",
)


def upgrade() -> None:
    for statement in (*_ERASURES, *_FUNCTIONS, *_CUT):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX subscriber_changes_by_time")
    op.execute("SELECT uncut('deliveries', 'call_id, user_id, kind')")
    op.execute("CREATE INDEX deliveries_by_user ON deliveries (user_id, decided_at)")
    op.execute("SELECT uncut('outgoing', 'key, user_id')")
    op.execute("CREATE INDEX outgoing_by_time ON outgoing (decided_at)")
    for function in ("uncut(text, text)", "drop_partitions(text, timestamptz)", "add_partition(text, date, integer)"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP FUNCTION partitions_of(text)")
    op.execute("DROP FUNCTION erase_person(bigint, text[])")
    op.execute("DROP INDEX claims_by_user")
    op.execute("DROP TABLE erasures")
