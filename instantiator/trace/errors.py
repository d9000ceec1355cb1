"""What can go wrong with a trace."""

from __future__ import annotations

from provenance.errors import ThawError


class TraceFailed(ThawError):
    """The run is recorded, and could not be packed."""

    code = "trace-failed"


class BundleTaken(ThawError):
    """There is a file where the packed run should go."""

    code = "bundle-taken"
