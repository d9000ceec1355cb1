"""The rare and large things asked of the engine, through the docker SDK: the only module that imports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from instantiator.engine.containers import ImageMissing
from instantiator.engine.wire import EngineRefused, EngineUnreachable

if TYPE_CHECKING:
    from docker import APIClient

_ARCHIVE_TIMEOUT_S = 3600


def ask_info(socket_path: Path) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """What the engine says of itself (`info`) and of its version."""
    with _client(socket_path) as client:
        return client.info(), client.version()


def load_archive(socket_path: Path, archive: Path) -> None:
    """Give the engine the images of a docker-archive; raises where it takes none of them."""
    with _client(socket_path) as client, archive.open("rb") as stream:
        words = [
            line
            for line in client.load_image(stream)  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            if isinstance(line, dict)
        ]
    failures = [str(line["error"]) for line in words if "error" in line]
    if failures:
        raise EngineRefused(
            f"the engine does not take the image archive: {failures[0]}",
            status=500,
            where=str(archive),
            hint="see that the disk of the engine has room: thaw doctor",
        )


def save_image(socket_path: Path, image: str, archive: Path) -> None:
    """Write an image as a docker-archive; no half-written file is left behind."""
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    try:
        with _client(socket_path) as client, unfinished.open("wb") as stream:
            for chunk in client.get_image(image, chunk_size=1 << 20):
                stream.write(chunk)
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_image(socket_path: Path, image: str) -> None:
    """Take an image from the engine; fine where it holds none of that name."""
    try:
        with _client(socket_path) as client:
            client.remove_image(image, force=True)
    except ImageMissing:
        return


@contextmanager
def _client(socket_path: Path) -> Iterator[APIClient]:
    from docker import APIClient
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    client = None
    try:
        client = APIClient(base_url=f"unix://{socket_path}", version="auto", timeout=_ARCHIVE_TIMEOUT_S)
        yield client
    except APIError as error:
        raise _refusal(error.status_code or 500, error.explanation or str(error), socket_path) from error
    except (DockerException, RequestException) as error:
        raise EngineUnreachable(
            f"no container engine answers: {error}",
            where=str(socket_path),
            hint="start it: sudo systemctl start docker (or podman.socket)",
        ) from error
    finally:
        if client is not None:
            client.close()


def _refusal(status: int, words: str, socket_path: Path) -> EngineRefused:
    kind = ImageMissing if status == 404 else EngineRefused
    return kind(words, status=status, where=str(socket_path))
