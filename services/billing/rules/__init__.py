"""What billing decides. `decide` is the front door. Pure."""
