"""Resolve the tracer anew: for maintainers. Everybody else has the committed lock."""

from __future__ import annotations

from dataclasses import replace

from instantiator.image.fetch import Mirrors
from instantiator.image.lock import Lock
from instantiator.image.resolve import Request, resolve_request
from instantiator.image.wheels import WheelTarget, resolve_wheel_file, resolve_wheels
from instantiator.progress import Progress
from instantiator.trace.tree import PACKAGES, REQUIREMENTS, WEBSOCKIFY
from provenance.vault import Vault


def resolve_tracer(snapshot: str, vault: Vault, mirrors: Mirrors, progress: Progress) -> Lock:
    """The lock of the tracer as of `snapshot`, its bytes in the vault."""
    request = Request(
        name="thaw-tracer/1",
        suite="bookworm",
        snapshot=snapshot,
        architecture="amd64",
        packages=("python3.11",),
    )
    lock = resolve_request(request, vault, mirrors, progress)
    target = WheelTarget(
        suite="bookworm", architecture="amd64", python_version="3.11", pip_args=mirrors.pip_args
    )
    # Of what websockify could use none is needed to relay one screen.
    wheels = (*resolve_wheels(REQUIREMENTS, target, vault), resolve_wheel_file(WEBSOCKIFY, target, vault))
    return replace(
        lock,
        packages=tuple(package for package in lock.packages if package.name in PACKAGES),
        python=tuple(sorted(wheels, key=lambda wheel: wheel.name)),
    )
