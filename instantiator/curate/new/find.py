"""What is found in the files of a program. Decides nothing: `propose.py` and `risk.py` do."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from instantiator.curate.new.elf import read_elf
from instantiator.curate.new.members import Member

_HOST = re.compile(
    rb"(?:https?|ftp|rsync)://([A-Za-z0-9](?:[A-Za-z0-9.-]{0,200}[A-Za-z0-9])?\.[A-Za-z]{2,12})\b"
)
_PATH = re.compile(
    rb"(?<![A-Za-z0-9._/~-])(/(?:home|users?|local|opt|data|scratch|disk\d*|export)/[\x21-\x7e]{2,120})"
)
_SHEBANG = re.compile(rb"#! *(\S+)(?: +(\S+))?")
_DOWNLOAD = re.compile(rb"^[^#\n]*\b(wget|curl|ftp|rsync|git clone|pip install)\b.*$", re.MULTILINE)
_REQUIRES = re.compile(
    rb"\bpackage require (?:-exact )?(Tcl|Tk) +([0-9.]+)|^use +v?(5[0-9.]+);", re.MULTILINE
)
_JAVA = {45: "1.1", 46: "1.2", 47: "1.3", 48: "1.4"}
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_DOCUMENTS = re.compile(r"(?i)(?:.*/)?(?:copyright|licen[cs]e(?:\.\w+)?|copying(?:\.\w+)?|readme(?:\.\w+)?)")
_MAN = re.compile(r"(?:.*/)?man/man\d/[^/]+\.\d\w*(?:\.gz)?|.*\.1(?:\.gz)?")
_NAMES_ONLY = ("www.w3.org", "json-schema.org", "www.gnu.org")
"""Hosts in the names of formats and licences: nobody asks them anything."""
_MOST = 40
_TEXT = 200_000


@dataclass(slots=True, kw_only=True)
class Found:
    """Everything of note in the files of a program; each set by what it is, in order of finding."""

    files: int = 0
    size: int = 0
    control: dict[str, str] = field(default_factory=dict)
    wheel: dict[str, str] = field(default_factory=dict)
    programs: list[str] = field(default_factory=list)
    machines: set[str] = field(default_factory=set)
    loaders: set[str] = field(default_factory=set)
    needed: dict[str, str] = field(default_factory=dict)
    brought: set[str] = field(default_factory=set)
    shebangs: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    downloads: dict[str, str] = field(default_factory=dict)
    setuid: list[str] = field(default_factory=list)
    desktops: dict[str, dict[str, str]] = field(default_factory=dict)
    manuals: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    nested: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def look_into(members: Iterable[Member]) -> Found:
    """Look at every file once."""
    found = Found()
    for member in members:
        found.files += not member.path.startswith("DEBIAN/")
        found.size += member.size
        if member.path.startswith("DEBIAN/"):
            _look_at_control(member, found)
        else:
            _look_at_file(member, found)
    found.needed = {name: by for name, by in found.needed.items() if name not in found.brought}
    return found


def _look_at_control(member: Member, found: Found) -> None:
    name = member.path.removeprefix("DEBIAN/")
    if name == "control":
        found.control = read_fields(member.content)
    if name in _SCRIPTS:
        for match in list(_DOWNLOAD.finditer(member.content))[:_MOST]:
            found.downloads.setdefault(_text(match[0]).strip(), name)


def _look_at_file(member: Member, found: Found) -> None:
    path, content = member.path, member.content
    if member.mode & 0o6000:
        found.setuid.append(path)
    if member.size and not content and not member.link:
        found.unseen.append(path)
    name = PurePosixPath(path).name
    found.brought.update({name} if ".so" in name else ())
    if content.startswith(b"\x7fELF"):
        _look_at_elf(member, found)
    elif content.startswith(b"#!"):
        _look_at_script(member, found)
    if content.startswith(b"\xca\xfe\xba\xbe") and len(content) > 8:
        major = int.from_bytes(content[6:8], "big")
        found.versions.setdefault(f"Java class files of version {_JAVA.get(major, str(major - 44))}", path)
    if name.endswith((".tar.gz", ".tgz", ".tar", ".zip", ".jar", ".tar.xz", ".tar.bz2")):
        found.nested.append(path)
    _look_for_words(member, found)


def _look_at_elf(member: Member, found: Found) -> None:
    elf = read_elf(member.content)
    if elf is None:
        found.unseen.append(member.path)
        return
    found.machines.add(f"{elf.machine} {elf.bits}-bit")
    if elf.soname:
        found.brought.add(elf.soname)
    if elf.interpreter and member.mode & 0o111:
        found.loaders.add(elf.interpreter)
        found.programs.append(member.path)
    for library in elf.needed:
        found.needed.setdefault(library, member.path)


def _look_at_script(member: Member, found: Found) -> None:
    match = _SHEBANG.match(member.content)
    if match is None or not member.mode & 0o111 or "/share/doc/" in f"/{member.path}":
        return
    interpreter = _text(match[1])
    if interpreter.endswith("/env") and match[2]:
        interpreter = _text(match[2])
    found.shebangs.setdefault(interpreter, member.path)
    if "/bin/" in f"/{member.path}":
        found.programs.append(member.path)


def _look_for_words(member: Member, found: Found) -> None:
    path, content = member.path, member.content
    if not _DOCUMENTS.fullmatch(path) and not _MAN.fullmatch(path):
        for match in _HOST.finditer(content):
            if (host := _text(match[1]).lower()) not in _NAMES_ONLY:
                _keep(found.hosts, host, path)
        for match in _PATH.finditer(content):
            _keep(found.paths, _text(match[1]).rstrip("\"'<>,;:)"), path)
    if path.endswith((".tcl", ".tk", ".pl", ".pm")) or content.startswith(b"#!"):
        for match in _REQUIRES.finditer(content):
            found.versions.setdefault(f"{_text(match[1] or b'Perl')} {_text(match[2] or match[3])}", path)
    if path.endswith(".desktop"):
        found.desktops[path] = read_fields(content)
    if path.endswith(".dist-info/METADATA"):
        found.wheel = read_fields(content)
    if path.endswith(".dist-info/entry_points.txt"):
        found.programs += re.findall(r"(?m)^([\w.-]+) *=", _text(content[:_TEXT]))
    if _MAN.fullmatch(path):
        found.manuals[path] = _text(_unzipped(content))
    elif _DOCUMENTS.fullmatch(path):
        found.documents[path] = _text(_unzipped(content))


def _keep(into: dict[str, str], what: str, path: str) -> None:
    if what not in into and len(into) < _MOST:
        into[what] = path


def read_fields(content: bytes) -> dict[str, str]:
    """`Key: value` and `Key=value` lines as a mapping, the first of each; lines that go on are joined."""
    fields: dict[str, str] = {}
    last = ""
    for line in _text(content[:_TEXT]).splitlines():
        match = re.match(r"([A-Za-z][A-Za-z0-9-]*)(?:: ?|=)(.*)", line)
        if match and match[1] not in fields:
            last = match[1]
            fields[last] = match[2].strip()
        elif last and line.startswith(" "):
            fields[last] += "\n" + line.strip()
        else:
            last = ""
    return fields


def _unzipped(content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content[:_TEXT]
    try:
        return zlib.decompressobj(wbits=31).decompress(content, _TEXT)
    except zlib.error:
        return b""


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
