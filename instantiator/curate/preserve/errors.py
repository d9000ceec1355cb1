"""What can be wrong with a preserved recipe."""

from __future__ import annotations

from provenance.errors import ThawError


class PreserveRefused(ThawError):
    """A recipe cannot be exported as it stands, or what is to be imported is damaged; nothing was taken."""

    code = "preserve-refused"
