"""A service put together and run as a process."""
