"""Run a recipe's smoke tests: a real run on real data, what it must give, and its repetition from the record.

A test of a GUI opens it and looks at its screen (`smoke_gui.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from instantiator.curate.smoke_gui import SessionDoor, look_at_gui
from instantiator.image.lock import Lock
from instantiator.progress import Progress, step
from instantiator.recipe.model import Expectation, Recipe, SmokeTest
from instantiator.thread.data import find_recipe_dataset
from instantiator.thread.errors import SmokeUnknown, VerifyCancelled
from instantiator.thread.plan import Environment, find_thread
from instantiator.thread.run import FinishedRun, execute_plan
from instantiator.thread.start import Shelf, register_recipe_dataset, start_thread
from instantiator.thread.verify import Repeater, verify_run
from provenance.compare import Grade, compare_files
from provenance.record import RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeBench:
    """What smoke tests work with."""

    environment: Environment
    shelf: Shelf
    repeater: Repeater
    sessions: SessionDoor

    @property
    def lock(self) -> Lock:
        """The lock of the environment."""
        return self.environment.lock


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeResult:
    """What became of one smoke test. `findings` says what was compared, and what was not as expected.

    `run` is the session where it was a GUI's; the verdict is then that of the screen, equivalent or different.
    """

    name: str
    title: str
    is_passed: bool
    run: str
    verdict: str
    findings: tuple[str, ...]


def run_smoke_tests(
    recipe: Recipe,
    bench: SmokeBench,
    progress: Progress,
    *,
    names: tuple[str, ...] = (),
    cancel: threading.Event,
) -> tuple[SmokeResult, ...]:
    """Run all smoke tests, or those called `names`; one after the other, all of them whatever fails.

    Raises `VerifyCancelled` where `cancel` is set meanwhile: what was not run has neither passed nor failed.
    """
    chosen = [test for test in recipe.smoke if not names or test.name in names]
    unknown = sorted(set(names) - {test.name for test in chosen})
    if unknown:
        known = ", ".join(test.name for test in recipe.smoke) or "none"
        raise SmokeUnknown(
            f"{recipe.id} has no smoke test {', '.join(unknown)}",
            where=str(recipe.file),
            hint=f"it has: {known}",
        )
    return tuple(
        (run_gui_test if test.gui else run_smoke_test)(test, recipe, bench, progress, cancel=cancel)
        for test in chosen
    )


def run_gui_test(
    test: SmokeTest, recipe: Recipe, bench: SmokeBench, progress: Progress, *, cancel: threading.Event
) -> SmokeResult:
    """Open a GUI and look at its screen."""
    renew_datasets(test, recipe, bench)
    seen = look_at_gui(test, recipe, bench.sessions, progress, cancel=cancel)
    if seen.findings is None:
        raise _cancelled(test, recipe, seen.session.id)
    is_passed = all(is_right for is_right, _ in seen.findings)
    return SmokeResult(
        name=test.name,
        title=test.title,
        is_passed=is_passed,
        run=seen.session.id,
        verdict=(Grade.EQUIVALENT if is_passed else Grade.DIFFERENT).value,
        findings=_in_words(seen.findings),
    )


def run_smoke_test(
    test: SmokeTest, recipe: Recipe, bench: SmokeBench, progress: Progress, *, cancel: threading.Event
) -> SmokeResult:
    """Run one smoke test, look at its outputs, and repeat it from its record."""
    thread = find_thread(recipe, test.thread)
    renew_datasets(test, recipe, bench)
    started = start_thread(
        recipe, thread, bench.environment, bench.shelf, datasets=test.inputs, parameters=test.parameters
    )
    with step(progress, f"smoke test {test.name}") as current:
        finished = execute_plan(
            started.plan, started.sources, bench.repeater.bench, cancel=cancel, hear=lambda _content: None
        )
        current.detail = f"{finished.run}, {finished.record.state}"
    if finished.record.state is RunState.CANCELLED:
        raise _cancelled(test, recipe, finished.run)
    findings = list(look_at_run(test, recipe, finished))
    verified = verify_run(
        finished.record, bench.repeater, progress, cancel=cancel, hear=lambda _content: None
    )
    verdict = verified.verdict.grade
    is_passed = all(is_right for is_right, _ in findings) and verdict.is_repeated()
    return SmokeResult(
        name=test.name,
        title=test.title,
        is_passed=is_passed,
        run=finished.run,
        verdict=verdict.value,
        findings=_in_words(findings),
    )


def _in_words(findings: Iterable[tuple[bool, str]]) -> tuple[str, ...]:
    return tuple(f"{'as expected' if is_right else 'WRONG'}: {text}" for is_right, text in findings)


def _cancelled(test: SmokeTest, recipe: Recipe, run: str) -> VerifyCancelled:
    return VerifyCancelled(
        f"smoke test {test.name} was cancelled",
        where=run,
        hint=f"run it again: thaw recipe test {recipe.name} --smoke {test.name}",
    )


def renew_datasets(test: SmokeTest, recipe: Recipe, bench: SmokeBench) -> None:
    """Register the recipe's datasets as they are now: a test must not pass on what they were before."""
    for name in (*test.inputs.values(), *test.datasets):
        declared = find_recipe_dataset(recipe, name)
        if declared is not None:
            register_recipe_dataset(declared, recipe, bench.lock, bench.shelf)


def look_at_run(test: SmokeTest, recipe: Recipe, finished: FinishedRun) -> Iterator[tuple[bool, str]]:
    """Each thing looked at in a run: whether it is as expected, and in words what it is."""
    record = finished.record
    if record.state is not RunState.COMPLETED:
        yield False, f"the run is {record.state}: {record.message}"
    for expectation in test.expect:
        paths = [output.path for output in record.outputs if output.name == expectation.output]
        if not paths:
            yield False, f"output {expectation.output!r} is missing"
        for path in paths:
            yield from look_at_output(expectation, recipe.folder, finished.out / path)


def look_at_output(expectation: Expectation, folder: Path, file: Path) -> Iterator[tuple[bool, str]]:
    """An output against its expectation: digest, reference file, lines it must hold."""
    from provenance.digest import digest_file

    if expectation.sha256 is not None:
        found = digest_file(file)
        yield found == expectation.sha256, f"{file.name}: {found}"
    if expectation.file is not None:
        rule = expectation.compare
        comparison = compare_files(rule.rule, rule.options, expected=folder / expectation.file, found=file)
        yield (
            comparison.grade.is_repeated(),
            f"{file.name} against {expectation.file}: {comparison.explanation}",
        )
        for name, wanted in expectation.measures.items():
            counted = comparison.measures.get(name)
            told = "nothing" if counted is None else f"{counted:g} of {wanted:g}"
            yield counted == wanted, f"{name}: {told}"
    text = file.read_text(errors="replace") if expectation.contains else ""
    for line in expectation.contains:
        yield line in text, f"{file.name} says {line!r}"
