"""Chair time: what is taken, what is free, and how a series of sessions fits in. Pure."""
