"""Start a thread from what a user gave: names of datasets and texts of parameters become a plan and its sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from instantiator.dataset import Dataset, OpenDataset, add_dataset, open_dataset
from instantiator.dataset.calibration import choose_calibration
from instantiator.dataset.names import find_registered
from instantiator.image.lock import Lock, LockedSource
from instantiator.recipe.model import Input, InputType, ParameterValue, Recipe, RecipeDataset, Thread
from instantiator.recipe.parameters import parse_parameters
from instantiator.thread.content import check_content
from instantiator.thread.data import find_recipe_dataset, laid_out
from instantiator.thread.errors import InputWrong
from instantiator.thread.plan import Environment, GivenInput, RunPlan, plan_thread
from provenance.store import Store
from provenance.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where datasets come from: the vault and store, the folder of laid-out trees, room for work under way.

    `bring` has a source in the vault, or raises: an image that was imported came without them.
    """

    vault: Vault
    store: Store
    trees_dir: Path
    scratch: Path
    bring: Callable[[LockedSource, Lock], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A plan, and the folder of each of its inputs on this host."""

    plan: RunPlan
    sources: Mapping[str, Path]


def start_thread(
    recipe: Recipe,
    thread: Thread,
    environment: Environment,
    shelf: Shelf,
    *,
    datasets: Mapping[str, str | Path],
    parameters: Mapping[str, str | ParameterValue],
) -> Started:
    """Check parameters, open datasets, and plan.

    Nothing is executed; every mistake of the user's is found here.
    """
    values = parse_parameters(thread, parameters)
    refuse_unknown_inputs(thread, datasets)
    datasets = bind_calibrations(thread, datasets, shelf.store)
    for declared in thread.inputs:
        asked = datasets.get(declared.name)
        if asked is not None and not is_name(asked, recipe, shelf):
            refuse_wrong_folder(declared, Path(asked))
    opened = {
        name: open_for_recipe(asked, recipe, environment.lock, shelf) for name, asked in datasets.items()
    }
    inputs = {
        name: GivenInput(dataset=item.reference, tree=item.tree, source=item.mount_source)
        for name, item in opened.items()
    }
    plan = plan_thread(recipe, thread, environment, parameters=values, inputs=inputs)
    for declared in thread.inputs:
        if declared.name in opened and declared.type is not InputType.DIRECTORY:
            item = opened[declared.name]
            (entry,) = item.tree.entries
            check_content(declared, item.mount_source / entry.path, name=entry.path)
    return Started(plan=plan, sources={name: item.mount_source for name, item in opened.items()})


def assign_datasets(thread: Thread, given: tuple[str, ...]) -> Mapping[str, str]:
    """Which dataset each input gets: `input=dataset`, or the dataset alone where the thread has one input."""
    names = {item.name for item in thread.inputs}
    assigned: dict[str, str] = {}
    for text in given:
        prefix, sign, rest = text.partition("=")
        name, asked = (prefix, rest) if sign and prefix in names else (_only_input(thread, text), text)
        if name in assigned:
            raise InputWrong(
                f"input {name!r} of thread {thread.name!r} is given twice: {assigned[name]} and {asked}",
                hint="give each input one dataset: --dataset INPUT=NAME_OR_PATH",
            )
        assigned[name] = asked
    return assigned


def _only_input(thread: Thread, text: str) -> str:
    if len(thread.inputs) == 1:
        return thread.inputs[0].name
    names = ", ".join(item.name for item in thread.inputs) or "none"
    raise InputWrong(
        f"which input of thread {thread.name!r} is {text!r}? It has: {names}",
        where=str(thread.location),
        hint="say so: --dataset INPUT=NAME_OR_PATH",
    )


def refuse_unknown_inputs(thread: Thread, datasets: Mapping[str, str | Path]) -> None:
    """Raise `InputWrong` for a dataset given to an input the thread does not have."""
    names = [item.name for item in thread.inputs]
    for name in datasets:
        if name not in names:
            raise InputWrong(
                f"thread {thread.name!r} has no input {name!r}",
                where=str(thread.location),
                hint=f"its inputs: {', '.join(names) or 'none'}",
            )


def bind_calibrations(
    thread: Thread, datasets: Mapping[str, str | Path], store: Store
) -> Mapping[str, str | Path]:
    """The datasets with every calibration as the registered tree of its date; raises `CalibrationMissing`."""
    chosen = {
        declared.name: choose_calibration(declared.calibration, datasets.get(declared.name), store)
        for declared in thread.inputs
        if declared.calibration and (declared.required or declared.name in datasets)
    }
    return {**datasets, **chosen}


def assign_calibrations(thread: Thread, dates: Mapping[str, str]) -> Mapping[str, str]:
    """The inputs of a thread that are a calibration, each with the date given for it: `ccf=2026-07-27`."""
    inputs = {declared.calibration: declared.name for declared in thread.inputs if declared.calibration}
    for name in dates:
        if name not in inputs:
            raise InputWrong(
                f"thread {thread.name!r} needs no calibration {name!r}",
                where=str(thread.location),
                hint=f"its calibrations: {', '.join(sorted(inputs)) or 'none'}",
            )
    return {inputs[name]: f"{name}@{date}" for name, date in dates.items()}


def is_name(asked: str | Path, recipe: Recipe, shelf: Shelf) -> bool:
    """Whether a dataset is asked for by name: then a folder of that name beside the user is not meant."""
    if isinstance(asked, Path):
        return False
    return find_registered(asked, shelf.store) is not None or find_recipe_dataset(recipe, asked) is not None


def refuse_wrong_folder(declared: Input, folder: Path) -> None:
    """Raise `InputWrong` for a folder that lacks what the input must contain, before a byte of it is hashed."""
    if not folder.is_dir():
        return
    plain = [name for name in declared.must_contain if not any(sign in name for sign in "*?[")]
    missing = [name for name in plain if not (folder / name).exists()]
    if missing:
        raise InputWrong(
            f"the folder is no {declared.help or declared.name}: it lacks {', '.join(missing)}",
            where=str(folder),
            hint=f"name the folder that holds {', '.join(plain)}",
        )


def open_for_recipe(asked: str | Path, recipe: Recipe, lock: Lock, shelf: Shelf) -> OpenDataset:
    """A dataset by name or path; one the recipe brings is registered on first use."""
    if isinstance(asked, str) and shelf.store.dataset(asked) is None:
        declared = find_recipe_dataset(recipe, asked)
        if declared is not None:
            register_recipe_dataset(declared, recipe, lock, shelf)
    now = datetime.now(UTC)
    return open_dataset(asked, vault=shelf.vault, store=shelf.store, trees_dir=shelf.trees_dir, now=now)


def register_recipe_dataset(
    declared: RecipeDataset,
    recipe: Recipe,
    lock: Lock,
    shelf: Shelf,
    *,
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Put a dataset the recipe brings into the vault, under its name, with its origin and licence."""
    for source in lock.sources:
        if source.name == declared.source:
            shelf.bring(source, lock)
    with laid_out(declared, recipe, lock, shelf.vault, shelf.scratch) as folder:
        return add_dataset(
            folder,
            vault=shelf.vault,
            store=shelf.store,
            now=datetime.now(UTC),
            name=declared.name,
            title=declared.title,
            origin=declared.origin.strip(),
            licence=declared.licence,
            progress=progress,
        )
