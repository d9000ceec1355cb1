"""The one door to the container engine: find it, ask it for images, run a build tool, hold containers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from instantiator.engine import sdk
from instantiator.engine.containers import (
    Demultiplexer,
    attach_container,
    check_answer,
    create_container,
    inspect_container,
    missing_image,
    remove_container,
    start_container,
    wait_for_container,
)
from instantiator.engine.facts import EngineFacts, read_components, read_engine_facts
from instantiator.engine.guard import Guard, describe_owner
from instantiator.engine.wire import EngineRefused, EngineUnreachable, Wire, connect_socket
from provenance.errors import ThawError

OWNER_LABEL = "thaw.owner"


class Bind(Protocol):
    """A folder of this host made visible in a container."""

    @property
    def source(self) -> Path:
        """The folder on this host."""
        ...

    @property
    def target(self) -> str:
        """The path in the container."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether the container may only read it."""
        ...


class MountRefused(ThawError):
    """A folder that no container may be given, or that is not there."""

    code = "mount-refused"


class Engine:
    """A container engine on this host: Docker, or Podman through its Docker-compatible socket."""

    def __init__(self, socket_path: Path) -> None:
        self.wire = Wire(socket_path)
        self.guard = Guard(socket_path)

    @classmethod
    def connect(cls, docker_host: str | None, *, runtime_dir: str | None = None) -> Engine:
        """The engine at `docker_host` (`unix://<socket>`), else the first that answers."""
        failures = []
        for path in list_sockets(docker_host, runtime_dir or f"/run/user/{os.getuid()}"):
            try:
                connect_socket(path).close()
            except EngineUnreachable as failure:
                failures.append(failure)
            else:
                return cls(path)
        raise next((failure for failure in failures if Path(failure.where).exists()), failures[0])

    @property
    def is_rootless(self) -> bool:
        """Whether the engine belongs to an ordinary user; told by its socket, which costs no call."""
        return self.wire.socket_path.stat().st_uid != 0

    @cached_property
    def is_podman(self) -> bool:
        """Whether this is Podman behind its Docker-compatible socket: only that has an API of this name."""
        return self.wire.ask("GET", "/libpod/_ping").status == 200

    def facts(self) -> EngineFacts:
        """What the engine says of itself."""
        return read_engine_facts(*sdk.ask_info(self.wire.socket_path))

    def versions(self) -> Mapping[str, str]:
        """The versions of the engine and its parts, in one quick call."""
        answer = self.wire.ask("GET", "/version")
        check_answer(self.wire, answer)
        version = answer.json()
        assert isinstance(version, dict)
        return read_components(version)

    def has_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> bool:
        """Whether the engine holds the image with this configuration digest."""
        return self.find_image(image, name, layers) is not None

    def find_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> str | None:
        """What the engine calls the image with this configuration digest; None where it has it not.

        Classic engines call it by that digest. Docker's containerd image store names images by their
        manifest: there it is found by `name`, and is the right one only if its layers are exactly `layers`.
        """
        if self._inspect_image(image) is not None:
            return image
        if not layers or (found := self._inspect_image(name)) is None:
            return None
        file_system = found.get("RootFS")
        same = isinstance(file_system, dict) and tuple(file_system.get("Layers") or ()) == layers
        return str(found["Id"]) if same else None

    def load_archive(self, path: Path) -> None:
        """Give the engine the images of a docker-archive."""
        sdk.load_archive(self.wire.socket_path, path)

    def save_image(self, image: str, path: Path) -> None:
        """Write an image as a docker-archive; no half-written file is left behind."""
        if self._inspect_image(image) is None:
            raise missing_image(self.wire, image)
        sdk.save_image(self.wire.socket_path, image, path)

    def remove_image(self, image: str) -> None:
        """Take an image from the engine; fine where it holds none of that name."""
        sdk.remove_image(self.wire.socket_path, image)

    def run_tool(
        self,
        *,
        image: str,
        command: tuple[str, ...],
        mounts: tuple[Bind, ...],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        network: bool = False,
        hostname: str = "thaw-builder",
        labels: Mapping[str, str] | None = None,
    ) -> int:
        """Run a build tool as root of a container, hand over its lines as they come; its exit status.

        The container has the capabilities engines give by default, never `--privileged`, and is gone
        afterwards however this ends.
        """
        config = {
            **describe_process(command, environment, labels or {}),
            "Image": image,
            "Hostname": hostname,
            "User": "0:0",
            "HostConfig": {
                "NetworkMode": "bridge" if network else "none",
                "Mounts": [self.describe_mount(mount) for mount in mounts],
                "Init": True,
                # Podman's own defaults may be more than this host lets it set; a build needs no more than this.
                "Ulimits": [{"Name": name, "Soft": 4096, "Hard": 4096} for name in ("nofile", "nproc")],
                "LogConfig": {"Type": "none", "Config": {}},
            },
        }
        with self.hold_container("thaw-tool", config) as container:
            return self._follow_tool(container, on_line)

    @contextmanager
    def hold_container(
        self, purpose: str, config: Mapping[str, object], *, in_background: bool = False
    ) -> Iterator[str]:
        """A container that lives as long as the `with` block, and dies with this process if that is killed.

        With `in_background` a block that ends well does not wait for the removal (6 ms): neither the end of
        the interpreter nor a kill loses it.
        """
        name = f"{purpose}-{os.urandom(4).hex()}"
        self.guard.watch(name)
        try:
            yield create_container(self.wire, name, _label_owner(config))
        except BaseException as error:
            self.guard.abandon(name)
            self._remove(name, settled=isinstance(error, EngineRefused))
            raise
        self.guard.abandon(name)
        if in_background:
            threading.Thread(target=self._remove, args=(name,), name=f"remove-{name}").start()
        else:
            self._remove(name)

    def start_free_container(
        self,
        name: str,
        config: Mapping[str, object],
        *,
        before_start: Callable[[str], None] | None = None,
    ) -> str:
        """Start a container that outlives this process, and give its ID: its labels say whose it is.

        Whoever starts one has to find it again by its labels, and to remove it. None stays that did not start.
        """
        container = create_container(self.wire, name, config)
        try:
            if before_start is not None:
                before_start(container)
            start_container(self.wire, container)
        except BaseException:
            remove_container(self.wire, container)
            raise
        return container

    def describe_mount(self, mount: Bind) -> dict[str, object]:
        """A bind mount as the engine takes it; raises `MountRefused` for what no container may see."""
        source = mount.source.resolve()
        if not source.exists():
            raise MountRefused(
                f"nothing to mount at {mount.target}: {mount.source} is not there",
                where=str(mount.source),
                hint="restore it, or name another folder",
            )
        if self.wire.socket_path.resolve().is_relative_to(source):
            raise MountRefused(
                f"{mount.source} holds the engine's socket: who has that is root of this host",
                where=str(mount.source),
                hint="mount the folder with the data alone",
            )
        return {
            "Type": "bind",
            "Source": str(source),
            "Target": mount.target,
            "ReadOnly": mount.read_only,
            "BindOptions": {"Propagation": "rprivate"},
        }

    def _inspect_image(self, name: str) -> Mapping[str, object] | None:
        answer = self.wire.ask("GET", f"/images/{quote(name, safe='/:@')}/json")
        if answer.status == 404:
            return None
        check_answer(self.wire, answer)
        value = answer.json()
        return value if isinstance(value, dict) else None

    def _follow_tool(self, container: str, on_line: Callable[[str], None]) -> int:
        output = attach_container(self.wire, container)
        try:
            start_container(self.wire, container)
            frames, rest = Demultiplexer(), b""
            while piece := output.read():
                *lines, rest = (rest + frames.feed(piece)).split(b"\n")
                for line in lines:
                    on_line(line.decode(errors="replace"))
            if rest:
                on_line(rest.decode(errors="replace"))
        finally:
            output.close()
        wait_for_container(self.wire, container).read_all()
        return inspect_container(self.wire, container).exit_status

    def _remove(self, name: str, *, settled: bool = True) -> None:
        """Remove a container and let the guardian forget it.

        Where the engine is away, or may still be creating it, the guardian keeps the name: it asks again
        when this process ends.
        """
        try:
            was_there = remove_container(self.wire, name)
        except ThawError:
            return
        if was_there or settled:
            self.guard.forget(name)


def list_sockets(docker_host: str | None, runtime_dir: str) -> tuple[Path, ...]:
    """Where to look for an engine, best first."""
    if docker_host is None:
        system = (Path("/var/run/docker.sock"), Path("/run/podman/podman.sock"))
        own = (Path(runtime_dir, "docker.sock"), Path(runtime_dir, "podman/podman.sock"))
        return (system[0], own[0], system[1], own[1])
    if docker_host.startswith("unix://"):
        return (Path(docker_host.removeprefix("unix://")),)
    raise EngineUnreachable(
        f"DOCKER_HOST is {docker_host!r}: expected unix://<socket>, an engine on this host",
        where="DOCKER_HOST",
        hint="a job mounts folders of this host, so the engine has to run here: unset DOCKER_HOST",
    )


def describe_process(
    command: tuple[str, ...], environment: Mapping[str, str], labels: Mapping[str, str]
) -> dict[str, object]:
    """What a container executes, as the engine takes it: no entry point or health check of the image."""
    return {
        "Entrypoint": list(command[:1]),
        "Cmd": list(command[1:]),
        "Env": [f"{key}={value}" for key, value in sorted(environment.items())],
        "Labels": dict(labels),
        "Tty": False,
        "OpenStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "Healthcheck": {"Test": ["NONE"]},
    }


def _label_owner(config: Mapping[str, object]) -> dict[str, object]:
    labels = config.get("Labels")
    assert isinstance(labels, dict)
    return {**config, "Labels": {**labels, OWNER_LABEL: describe_owner()}}
