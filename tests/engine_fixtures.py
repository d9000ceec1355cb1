"""Fixtures for tests with a real engine: the engine, and a tiny image made of this host's own programs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from instantiator.engine import Engine
from instantiator.job.spec import ImageDigest

TINY_NAME = "thaw-test-tiny"
_PROGRAMS = (
    *("sh", "cat", "chmod", "dd", "env", "grep", "head", "id", "ls", "mkdir", "rm"),
    *("seq", "sleep", "tail", "touch", "tr", "wc", "yes"),
)
_FOLDERS = ("bin", "data", "dev", "etc", "proc", "sys", "tmp", "work")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine of this machine. Without one the test fails: a test that cannot run has shown nothing."""
    return Engine.connect(os.environ.get("DOCKER_HOST"))


@pytest.fixture(scope="session")
def tiny_image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> ImageDigest:
    """An image with a shell and a few programs, in the engine. It stays there: the next session finds it."""
    config, layer = make_tiny_image()
    image = ImageDigest("sha256:" + hashlib.sha256(config).hexdigest())
    if not engine.has_image(image, TINY_NAME):
        archive = tmp_path_factory.mktemp("tiny") / "tiny.tar"
        write_docker_archive(archive, config, layer, name=f"{TINY_NAME}:{image[7:19]}")
        engine.load_archive(archive)
    return image


def make_tiny_image() -> tuple[bytes, bytes]:
    """The configuration and the one layer of the tiny image; the same for the same host programs."""
    layer = _pack(dict(_collect_files()))
    config = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    return json.dumps(config, sort_keys=True).encode(), layer


def write_docker_archive(path: Path, config: bytes, layer: bytes, *, name: str) -> None:
    """A docker-archive of one image with one layer."""
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {config_name: config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as archive:
        for file, content in sorted(files.items()):
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _collect_files() -> Iterator[tuple[str, bytes]]:
    for name in _PROGRAMS:
        program = shutil.which(name)
        assert program is not None, f"this host has no {name}"
        yield f"bin/{name}", Path(program).read_bytes()
        for library in _libraries(program):
            yield library.lstrip("/"), Path(library).read_bytes()


def _libraries(program: str) -> list[str]:
    """The libraries and the interpreter of a program; none where it is static."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def _pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder in _FOLDERS:
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
