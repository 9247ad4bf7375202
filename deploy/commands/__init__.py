"""What `chairtime` can do, one file a theme; `deploy/cli.py` puts it together."""
