"""Logs of the service and its worker: one JSON object a line, as the gateway writes; text for a terminal.

`THAW_LOG` says how: `json` or `text`, a level behind a colon where it is not `info` (`json:debug`). Whatever is
logged, what could be a secret is replaced by stars first.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from provenance.errors import ThawError

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
_FORMS = ("json", "text")
_STARS = "****"
_SECRETS = (
    re.compile(r"thaw_[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?<=thaw\.ticket\.)[A-Za-z0-9_-]+"),
    re.compile(r"(?i)(?<=bearer )\S+"),
    re.compile(r"(?i)(?<=token=)[^&;\s\"']+"),
    re.compile(r"(?i)(?<=ticket=)[^&;\s\"']+"),
    re.compile(r"(?i)(?<=[?&]state=)[^&\s\"']+"),
    re.compile(r"(?i)(?<=[?&]code=)[^&\s\"']+"),
    re.compile(r"(?i)(?<=cookie: ).+"),
    re.compile(r"(?<=://)[^/@\s]+(?=@)"),
)
_LONG = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
"""What tickets, login tokens and cookies look like: 32 random bytes in URL-safe base64."""

_THREAD = re.compile(r"(run|session)-([0-9]{8}-[0-9]{6}-[a-z0-9]{1,12})")
"""The threads that execute a run or look after a session are named like this."""

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039  # never changed, only replaced


class LogSettingInvalid(ThawError):
    """`THAW_LOG` says something else than how to log."""

    code = "settings-invalid"


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """What every line logged in this block is about: `run`, `session`, `user`, `request`."""
    before = _about.set({**_about.get(), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _about.reset(before)


def mask(text: str) -> str:
    """The text with stars for all that could be a token, a ticket, a cookie or a password."""
    for pattern in _SECRETS:
        text = pattern.sub(_STARS, text)
    return _LONG.sub(_STARS, text)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What a line says: time, level, event, what it is about, and what was given as `extra`."""
    fields: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": mask(record.getMessage()),
        **_thread_of(record),
        **_about.get(),
    }
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    fields |= {name: _masked(value) for name, value in extra.items()}
    if record.exc_info:
        fields["exception"] = mask(logging.Formatter().formatException(record.exc_info))
    return fields


def _thread_of(record: logging.LogRecord) -> dict[str, object]:
    found = _THREAD.fullmatch(record.threadName or "")
    return {found[1]: found[2]} if found else {}


def _masked(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, float)) else mask(str(value))


class JsonLines(logging.Formatter):
    """One JSON object a line, with the gateway's keys."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(fields_of(record), ensure_ascii=False)


class Words(logging.Formatter):
    """The same for people: time of day, level, event, the rest as `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and below it where an exception came from."""
        fields = fields_of(record)
        trace = fields.pop("exception", "")
        head = [str(fields.pop(name)) for name in ("time", "level", "event")]
        rest = [f"{name}={value}" for name, value in fields.items()]
        line = " ".join([head[0][11:19], f"{head[1]:<7}", head[2], *rest])
        return f"{line}\n{trace}" if trace else line


def start_logging(environ: Mapping[str, str] | None = None) -> None:
    """Log to stderr from now on, uvicorn's words too; raises `LogSettingInvalid`."""
    environ = os.environ if environ is None else environ
    form, level = read_form(environ.get("THAW_LOG", ""), is_terminal=sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else Words())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "urllib3", "asyncio", "multipart", "python_multipart"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def read_form(text: str, *, is_terminal: bool) -> tuple[str, int]:
    """`json` or `text`, and the level; where nothing is said, text on a terminal and JSON elsewhere."""
    form, _, level = text.partition(":")
    form, level = form or ("text" if is_terminal else "json"), level or "info"
    if form not in _FORMS or level not in _LEVELS:
        raise LogSettingInvalid(
            f"THAW_LOG is {text!r}: expected json or text, and after a colon one of {', '.join(_LEVELS)}",
            where="the environment",
            hint="as THAW_LOG=json:debug; without it: text on a terminal, JSON elsewhere, info",
        )
    return form, _LEVELS[level]
