"""Images out and in as OCI layouts, every blob checked."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from instantiator.engine import Engine
from instantiator.image.archive import config_bytes, image_digest, write_docker_archive
from instantiator.image.build import image_config
from instantiator.image.errors import ArchiveInvalid, ImageMissing
from instantiator.image.oci import ImageName, export_image, import_image, read_layout
from provenance.digest import digest_bytes
from tests.examples import MIDAS_LOCK

LAYER = b"a layer of ESO-MIDAS"
CONFIG = image_config(MIDAS_LOCK, digest_bytes(LAYER))
IMAGE = ImageName(image=image_digest(CONFIG), name="thaw/midas:22SEP", layers=(digest_bytes(LAYER),))


class FakeEngine:
    """Gives one saved archive, and keeps a copy of what is loaded."""

    def __init__(self, folder: Path, *, layer: bytes = LAYER) -> None:
        self._folder, self._layer = folder, layer
        self.loaded = folder / "loaded.tar"

    def find_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> str | None:
        return name if (image, name, layers) == (IMAGE.image, IMAGE.name, IMAGE.layers) else None

    def save_image(self, image: str, path: Path) -> None:
        layer = self._folder / "layer"
        layer.write_bytes(self._layer)
        write_docker_archive(CONFIG, layer, image, path)

    def load_archive(self, path: Path) -> None:
        shutil.copyfile(path, self.loaded)


def door(engine: FakeEngine) -> Engine:
    """A fake in the place of the door to a real engine."""
    return cast(Engine, engine)


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    return FakeEngine(tmp_path)


@pytest.fixture
def layout(engine: FakeEngine, tmp_path: Path) -> Path:
    target = tmp_path / "layout"
    export_image(IMAGE, target, door(engine), tmp_path / "scratch")
    return target


def test_a_layout_holds_the_image_by_digest(layout: Path) -> None:
    assert json.loads((layout / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    name, config, (layer,) = read_layout(layout)
    assert (name, config, layer.read_bytes()) == (IMAGE, config_bytes(CONFIG), LAYER)


@pytest.mark.parametrize("target", ["midas.tar", "folder", "new/folders/midas.tar", "new/folders/folder"])
def test_what_was_exported_can_be_imported(engine: FakeEngine, tmp_path: Path, target: str) -> None:
    export_image(IMAGE, tmp_path / "out" / target, door(engine), tmp_path / "scratch")
    assert import_image(tmp_path / "out" / target, door(engine), tmp_path / "scratch") == IMAGE
    with tarfile.open(engine.loaded) as archive:
        assert f"{IMAGE.image[7:]}.json" in archive.getnames()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_empty_folder_may_be_the_target(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export_image(IMAGE, tmp_path / "empty", door(engine), tmp_path / "scratch")
    assert read_layout(tmp_path / "empty")[0] == IMAGE


def test_the_same_image_is_exported_to_the_same_bytes(engine: FakeEngine, tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        export_image(IMAGE, tmp_path / name, door(engine), tmp_path / "scratch")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_an_image_the_engine_does_not_hold_is_named(engine: FakeEngine, tmp_path: Path) -> None:
    other = ImageName(image=IMAGE.image, name="thaw/midas:23SEP", layers=IMAGE.layers)
    with pytest.raises(ImageMissing, match="thaw/midas:23SEP"):
        export_image(other, tmp_path / "layout", door(engine), tmp_path / "scratch")


def test_an_engine_that_gives_other_bytes_exports_nothing(tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, layer=b"changed")
    with pytest.raises(ArchiveInvalid, match="layers: expected"):
        export_image(IMAGE, tmp_path / "layout", door(engine), tmp_path / "scratch")
    assert not (tmp_path / "layout").exists()


def _flip(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))


@pytest.mark.parametrize("kind", ["layer", "config", "manifest"])
def test_a_flipped_bit_is_refused_and_nothing_is_loaded(
    engine: FakeEngine, layout: Path, tmp_path: Path, kind: str
) -> None:
    blobs = layout / "blobs/sha256"
    index = json.loads((layout / "index.json").read_bytes())
    named = {
        "layer": digest_bytes(LAYER)[7:],
        "config": IMAGE.image[7:],
        "manifest": index["manifests"][0]["digest"][7:],
    }
    _flip(blobs / named[kind])
    with pytest.raises(ArchiveInvalid, match="blob: expected"):
        import_image(layout, door(engine), tmp_path / "scratch")
    assert not engine.loaded.exists()


def _edit_index(layout: Path, change: Callable[[dict[str, object]], object]) -> None:
    index = layout / "index.json"
    value = json.loads(index.read_bytes())
    change(value)
    index.write_text(json.dumps(value))


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.update(manifests=[]),
        lambda index: index.update(manifests=index["manifests"] * 2),
        lambda index: index.update(manifests=[5]),
        lambda index: index.update(manifests=[{"digest": 5}]),
        lambda index: index.update(manifests=[{"digest": "sha256:../../../../etc/passwd"}]),
        lambda index: index["manifests"][0].update(annotations=["midas"]),
        lambda index: index.clear(),
    ],
)
def test_an_index_of_another_shape_is_refused(
    layout: Path, change: Callable[[dict[str, object]], object]
) -> None:
    _edit_index(layout, change)
    with pytest.raises(ArchiveInvalid):
        read_layout(layout)


@pytest.mark.parametrize("content", [b"", b"no tar", None])
def test_a_file_that_is_no_layout_is_refused(
    engine: FakeEngine, tmp_path: Path, content: bytes | None
) -> None:
    source = tmp_path / "midas.tar"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ArchiveInvalid, match="not an OCI layout"):
        import_image(source, door(engine), tmp_path / "scratch")


def test_an_archive_that_leads_out_of_its_folder_is_refused(engine: FakeEngine, tmp_path: Path) -> None:
    source = tmp_path / "midas.tar"
    with tarfile.open(source, "w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"))
    with pytest.raises(ArchiveInvalid):
        import_image(source, door(engine), tmp_path / "scratch")
    assert list(tmp_path.rglob("escaped")) == []


def test_an_image_without_a_name_gets_one(layout: Path) -> None:
    _edit_index(layout, lambda index: cast(list[dict[str, object]], index["manifests"])[0].pop("annotations"))
    assert read_layout(layout)[0].name == f"thaw/imported:{IMAGE.image[7:19]}"
