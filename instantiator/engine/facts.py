"""What an engine says of itself, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """The engine on this host. `components` are the versions of what it is made of (containerd, runc)."""

    name: str
    version: str
    api: str
    storage_driver: str
    cgroup_version: str
    security_options: tuple[str, ...]
    kernel: str
    arch: str
    root_dir: Path
    components: Mapping[str, str]

    @property
    def is_rootless(self) -> bool:
        """Whether the engine runs as an ordinary user, so that root of a container is that user."""
        return "rootless" in self.security_options


def read_engine_facts(info: Mapping[str, object], version: Mapping[str, object]) -> EngineFacts:
    """The facts in the engine's answers to `info` and `version`."""
    options = info.get("SecurityOptions") or []
    assert isinstance(options, list)
    return EngineFacts(
        name=name_engine(version),
        version=str(version.get("Version", "")),
        api=str(version.get("ApiVersion", "")),
        storage_driver=str(info.get("Driver", "")),
        cgroup_version=str(info.get("CgroupVersion") or "1"),
        security_options=tuple(_option_name(str(option)) for option in options),
        kernel=str(info.get("KernelVersion", "")),
        arch=str(info.get("Architecture", "")),
        root_dir=Path(str(info.get("DockerRootDir", "/"))),
        components=read_components(version),
    )


def name_engine(version: Mapping[str, object]) -> str:
    """`podman` where its compatible socket answered, else `docker`."""
    return "podman" if "Podman Engine" in _component_names(version) else "docker"


def read_components(version: Mapping[str, object]) -> Mapping[str, str]:
    """Version by component name, lower case."""
    return {str(part.get("Name", "")).lower(): str(part.get("Version", "")) for part in _components(version)}


def _components(version: Mapping[str, object]) -> list[dict[str, object]]:
    parts = version.get("Components") or []
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _component_names(version: Mapping[str, object]) -> set[str]:
    return {str(part.get("Name", "")) for part in _components(version)}


def _option_name(option: str) -> str:
    """`name=seccomp,profile=default` is `seccomp`."""
    first = option.split(",")[0]
    return first.removeprefix("name=")
