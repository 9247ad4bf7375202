"""PostgreSQL: connections, queries, writes in one round trip, migrations."""
