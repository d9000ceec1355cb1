"""What the runner is told of one run: values and commands as POSIX shell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from shlex import quote

from instantiator.capsule.errors import CapsuleRefused
from instantiator.image.oci import ImageName
from provenance.record import Record, RecordedJob

_SHARED_MEMORY_MB = 64


def render_job(record: Record, image: ImageName) -> str:
    """`job.sh`: the run's bounds as variables, and `in_container`, which gives an engine its options and argv."""
    job, limits = record.job, record.job.limits
    memory, disk = int(limits["memory_mb"]), int(limits["disk_mb"])
    values: dict[str, object] = {
        "run": record.run,
        "kind": record.kind,
        "image": image.image,
        "image_name": image.name,
        "image_layers": " ".join(image.layers),
        "exit_status": "" if record.exit_status is None else record.exit_status,
        "uid": job.uid,
        "capabilities": " ".join(job.capabilities),
        "memory_mb": memory,
        "cpus_limit": f"{limits['cpus']:g}",
        "processes_limit": int(limits["processes"]),
        "scratch_mb": max(16, min(disk, memory // 2)),
        "time_s": int(limits["time_s"]) or 1,
    }
    head = ["# Made from record.json for run.sh: what was run, in which image, with which bounds."]
    head += ["# shellcheck shell=sh disable=SC2016,SC2034,SC2154"]
    lines = [f"{name}={quote(str(value))}" for name, value in values.items()]
    return "\n".join((*head, *lines, *_in_container(record), ""))


def _in_container(record: Record) -> Iterable[str]:
    job, limits = record.job, record.job.limits
    yield "in_container() {"
    yield '    "$@" \\'
    yield f"        --network {'bridge' if job.network else 'none'} \\"
    if not job.writable_root:
        yield "        --read-only \\"
    for capability in sorted(job.capabilities):
        yield f"        --cap-add {quote(capability)} \\"
    size = int(limits["disk_mb"]) << 20
    yield f"        --ulimit fsize={size}:{size} \\"
    yield f"        --shm-size {min(_SHARED_MEMORY_MB, int(limits['memory_mb']))}m \\"
    for item in record.inputs:
        source = f"inputs/{item.name}"
        yield f'        --mount "type=bind,src=$here/"{quote(source)},dst={quote(item.mount)},readonly \\'
    if job.script is not None:
        yield '        --mount "type=bind,src=$here/script,dst=/thaw/script,readonly" \\'
    yield '        --mount "type=bind,src=$again/work,dst=/work" \\'
    yield '        --mount "type=bind,src=$again/out,dst=/out" \\'
    yield from (f"        {line} \\" for line in command_options(job.environment, job.working_dir))
    yield from _command(job)
    yield "}"


def command_options(environment: Mapping[str, str], working_dir: str) -> Iterable[str]:
    """The engine's options for environment and working folder, quoted."""
    for name, value in sorted(environment.items()):
        yield f"--env {quote(f'{name}={value}')}"
    yield f"--workdir {quote(working_dir)}"


def _command(job: RecordedJob) -> Iterable[str]:
    first, *rest = job.command
    yield f"        --entrypoint {quote(first)} \\"
    yield " ".join(('        "$image_found"', *(quote(part) for part in rest)))


def render_outputs(record: Record) -> str:
    """`outputs.txt`: rule, sha256 and path of every output, apart by tabs; raises for a path no line can hold."""
    lines = []
    for output in record.outputs:
        if any(ord(sign) < 32 for sign in output.path):
            raise CapsuleRefused(
                f"the output {output.path!r} has a control character in its name",
                where=record.run,
                hint="a shell script cannot tell it from two names",
            )
        lines.append(f"{output.rule.rule}\t{output.digest.removeprefix('sha256:')}\t{output.path}\n")
    return "".join(lines)


def render_sums(sums: Mapping[str, str]) -> str:
    """`SHA256SUMS`: as sha256sum writes and checks it."""
    return "".join(f"{digest.removeprefix('sha256:')}  {path}\n" for path, digest in sorted(sums.items()))
