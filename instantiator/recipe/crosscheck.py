"""What one part of a recipe says about another; works on sections, so that no mistake hides another."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from pathlib import Path

from instantiator.recipe.build import build_section
from instantiator.recipe.errors import ParameterInvalid
from instantiator.recipe.model import (
    Grant,
    GuiKind,
    InputType,
    Location,
    Parameter,
    ParameterType,
    ScriptLanguage,
    Thread,
)
from instantiator.recipe.parameters import NotAValue, parse_parameters
from instantiator.recipe.reader import Reading, Section
from instantiator.recipe.words import nearest, suggest

_ONLY_FOR = {
    "min": (ParameterType.INT, ParameterType.FLOAT),
    "max": (ParameterType.INT, ParameterType.FLOAT),
    "choices": (ParameterType.CHOICE,),
    "pattern": (ParameterType.TEXT,),
    "max_length": (ParameterType.TEXT,),
}


def check_across(reading: Reading, folder: Path) -> None:
    """Note every mistake that needs more than one place to see, in `reading`."""
    root = reading.root
    if root is None:
        return
    _check_folder(root, reading, folder)
    _check_list_names(root, reading)
    _check_base(root, reading)
    for thread in root.sections("threads").values():
        _check_thread(thread, reading, folder)
    for gui in root.sections("guis").values():
        _check_needs(gui, reading)
    for dataset in root.sections("datasets").values():
        _check_dataset(dataset, root, reading, folder)
    for test in root.sections("smoke").values():
        _check_smoke_test(test, root, reading, folder)


def _check_folder(root: Section, reading: Reading, folder: Path) -> None:
    place = folder.absolute()
    for key, found in (("name", place.parent.name), ("version", place.name)):
        if (written := root.text(key)) and written != found:
            reading.refuse_at(
                key, f"{key!r} is {written!r}, but the folder is called {found!r}: recipes/<name>/<version>/"
            )


def _check_list_names(root: Section, reading: Reading) -> None:
    """Sources and deposits share one set of names: datasets and steps call both by name alone."""
    seen: dict[str, str] = {}
    for key in ("sources", "deposits"):
        for section in root.sections(key).values():
            if (name := section.text("name")) in seen:
                reading.refuse(section.line, f"{section.label} has the name of {seen[name]}")
            elif name:
                seen[name] = f"a {key[:-1]} before it"


def _check_base(root: Section, reading: Reading) -> None:
    base, deposits = root.section("base"), root.names("deposits")
    name = base.text("rootfs") if base else ""
    if name and name not in deposits:
        reading.refuse_at("base.rootfs", f"'rootfs' names no deposit: {name!r}{suggest(name, deposits)}")


def _check_thread(thread: Section, reading: Reading, folder: Path) -> None:
    for parameter in thread.sections("parameters").values():
        _check_parameter(parameter, reading, folder)
    for item in thread.sections("inputs").values():
        _check_calibration(item, reading)
    for output in thread.sections("outputs").values():
        _check_compare(output, reading)
    _check_script(thread, reading)
    _check_refusals(thread, reading)
    _check_needs(thread, reading)


def _check_calibration(item: Section, reading: Reading) -> None:
    kind = item.values.get("type")
    if "calibration" in item.keys and isinstance(kind, InputType) and kind is not InputType.DIRECTORY:
        reading.refuse_at(
            f"{item.path}.calibration", f"'calibration' in {item.label} is for type directory, not {kind}"
        )


def _check_parameter(section: Section, reading: Reading, folder: Path) -> None:
    kind = section.values.get("type")
    if not section.whole or not isinstance(kind, ParameterType):
        return
    for key, types in _ONLY_FOR.items():
        if key in section.keys and kind not in types:
            named = " or ".join(types)
            reading.refuse_at(
                f"{section.path}.{key}", f"{key!r} in {section.label} is for type {named}, not {kind}"
            )
    if kind is ParameterType.CHOICE and "choices" not in section.keys:
        reading.refuse(section.line, f"{section.label} is a choice: list its words under 'choices'")
    if section.values.get("required") is True and "default" in section.keys:
        reading.refuse(section.line, f"{section.label} is required and has a default: keep one of the two")
    _check_range(section, reading)
    _check_default(section, reading, folder)


def _check_range(section: Section, reading: Reading) -> None:
    least, most = _range_of(section)
    if least > most:
        message = f"'min' in {section.label} is greater than 'max': {least} > {most}"
        reading.refuse_at(f"{section.path}.min", message)


def _check_default(section: Section, reading: Reading, folder: Path) -> None:
    try:
        build_section(section, folder, name=section.path.rpartition(".")[2])
    except NotAValue as error:
        reading.refuse_at(f"{section.path}.default", f"'default' in {section.label} does not fit: {error}")


def _check_compare(owner: Section, reading: Reading) -> None:
    """The rules check their own options; see provenance.compare."""
    from provenance.compare import check_rule

    section = owner.section("compare")
    if section is None or not section.whole:
        return
    rule = section.text("rule") or "bytes"
    for mistake in check_rule(rule, {key: value for key, value in section.values.items() if key != "rule"}):
        reading.refuse(section.line, f"'compare' in {owner.label}: {mistake}")


def _check_script(thread: Section, reading: Reading) -> None:
    script = thread.section("script")
    if script and script.values.get("language") is ScriptLanguage.PLAIN and "command" not in script.keys:
        reading.refuse(
            script.line, f"the plain script of {thread.label} needs 'command': the program that reads it"
        )


def _check_refusals(thread: Section, reading: Reading) -> None:
    success, outputs = thread.section("success"), thread.names("outputs")
    for refusal in success.sections("refuse").values() if success else ():
        place = refusal.text("in")
        if place and place != "log" and place not in outputs:
            known = {*outputs, "log"}
            message = f"{place!r} is neither log nor an output of {thread.label}{suggest(place, known)}"
            reading.refuse_at(f"{refusal.path}.in", message)


def _check_needs(owner: Section, reading: Reading) -> None:
    for need in owner.sections("needs").values():
        if not need.whole:
            continue
        wants, named = need.values.get("grant") is Grant.CAPABILITY, "capability" in need.keys
        if wants and not named:
            reading.refuse(need.line, f"{need.label} grants a capability: say which under 'capability'")
        if named and not wants:
            reading.refuse(need.line, f"{need.label} names a capability, but 'grant' is not capability")


def _check_dataset(dataset: Section, root: Section, reading: Reading, folder: Path) -> None:
    if path := dataset.text("path"):
        _check_path(
            path, f"{dataset.path}.path", f"'path' in {dataset.label}", reading, folder, is_folder=True
        )
    name, known = dataset.text("source"), root.names("sources") | root.names("deposits")
    if name and name not in known:
        reading.refuse_at(
            f"{dataset.path}.source",
            f"'source' in {dataset.label} names no source or deposit: {name!r}{suggest(name, known)}",
        )


def _check_path(path: str, key: str, label: str, reading: Reading, folder: Path, *, is_folder: bool) -> None:
    """A path of the recipe exists, is what it should be, and does not leave the folder by a symbolic link."""
    found = folder / path
    if not found.resolve().is_relative_to(folder.resolve()):
        reading.refuse_at(key, f"{label} leaves the recipe's folder: {path}")
    elif not found.exists():
        reading.refuse_at(key, f"{label} does not exist: {path}")
    elif found.is_dir() is not is_folder:
        reading.refuse_at(key, f"{label} has to be a {'folder' if is_folder else 'file'}: {path}")


def _check_smoke_test(test: Section, root: Section, reading: Reading, folder: Path) -> None:
    if "gui" in test.keys:
        _check_gui_test(test, root, reading, folder)
        return
    name, threads = test.text("thread"), root.sections("threads")
    if name and name not in root.names("threads"):
        message = f"{test.label} names no thread: {name!r}{suggest(name, root.names('threads'))}"
        reading.refuse_at(f"{test.path}.thread", message)
    if thread := threads.get(name):
        _check_smoke_inputs(test, thread, reading)
        _check_smoke_parameters(test, thread, reading, folder)
    datasets = root.names("datasets")
    for given, dataset in _texts(test.section("inputs")).items():
        if dataset not in datasets:
            message = (
                f"input {given!r} of {test.label} names no dataset: {dataset!r}{suggest(dataset, datasets)}"
            )
            reading.refuse_at(f"{test.path}.inputs.{given}", message)
    for expectation in test.sections("expect").values():
        _check_expectation(expectation, threads.get(name), reading, folder)


def _check_gui_test(test: Section, root: Section, reading: Reading, folder: Path) -> None:
    name, known = test.text("gui"), root.names("guis")
    if name and name not in known:
        reading.refuse_at(f"{test.path}.gui", f"{test.label} names no gui: {name!r}{suggest(name, known)}")
    gui = root.sections("guis").get(name)
    if gui is not None and gui.values.get("kind") is GuiKind.WEB:
        message = f"{test.label} names the web application {name!r}, which has no screen to compare"
        reading.refuse_at(f"{test.path}.gui", message)
    datasets, given = root.names("datasets"), test.values.get("datasets")
    for dataset in given if isinstance(given, tuple) else ():
        if dataset not in datasets:
            message = f"{test.label} names no dataset: {dataset!r}{suggest(dataset, datasets)}"
            reading.refuse_at(f"{test.path}.datasets", message)
    if path := test.text("reference"):
        label = f"'reference' in {test.label}"
        _check_path(path, f"{test.path}.reference", label, reading, folder, is_folder=False)


def _check_smoke_inputs(test: Section, thread: Section, reading: Reading) -> None:
    given, known = test.names("inputs"), thread.names("inputs")
    meant = given | {nearest(name, known) for name in given - known}
    for name in sorted(given - known):
        message = (
            f"{test.label} gives an input that {thread.label} does not have: {name!r}{suggest(name, known)}"
        )
        reading.refuse_at(f"{test.path}.inputs.{name}", message)
    for name, section in thread.sections("inputs").items():
        if section.values.get("required", True) is True and name not in meant:
            reading.refuse(test.line, f"{test.label} lacks the input {name!r} of {thread.label}")


def _check_smoke_parameters(test: Section, thread: Section, reading: Reading, folder: Path) -> None:
    given, known = _texts(test.section("parameters")), thread.names("parameters")
    parameters, name = _parameters(thread, folder), thread.path.rpartition(".")[2]
    stand_in = Thread(location=Location(file=folder, line=1), name=name, title="", parameters=parameters)
    wrong_elsewhere = known - {parameter.name for parameter in stand_in.parameters}
    try:
        parse_parameters(
            stand_in, {name: value for name, value in given.items() if name not in wrong_elsewhere}
        )
    except ParameterInvalid as error:
        for mistake in error.mistakes:
            reading.refuse_at(
                f"{test.path}.parameters.{mistake.parameter}", f"{test.label}: {mistake.message}"
            )


def _parameters(thread: Section, folder: Path) -> tuple[Parameter, ...]:
    """The parameters of a thread that are right in themselves."""
    sections = thread.sections("parameters").items()
    made = [_build_parameter(section, folder, name) for name, section in sections if section.whole]
    return tuple(parameter for parameter in made if parameter is not None)


def _build_parameter(section: Section, folder: Path, name: str) -> Parameter | None:
    least, most = _range_of(section)
    try:
        made = build_section(section, folder, name=name)
    except NotAValue:
        return None
    assert isinstance(made, Parameter)
    return made if least <= most else None


def _range_of(section: Section) -> tuple[float, float]:
    least, most = section.values.get("min", -inf), section.values.get("max", inf)
    assert isinstance(least, (int, float)) and isinstance(most, (int, float))
    return least, most


def _check_expectation(expectation: Section, thread: Section | None, reading: Reading, folder: Path) -> None:
    name = expectation.text("output")
    if thread and name and name not in thread.names("outputs"):
        near = suggest(name, thread.names("outputs"))
        message = f"{expectation.label} names no output of {thread.label}: {name!r}{near}"
        reading.refuse_at(f"{expectation.path}.output", message)
    if {"file", "sha256"} <= expectation.keys:
        reading.refuse(expectation.line, f"{expectation.label} has a file and a sha256: keep one of the two")
    if path := expectation.text("file"):
        key = f"{expectation.path}.file"
        _check_path(path, key, f"'file' in {expectation.label}", reading, folder, is_folder=False)
    _check_compare(expectation, reading)


def _texts(section: Section | None) -> Mapping[str, str]:
    values = section.values.items() if section else ()
    return {name: value for name, value in values if isinstance(value, str)}
