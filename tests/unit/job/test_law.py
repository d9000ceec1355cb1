"""What a job's container is given, decided without an engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from instantiator.job.law import (
    Caller,
    Identity,
    IdentityRefused,
    choose_identity,
    describe_container,
    name_purpose,
)
from instantiator.job.spec import ImageDigest, JobSpec, Limits, RunId

EPS = JobSpec(
    run=RunId("2026-11-20-sft2"),
    image=ImageDigest("sha256:" + 64 * "e"),
    image_name="thaw/rosetta-eps",
    command=("osve", "-s", "/work/session.json"),
    environment={"PATH": "/usr/bin:/bin", "HOME": "/tmp"},
    mounts=(),
    limits=Limits(memory_mb=1024, cpus=1.0, processes=64, disk_mb=2048, log_mb=16, time_s=600),
)
ROOT = Caller(uid=0, gid=0, engine_is_rootless=False, cores=8)
ORDINARY = Caller(uid=1000, gid=1001, engine_is_rootless=False, cores=8)
ROOTLESS = Caller(uid=1000, gid=1001, engine_is_rootless=True, cores=8)


def host_config(job: JobSpec, caller: Caller = ROOT) -> dict[str, object]:
    """The part of the description that bounds the container."""
    config = describe_container(job, choose_identity(job, caller), caller, mounts=(), home="/srv/thaw")
    found = config["HostConfig"]
    assert isinstance(found, dict)
    return found


def test_the_whole_container_of_a_job_is_as_reviewed(check_golden: Callable[[str, str], None]) -> None:
    config = describe_container(EPS, choose_identity(EPS, ROOT), ROOT, mounts=(), home="/srv/thaw")
    check_golden("job-container.json", json.dumps(config, indent=1, sort_keys=True) + "\n")


def test_root_gives_a_job_its_arbitrary_uid_and_hands_the_mounts_over() -> None:
    assert choose_identity(EPS, ROOT) == Identity(uid=64000, gid=64000, hand_over=True)


def test_an_ordinary_users_job_is_that_user() -> None:
    assert choose_identity(EPS, ORDINARY) == Identity(uid=1000, gid=1001, hand_over=False)


def test_in_a_rootless_engine_uid_0_is_the_ordinary_user() -> None:
    assert choose_identity(EPS, ROOTLESS) == Identity(uid=0, gid=0, hand_over=False)


def test_a_granted_capability_brings_the_only_uid_that_can_use_it() -> None:
    job = replace(EPS, capabilities=("SYS_PTRACE",))
    assert choose_identity(job, ROOT).user == "0:0"
    assert host_config(job)["CapDrop"] == ["ALL"]
    assert host_config(job)["CapAdd"] == ["SYS_PTRACE"]


def test_an_ordinary_user_of_a_system_engine_cannot_grant_a_capability() -> None:
    with pytest.raises(IdentityRefused, match="SYS_PTRACE"):
        choose_identity(replace(EPS, capabilities=("SYS_PTRACE",)), ORDINARY)


@pytest.mark.parametrize("caller", [ROOT, ORDINARY, ROOTLESS])
def test_no_job_may_ask_to_be_root(caller: Caller) -> None:
    with pytest.raises(IdentityRefused, match="uid 0"):
        choose_identity(replace(EPS, uid=0), caller)


@pytest.mark.parametrize(("granted", "mode"), [(False, "none"), (True, "bridge")])
def test_there_is_a_network_only_where_it_is_granted(granted: bool, mode: str) -> None:
    assert host_config(replace(EPS, network=granted))["NetworkMode"] == mode


def test_the_root_is_writable_only_where_it_is_granted() -> None:
    found = [host_config(replace(EPS, writable_root=granted))["ReadonlyRootfs"] for granted in (False, True)]
    assert found == [True, False]


def test_a_job_that_may_use_more_cores_than_there_are_gets_all_there_are() -> None:
    job = replace(EPS, limits=replace(EPS.limits, cpus=64))
    assert host_config(job)["NanoCpus"] == 8_000_000_000


def test_the_image_decides_neither_the_program_nor_its_arguments() -> None:
    config = describe_container(EPS, choose_identity(EPS, ROOT), ROOT, mounts=(), home="/srv/thaw")
    assert (config["Entrypoint"], config["Cmd"]) == (["osve"], ["-s", "/work/session.json"])


def test_a_containers_name_holds_only_what_engines_allow() -> None:
    assert name_purpose("rosetta eps/9.3.35:x") == "thaw-rosetta-eps-9.3.35-x"
