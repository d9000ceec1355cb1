"""What this host can do, and for each recipe whether it can run here and why not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from instantiator.engine import Engine, EngineFacts
from instantiator.host import (
    Vsyscall,
    probe_free_mb,
    probe_i386,
    probe_kvm,
    probe_memory_mb,
    probe_processor,
    probe_user_namespaces,
    probe_vsyscall,
)
from instantiator.recipe.load import find_recipes, load_recipe
from instantiator.recipe.model import Gui, Recipe, Thread

OLDEST_API = (1, 41)
"""Docker 20.10 of December 2020, Podman 4: the first with private cgroup namespaces."""

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}
_SUITES_BEFORE_GLIBC_2_14 = ("potato", "woody", "sarge", "etch", "lenny", "squeeze", "wheezy")
"""wheezy has glibc 2.13; from 2.14 on no C library calls through the vsyscall page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What was found on this host. None: no engine, or it could not be tried. MiB are 1024 * 1024 bytes."""

    engine: EngineFacts | None
    engine_problem: str
    kernel: str
    architecture: str
    vsyscall: Vsyscall
    runs_i386: bool | None
    user_namespaces: bool
    kvm: bool
    memory_mb: int
    cores: int
    cpu_model: str
    cpu_flags: tuple[str, ...]
    home: Path
    home_free_mb: int | None
    engine_free_mb: int | None


def probe_host(engine: Engine | None, *, home: Path, engine_problem: str = "") -> HostFacts:
    """Ask this host everything. `engine_problem` says why there is no engine; `home` holds the state."""
    facts = engine.facts() if engine is not None else None
    processor = probe_processor()
    machine = os.uname().machine
    return HostFacts(
        engine=facts,
        engine_problem=engine_problem,
        kernel=os.uname().release,
        architecture=_MACHINES.get(machine, machine),
        vsyscall=probe_vsyscall(),
        runs_i386=probe_i386(),
        user_namespaces=probe_user_namespaces(),
        kvm=probe_kvm(),
        memory_mb=probe_memory_mb(),
        cores=os.cpu_count() or 1,
        cpu_model=processor.model,
        cpu_flags=processor.flags,
        home=home,
        home_free_mb=probe_free_mb(home),
        engine_free_mb=probe_free_mb(facts.root_dir) if facts is not None else None,
    )


def judge_all(facts: HostFacts, recipes_dir: Path) -> Mapping[str, tuple[str, ...]]:
    """For each recipe there is, by id, why it cannot run on this host."""
    recipes = [load_recipe(folder) for folder in find_recipes(recipes_dir)]
    return {recipe.id: judge_recipe(recipe, facts) for recipe in recipes}


def judge_recipe(recipe: Recipe, facts: HostFacts) -> tuple[str, ...]:
    """Why a recipe cannot run on this host: what was found and expected; empty where it can."""
    return (
        *_judge_engine(facts),
        *_judge_architecture(recipe, facts),
        *_judge_vsyscall(recipe, facts),
        *_judge_resources(recipe, facts),
    )


def _judge_engine(facts: HostFacts) -> Iterator[str]:
    if facts.engine is None:
        yield f"no container engine answers: {facts.engine_problem or 'none was found'}"
    elif (found := parse_api(facts.engine.api)) < OLDEST_API:
        yield (
            f"the container engine is too old: {facts.engine.name} {facts.engine.version} "
            f"speaks API {'.'.join(map(str, found))}, needed is {'.'.join(map(str, OLDEST_API))}"
        )


def _judge_architecture(recipe: Recipe, facts: HostFacts) -> Iterator[str]:
    wanted, found = recipe.architecture, facts.architecture
    if wanted == found:
        return
    if (wanted, found) != ("i386", "amd64"):
        yield f"it is for {wanted} processors, this one is {found}"
    elif facts.runs_i386 is False:
        yield "it is a 32-bit program, and this kernel does not execute those (boot with ia32_emulation=on)"


def _judge_vsyscall(recipe: Recipe, facts: HostFacts) -> Iterator[str]:
    is_old = recipe.architecture == "amd64" and recipe.base.debian in _SUITES_BEFORE_GLIBC_2_14
    if is_old and not facts.vsyscall.runs_old_programs():
        yield (
            f"its C library (Debian {recipe.base.debian}) needs vsyscalls, and this kernel has vsyscall=none "
            "(boot with vsyscall=xonly)"
        )


def _judge_resources(recipe: Recipe, facts: HostFacts) -> Iterator[str]:
    parts: tuple[tuple[str, Thread | Gui], ...] = (
        *(("thread", thread) for thread in recipe.threads),
        *(("GUI", gui) for gui in recipe.guis),
    )
    for kind, part in parts:
        wanted = part.resources
        if wanted.memory_mb > facts.memory_mb:
            yield (
                f"{kind} {part.name!r} needs {wanted.memory_mb} MiB of memory, "
                f"this host has {facts.memory_mb} MiB"
            )
        if facts.home_free_mb is not None and wanted.disk_mb > facts.home_free_mb:
            yield (
                f"{kind} {part.name!r} needs {wanted.disk_mb} MiB of disk, "
                f"{facts.home} has {facts.home_free_mb} MiB free"
            )


def parse_api(version: str) -> tuple[int, ...]:
    """`1.41` as numbers, so that 1.9 is older than 1.41; nothing known is older than all."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)
