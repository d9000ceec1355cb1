"""What a queue refuses, each refusal with its code, the limit and what to do."""

from __future__ import annotations

from provenance.errors import ThawError


class QueueFull(ThawError):
    """As many runs wait as may wait in all."""

    code = "queue-full"


class QuotaReached(ThawError):
    """As many runs of this user wait as one user may have waiting."""

    code = "quota-reached"


class IdempotencyConflict(ThawError):
    """The key was used for another submission."""

    code = "idempotency-conflict"


class CursorInvalid(ThawError):
    """A cursor is none that a page gave."""

    code = "cursor-invalid"
