"""The three services. Each knows only `shared`, never another service."""
