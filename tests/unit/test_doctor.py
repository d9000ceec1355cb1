"""What the doctor says of a recipe on hosts that were made up, and of this one where it can be tried."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.doctor import HostFacts, judge_recipe
from instantiator.engine import EngineFacts
from instantiator.host import (
    Vsyscall,
    host_facts_for_record,
    make_i386_program,
    probe_free_mb,
    probe_i386,
    read_first_processor,
    read_vsyscall,
)
from instantiator.recipe.model import Base, Location, Recipe, Resources, Thread
from provenance.digest import digest_bytes

HERE = Location(file=Path("recipes/rosetta-eps/9.3.35/recipe.yaml"), line=1)
ENGINE = EngineFacts(
    name="docker",
    version="20.10.24",
    api="1.41",
    storage_driver="overlay2",
    cgroup_version="2",
    security_options=("seccomp",),
    kernel="6.1.0",
    arch="x86_64",
    root_dir=Path("/var/lib/docker"),
    components={"runc": "1.1.5"},
)
HOST = HostFacts(
    engine=ENGINE,
    engine_problem="",
    kernel="6.1.0",
    architecture="amd64",
    vsyscall=Vsyscall.XONLY,
    runs_i386=True,
    user_namespaces=True,
    kvm=False,
    memory_mb=8000,
    cores=2,
    cpu_model="AMD EPYC",
    cpu_flags=("sse2",),
    home=Path("/srv/thaw"),
    home_free_mb=50_000,
    engine_free_mb=50_000,
)
EPS = Recipe(
    folder=HERE.file.parent,
    digest=digest_bytes(b""),
    name="rosetta-eps",
    version="9.3.35",
    title="Experiment Planning System (EPS)",
    description="",
    homepage="",
    licence="LicenseRef-ESA-PL-Permissive-2.4",
    mission=("Rosetta",),
    citations=(),
    maintainers=(),
    base=Base(debian="bookworm", snapshot="2026-11-20"),
    threads=(Thread(location=HERE, name="simulate", title="Execute a timeline"),),
)


def test_a_recipe_that_can_run_has_nothing_against_it() -> None:
    assert judge_recipe(EPS, HOST) == ()


def test_without_an_engine_the_reason_is_passed_on() -> None:
    host = replace(HOST, engine=None, engine_problem="nothing listens")
    assert judge_recipe(EPS, host) == ("no container engine answers: nothing listens",)


@pytest.mark.parametrize(("api", "count"), [("1.40", 1), ("1.9", 1), ("", 1), ("1.41", 0), ("1.52", 0)])
def test_an_engine_may_be_too_old(api: str, count: int) -> None:
    assert len(judge_recipe(EPS, replace(HOST, engine=replace(ENGINE, api=api)))) == count


def test_a_recipe_for_another_processor_cannot_run() -> None:
    found = judge_recipe(EPS, replace(HOST, architecture="arm64"))
    assert found == ("it is for amd64 processors, this one is arm64",)


@pytest.mark.parametrize(("runs", "count"), [(True, 0), (None, 0), (False, 1)])
def test_a_32_bit_recipe_runs_where_the_kernel_executes_such_programs(runs: bool | None, count: int) -> None:
    assert len(judge_recipe(replace(EPS, architecture="i386"), replace(HOST, runs_i386=runs))) == count


@pytest.mark.parametrize(
    ("suite", "mode", "count"),
    [
        ("lenny", Vsyscall.NONE, 1),
        ("lenny", Vsyscall.XONLY, 0),
        ("lenny", Vsyscall.EMULATE, 0),
        ("bookworm", Vsyscall.NONE, 0),
    ],
)
def test_an_old_c_library_needs_vsyscalls(suite: str, mode: Vsyscall, count: int) -> None:
    recipe = replace(EPS, base=Base(debian=suite, snapshot="2010-01-01"))
    assert len(judge_recipe(recipe, replace(HOST, vsyscall=mode))) == count


def test_every_thread_that_does_not_fit_is_named_with_both_values() -> None:
    reduction = replace(EPS.threads[0], name="epchain", resources=Resources(memory_mb=16000, disk_mb=90_000))
    assert judge_recipe(replace(EPS, threads=(*EPS.threads, reduction)), HOST) == (
        "thread 'epchain' needs 16000 MiB of memory, this host has 8000 MiB",
        "thread 'epchain' needs 90000 MiB of disk, /srv/thaw has 50000 MiB free",
    )


@pytest.mark.parametrize(
    ("maps", "mode"),
    [
        ("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0    [vsyscall]\n", Vsyscall.XONLY),
        ("ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0    [vsyscall]\n", Vsyscall.EMULATE),
        ("7ffd7b5f2000-7ffd7b613000 rw-p 00000000 00:00 0            [stack]\n", Vsyscall.NONE),
    ],
)
def test_the_vsyscall_mode_is_read_from_a_memory_map(maps: str, mode: Vsyscall) -> None:
    assert read_vsyscall(maps) is mode


def test_the_32_bit_program_is_one() -> None:
    program = make_i386_program()
    machine, entry = struct.unpack_from("<H", program, 18)[0], struct.unpack_from("<I", program, 24)[0]
    assert (program[:5], machine, entry) == (b"\x7fELF\x01", 3, 0x08048000 + 84)


def test_the_kernel_is_really_asked_for_32_bit_execution() -> None:
    config = Path("/proc/config.gz")
    if not config.exists():  # this kernel does not tell how it was built
        assert probe_i386() in (True, False)
        return
    import gzip

    is_built_in = b"\nCONFIG_IA32_EMULATION=y\n" in gzip.decompress(config.read_bytes())
    assert probe_i386() in (is_built_in, None)


def test_only_the_first_processor_is_read(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2\n\nprocessor\t: 1\n")
    found = read_first_processor(cpuinfo)
    assert found == {"processor": "0", "model name": "AMD EPYC", "flags": "fpu sse2"}


def test_free_space_is_that_of_the_folder_to_be_made(tmp_path: Path) -> None:
    free = probe_free_mb(tmp_path / "not/yet/there")
    assert free is not None and free > 0


def test_a_record_names_kernel_and_processor_even_without_an_engine() -> None:
    facts = host_facts_for_record(None)
    assert facts["kernel"] and facts["cpu_model"] and facts["cpu_flags"]
    assert facts["engine"] == {}
