-- Two roles for the bot's own PostgreSQL: one owns the schema and brings it up to date, one runs the bot and can only
-- read and write rows. As a superuser, in the bot's database, which may be empty or in use; again after a restore:
--
--   psql -v ON_ERROR_STOP=1 -d bot -f deploy/roles.sql
--
-- Then `\password` for each. DATABASE_URL is that of token_filter_bot, MIGRATIONS_DATABASE_URL that of the owner.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'token_filter_bot_owner') THEN
        CREATE ROLE token_filter_bot_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'token_filter_bot') THEN
        CREATE ROLE token_filter_bot LOGIN;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO token_filter_bot_owner, token_filter_bot', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO token_filter_bot_owner;
GRANT USAGE ON SCHEMA public TO token_filter_bot;

-- What stands already becomes the owner's.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO token_filter_bot_owner', one.name);
    END LOOP;
    FOR one IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO token_filter_bot_owner', one.name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO token_filter_bot;
-- SELECT for dumps.
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO token_filter_bot;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO token_filter_bot;

-- And what comes with later versions.
ALTER DEFAULT PRIVILEGES FOR ROLE token_filter_bot_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE token_filter_bot_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO token_filter_bot;
ALTER DEFAULT PRIVILEGES FOR ROLE token_filter_bot_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO token_filter_bot;
ALTER DEFAULT PRIVILEGES FOR ROLE token_filter_bot_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO token_filter_bot;
