"""What booking decides. `decide` is the front door. Pure."""
