"""What can go wrong between a recipe and its image."""

from __future__ import annotations

from provenance.errors import ThawError


class LockMissing(ThawError):
    """A recipe has no lock yet."""

    code = "lock-missing"


class LockStale(ThawError):
    """The recipe asks for something else than its lock answers."""

    code = "lock-stale"


class LockInvalid(ThawError):
    """A lock file cannot be read."""

    code = "lock-invalid"


class ResolveFailed(ThawError):
    """A name of the recipe could not be resolved to bytes."""

    code = "resolve-failed"


class FetchFailed(ThawError):
    """Locked bytes are not in the vault and could not be fetched."""

    code = "fetch-failed"


class NothingAwaited(ThawError):
    """An image up to the deposit was asked for, of a recipe that asks for no deposit."""

    code = "nothing-awaited"


class DepositMissing(ThawError):
    """A recipe waits for a file a curator has to hand in."""

    code = "deposit-missing"


class DepositWrong(ThawError):
    """A file handed in is not the one the recipe names."""

    code = "deposit-wrong"


class BuildFailed(ThawError):
    """A step of the build ended with an error."""

    code = "build-failed"


class ImageDiffers(ThawError):
    """A build gave another image than the lock names."""

    code = "image-differs"


class ImageMissing(ThawError):
    """The engine does not hold an image."""

    code = "image-missing"


class ArchiveInvalid(ThawError):
    """An image archive is not what it says."""

    code = "archive-invalid"
