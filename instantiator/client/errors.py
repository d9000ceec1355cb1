"""What can go wrong with a service somewhere else."""

from __future__ import annotations

from provenance.errors import DigestMismatch, ThawError


class RemoteError(ThawError):
    """The service refused: its own code, words and next step; `mistakes` are (part, what is wrong with it)."""

    code = "service-error"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        where: str = "",
        hint: str = "",
        mistakes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.code = code
        self.status = status
        self.mistakes = mistakes


class ServiceUnreachable(ThawError):
    """The service does not answer, or the connection broke. `was_sent`: it may have got the request."""

    code = "service-unreachable"

    def __init__(self, message: str, *, where: str = "", hint: str = "", was_sent: bool = True) -> None:
        super().__init__(message, where=where, hint=hint)
        self.was_sent = was_sent


class ServiceNotNamed(ThawError):
    """Nobody said which service is meant."""

    code = "service-not-named"


class ServiceRefused(ThawError):
    """The address is none a token may be sent to."""

    code = "service-refused"


class TokenMissing(ThawError):
    """There is no token for this service."""

    code = "token-missing"


class LoginsUnsafe(ThawError):
    """The file with the tokens can be read by others, or cannot be understood."""

    code = "logins-unsafe"


class AnswerInvalid(ThawError):
    """What answered is no Thaw, or one this client does not understand."""

    code = "answer-invalid"


class OutputWrong(DigestMismatch):
    """The bytes that came are not the ones the run recorded; nothing of them was kept."""

    code = "output-wrong"


class OutputPathRefused(ThawError):
    """An output's path leads out of the folder it is saved to."""

    code = "output-path-refused"


class RunNotOver(ThawError, TimeoutError):
    """The time to wait is over and the run is not."""

    code = "run-not-over"
