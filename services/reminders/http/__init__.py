"""Reminders over HTTP: texts, consent and pauses, and the provider's webhooks."""
