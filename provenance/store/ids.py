"""Names of runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random

_ALPHABET = "23456789bcdfghjkmnpqrstvwxz"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def new_run_id(now: datetime, random: Random) -> str:
    """A run's id, as `20261120-154949-k3f9`: the UTC second it was asked for, and four drawn signs.

    The time first, so that ids sort as runs came and a folder listing reads as a diary; a UUID does neither,
    and nobody can say one on the telephone. The four signs are digits and consonants that are not mistaken
    for each other (no 0/o, no 1/l, no vowels, hence no words): 531,441 of them within one second. They are no
    guarantee, `Store.begin_run` is: it raises `RunTaken`, and the caller draws again.
    """
    drawn = "".join(random.choice(_ALPHABET) for _ in range(4))
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{drawn}"


def is_run_id(text: str) -> bool:
    """Whether `text` may name a run, and with it a file: ids come from other people's records too."""
    return _RUN_ID.fullmatch(text) is not None
