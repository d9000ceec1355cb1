"""What can be wrong with a dataset, each with its code."""

from __future__ import annotations

from provenance.errors import ThawError


class DatasetUnknown(ThawError):
    """No dataset has this name, or it has no such version."""

    code = "dataset-unknown"


class DatasetChanged(ThawError):
    """What is at a dataset's path is not what was registered."""

    code = "dataset-changed"


class DatasetUnreadable(ThawError):
    """A dataset's files cannot be read: gone, forbidden, empty, of no use as files, or being written to."""

    code = "dataset-unreadable"


class DatasetNameInvalid(ThawError):
    """A dataset cannot be called like this."""

    code = "dataset-name-invalid"
