"""Chair time: what is taken, which seats are free, and how a series of sessions fits in. Pure."""
