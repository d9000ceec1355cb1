"""The one shape of every error a user can meet."""

from __future__ import annotations


class ThawError(Exception):
    """Something the user can act on: what was found, what was expected, where, and the next step.

    `code` is kebab-case and stable: scripts may match on it. Subclasses set it.
    """

    code = "error"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.message}"]
        if self.where:
            lines.append(f"  at   {self.where}")
        if self.hint:
            lines.append(f"  hint {self.hint}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, str]:
        """The error as data: keys `code`, `message`, `where`, `hint`."""
        return {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}


class DigestMismatch(ThawError):
    """Bytes are not the ones their digest names."""

    code = "digest-mismatch"


class ObjectMissing(ThawError):
    """The vault does not hold an object that something needs."""

    code = "object-missing"


class ObjectRotten(ThawError):
    """An object of the vault no longer has the digest it is stored under."""

    code = "object-rotten"


class DiskFull(ThawError):
    """A write found no space left; nothing half-written stays behind."""

    code = "disk-full"


class RecordInvalid(ThawError):
    """A record cannot be read: wrong format number, missing key or wrong type."""

    code = "record-invalid"


class VaultRefused(ThawError):
    """The folder is not a vault that this Thaw can read."""

    code = "vault-refused"


class SourceRefused(ThawError):
    """A file or folder cannot be kept: it is no regular file, cannot be read, or has an impossible name."""

    code = "source-refused"


class SourceChanged(ThawError):
    """A file was written to while it was read."""

    code = "source-changed"


class TreeInvalid(ThawError):
    """A tree is not one that Thaw wrote: not JSON of format 1, or paths that no folder can have."""

    code = "tree-invalid"


class FolderTaken(ThawError):
    """A folder that should be made is already there, with something else in it."""

    code = "folder-taken"


class ArchiveInvalid(ThawError):
    """A vault archive is truncated, changed or forged; nothing of it was taken."""

    code = "archive-invalid"
