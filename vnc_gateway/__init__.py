"""From a ticket to bytes: the relay between a browser and a display."""
