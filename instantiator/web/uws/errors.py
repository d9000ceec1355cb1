"""What went wrong, as clients of the Virtual Observatory read it: a line of text, or a VOTable where DALI asks."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response

from instantiator.web.api.problems import STATUS
from instantiator.web.uws.elements import answer_xml
from instantiator.web.uws.votables import MEDIA_TYPE, error_votable
from provenance.errors import ThawError

PREFIXES = ("/uws/", "/datalink/")


class JobRefused(ThawError):
    """A job was not accepted, for the reason another error gives: 403 in UWS, whatever it is."""

    def __init__(self, cause: ThawError) -> None:
        super().__init__(cause.message, hint=cause.hint)
        self.code = cause.code


class NotAnswered(ThawError):
    """A synchronous request found no answer within its time; the run goes on."""

    code = "not-answered"


class RunFailed(ThawError):
    """A run asked for synchronously gave no result."""

    code = "run-failed"


class TooLongForSync(ThawError):
    """The thread may take longer than a synchronous request waits."""

    code = "too-long-for-sync"


_OWN: Mapping[str, int] = {"not-answered": 503, "run-failed": 500, "too-long-for-sync": 400}


def is_refusal(error: ThawError) -> bool:
    """Whether an error is about what was asked, not about who asked or how the service is."""
    return STATUS.get(error.code, 400) in (400, 404, 409, 422, 429)


def answer(request: Request, error: ThawError, *, status: int | None = None) -> Response:
    """An error as an answer."""
    is_dali = request.url.path.endswith("/sync")
    status = status or _status_of(error)
    text = f"{error.message}\n{error.hint}" if error.hint else error.message
    found = (
        answer_xml(error_votable(text), media_type=MEDIA_TYPE, status=status)
        if is_dali
        else PlainTextResponse(f"{text}\n".encode("utf-8", "replace"), status_code=status)
    )
    found.headers["X-Thaw-Code"] = error.code
    if status == 401:
        found.headers.append("WWW-Authenticate", 'Bearer realm="thaw"')
        found.headers.append("WWW-Authenticate", 'Basic realm="thaw"')
    if status in (429, 503) or error.code in ("queue-full", "quota-reached"):
        found.headers["Retry-After"] = "5"
    return found


def _status_of(error: ThawError) -> int:
    if isinstance(error, JobRefused):
        return 403
    status = _OWN.get(error.code) or STATUS.get(error.code, 400)
    return 400 if status == 422 else status
