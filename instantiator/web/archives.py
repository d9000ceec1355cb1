"""All files of a workspace as one tar or zip, written while it is sent: nothing is laid out twice."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator

from instantiator.web.workspace import FileMissing, Workspace

PIECE = 1 << 20


class _Pipe:
    """A file object that remembers what was written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, content: bytes, /) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def stream_tar(workspace: Workspace, path: str = "") -> Iterator[bytes]:
    """The files as a tar; a file that grows or shrinks meanwhile is cut or filled to the size it had."""
    pipe = _Pipe()
    for entry in workspace.walk_files(path):
        try:
            stream, size = workspace.open_file(entry.path)
        except FileMissing:
            continue
        with stream:
            head = tarfile.TarInfo(entry.path)
            head.size, head.mtime, head.mode = size, int(entry.modified.timestamp()), 0o644
            yield head.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")
            left = size
            while left > 0:
                piece = stream.read(min(PIECE, left)) or bytes(min(PIECE, left))
                left -= len(piece)
                yield piece
            yield bytes(-size % 512)
    yield pipe.take() + bytes(10240)


def stream_zip(workspace: Workspace, path: str = "") -> Iterator[bytes]:
    """The files as a zip."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in workspace.walk_files(path):
            try:
                stream, _ = workspace.open_file(entry.path)
            except FileMissing:
                continue
            when = max(entry.modified.timetuple()[:6], (1980, 1, 1, 0, 0, 0))
            name = entry.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            head = zipfile.ZipInfo(name, (when[0], when[1], when[2], when[3], when[4], when[5]))
            head.compress_type = zipfile.ZIP_DEFLATED
            with stream, archive.open(head, "w", force_zip64=True) as inside:
                while piece := stream.read(PIECE):
                    inside.write(piece)
                    yield pipe.take()
    yield pipe.take()
