"""What can be seen of a process: metrics, logs, and the planned crashes of its tests."""
