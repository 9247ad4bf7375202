"""What an operator's commands do with a deployment that runs."""
