"""The door to the engine, as far as it can be tried with no engine: on sockets of our own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instantiator.engine import Engine, EngineRefused, EngineUnreachable, MountRefused
from instantiator.engine.containers import Demultiplexer, inspect_container, parse_engine_time
from instantiator.engine.door import list_sockets
from instantiator.engine.facts import read_engine_facts
from instantiator.engine.guard import describe_owner, owner_is_alive
from instantiator.engine.wire import Wire
from instantiator.job.spec import Mount


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[bytes], Path]:
    """`serve(answer)`: the socket of an engine that gives this answer to the first request, and is gone."""

    def start(answer: bytes) -> Path:
        path = tmp_path / "engine.sock"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen()

        def answer_once() -> None:
            with listening, listening.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)

        threading.Thread(target=answer_once, daemon=True).start()
        return path

    return start


def test_where_nothing_is_the_next_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable) as caught:
        Engine.connect(f"unix://{tmp_path}/docker.sock")
    assert caught.value.where == f"{tmp_path}/docker.sock"
    assert "systemctl start docker" in caught.value.hint


def test_a_socket_nobody_listens_on_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "docker.sock"))
    with pytest.raises(EngineUnreachable, match="nothing listens"):
        Engine.connect(f"unix://{tmp_path}/docker.sock")


def test_an_engine_on_another_host_is_refused() -> None:
    with pytest.raises(EngineUnreachable, match=r"expected unix://<socket>, an engine on this host"):
        list_sockets("tcp://cluster.observatory.example:2375", "/run/user/1000")


def test_without_a_setting_docker_comes_before_podman_and_the_system_before_the_user() -> None:
    found = [str(path) for path in list_sockets(None, "/run/user/1000")]
    assert found == [
        "/var/run/docker.sock",
        "/run/user/1000/docker.sock",
        "/run/podman/podman.sock",
        "/run/user/1000/podman/podman.sock",
    ]


def test_the_engines_own_words_are_kept(serve: Callable[[bytes], Path]) -> None:
    path = serve(b'HTTP/1.0 500 Internal Server Error\r\n\r\n{"message": "layer does not exist"}')
    with pytest.raises(EngineRefused, match="layer does not exist"):
        inspect_container(Wire(path), "eps")


def test_an_engine_that_hangs_up_in_mid_answer_is_lost(serve: Callable[[bytes], Path]) -> None:
    with pytest.raises(EngineUnreachable, match="went away"):
        Wire(serve(b"HTTP/1.0 200 O")).ask("GET", "/version")


@pytest.mark.parametrize("cut", range(1, 24))
def test_output_is_put_together_wherever_the_connection_cut_it(cut: int) -> None:
    sent = b"\1\0\0\0\0\0\0\3one" + b"\2\0\0\0\0\0\0\0" + b"\2\0\0\0\0\0\0\4two\n"
    frames = Demultiplexer()
    assert frames.feed(sent[:cut]) + frames.feed(sent[cut:]) == b"onetwo\n"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20T16:08:40.019231473Z", datetime(2026, 11, 20, 16, 8, 40, 19231, tzinfo=UTC)),
        ("2026-11-20T16:08:40Z", datetime(2026, 11, 20, 16, 8, 40, tzinfo=UTC)),
        ("2026-11-20T17:08:40.5+01:00", datetime(2026, 11, 20, 16, 8, 40, 500000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_the_engines_times_are_read(text: str, time: datetime | None) -> None:
    assert parse_engine_time(text) == time


def test_podman_is_known_by_its_components() -> None:
    facts = read_engine_facts(
        {
            "Driver": "overlay",
            "CgroupVersion": "2",
            "SecurityOptions": ["name=seccomp,profile=x", "name=rootless"],
        },
        {
            "Version": "4.3.1",
            "ApiVersion": "1.41",
            "Components": [{"Name": "Podman Engine", "Version": "4.3.1"}],
        },
    )
    assert (facts.name, facts.security_options, facts.is_rootless) == (
        "podman",
        ("seccomp", "rootless"),
        True,
    )


def test_a_folder_that_holds_the_engines_socket_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/docker.sock").touch()
    (tmp_path / "innocent").symlink_to(tmp_path / "run")
    engine = Engine(tmp_path / "run/docker.sock")
    for source in (tmp_path, tmp_path / "run", tmp_path / "innocent", tmp_path / "run/docker.sock"):
        with pytest.raises(MountRefused, match="engine's socket"):
            engine.describe_mount(Mount(source=source, target="/data/in"))


def test_a_folder_that_is_not_there_is_not_made_by_mounting_it(tmp_path: Path) -> None:
    with pytest.raises(MountRefused, match="is not there"):
        Engine(tmp_path / "docker.sock").describe_mount(Mount(source=tmp_path / "gone", target="/data/in"))


def test_this_process_is_alive() -> None:
    assert owner_is_alive(describe_owner())


def test_a_process_that_has_ended_is_not_even_before_it_was_waited_for() -> None:
    program = "from instantiator.engine.guard import describe_owner; print(describe_owner())"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        owner = process.stdout.read().strip()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not owner_is_alive(owner)


def test_another_process_with_the_same_pid_is_another_process() -> None:
    pid, started, boot, namespace = describe_owner().split(":")
    assert not owner_is_alive(f"{pid}:{int(started) - 1}:{boot}:{namespace}")
    assert not owner_is_alive(f"{pid}:{started}:another-boot:{namespace}")


def test_a_process_of_another_pid_namespace_cannot_be_judged_and_counts_as_alive() -> None:
    _, started, boot, _ = describe_owner().split(":")
    assert owner_is_alive(f"1:{started}:{boot}:1")


def test_opening_the_door_does_not_import_the_sdk() -> None:
    program = (
        "import sys, instantiator.engine, instantiator.job.backends.docker; print('requests' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PATH": os.defpath}
    )
    assert printed.stdout == "False\n"
