"""Whoever is killed, no container stays behind: the guardian process, and the label that names an owner.

The first guarded container of a process starts one guardian: a bare interpreter in a session of its own,
reading a pipe whose other end only this process holds. `+name` and `-name` tell it what is alive. When the
pipe ends, or the process is gone, it removes what is left: by name, for a name is known before the engine
has even been asked. The module is also that process's program, so its top imports only what starts in
milliseconds.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ENGINE_PATIENCE_S = 60.0
_CREATE_PATIENCE_S = 3.0


class Guard:
    """The containers this process answers for. Safe under threads and forks; costs a pipe write each."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path
        self._lock = threading.Lock()
        self._names: set[str] = set()
        self._awaited: set[str] = set()
        self._pid = 0
        self._guardian = 0
        self._pipe = -1

    def watch(self, name: str) -> None:
        """From now on the container `name` dies with this process. To be called before it is created."""
        with self._lock:
            self._leave_parents_guardian()
            self._names.add(name)
            self._awaited.add(name)
            self._tell(f"+{name}\n")

    def abandon(self, name: str) -> None:
        """Nobody waits for the container `name` any more; it is still to be removed."""
        self._awaited.discard(name)

    def forget(self, name: str) -> None:
        """The container `name` is gone: nothing is left to guard."""
        with self._lock:
            self._leave_parents_guardian()
            self._names.discard(name)
            self._awaited.discard(name)
            self._tell(f"-{name}\n")

    def awaits(self, name: str) -> bool:
        """Whether somebody in this process waits for the container `name`."""
        return self._pid == os.getpid() and name in self._awaited

    @property
    def guardian_pid(self) -> int:
        """The guardian's process; 0 before the first container."""
        return self._guardian

    def _leave_parents_guardian(self) -> None:
        if self._pid == os.getpid():
            return
        if self._pipe >= 0:  # inherited by a fork: a second writer would hide the first one's death
            os.close(self._pipe)
        self._pid, self._pipe, self._guardian = os.getpid(), -1, 0
        self._names, self._awaited = set(), set()

    def _tell(self, line: str) -> None:
        try:
            if self._pipe >= 0:
                os.write(self._pipe, line.encode())
                return
        except BrokenPipeError:
            self._bury_guardian()
        if self._names:
            self._start_guardian()

    def _start_guardian(self) -> None:
        reading, self._pipe = os.pipe()
        try:
            self._guardian = spawn_guardian(reading, self._socket_path)
        finally:
            os.close(reading)
        os.write(self._pipe, "".join(f"+{name}\n" for name in sorted(self._names)).encode())

    def _bury_guardian(self) -> None:
        os.close(self._pipe)
        self._pipe = -1
        try:
            os.waitpid(self._guardian, os.WNOHANG)
        except ChildProcessError:
            return


def spawn_guardian(reading: int, socket_path: Path) -> int:
    """Start the guardian on the reading end of a pipe, deaf to the terminal and the process group; its pid.

    `posix_spawn` and not a fork: a resident process has threads, and no page has to be copied.
    """
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", __file__, str(socket_path), str(os.getpid())],
            {"PATH": os.defpath},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_DUP2, null, 1),
                (os.POSIX_SPAWN_DUP2, null, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(null)


def describe_owner() -> str:
    """This process, so that nobody can be mistaken for it: pid, start time, boot, pid namespace."""
    boot = _BOOT_ID.read_text().strip()
    return f"{os.getpid()}:{_start_time(os.getpid())}:{boot}:{_pid_namespace()}"


def owner_is_alive(owner: str) -> bool:
    """Whether the process `describe_owner` described still runs. True where this process cannot know."""
    try:
        pid, started, boot, namespace = owner.split(":")
        number = int(pid)
    except ValueError:
        return False
    if boot != _BOOT_ID.read_text().strip():
        return False
    return namespace != _pid_namespace() or started == _start_time(number)


def _start_time(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    after_name = stat.rpartition(")")[2].split()
    return "" if after_name[0] == "Z" else after_name[19]


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")


def stand_guard(socket_path: str, parent: int) -> None:
    """The guardian: hear names until the parent is gone, then remove the containers that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    _remove_for_certain(socket_path, _hear_names(parent))


def _hear_names(parent: int) -> set[str]:
    heard, rest = set[str](), b""
    os.set_blocking(0, False)
    watch = select.poll()
    watch.register(0, select.POLLIN)
    parent_gone = _watch_parent(watch, parent)
    while True:
        ready = [descriptor for descriptor, _ in watch.poll(0 if parent_gone else None)]
        if any(descriptor != 0 for descriptor in ready):
            parent_gone = True
        if 0 in ready:
            piece = os.read(0, 65536)
            if not piece:
                return heard
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                _take_word(heard, line.decode())
        elif parent_gone:
            return heard


def _watch_parent(watch: select.poll, parent: int) -> bool:
    """Also hear of the parent's death where a fork of it still holds the pipe; whether it is gone already."""
    try:
        watch.register(os.pidfd_open(parent), select.POLLIN)
    except ProcessLookupError:
        return True
    except OSError:  # a kernel before 5.3: the pipe alone has to do
        return False
    return False


def _take_word(heard: set[str], line: str) -> None:
    if line.startswith("+"):
        heard.add(line[1:])
    else:
        heard.discard(line[1:])


def _remove_for_certain(socket_path: str, names: set[str]) -> None:
    """Remove every container; waits for an engine that restarts, and for a creation still under way."""
    started = time.monotonic()
    while names and time.monotonic() - started < _ENGINE_PATIENCE_S:
        gone = {200, 204} if time.monotonic() - started < _CREATE_PATIENCE_S else {200, 204, 404}
        names = {name for name in names if _ask_removal(socket_path, name) not in gone}
        if names:
            time.sleep(0.1)


def _ask_removal(socket_path: str, name: str) -> int:
    """The status of the engine's answer to one request for removal; 0 where it gave none."""
    request = f"DELETE /containers/{name}?force=1&v=1 HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(30)
            connection.connect(socket_path)
            connection.sendall(request.encode())
            return int(connection.recv(4096).split(None, 2)[1])
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    stand_guard(sys.argv[1], int(sys.argv[2]))
