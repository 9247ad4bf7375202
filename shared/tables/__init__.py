"""The tables that every service has, a room each: SQL and nothing that decides."""
