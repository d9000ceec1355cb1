"""Objects of the vault verified a short while ago: the next part of a large file need not be hashed again."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from typing import BinaryIO

from provenance.digest import Digest
from provenance.vault import Vault
from provenance.vault_files import open_object

GOOD_FOR_S = 3600.0
"""What was hashed longer ago is hashed again: a disk may rot without a file's times telling."""
KEPT = 4096

_Seen = tuple[Digest, int, int, int, int, int]


class Verified:
    """Objects hashed in this process, each as the very file it was then. Safe under threads."""

    def __init__(self) -> None:
        self._hashed: OrderedDict[_Seen, float] = OrderedDict()
        self._lock = threading.Lock()

    def open_part(self, vault: Vault, digest: Digest, *, used_by: str) -> BinaryIO:
        """An object as a stream, hashed now, or within the hour where its file is the same and was not touched.

        Raises `ObjectMissing`, `ObjectRotten`.
        """
        known = self._open_known(vault, digest)
        return known if known is not None else self.open_whole(vault, digest, used_by=used_by)

    def open_whole(self, vault: Vault, digest: Digest, *, used_by: str) -> BinaryIO:
        """An object as a stream, hashed now; raises `ObjectMissing`, `ObjectRotten`."""
        before = _look(vault, digest)
        stream = vault.open(digest, used_by=used_by)
        seen = _seen(digest, stream.fileno())
        if seen == before:  # else somebody touched it while it was hashed
            self._keep(seen)
        return stream

    def _open_known(self, vault: Vault, digest: Digest) -> BinaryIO | None:
        try:
            with open_object(vault.path(digest)) as descriptor:
                return (
                    os.fdopen(os.dup(descriptor), "rb") if self._is_kept(_seen(digest, descriptor)) else None
                )
        except OSError:
            return None  # the vault says what is wrong

    def _is_kept(self, seen: _Seen) -> bool:
        with self._lock:
            hashed = self._hashed.get(seen)
        return hashed is not None and time.monotonic() - hashed < GOOD_FOR_S

    def _keep(self, seen: _Seen) -> None:
        with self._lock:
            self._hashed[seen] = time.monotonic()
            self._hashed.move_to_end(seen)
            if len(self._hashed) > KEPT:
                self._hashed.popitem(last=False)


def _look(vault: Vault, digest: Digest) -> _Seen | None:
    try:
        with open_object(vault.path(digest)) as descriptor:
            return _seen(digest, descriptor)
    except OSError:
        return None


def _seen(digest: Digest, descriptor: int) -> _Seen:
    """A file as it is now. Its inode's time of change is with it, which no program can set back."""
    found = os.fstat(descriptor)
    return (digest, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
