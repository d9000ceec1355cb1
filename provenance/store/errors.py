"""What can go wrong with the store, each with its code."""

from __future__ import annotations

from provenance.errors import ThawError


class RunUnknown(ThawError):
    """No run has this id."""

    code = "run-unknown"


class RunAmbiguous(ThawError):
    """Several runs' ids begin, or end, like this."""

    code = "run-ambiguous"


class RunTaken(ThawError):
    """Another run has this id already."""

    code = "run-taken"


class StateIllegal(ThawError):
    """A run cannot go from its state to the one asked for."""

    code = "state-illegal"


class StoreBusy(ThawError):
    """Another process kept the store locked for too long."""

    code = "store-busy"


class StoreDamaged(ThawError):
    """The store's file is no SQLite database any more, or an entry of the journal cannot be read."""

    code = "store-damaged"


class StoreTooNew(ThawError):
    """A newer Thaw has written this store."""

    code = "store-too-new"


class StoreUnusable(ThawError):
    """The store's file cannot be opened or written: rights, a read-only disk, an I/O error."""

    code = "store-unusable"
