"""Logs as one JSON object per line, on stderr; no ticket, cookie, query or token is ever in one."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SESSION = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9]{1,12}")
_TOKEN = re.compile(r"[A-Za-z0-9_=.%-]{20,}")


class JsonLines(logging.Formatter):
    """`{"time", "level", "event", ...}`: what was given as `extra` are the other fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def start_logging(level: int = logging.INFO) -> None:
    """Log to stderr from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def mask_path(target: str) -> str:
    """A request's path without its query, and with stars for each part that may be a secret."""
    parts = target.partition("?")[0][:512].split("/")
    return "/".join("***" if _TOKEN.fullmatch(p) and not _SESSION.fullmatch(p) else p for p in parts)
