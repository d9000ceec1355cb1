"""What can go wrong around a run; what goes wrong in one is part of its record."""

from __future__ import annotations

from provenance.errors import ThawError


class ThreadUnknown(ThawError):
    """A recipe has no thread of that name."""

    code = "thread-unknown"


class InputWrong(ThawError):
    """A dataset is not what a thread's input asks for."""

    code = "input-wrong"


class CannotRepeat(ThawError):
    """Something a record names is not to be had any more."""

    code = "cannot-repeat"


class VerifyCancelled(ThawError):
    """A repeat was stopped before its end: it shows nothing of the run."""

    code = "cancelled"


class OutputFolderTaken(ThawError):
    """The folder for outputs holds something already."""

    code = "output-folder-taken"


class SmokeUnknown(ThawError):
    """A recipe has no smoke test of that name."""

    code = "smoke-unknown"
