"""Law 4 as values: what a job's container is given, and nothing more. docs/security-model.md tells why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from instantiator.engine.door import describe_process
from instantiator.job.spec import JobSpec
from provenance.errors import ThawError

HOSTNAME = "thaw"
RUN_LABEL = "thaw.run"
HOME_LABEL = "thaw.home"
_MIB = 1 << 20
# Podman's own default may be more than a host lets it set. What bounds a job is PidsLimit.
_PROCESSES = 4096
_OPEN_FILES = 4096
_SHARED_MEMORY_MB = 64


class IdentityRefused(ThawError):
    """A job asks for a user it cannot be given here."""

    code = "identity-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a job is in its container; with `hand_over` the writable mounts are made its own first."""

    uid: int
    gid: int
    hand_over: bool

    @property
    def user(self) -> str:
        """`uid:gid`, as the engine takes it."""
        return f"{self.uid}:{self.gid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who thaw is on this host, and whose the engine is."""

    uid: int
    gid: int
    engine_is_rootless: bool
    cores: int
    engine_is_podman: bool = False


def choose_identity(job: JobSpec, caller: Caller) -> Identity:
    """The user a job runs as.

    Started by root: the job's own arbitrary uid, which is handed the writable mounts. By an ordinary user:
    that user, so that the outputs are his. In a rootless engine root of the container *is* that user and
    has no capability, while every other uid is a stranger who could not write the outputs. A granted
    capability is of use to uid 0 only (engines give it to no other), so it brings uid 0 with that
    capability and no other.
    """
    if job.uid <= 0:
        raise IdentityRefused(
            f"the job of run {job.run} asks for uid {job.uid}: expected one above 0",
            where=f"run {job.run}",
            hint="law 4: nothing runs as root; leave uid at its default",
        )
    if caller.engine_is_rootless:
        return Identity(uid=0, gid=0, hand_over=False)
    if caller.uid == 0:
        uid = 0 if job.capabilities else job.uid
        return Identity(uid=uid, gid=uid, hand_over=True)
    if job.capabilities:
        raise IdentityRefused(
            f"capability {', '.join(job.capabilities)} would need uid 0 of a system engine, "
            "whose files an ordinary user could not read",
            where=f"run {job.run}",
            hint="use a rootless engine (DOCKER_HOST=unix://<its socket>), or run thaw as root",
        )
    return Identity(uid=caller.uid, gid=caller.gid, hand_over=False)


def describe_container(
    job: JobSpec, identity: Identity, caller: Caller, *, mounts: tuple[Mapping[str, object], ...], home: str
) -> dict[str, object]:
    """The container of a job, as the engine takes it. All of law 4 is in here."""
    labels = {**job.labels, RUN_LABEL: job.run, HOME_LABEL: home}
    return {
        **describe_process(job.command, job.environment, labels),
        "Image": job.image,
        "Hostname": HOSTNAME,
        "User": identity.user,
        "WorkingDir": job.working_dir,
        "HostConfig": {
            "NetworkMode": "bridge" if job.network else "none",
            "Privileged": False,
            "CapDrop": ["ALL"],
            "CapAdd": sorted(job.capabilities),
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": not job.writable_root,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Init": True,
            "Mounts": list(mounts),
            "LogConfig": {"Type": "none", "Config": {}},
            **_bounds(job, caller),
            "Tmpfs": {"/tmp": _describe_scratch(job, identity, caller)},
        },
    }


def _bounds(job: JobSpec, caller: Caller) -> dict[str, object]:
    limits = job.limits
    return {
        "Memory": limits.memory_mb * _MIB,
        "MemorySwap": limits.memory_mb * _MIB,
        "NanoCpus": int(min(limits.cpus, caller.cores) * 1_000_000_000),
        "PidsLimit": limits.processes,
        "ShmSize": min(_SHARED_MEMORY_MB, limits.memory_mb) * _MIB,
        "Ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            {"Name": "fsize", "Soft": limits.disk_mb * _MIB, "Hard": limits.disk_mb * _MIB},
            {"Name": "nofile", "Soft": 1024, "Hard": _OPEN_FILES},
            *([{"Name": "nproc", "Soft": _PROCESSES, "Hard": _PROCESSES}] if caller.engine_is_podman else []),
        ],
    }


def _describe_scratch(job: JobSpec, identity: Identity, caller: Caller) -> str:
    """/tmp in memory. It belongs to the job: runc gives it the mode of the image's folder, whatever is asked.

    Podman takes no owner for it, and gives it the mode that is asked.
    """
    size_mb = max(16, min(job.limits.disk_mb, job.limits.memory_mb // 2))
    owner = "" if caller.engine_is_podman else f"uid={identity.uid},gid={identity.gid},"
    return f"rw,exec,nosuid,nodev,mode=1777,{owner}size={size_mb}m"


def name_purpose(run: str) -> str:
    """The beginning of a container's name: only what engines allow in one."""
    return "thaw-" + re.sub(r"[^a-zA-Z0-9_.-]", "-", run)[:60]
