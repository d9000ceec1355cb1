"""`thaw doctor`: probe this host and say which recipes can run here, and why the others cannot."""

from __future__ import annotations

from dataclasses import asdict

import click

from instantiator.commands.common import Bench, json_option, show
from instantiator.doctor import HostFacts, judge_all, probe_host
from provenance.errors import ThawError
from provenance.record import to_json


@click.command("doctor")
@json_option
def doctor_command(*, as_json: bool) -> int:
    """Probe the engine, the kernel, the processor and the disks. Exit 1 where no recipe can run.

    Keys: host, recipes[recipe, runs, reasons].
    """
    bench = Bench()
    try:
        engine, problem = bench.engine, ""
    except ThawError as error:
        engine, problem = None, error.message
    facts = probe_host(engine, home=bench.settings.home, engine_problem=problem)
    judged = judge_all(facts, bench.settings.recipes_dir)
    data = {
        "host": to_json({**asdict(facts), "home": str(facts.home)}),
        "recipes": [
            {"recipe": name, "runs": not reasons, "reasons": list(reasons)}
            for name, reasons in judged.items()
        ],
    }
    words = [*describe_host(facts), ""]
    for name, reasons in judged.items():
        words.append(f"{'✓' if not reasons else '✗'} {name}")
        words += [f"    {reason}" for reason in reasons]
    show(data, as_json=as_json, human="\n".join(words))
    return 0 if not judged or any(not reasons for reasons in judged.values()) else 1


def describe_host(facts: HostFacts) -> list[str]:
    """The host for people, one fact a line."""
    engine = facts.engine
    told = (
        f"{engine.name} {engine.version} (API {engine.api}), storage {engine.storage_driver}, "
        f"cgroup {engine.cgroup_version}"
        if engine
        else f"none: {facts.engine_problem}"
    )
    i386 = {True: "yes", False: "no", None: "could not be tried"}[facts.runs_i386]
    return [
        f"engine           {told}",
        f"kernel           {facts.kernel}, {facts.architecture}, vsyscall {facts.vsyscall.value}",
        f"32-bit programs  {i386}",
        f"user namespaces  {'yes' if facts.user_namespaces else 'no'}",
        f"KVM              {'yes' if facts.kvm else 'no'}",
        f"processor        {facts.cores} cores, {facts.cpu_model}, {len(facts.cpu_flags)} flags",
        f"memory           {facts.memory_mb:,} MiB",
        f"free disk        {_mib(facts.home_free_mb)} at {facts.home}, {_mib(facts.engine_free_mb)} at the engine",
    ]


def _mib(size: int | None) -> str:
    return "unknown" if size is None else f"{size:,} MiB"
