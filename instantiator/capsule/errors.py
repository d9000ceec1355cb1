"""Why a run cannot be put into a capsule."""

from __future__ import annotations

from provenance.errors import ThawError


class CapsuleRefused(ThawError):
    """A run, or the file it should go to, that makes no capsule."""

    code = "capsule-refused"
