"""Repeat a run from its record alone, and judge every output: no recipe is read, only the vault."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from instantiator.dataset import Dataset, check_dataset, open_dataset
from instantiator.dataset.serve import serve_link
from instantiator.image.build import Workshop
from instantiator.image.ensure import ensure_image
from instantiator.image.errors import ImageDiffers
from instantiator.image.fetch import Mirrors
from instantiator.image.lock import Lock, lock_from_json
from instantiator.progress import Progress, step
from instantiator.thread.errors import CannotRepeat, InputWrong, VerifyCancelled
from instantiator.thread.judge import judge_repeat
from instantiator.thread.plan import plan_repeat
from instantiator.thread.run import FinishedRun, RunBench, execute_plan
from instantiator.thread.start import Shelf
from provenance.digest import Digest
from provenance.record import Record, RecordedInput, RunState, record_from_bytes
from provenance.store import RunRow, Store
from provenance.vault import Vault
from provenance.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeater:
    """What a repeat works with beside the run bench: how images are made, where trees are laid out."""

    bench: RunBench
    workshop: Workshop
    mirrors: Mirrors
    trees_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The verdict on a run, the run that repeated it, and the object that keeps the verdict."""

    verdict: Verdict
    repeat: FinishedRun
    digest: Digest


def read_record(row: RunRow, vault: Vault) -> Record:
    """The record of a finished run; raises `CannotRepeat` for one that is still under way."""
    if row.record is None:
        raise CannotRepeat(
            f"run {row.id} is {row.state}: it has no record yet",
            where=row.id,
            hint=f"wait for it: thaw show {row.id}",
        )
    return record_from_bytes(vault.read_bytes(row.record, used_by=f"record of run {row.id}"))


def verify_run(
    record: Record,
    repeater: Repeater,
    progress: Progress,
    *,
    cancel: threading.Event,
    hear: Callable[[bytes], None],
    instead: Mapping[str, RecordedInput] | None = None,
) -> Verified:
    """Repeat the run and judge it. `instead` gives other data for inputs, to see what that changes."""
    vault = repeater.bench.vault
    inputs = tuple((instead or {}).get(item.name, item) for item in record.inputs)
    check_objects(record, inputs, repeater.bench, progress)
    lock = read_recorded_lock(record, vault)
    prepare_image(record, lock, repeater, progress)
    script = _script(record, vault)
    plan = plan_repeat(record, lock, script=script, inputs=inputs)
    sources = {item.name: lay_out_input(item, repeater) for item in inputs}
    with step(progress, "repeat the run") as current:
        repeat = execute_plan(plan, sources, repeater.bench, cancel=cancel, hear=hear)
        current.detail = f"{repeat.run}, {repeat.record.state}"
    refuse_unfinished(record, repeat)
    with step(progress, "judge the outputs") as current:
        verdict = judge_repeat(record, repeat.record, vault, reason=_other_data(record, inputs))
        current.detail = f"{len(verdict.outputs)} outputs"
    return keep_verdict(verdict, repeat, repeater.bench)


def refuse_unfinished(record: Record, repeat: FinishedRun) -> None:
    """Raise where a repeat was stopped from outside: it says nothing of the run, so there is no verdict."""
    state = repeat.record.state
    if state is RunState.CANCELLED and record.state is not state:
        raise VerifyCancelled(
            f"run {record.run} was not judged: its repeat {repeat.run} was cancelled",
            where=record.run,
            hint=f"verify it again: thaw verify {record.run}",
        )
    if state is RunState.INTERRUPTED:
        raise CannotRepeat(
            f"run {record.run} was not judged: its repeat {repeat.run} was interrupted: {repeat.record.message}",
            where=record.run,
            hint=f"look at the engine (thaw doctor), then: thaw verify {record.run}",
        )


def _other_data(record: Record, inputs: tuple[RecordedInput, ...]) -> str:
    """Says that a repeat was made on other data: then it is no repeat, however like its outputs are."""
    changed = [
        f"{old.name} is {new.dataset} ({new.digest}), recorded was {old.dataset} ({old.digest})"
        for old, new in zip(record.inputs, inputs, strict=True)
        if old.digest != new.digest
    ]
    return f"repeated on other data: {'; '.join(changed)}" if changed else ""


def replace_inputs(record: Record, given: tuple[str, ...], shelf: Shelf) -> Mapping[str, RecordedInput]:
    """The inputs of `record` that `given` (`input=dataset`) replaces, as they would be recorded."""
    inputs = {item.name: item for item in record.inputs}
    replaced: dict[str, RecordedInput] = {}
    for text in given:
        prefix, sign, rest = text.partition("=")
        is_named = bool(sign) and prefix in inputs
        if not is_named and len(inputs) != 1:
            raise InputWrong(
                f"run {record.run} has no such input: {text!r}",
                where=record.run,
                hint=f"write INPUT=DATASET; its inputs: {', '.join(inputs) or 'none'}",
            )
        name, asked = (prefix, rest) if is_named else (next(iter(inputs)), text)
        if name in replaced:
            raise InputWrong(
                f"input {name!r} of run {record.run} is given twice",
                where=record.run,
                hint="give each input one dataset: --dataset INPUT=NAME_OR_PATH",
            )
        opened = open_dataset(
            asked, vault=shelf.vault, store=shelf.store, trees_dir=shelf.trees_dir, now=datetime.now(UTC)
        )
        replaced[name] = replace(
            inputs[name],
            dataset=opened.reference,
            digest=opened.digest,
            files=opened.files,
            size=opened.size,
        )
    return replaced


def check_objects(
    record: Record, inputs: tuple[RecordedInput, ...], bench: RunBench, progress: Progress
) -> None:
    """Re-hash all the record needs: inputs, script, expected outputs. One flipped bit stops the repeat here."""
    used: dict[Digest, str] = {}
    for item in inputs:
        reference = find_reference(item, bench.store)
        if reference is not None:
            check_reference(reference, bench, progress)
            continue
        for entry in bench.vault.read_tree(item.digest).entries:
            used[entry.digest] = (
                f"run {record.run}: input {item.name}, file {entry.path} of dataset {item.dataset}"
            )
    for output in record.outputs:
        used[output.digest] = f"run {record.run}: output {output.name}, file {output.path}"
    if record.job.script is not None:
        used[record.job.script] = f"run {record.run}: script"
    with step(progress, "check the vault") as current:
        bench.vault.verify_many(used)
        current.detail = f"{len(used)} objects"


def find_reference(item: RecordedInput, store: Store) -> Dataset | None:
    """The dataset an input is, where its bytes stay at its path and the vault has none of them."""
    datasets = store.datasets_with_tree(item.digest)
    return None if any(dataset.kept for dataset in datasets) else next(iter(datasets), None)


def check_reference(dataset: Dataset, bench: RunBench, progress: Progress) -> None:
    """Hash every file at a reference's path again; raises `DatasetChanged` where it is not what was registered."""
    with step(progress, f"check {dataset.path}") as current:
        found = check_dataset(dataset, vault=bench.vault, store=bench.store, now=datetime.now(UTC))
        current.detail = f"{dataset.files} files"
    error = found.error()
    if error is not None:
        raise error


def read_recorded_lock(record: Record, vault: Vault) -> Lock:
    """The lock a run's image was made of, from the vault."""
    content = vault.read_bytes(record.lock, used_by=f"lock of run {record.run}")
    return lock_from_json(json.loads(content), where=f"lock of run {record.run}")


def prepare_image(record: Record, lock: Lock, repeater: Repeater, progress: Progress) -> None:
    """Have the record's own image in the engine; built again from the vault where it is gone."""
    image = ensure_image(lock, repeater.workshop, repeater.mirrors, progress)
    if image.id != record.image:
        raise ImageDiffers(
            f"run {record.run} was made in {record.image}, its lock names {image.id}",
            where=record.run,
            hint="the record or its lock was forged or damaged: thaw vault audit",
        )


def _script(record: Record, vault: Vault) -> bytes | None:
    if record.job.script is None:
        return None
    return vault.read_bytes(record.job.script, used_by=f"script of run {record.run}")


def lay_out_input(item: RecordedInput, repeater: Repeater) -> Path:
    """The folder of an input: made from the vault, or the very one a reference names."""
    reference = find_reference(item, repeater.bench.store)
    if reference is not None:
        return serve_link(reference, trees_dir=repeater.trees_dir)
    folder = repeater.trees_dir / item.digest.removeprefix("sha256:")
    vault = repeater.bench.vault
    vault.materialise(vault.read_tree(item.digest), folder, verify=True)
    return folder


def keep_verdict(verdict: Verdict, repeat: FinishedRun, bench: RunBench) -> Verified:
    """Keep the verdict in vault, journal and store."""
    digest = bench.vault.put_bytes(verdict.to_bytes())
    bench.store.add_verdict(
        verdict.run,
        repeated_by=verdict.repeated_by,
        grade=verdict.grade,
        verdict=digest,
        judged=verdict.judged,
    )
    return Verified(verdict=verdict, repeat=repeat, digest=digest)
