"""Reminders' SQL."""
