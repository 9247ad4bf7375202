"""The road of a message through a service, and the loops beside it: relay, deadlines, a database that was set back."""
