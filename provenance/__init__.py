"""What a finished run was: digests, the vault, records, the store, comparison. Knows nothing of engines or recipes."""
