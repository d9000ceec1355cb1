"""The licence of a Debian package as an SPDX expression, from its machine-readable copyright file."""

from __future__ import annotations

import re

_SPDX = {
    "expat": "MIT",
    "mit": "MIT",
    "apache-2.0": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "isc": "ISC",
    "zlib": "Zlib",
    "cecill": "CECILL-2.0",
    "cecill-b": "CECILL-B",
    "cecill-c": "CECILL-C",
    "mpl-2.0": "MPL-2.0",
    "mpl-1.1": "MPL-1.1",
    "cc0-1.0": "CC0-1.0",
}
_GNU = re.compile(r"(a?l?gpl)-([123])(?:\.([01]))?(\+?)")


def read_licence(copyright_text: str) -> str:
    """The licence of most files (`Files: *`); empty where the text names none."""
    for paragraph in re.split(r"\n\s*\n", copyright_text):
        files = re.search(r"^Files: *\*(?:\s|$)", paragraph, re.MULTILINE)
        named = re.search(r"^License: *(.+)$", paragraph, re.MULTILINE)
        if files and named:
            return spdx(named[1].strip())
    return ""


def spdx(name: str) -> str:
    """Debian's short name in SPDX's words: `GPL-2+ or Expat` is `GPL-2.0-or-later OR MIT`."""
    words = re.split(r" +(and|or) +", name, flags=re.IGNORECASE)
    return " ".join(word.upper() if word.lower() in ("and", "or") else _one(word) for word in words)


def _one(name: str) -> str:
    gnu = _GNU.fullmatch(name.lower())
    if gnu:
        family, major, minor, later = gnu.groups()
        return f"{family.upper()}-{major}.{minor or '0'}-{'or-later' if later else 'only'}"
    return _SPDX.get(name.lower()) or f"LicenseRef-{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')}"
