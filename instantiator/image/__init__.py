"""From a lock to an image whose ID is a function of that lock."""
