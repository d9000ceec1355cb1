"""What was downloaded, for the audit log: one line for each download, in however many requests it came."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

ONE_DOWNLOAD = timedelta(minutes=10)
"""Requests of the same user for the same thing within this time are one download: parts of it, or its next lines."""
KEPT = 10_000

Download = tuple[str, str | None, str, str]
"""User, token, what it is of, what it is."""


class Taken:
    """The downloads of a short while. Safe under threads."""

    def __init__(self) -> None:
        self._begun: dict[Download, datetime] = {}
        self._lock = threading.Lock()

    def is_new(self, download: Download, now: datetime) -> bool:
        """Whether this one has to be written down; from now on it is."""
        with self._lock:
            begun = self._begun.get(download)
            if begun is not None and now - begun < ONE_DOWNLOAD:
                return False
            if len(self._begun) >= KEPT:
                self._begun.clear()  # then some are written down twice, and none is lost
            self._begun[download] = now
            return True
