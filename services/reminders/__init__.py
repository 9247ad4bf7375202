"""Reminders: the right text, to the right person, once, at the right moment, or a reason why not."""
