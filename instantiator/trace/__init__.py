"""A run traced and packed with ReproZip, by tools that come from outside the preserved image."""
