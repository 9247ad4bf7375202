"""Booking's SQL, all of it but the migration."""
