"""The image ID: a function of the lock and the layer, and of nothing else."""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.image.archive import ImageConfig, config_bytes, image_digest, write_docker_archive
from instantiator.image.build import image_config
from instantiator.image.lock import Lock
from provenance.digest import Digest, digest_bytes, digest_file
from tests.examples import MIDAS_LOCK, eps_lock

LAYER = digest_bytes(b"layer")


@pytest.mark.parametrize(("name", "lock"), [("midas", MIDAS_LOCK), ("rosetta-eps", eps_lock())])
def test_the_whole_configuration_is_as_reviewed(
    name: str, lock: Lock, check_golden: Callable[[str, str], None]
) -> None:
    layer = Digest(lock.image.layer) if lock.image else LAYER
    content = json.loads(config_bytes(image_config(lock, layer)))
    check_golden(f"{name}/image-config.json", json.dumps(content, indent=1, sort_keys=True) + "\n")


def test_the_locked_image_id_is_that_of_lock_and_layer() -> None:
    lock = eps_lock()
    assert lock.image is not None
    assert image_digest(image_config(lock, Digest(lock.image.layer))) == lock.image.id


def test_a_path_of_the_recipe_stands_alone() -> None:
    config = ImageConfig(layer=LAYER, created=0, architecture="amd64", environment={"PATH": "/opt/midas/bin"})
    assert json.loads(config_bytes(config))["config"]["Env"] == ["PATH=/opt/midas/bin"]


@pytest.mark.parametrize(
    "change",
    [
        lambda config: replace(config, layer=digest_bytes(b"other")),
        lambda config: replace(config, created=config.created + 1),
        lambda config: replace(config, architecture="arm64"),
        lambda config: replace(config, environment={}),
        lambda config: replace(config, labels={}),
    ],
)
def test_whatever_changes_of_an_image_changes_its_id(change: Callable[[ImageConfig], ImageConfig]) -> None:
    config = image_config(MIDAS_LOCK, LAYER)
    assert image_digest(change(config)) != image_digest(config)


def test_the_order_in_which_an_environment_is_written_does_not_change_the_id() -> None:
    turned = dict(sorted(MIDAS_LOCK.environment.items(), reverse=True))
    config = image_config(MIDAS_LOCK, LAYER)
    assert image_digest(replace(config, environment=turned)) == image_digest(config)


@pytest.fixture(params=["as-is", "elsewhere"])
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder; the second time with another umask, zone, locale, HOME and clock."""
    folder = tmp_path / str(request.param)
    folder.mkdir()
    before = os.umask(0o077 if request.param == "elsewhere" else 0o022)
    if request.param == "elsewhere":
        for name, value in (("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.ISO-8859-9"), ("HOME", "/nowhere")):
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
        monkeypatch.chdir(folder)
    time.tzset()
    yield folder
    os.umask(before)
    monkeypatch.undo()
    time.tzset()


def test_the_archive_is_the_same_bytes_on_any_host(
    host: Path, check_golden: Callable[[str, str], None]
) -> None:
    layer, archive = host / "layer.tar", host / "image.tar"
    layer.write_bytes(b"layer")
    image = write_docker_archive(image_config(MIDAS_LOCK, LAYER), layer, MIDAS_LOCK.image_name, archive)
    check_golden("midas/archive.txt", f"image {image}\narchive {digest_file(archive)}\n")


def test_the_archive_holds_what_an_engine_loads(tmp_path: Path) -> None:
    layer, archive = tmp_path / "layer.tar", tmp_path / "image.tar"
    layer.write_bytes(b"layer")
    image = write_docker_archive(image_config(MIDAS_LOCK, LAYER), layer, "thaw/midas:22SEP", archive)
    with tarfile.open(archive) as written:
        members = {member.name: written.extractfile(member) for member in written}
        contents = {name: stream.read() for name, stream in members.items() if stream is not None}
    (entry,) = json.loads(contents["manifest.json"])
    assert entry == {"Config": f"{image[7:]}.json", "Layers": ["layer.tar"], "RepoTags": ["thaw/midas:22SEP"]}
    assert str(digest_bytes(contents[entry["Config"]])) == image
    assert contents["layer.tar"] == b"layer"
