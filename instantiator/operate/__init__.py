"""Looking after a service: logs, health, metrics, an orderly end, backups, and the files that start it."""
