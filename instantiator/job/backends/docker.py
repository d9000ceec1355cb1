"""Executes jobs in containers of the engine on this host, each bounded as law 4 says."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from instantiator.engine import Engine, ImageMissing
from instantiator.engine.containers import (
    list_containers,
    remove_container,
)
from instantiator.engine.door import OWNER_LABEL
from instantiator.engine.guard import describe_owner, owner_is_alive
from instantiator.job.backend import Observe, RunningJob
from instantiator.job.backends.execution import Execution
from instantiator.job.law import (
    HOME_LABEL,
    RUN_LABEL,
    Caller,
    Identity,
    choose_identity,
    describe_container,
    name_purpose,
)
from instantiator.job.spec import JobResult, JobSpec, Mount, RunId
from provenance.errors import ThawError


class DockerBackend:
    """The backend of one host. `home` tells the jobs of one Thaw from those of another on the same engine.

    With `observe` a job's result says what its container really read, wrote and executed.
    """

    def __init__(self, engine: Engine, *, home: Path, observe: Observe | None = None) -> None:
        self._engine = engine
        self._observe = observe
        self._home = str(home.resolve())

    def execute(
        self,
        job: JobSpec,
        *,
        log: BinaryIO,
        cancel: threading.Event,
        on_start: Callable[[str], None] | None = None,
    ) -> JobResult:
        """Execute a job as `Backend.execute` promises."""
        caller = describe_caller(self._engine)
        identity = choose_identity(job, caller)
        mounts = tuple(self._engine.describe_mount(mount) for mount in job.mounts)
        hand_over_mounts(job.mounts, identity)
        config = describe_container(job, identity, caller, mounts=mounts, home=self._home)
        try:
            return self._execute_in_container(job, config, log, cancel, on_start)
        except ImageMissing:
            name = self._engine.find_image(job.image, job.image_name, job.image_layers)
            if name is None:
                raise
            return self._execute_in_container(job, {**config, "Image": name}, log, cancel, on_start)

    def running(self) -> tuple[RunningJob, ...]:
        """The jobs of this home, by run."""
        found = list_containers(self._engine.wire, {HOME_LABEL: self._home, RUN_LABEL: ""})
        jobs = (
            RunningJob(
                run=RunId(one.labels[RUN_LABEL]),
                container=one.id,
                owner_is_alive=self._has_live_owner(one.name, one.labels.get(OWNER_LABEL, "")),
            )
            for one in found
        )
        return tuple(sorted(jobs, key=lambda job: (job.run, job.container)))

    def remove_leftovers(self, run: RunId) -> int:
        """Remove the containers of a run whose owner is dead; how many."""
        leftovers = [job for job in self.running() if job.run == run and not job.owner_is_alive]
        return sum(remove_container(self._engine.wire, job.container) for job in leftovers)

    def _has_live_owner(self, name: str, owner: str) -> bool:
        """Whether somebody still waits for a container. This process knows which ones it waits for itself."""
        if owner == describe_owner():
            return self._engine.guard.awaits(name)
        return owner_is_alive(owner)

    def _execute_in_container(
        self,
        job: JobSpec,
        config: dict[str, object],
        log: BinaryIO,
        cancel: threading.Event,
        on_start: Callable[[str], None] | None,
    ) -> JobResult:
        with self._engine.hold_container(name_purpose(job.run), config, in_background=True) as container:
            stop = self._begin_observing(container, job)
            observed: Mapping[str, object] | None = None
            try:
                result = Execution(self._engine.wire, container, job, log, cancel).run(on_start)
            finally:
                observed = stop() if stop is not None else None
            return replace(result, observed=observed)

    def _begin_observing(self, container: str, job: JobSpec) -> Callable[[], Mapping[str, object]] | None:
        """Observe a container from its start on. A job is done all the same where it cannot be observed."""
        if self._observe is None:
            return None
        try:
            return self._observe(container, job)
        except ThawError as error:
            unseen = {"mechanism": "none", "limits": [f"nothing was observed: {error.message}"]}
            return lambda: unseen


def describe_caller(engine: Engine) -> Caller:
    """Who asks for containers on this host."""
    return Caller(
        uid=os.geteuid(),
        gid=os.getegid(),
        engine_is_rootless=engine.is_rootless,
        cores=os.cpu_count() or 1,
        engine_is_podman=engine.is_podman,
    )


def hand_over_mounts(mounts: tuple[Mount, ...], identity: Identity) -> None:
    """Make the writable mounts the job's own, where its identity says so. Links are not followed."""
    if not identity.hand_over:
        return
    for mount in mounts:
        if mount.read_only:
            continue
        os.chown(mount.source, identity.uid, identity.gid)
        for folder, folders, files in os.walk(mount.source):
            for name in (*folders, *files):
                os.chown(Path(folder, name), identity.uid, identity.gid, follow_symlinks=False)
