"""PostgreSQL, SQLite and the cache in memory: one connection each, no statement of its own."""
