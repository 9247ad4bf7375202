"""What reminders decides. `decide` is the front door. Pure."""
