"""Fetch an output: on from where the connection broke, and refused unless its digest is the recorded one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from instantiator.client.actions import Flow, Open, Pause, Read, Reply, Request, Shut
from instantiator.client.errors import OutputWrong, ServiceUnreachable
from instantiator.client.flows.asking import AWAY, PAUSES, ROOT, accepted, error_of
from instantiator.client.models import OutputFile
from instantiator.client.saving import target_of, whole_file, whole_folder

LONG_S = 600.0
"""The service checks the bytes before it sends the first."""


def read(run: str, output: OutputFile) -> Flow[bytes]:
    """The bytes of an output."""
    pieces: list[bytes] = []
    yield from _fetch(run, output, pieces.append)
    return b"".join(pieces)


def save(run: str, output: OutputFile, folder: Path) -> Flow[Path]:
    """Put an output into a folder, under its own path, whole or not at all."""
    target = target_of(folder, output.path)
    with whole_file(target) as stream:
        yield from _fetch(run, output, stream.write)
    return target


def save_all(run: str, outputs: tuple[OutputFile, ...], folder: Path) -> Flow[None]:
    """Put outputs into a folder that is there only once all of them are."""
    with whole_folder(folder) as temporary:
        for output in outputs:
            yield from save(run, output, temporary)


def _fetch(run: str, output: OutputFile, hear: Callable[[bytes], object]) -> Flow[None]:
    """Hand over the pieces of an output. Raises `OutputWrong` at the end: before, nothing may be believed."""
    hashed, offset, failures = hashlib.sha256(), 0, 0
    while True:
        failed: ServiceUnreachable | None = None
        try:
            yield from _open(run, output, offset)
            while piece := (yield Read()):
                hashed.update(piece)
                offset += len(piece)
                failures = 0
                if offset > output.size:
                    raise _wrong(output, f"more than {output.size} bytes")
                hear(piece)
            yield Shut()
        except ServiceUnreachable as error:
            failed = error
        if offset == output.size:
            break
        if failures == len(PAUSES):
            raise failed or _wrong(output, f"{offset} bytes of {output.size}")
        yield Pause(PAUSES[failures])
        failures += 1
    found = f"sha256:{hashed.hexdigest()}"
    if found != output.digest:
        raise _wrong(output, found)


def _open(run: str, output: OutputFile, offset: int) -> Flow[None]:
    path = f"{ROOT}/runs/{run}/outputs/{output.number}"
    headers: Mapping[str, str] = (
        {"Range": f"bytes={offset}-", "If-Range": f'"{output.digest}"'} if offset else {}
    )
    reply: Reply = yield Open(Request(method="GET", path=path, headers=headers, timeout_s=LONG_S))
    if reply.status in AWAY:
        told = error_of(reply)
        raise ServiceUnreachable(told.message, where=told.where, hint=told.hint)
    accepted(reply)
    if offset and reply.status != 206:
        raise _wrong(output, "another file under the same number")


def _wrong(output: OutputFile, found: str) -> OutputWrong:
    return OutputWrong(
        f"output {output.path!r} is not the one the run recorded: expected {output.digest}, found {found}",
        where=output.path,
        hint="fetch it again; if it stays so the service's vault is damaged: thaw vault audit",
    )
