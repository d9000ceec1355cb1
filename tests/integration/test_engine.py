"""The door to a real engine: images in and out, and build tools."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from instantiator.engine import Engine, EngineRefused, ImageMissing
from instantiator.engine.containers import list_containers
from instantiator.engine.door import OWNER_LABEL
from instantiator.engine.guard import describe_owner
from instantiator.job.spec import ImageDigest, Mount
from tests.engine_fixtures import TINY_NAME, make_tiny_image, write_docker_archive

pytestmark = pytest.mark.docker

NO_IMAGE = "sha256:" + 64 * "0"


def run(engine: Engine, image: str, script: str, *, network: bool = False) -> tuple[int, list[str]]:
    """The exit status and the lines of a shell script run as a build tool."""
    lines = list[str]()
    status = engine.run_tool(
        image=image,
        command=("sh", "-c", script),
        mounts=(),
        environment={"PATH": "/bin"},
        on_line=lines.append,
        network=network,
    )
    return status, lines


def own_containers(engine: Engine) -> int:
    """How many containers this process has."""
    return len(list_containers(engine.wire, {OWNER_LABEL: describe_owner()}))


def test_the_engine_tells_what_it_is(engine: Engine) -> None:
    facts = engine.facts()
    assert facts.name in ("docker", "podman")
    assert facts.version and facts.storage_driver and facts.cgroup_version in ("1", "2")
    assert engine.versions() == facts.components


def test_an_image_is_found_by_the_digest_of_its_configuration(
    engine: Engine, tiny_image: ImageDigest
) -> None:
    assert engine.find_image(tiny_image, TINY_NAME) == tiny_image
    assert not engine.has_image(NO_IMAGE, TINY_NAME)


def test_an_image_found_by_name_is_the_right_one_only_with_the_right_layers(
    engine: Engine, tiny_image: ImageDigest
) -> None:
    name = f"{TINY_NAME}:{tiny_image[7:19]}"
    layers = ("sha256:" + hashlib.sha256(make_tiny_image()[1]).hexdigest(),)
    assert engine.has_image(NO_IMAGE, name, layers)
    assert not engine.has_image(NO_IMAGE, name, ("sha256:" + 64 * "1",))


def test_an_image_goes_in_and_out_and_is_gone_when_removed(engine: Engine, tmp_path: Path) -> None:
    config, layer = make_tiny_image()
    config = config.replace(b"/bin/sh", b"/bin/ls")
    image = "sha256:" + hashlib.sha256(config).hexdigest()
    write_docker_archive(tmp_path / "in.tar", config, layer, name=f"{TINY_NAME}:in-and-out")
    engine.load_archive(tmp_path / "in.tar")
    assert engine.has_image(image, TINY_NAME)
    engine.save_image(image, tmp_path / "out.tar")
    assert (tmp_path / "out.tar").stat().st_size > len(layer)
    engine.remove_image(image)
    engine.remove_image(image)
    assert not engine.has_image(image, TINY_NAME)


def test_an_archive_that_is_none_is_refused_and_named(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "broken.tar").write_bytes(b"no archive at all" * 1000)
    with pytest.raises(EngineRefused):
        engine.load_archive(tmp_path / "broken.tar")


def test_a_half_written_save_is_not_left_behind(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ImageMissing):
        engine.save_image(NO_IMAGE, tmp_path / "out.tar")
    assert list(tmp_path.iterdir()) == []


def test_a_tool_gives_its_lines_and_its_status_and_is_gone(engine: Engine, tiny_image: ImageDigest) -> None:
    assert run(engine, tiny_image, "echo Selecting; echo Unpacking; printf last; exit 4") == (
        4,
        ["Selecting", "Unpacking", "last"],
    )
    assert own_containers(engine) == 0


def test_a_tool_is_root_with_default_capabilities_and_no_network(
    engine: Engine, tiny_image: ImageDigest
) -> None:
    _, lines = run(engine, tiny_image, "id -u; ls /sys/class/net; grep CapEff /proc/self/status")
    capabilities = int(lines[2].split()[1], 16)
    assert lines[:2] == ["0", "lo"]
    assert capabilities and not capabilities & 1 << 21, "CAP_SYS_ADMIN is for privileged containers"


def test_a_tool_gets_a_network_where_it_is_asked_for(engine: Engine, tiny_image: ImageDigest) -> None:
    assert "eth0" in run(engine, tiny_image, "ls /sys/class/net", network=True)[1]


def test_a_tool_whose_caller_is_interrupted_is_gone(
    engine: Engine, tiny_image: ImageDigest, tmp_path: Path
) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run_tool(
            image=tiny_image,
            command=("sh", "-c", "echo begun; sleep 50"),
            mounts=(Mount(source=tmp_path, target="/work", read_only=False),),
            environment={"PATH": "/bin"},
            on_line=interrupt,
        )
    assert own_containers(engine) == 0


def test_an_image_the_engine_has_not_is_named(engine: Engine) -> None:
    with pytest.raises(ImageMissing, match=NO_IMAGE):
        run(engine, NO_IMAGE, "true")
