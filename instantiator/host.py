"""Probes of this host: what its kernel, processor and disks let a recipe do. Each asks one question."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from instantiator.engine import Engine

_MIB = 1 << 20
_I386_ANSWER = 42


class Vsyscall(StrEnum):
    """What the kernel does when an old C library calls through the vsyscall page (glibc before 2.14)."""

    EMULATE = "emulate"
    XONLY = "xonly"
    NONE = "none"

    def runs_old_programs(self) -> bool:
        """Whether such a call works; XONLY only forbids to read the page, which debuggers do."""
        return self is not Vsyscall.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """The model and the flags of the first processor, as the kernel names them."""

    model: str
    flags: tuple[str, ...]


def host_facts_for_record(engine: Engine | None) -> Mapping[str, object]:
    """What a record says of the host: kernel, processor, engine versions. 6 ms, nearly all the engine's."""
    processor = probe_processor()
    return {
        "kernel": os.uname().release,
        "arch": os.uname().machine,
        "cpu_model": processor.model,
        "cpu_flags": list(processor.flags),
        "engine": dict(engine.versions()) if engine is not None else {},
    }


@cache
def probe_processor() -> Processor:
    """The processor; it does not change while this process lives."""
    fields = read_first_processor(Path("/proc/cpuinfo"))
    flags = fields.get("flags") or fields.get("Features") or ""
    model = fields.get("model name") or fields.get("CPU part") or os.uname().machine
    return Processor(model=model, flags=tuple(sorted(flags.split())))


def read_first_processor(cpuinfo: Path) -> Mapping[str, str]:
    """The fields of the first processor; the others are not read, of which a large host has hundreds."""
    return dict(_fields(cpuinfo))


def _fields(cpuinfo: Path) -> Iterator[tuple[str, str]]:
    with cpuinfo.open() as lines:
        for line in lines:
            if not line.strip():
                return
            key, _, value = line.partition(":")
            yield key.strip(), value.strip()


def probe_vsyscall() -> Vsyscall:
    """How vsyscalls are treated, told by the page in this process's own memory map."""
    return read_vsyscall(Path("/proc/self/maps").read_text())


def read_vsyscall(maps: str) -> Vsyscall:
    """The mode a memory map shows: the page readable, executable only, or absent."""
    for line in maps.splitlines():
        if line.endswith("[vsyscall]"):
            return Vsyscall.EMULATE if line.split()[1].startswith("r") else Vsyscall.XONLY
    return Vsyscall.NONE


def probe_i386() -> bool | None:
    """Whether 32-bit x86 programs run here: one is executed. None where no folder lets it be tried."""
    for folder in (Path(tempfile.gettempdir()), Path("/dev/shm"), Path.home()):
        try:
            return _run_i386_program(folder)
        except OSError:  # mounted noexec, full, or not ours to write to
            continue
    return None


def _run_i386_program(folder: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=folder, prefix="thaw-") as scratch:
        program = Path(scratch, "i386")
        program.write_bytes(make_i386_program())
        program.chmod(0o700)
        try:
            ended = subprocess.run([program], capture_output=True, timeout=10, check=False)
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                return False
            raise
        return ended.returncode == _I386_ANSWER


def make_i386_program() -> bytes:
    """The smallest static 32-bit program: `exit(42)` by `int 0x80`."""
    code = b"\xb8\x01\x00\x00\x00" + b"\xbb" + struct.pack("<I", _I386_ANSWER) + b"\xcd\x80"
    base, head = 0x08048000, 52 + 32
    size = head + len(code)
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    elf = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + head, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 0x1000)
    return elf + segment + code


def probe_user_namespaces() -> bool:
    """Whether an ordinary user may make user namespaces, by the kernel's three switches."""
    closed_by = {
        "user/max_user_namespaces": "0",
        "kernel/unprivileged_userns_clone": "0",
        "kernel/apparmor_restrict_unprivileged_userns": "1",
    }
    is_built_in = Path("/proc/self/ns/user").exists()
    return is_built_in and all(_read_switch(name) != value for name, value in closed_by.items())


def _read_switch(name: str) -> str:
    path = Path("/proc/sys", name)
    return path.read_text().strip() if path.exists() else ""


def probe_kvm() -> bool:
    """Whether this user may start virtual machines."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def probe_memory_mb() -> int:
    """The memory of this host."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB


def probe_free_mb(folder: Path) -> int | None:
    """The free space this user may fill where `folder` is, or would be made; None where it cannot be seen."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        return shutil.disk_usage(existing).free // _MIB
    except PermissionError:
        return None
