"""The gateway of `thaw serve`: a process of its own, started again where it dies."""

from __future__ import annotations

import logging
import os
import pwd
import socket as socketlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import ThawError

_log = logging.getLogger(__name__)
LEAST_LIFE_S = 3
"""A gateway that lived shorter is not started again: it cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a service is reached: its own socket, the gateway's address, browsers' address, the metrics' port."""

    socket: Path
    address: tuple[str, int]
    site: str | None = None
    metrics: int | None = None


class GatewayEnded(ThawError):
    """The gateway ended by itself, mostly because its port is taken."""

    code = "gateway-ended"


def keep_gateway(
    run: Callable[[], AbstractContextManager[subprocess.Popen[bytes]]],
    place: Place,
    stop: threading.Event,
    tell: Callable[[], None],
) -> None:
    """Run the gateway until told to stop; one that dies is started again, unless it could not even start."""
    is_told = False
    while not stop.is_set():
        started = time.monotonic()
        with run() as gateway:
            while gateway.poll() is None and not stop.wait(0.2):
                if not is_told and _answers(place.address):
                    is_told = True
                    tell()
        if stop.is_set():
            return
        if not is_told or time.monotonic() - started < LEAST_LIFE_S:
            raise GatewayEnded(
                f"the gateway ended with status {gateway.returncode}",
                where=f"{place.address[0]}:{place.address[1]}",
                hint="is the port taken? choose another: thaw serve --port 8766",
            )
        _log.error("the gateway ended and is started again", extra={"status": gateway.returncode})


def _answers(address: tuple[str, int]) -> bool:
    """Whether the gateway listens: the address is told only when it leads somewhere."""
    host = "127.0.0.1" if address[0] in ("0.0.0.0", "::") else address[0]
    try:
        with socketlib.create_connection((host, address[1]), timeout=0.5):
            return True
    except OSError:
        return False


def find_gateway_user(socket: Path) -> pwd.struct_passwd | None:
    """Whom the gateway becomes where this is root: nobody, if that user can reach the socket at all."""
    if os.geteuid() != 0:
        return None
    above = socket.parent.parents
    if all(path.stat().st_mode & 0o001 for path in above):
        return pwd.getpwnam("nobody")
    _log.warning(
        "the gateway runs as root: other users cannot reach %s (chmod o+x the folders above)",
        socket.parent.parent,
    )
    return None


@contextmanager
def run_gateway(
    cache: Path, place: Place, user: pwd.struct_passwd | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway, a process of its own; it ends with the body."""
    novnc = _novnc(cache / "novnc")
    host, port = place.address
    names = dict.fromkeys((host, "127.0.0.1", "localhost"))
    command = [sys.executable, "-m", "vnc_gateway", "--portal", str(place.socket), "--novnc", str(novnc)]
    command += ["--listen", f"{host}:{port}", "--parent", str(os.getpid())]
    origins = [*([place.site] if place.site else []), *(f"http://{name}:{port}" for name in names)]
    command += [part for origin in origins for part in ("--origin", origin)]
    command += ["--user", user.pw_name] if user else []
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL
    )  # it says in words where it listens
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _novnc(folder: Path) -> Path:
    """noVNC, fetched once; the program that does it is the gateway's, which nothing of Thaw imports."""
    command = [sys.executable, "-m", "vnc_gateway.novnc", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GatewayEnded(
            "noVNC is not there: " + done.stderr.strip(), where=str(folder), hint="is npm there?"
        )
    return folder / "node_modules/@novnc/novnc"
