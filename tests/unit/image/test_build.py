"""From a lock to a loaded image, with an engine that only remembers what it was asked."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from instantiator.engine import Engine
from instantiator.image.build import Workshop, build_image, built_layer, image_config
from instantiator.image.builder import builder_lock
from instantiator.image.ensure import ensure_image, find_built, locked_image
from instantiator.image.errors import BuildFailed, DepositMissing, ImageDiffers, LockMissing
from instantiator.image.fetch import Mirrors
from instantiator.image.lock import Lock, LockedDeposit, LockedFile
from instantiator.image.manifest import manifest_from_bytes
from instantiator.image.rebuild import compare_built, rebuild_image
from instantiator.job.spec import Mount
from instantiator.progress import Silent
from provenance.digest import Digest, digest_file
from provenance.errors import ObjectMissing, ObjectRotten
from provenance.vault import Vault
from tests.examples import MIDAS_LOCK, locked_deb, make_deb, sha256

DEB = make_deb({"./usr/bin/mawk": b"ELF"}, control="Package: mawk\nVersion: 1.0\n")
LOCK = replace(
    MIDAS_LOCK,
    packages=(locked_deb("mawk", DEB),),
    python=(),
    sources=(),
    deposits=(),
    files=(LockedFile(path="etc/midas.conf", sha256=sha256(b"conf"), size=4),),
)


class FakeEngine:
    """Holds the builder and what is loaded; `run_tool` packs what it finds mounted, as mmdebstrap would."""

    def __init__(self, *, status: int = 0, says: Sequence[str] = (), extra: str = "") -> None:
        self.loaded: list[Path] = []
        self.networks: list[bool] = []
        self.seen: list[str] = []
        self._status, self._says, self._extra = status, says, extra

    def find_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> str | None:
        lock = builder_lock()
        known = (lock.image.id, lock.image_name) if lock.image else None
        return "builder" if (image, name) == known else None

    def has_image(self, image: str, name: str, layers: tuple[str, ...] = ()) -> bool:
        return self.find_image(image, name, layers) is not None

    def load_archive(self, path: Path) -> None:
        with tarfile.open(path) as archive:
            assert "layer.tar" in archive.getnames()
        self.loaded.append(path)

    def run_tool(
        self,
        *,
        image: str,
        command: Sequence[str],
        mounts: Sequence[Mount],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        network: bool,
        hostname: str,
        labels: Mapping[str, str],
    ) -> int:
        self.networks.append(network)
        for line in self._says:
            on_line(line)
        if self._status == 0:
            self._pack({mount.target: mount for mount in mounts}, int(environment["SOURCE_DATE_EPOCH"]))
        return self._status

    def _pack(self, mounts: Mapping[str, Mount], epoch: int) -> None:
        assert [mount.target for mount in mounts.values() if not mount.read_only] == ["/thaw/result"]
        sources = ("/thaw/repository", "/thaw/inputs")
        files = sorted(path for target in sources for path in mounts[target].source.iterdir())
        self.seen = [path.name for path in files]
        with tarfile.open(mounts["/thaw/result"].source / "layer.tar", "w") as layer:
            for path in files:
                _add(layer, f"./{path.name}", path.read_bytes(), epoch)
            if self._extra:
                _add(layer, self._extra, b"", epoch)


def _add(layer: tarfile.TarFile, name: str, content: bytes, epoch: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), epoch
    layer.addfile(entry, io.BytesIO(content))


def workshop_with(engine: FakeEngine, folder: Path) -> Workshop:
    """A workshop whose vault holds all of LOCK."""
    vault = Vault(folder / "vault")
    for content in (DEB, b"conf"):
        vault.put_bytes(content)
    door = cast(Engine, engine)  # a fake: the real door needs a socket
    return Workshop(vault=vault, engine=door, scratch=folder / "scratch")


def pinned(folder: Path) -> Lock:
    """LOCK with the image it gives."""
    workshop = workshop_with(FakeEngine(), folder / "first")
    return replace(LOCK, image=build_image(LOCK, workshop, Silent()))


def test_a_build_gives_the_same_image_wherever_it_is_made(tmp_path: Path) -> None:
    assert pinned(tmp_path / "here").image == pinned(tmp_path / "there").image


def test_the_builder_sees_packages_and_files_and_no_network(tmp_path: Path) -> None:
    engine = FakeEngine()
    build_image(LOCK, workshop_with(engine, tmp_path), Silent())
    assert engine.seen == [sha256(b"conf"), "Packages", "mawk_1.0_amd64.deb"]
    assert engine.networks == [False]


def test_a_build_leaves_the_manifest_in_the_vault_and_nothing_in_the_scratch_folder(tmp_path: Path) -> None:
    workshop = workshop_with(FakeEngine(), tmp_path)
    image = build_image(LOCK, workshop, Silent())
    entries = manifest_from_bytes(workshop.vault.read_bytes(Digest(image.manifest)))
    assert "/mawk_1.0_amd64.deb" in [entry.path for entry in entries]
    assert list(workshop.scratch.iterdir()) == []


def test_another_image_than_the_locked_one_is_refused_and_not_loaded(tmp_path: Path) -> None:
    engine = FakeEngine(extra="./etc/surprise")
    with pytest.raises(ImageDiffers) as refusal:
        build_image(pinned(tmp_path), workshop_with(engine, tmp_path), Silent())
    assert refusal.value.hint == "see which paths differ: thaw recipe rebuild midas"
    assert engine.loaded == []


def test_a_failed_step_is_told_with_the_last_words_of_the_tools(tmp_path: Path) -> None:
    engine = FakeEngine(status=2, says=[f"line {number}" for number in range(50)])
    workshop = workshop_with(engine, tmp_path)
    with pytest.raises(BuildFailed) as refusal:
        build_image(LOCK, workshop, Silent())
    assert "exit status 2" in refusal.value.message
    assert refusal.value.message.endswith("line 48\nline 49")
    assert "line 37\n" not in refusal.value.message
    assert list(workshop.scratch.iterdir()) == []


def test_one_flipped_bit_stops_a_build_and_names_object_and_user(tmp_path: Path) -> None:
    engine = FakeEngine()
    workshop = workshop_with(engine, tmp_path)
    rotten = workshop.vault.path(Digest(f"sha256:{sha256(b'conf')}"))
    rotten.chmod(0o644)
    rotten.write_bytes(b"conF")
    with pytest.raises(ObjectRotten) as refusal:
        build_image(LOCK, workshop, Silent())
    assert sha256(b"conf") in str(refusal.value)
    assert "file etc/midas.conf of midas/22SEP" in str(refusal.value)
    assert engine.networks == []


def test_a_missing_object_stops_a_build_and_is_named(tmp_path: Path) -> None:
    workshop = replace(workshop_with(FakeEngine(), tmp_path), vault=Vault(tmp_path / "empty"))
    with pytest.raises(ObjectMissing, match="package mawk"):
        build_image(LOCK, workshop, Silent())


def test_a_build_that_waits_for_a_deposit_says_so_first(tmp_path: Path) -> None:
    lock = replace(LOCK, deposits=(LockedDeposit(name="tables", file="t", sha256=None, size=None),))
    workshop = workshop_with(FakeEngine(), tmp_path)
    with pytest.raises(DepositMissing), built_layer(lock, workshop, Silent()):
        pass
    with pytest.raises(DepositMissing):
        ensure_image(lock, workshop, Mirrors(debian="file:///nowhere"), Silent())


def test_an_image_the_engine_holds_is_not_built_again(tmp_path: Path) -> None:
    engine = FakeEngine()
    workshop = workshop_with(engine, tmp_path)
    lock = builder_lock()
    assert ensure_image(lock, workshop, Mirrors(), Silent()) == find_built(lock, workshop) == lock.image
    assert (engine.loaded, engine.networks) == ([], [])


def test_a_lock_that_was_never_built_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(LockMissing) as refusal:
        locked_image(LOCK)
    assert refusal.value.hint == "build it once: thaw recipe build midas"
    assert find_built(LOCK, workshop_with(FakeEngine(), tmp_path)) is None


def test_a_rebuild_of_a_sound_lock_is_identical_and_loads_nothing(tmp_path: Path) -> None:
    engine = FakeEngine()
    rebuilt = rebuild_image(pinned(tmp_path), workshop_with(engine, tmp_path), Silent())
    assert (rebuilt.is_identical, rebuilt.image == rebuilt.locked, rebuilt.paths) == (True, True, ())
    assert engine.loaded == []


def test_a_rebuild_that_differs_names_the_paths(tmp_path: Path) -> None:
    lock = pinned(tmp_path)
    workshop = workshop_with(FakeEngine(extra="./etc/surprise"), tmp_path / "first")
    rebuilt = rebuild_image(lock, workshop, Silent())
    assert (rebuilt.is_identical, rebuilt.paths) == (False, ("/etc/surprise: not expected",))


def test_a_rebuild_elsewhere_says_why_it_cannot_name_the_paths(tmp_path: Path) -> None:
    lock = pinned(tmp_path)
    workshop = workshop_with(FakeEngine(extra="./etc/surprise"), tmp_path / "elsewhere")
    rebuilt = rebuild_image(lock, workshop, Silent())
    assert (rebuilt.paths, "not in this vault" in rebuilt.explanation) == ((), True)


def test_an_image_that_differs_in_its_configuration_alone_is_called_that(tmp_path: Path) -> None:
    lock = pinned(tmp_path)
    assert lock.image is not None
    workshop = workshop_with(FakeEngine(), tmp_path)
    with built_layer(replace(lock, environment={}), workshop, Silent()) as built:
        rebuilt = compare_built(built, lock.image, workshop.vault)
        assert built.config == image_config(replace(lock, environment={}), digest_file(built.path))
    assert rebuilt.explanation == "the same files; the configuration differs"


def test_of_very_many_paths_the_first_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    lock = pinned(tmp_path)
    assert lock.image is not None
    workshop = workshop_with(FakeEngine(), tmp_path / "first")
    with built_layer(lock, workshop, Silent()) as built:
        many = tuple(replace(built.entries[0], path=f"/opt/{number:03}") for number in range(300))
        image = replace(built.image, id="sha256:other", layer="sha256:other")
        rebuilt = compare_built(replace(built, image=image, entries=many), lock.image, workshop.vault)
    assert (len(rebuilt.paths), rebuilt.explanation) == (200, "and 103 more paths")
