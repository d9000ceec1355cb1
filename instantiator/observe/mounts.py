"""A container's mount table: which mounts hold files worth watching. Pure but for `read_mounts`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_KERNEL_TYPES = frozenset(
    ("proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "devtmpfs", "nsfs", "securityfs", "bpf")
)
_KERNEL_FOLDERS = ("/dev", "/proc", "/sys")
_KERNEL_EXCEPTIONS = ("/dev/shm",)
_ENGINE_FILES = frozenset(
    (
        *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"),
        *(
            "/sbin/docker-init",
            "/usr/sbin/docker-init",
            "/dev/init",
            "/run/podman-init",
            "/run/.containerenv",
            "/run/secrets",
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """One line of a mount table."""

    path: str
    kind: str


def read_mounts(pid: int) -> tuple[MountPoint, ...]:
    """The mounts a process sees, paths in its own view."""
    return parse_mounts(os.fsdecode(Path(f"/proc/{pid}/mountinfo").read_bytes()))


def parse_mounts(mountinfo: str) -> tuple[MountPoint, ...]:
    """The mounts in the text of /proc/<pid>/mountinfo."""
    return tuple(_parse_line(line) for line in mountinfo.split("\n") if line)


def _parse_line(line: str) -> MountPoint:
    head, _, tail = line.partition(" - ")
    return MountPoint(path=_unescape(head.split(" ")[4]), kind=tail.split(" ")[0])


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)


def is_worth_watching(mount: MountPoint) -> bool:
    """Whether a mount holds the application's files: not the kernel's own, nor what the engine puts in."""
    if mount.kind in _KERNEL_TYPES or mount.path in _ENGINE_FILES:
        return False
    return not is_kernel_path(mount.path)


def is_kernel_path(path: str) -> bool:
    """Whether a path is no file of the application's but a door to the kernel."""
    if any(path == name or path.startswith(f"{name}/") for name in _KERNEL_EXCEPTIONS):
        return False
    return any(path == name or path.startswith(f"{name}/") for name in _KERNEL_FOLDERS)


def is_loader(path: str) -> bool:
    """Whether a path is a dynamic loader: the kernel opens it to execute whatever program needs it."""
    return re.fullmatch(r"ld(-linux.*|-musl.*|64|-[0-9.]+)?\.so(\.\d+)*", path.rpartition("/")[2]) is not None
