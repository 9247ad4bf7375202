"""What must be there before the services start: accounts, databases, secrets, profiles."""
