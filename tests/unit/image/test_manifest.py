"""The file manifest of a layer, and how two differ."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

from instantiator.image.manifest import (
    ManifestEntry,
    differing_paths,
    manifest_bytes,
    manifest_from_bytes,
    read_layer,
)
from tests.examples import sha256

CONF = ManifestEntry(
    path="/etc/midas.conf",
    kind="file",
    mode="0644",
    owner="0:0",
    mtime=1_795_132_800,
    size=4,
    content=sha256(b"conf"),
)
LINK = replace(
    CONF,
    path="/lib/libmidas.so",
    kind="symlink",
    mode="0777",
    size=0,
    content="/opt/midas/22SEP/lib/libmidas.so.1",
)


def write_layer(path: Path) -> Path:
    """A layer as mmdebstrap writes it: `./` first, entries in no special order."""
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("./", tarfile.DIRTYPE),
            ("./etc/", tarfile.DIRTYPE),
            ("./.hidden", tarfile.REGTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = kind, 0o755, 7
            archive.addfile(entry)
        file = tarfile.TarInfo("./etc/midas.conf")
        file.size, file.mtime, file.uid, file.gid = 4, CONF.mtime, 0, 0
        archive.addfile(file, io.BytesIO(b"conf"))
        link = tarfile.TarInfo("./bin")
        link.type, link.linkname, link.mode = tarfile.SYMTYPE, "usr/bin", 0o777
        archive.addfile(link)
    return path


def test_every_path_of_a_layer_is_listed_as_it_will_be_seen(tmp_path: Path) -> None:
    entries = read_layer(write_layer(tmp_path / "layer.tar"))
    assert [(entry.path, entry.kind) for entry in entries] == [
        ("/", "directory"),
        ("/.hidden", "file"),
        ("/bin", "symlink"),
        ("/etc", "directory"),
        ("/etc/midas.conf", "file"),
    ]
    assert entries[-1] == CONF
    assert entries[2].content == "usr/bin"


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert manifest_from_bytes(manifest_bytes([CONF, LINK])) == (CONF, LINK)


def test_the_same_manifests_do_not_differ() -> None:
    assert list(differing_paths([CONF, LINK], [LINK, CONF])) == []


def test_each_path_that_differs_is_named_with_what_differs() -> None:
    changed = replace(CONF, size=5, content=sha256(b"conf!"))
    added = replace(CONF, path="/var/log/midas.log")
    assert list(differing_paths([CONF, LINK], [changed, added])) == [
        f"/etc/midas.conf: size 4 -> 5, content {sha256(b'conf')[:12]}… -> {sha256(b'conf!')[:12]}…",
        "/lib/libmidas.so: missing",
        "/var/log/midas.log: not expected",
    ]


def test_two_links_that_begin_alike_are_told_apart() -> None:
    moved = replace(LINK, content=LINK.content.replace(".so.1", ".so.2"))
    (line,) = differing_paths([LINK], [moved])
    assert line == f"/lib/libmidas.so: content {LINK.content} -> {moved.content}"
