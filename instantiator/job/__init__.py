"""What to execute, and where."""
