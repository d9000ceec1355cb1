"""From a thread, its parameters and datasets to a plan: all that will be executed. Decides, does nothing.

A plan is what a record keeps of a run. It is made from a recipe the first time and from the record ever
after, so a repeat executes what was executed and needs no recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from instantiator.image.lock import Lock
from instantiator.job.spec import ImageDigest, JobSpec, Limits, Mount, RunId
from instantiator.recipe.model import Grant, Input, InputType, Output, ParameterValue, Recipe, Thread
from instantiator.recipe.template import TemplateContext, render_command, render_script
from instantiator.thread.errors import InputWrong, ThreadUnknown
from provenance.compare.globs import matches_glob
from provenance.digest import Digest, Tree, digest_bytes
from provenance.record import Record, RecordedInput, RecordedJob

INPUT_ROOT = "/in"
WORK = "/work"
OUT = "/out"
SCRIPT = "/thaw/script"
RUN_UID = 64000

_INTERPRETERS = {"sh": ("sh",), "python": ("python3",)}
# The same for every run, whatever the host: no locale, zone or home of the user's reaches a program.
_ENVIRONMENT = {"HOME": WORK, "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """A dataset as a run gets it: its registered name, its tree, and the folder that holds it on this host."""

    dataset: str
    tree: Tree
    source: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All of a run that is known before it starts."""

    recipe: str
    recipe_digest: Digest
    lock: Digest
    image: ImageDigest
    image_name: str
    image_layers: tuple[str, ...]
    thread: str
    parameters: Mapping[str, object]
    inputs: tuple[RecordedInput, ...]
    job: RecordedJob
    script: bytes | None
    repeats: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The frozen environment a thread runs in: the pinned lock, its digest in the vault, the image."""

    lock: Lock
    lock_digest: Digest
    image: ImageDigest


def find_thread(recipe: Recipe, name: str) -> Thread:
    """The thread called `name`; raises `ThreadUnknown` naming the nearest."""
    threads = {thread.name: thread for thread in recipe.threads}
    if name in threads:
        return threads[name]
    near = get_close_matches(name, threads, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(threads)) or 'no threads'}"
    raise ThreadUnknown(f"{recipe.id} has no thread {name!r}", where=str(recipe.file), hint=hint)


def plan_thread(
    recipe: Recipe,
    thread: Thread,
    environment: Environment,
    *,
    parameters: Mapping[str, ParameterValue | None],
    inputs: Mapping[str, GivenInput],
) -> RunPlan:
    """The plan of a new run. Raises `InputWrong` where a dataset is not what the thread asks for."""
    paths = {item.name: check_input(item, inputs.get(item.name), thread) for item in thread.inputs}
    context = TemplateContext(
        params=parameters,
        inputs=paths,
        out=OUT,
        work=WORK,
    )
    script = render_script(thread.script, context).encode() if thread.script else None
    given = tuple(_recorded(name, item) for name, item in sorted(inputs.items()))
    return RunPlan(
        recipe=recipe.id,
        recipe_digest=recipe.digest,
        lock=environment.lock_digest,
        image=environment.image,
        image_name=environment.lock.image_name,
        image_layers=layers_of(environment.lock),
        thread=thread.name,
        parameters=parameters,
        inputs=given,
        job=_recorded_job(thread, _command(thread, context), script),
        script=script,
    )


def check_input(declared: Input, given: GivenInput | None, thread: Thread) -> str | None:
    """The path the program will see, or None for an input that may be left out and was."""
    if given is None:
        if declared.required:
            raise InputWrong(
                f"thread {thread.name!r} needs the input {declared.name!r} ({declared.type}): {declared.help}",
                where=str(declared.location),
                hint=f"give it: --dataset {declared.name}=NAME_OR_PATH",
            )
        return None
    names = [entry.path for entry in given.tree.entries]
    missing = [
        glob for glob in declared.must_contain if not any(matches_glob(name, f"/{glob}") for name in names)
    ]
    if missing:
        raise InputWrong(
            f"dataset {given.dataset!r} is no {declared.help or declared.name}: it lacks {', '.join(missing)}",
            where=f"input {declared.name!r} of thread {thread.name!r}",
            hint=f"it holds {len(names)} files, e.g. {', '.join(names[:3])}; name the folder that holds them",
        )
    root = f"{INPUT_ROOT}/{declared.name}"
    if declared.type is InputType.DIRECTORY:
        return root
    if len(names) != 1:
        raise InputWrong(
            f"input {declared.name!r} is one {declared.type} file, dataset {given.dataset!r} holds {len(names)} files",
            where=f"thread {thread.name!r}",
            hint="register the one file as a dataset: thaw dataset add FILE",
        )
    return f"{root}/{names[0]}"


def _recorded(name: str, given: GivenInput) -> RecordedInput:
    return RecordedInput(
        name=name,
        dataset=given.dataset,
        digest=given.tree.digest,
        files=len(given.tree.entries),
        size=given.tree.size,
        mount=f"{INPUT_ROOT}/{name}",
    )


def _command(thread: Thread, context: TemplateContext) -> tuple[str, ...]:
    if thread.script is None:
        return render_command(thread.command, context)
    return (*(thread.script.command or _INTERPRETERS[thread.script.language]), SCRIPT)


def _recorded_job(thread: Thread, command: tuple[str, ...], script: bytes | None) -> RecordedJob:
    resources, grants = thread.resources, {need.grant for need in thread.needs}
    return RecordedJob(
        command=command,
        environment={**_ENVIRONMENT, **thread.environment},
        script=digest_bytes(script) if script is not None else None,
        working_dir=WORK,
        uid=RUN_UID,
        limits={
            "memory_mb": resources.memory_mb,
            "cpus": resources.cpus,
            "processes": resources.processes,
            "disk_mb": resources.disk_mb,
            "log_mb": resources.log_mb,
            "time_s": thread.time_limit_s,
        },
        network=Grant.NETWORK in grants,
        writable_root=Grant.WRITABLE_ROOT in grants,
        capabilities=tuple(need.capability for need in thread.needs if need.grant is Grant.CAPABILITY),
        outputs=tuple(_declared_output(output) for output in thread.outputs),
        success=_success(thread),
    )


def _declared_output(output: Output) -> Mapping[str, object]:
    return {
        "name": output.name,
        "path": output.path,
        "media_type": output.media_type,
        "required": output.required,
        "rule": output.compare.rule,
        "options": dict(output.compare.options),
    }


def _success(thread: Thread) -> Mapping[str, object]:
    refuse = [
        {"where": item.where, "pattern": item.pattern, "message": item.message}
        for item in thread.success.refuse
    ]
    return {"exit_status": list(thread.success.exit_status), "refuse": refuse}


def layers_of(lock: Lock) -> tuple[str, ...]:
    """The layers of a locked image, by which engines that name images otherwise find it."""
    return (lock.image.layer,) if lock.image is not None else ()


def plan_repeat(
    record: Record, lock: Lock, *, script: bytes | None, inputs: tuple[RecordedInput, ...]
) -> RunPlan:
    """The plan that does again what `record` says was done, on `inputs`."""
    return RunPlan(
        recipe=record.recipe,
        recipe_digest=record.recipe_digest,
        lock=record.lock,
        image=ImageDigest(record.image),
        image_name=lock.image_name,
        image_layers=layers_of(lock),
        thread=record.thread,
        parameters=record.parameters,
        inputs=inputs,
        job=record.job,
        script=script,
        repeats=record.run,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolders:
    """The folders of one run on this host: what it may write, its script, its log."""

    root: Path

    @property
    def work(self) -> Path:
        """Scratch space, the program's working directory and home."""
        return self.root / "work"

    @property
    def out(self) -> Path:
        """What the program leaves here is an output."""
        return self.root / "out"

    @property
    def script(self) -> Path:
        """The rendered script."""
        return self.root / "script"

    @property
    def log(self) -> Path:
        """All the program printed, stdout and stderr as they came."""
        return self.root / "log"

    @property
    def draft(self) -> Path:
        """What is known of the run so far, for whoever finds it interrupted."""
        return self.root / "draft.json"


def job_spec(plan: RunPlan, run: RunId, folders: RunFolders, sources: Mapping[str, Path]) -> JobSpec:
    """The job a backend executes: `sources` gives the folder of each input on this host."""
    mounts = [Mount(source=sources[item.name], target=item.mount, digest=item.digest) for item in plan.inputs]
    mounts += [
        Mount(source=folders.work, target=WORK, read_only=False),
        Mount(source=folders.out, target=OUT, read_only=False),
    ]
    if plan.script is not None:
        mounts.append(Mount(source=folders.script, target=SCRIPT))
    return JobSpec(
        run=run,
        image=plan.image,
        image_name=plan.image_name,
        image_layers=plan.image_layers,
        command=plan.job.command,
        environment=plan.job.environment,
        mounts=tuple(mounts),
        limits=Limits.of_record(plan.job.limits),
        working_dir=plan.job.working_dir,
        uid=plan.job.uid,
        network=plan.job.network,
        writable_root=plan.job.writable_root,
        capabilities=plan.job.capabilities,
    )
