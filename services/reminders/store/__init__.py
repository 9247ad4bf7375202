"""Reminders' SQL, all of it."""
