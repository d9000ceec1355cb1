from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import instantiator.dataset.add as add_module
import instantiator.dataset.check as check_module
from instantiator.dataset import (
    Dataset,
    DatasetChanged,
    DatasetCheck,
    DatasetNameInvalid,
    DatasetUnknown,
    DatasetUnreadable,
    OpenDataset,
    add_dataset,
    check_dataset,
    derive_name,
    find_dataset,
    open_dataset,
)
from provenance.digest import Digest, digest_bytes, hash_files
from provenance.errors import ObjectRotten
from provenance.store import Journal, Store
from provenance.vault import Vault

OBSERVED = datetime(1991, 8, 14, 22, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A state folder to work at, and a clock an hour ahead, so that the test's files have settled."""

    home: Path
    vault: Vault
    store: Store
    now: datetime

    def add(self, path: Path, *, name: str | None = None, keep: bool = True, title: str = "") -> Dataset:
        return add_dataset(
            path, vault=self.vault, store=self.store, now=self.now, name=name, keep=keep, title=title
        )

    def open(self, asked: str | Path, *, keep: bool = True, now: datetime | None = None) -> OpenDataset:
        return open_dataset(
            asked,
            vault=self.vault,
            store=self.store,
            trees_dir=self.home / "trees",
            now=now or self.now,
            keep=keep,
        )

    def check(self, dataset: Dataset) -> DatasetCheck:
        return check_dataset(dataset, vault=self.vault, store=self.store, now=self.now)


@pytest.fixture
def desk(own_state_folder: Path) -> Iterator[Desk]:
    store = Store(own_state_folder / "store.sqlite", journal=Journal(own_state_folder / "vault"))
    now = datetime.now(UTC) + timedelta(hours=1)
    yield Desk(home=own_state_folder, vault=Vault(own_state_folder / "vault"), store=store, now=now)
    store.close()


@pytest.fixture
def m31(tmp_path: Path) -> Path:
    """A folder of plates: two exposures and a log in a folder below."""
    folder = tmp_path / "m31-1991"
    (folder / "log").mkdir(parents=True)
    (folder / "plate1.fits").write_bytes(b"SIMPLE  =                    T" * 100)
    (folder / "plate2.fits").write_bytes(b"SIMPLE  =                    T" * 200)
    (folder / "log" / "night.txt").write_text("seeing 0.8\n")
    return folder


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that were read in place, in order."""
    names: list[str] = []

    def note_and_hash(
        paths: Sequence[Path], *, progress: Callable[[int], None] | None = None
    ) -> list[tuple[Digest, int]]:
        names.extend(path.name for path in paths)
        return hash_files(paths, progress=progress)

    monkeypatch.setattr(add_module, "hash_in_place", note_and_hash)
    monkeypatch.setattr(check_module, "hash_files", note_and_hash)
    return names


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dataset_is_named_after_its_folder_and_described_as_told(desk: Desk, m31: Path) -> None:
    dataset = desk.add(m31, title="Plates of M31")
    assert (dataset.reference, dataset.title, dataset.path) == ("m31-1991@1", "Plates of M31", m31)
    assert (dataset.files, dataset.size, dataset.kept) == (3, 9011, True)
    assert desk.store.datasets() == (dataset,)


def test_a_kept_dataset_has_every_byte_in_the_vault(desk: Desk, m31: Path) -> None:
    tree = desk.vault.read_tree(desk.add(m31).digest)
    kept = {entry.path: desk.vault.read_bytes(entry.digest) for entry in tree.entries}
    assert kept == files_of(m31)


def test_a_reference_leaves_the_bytes_where_they_are(desk: Desk, m31: Path) -> None:
    dataset = desk.add(m31, keep=False)
    assert not dataset.kept
    assert not [name for name, content in files_of(m31).items() if desk.vault.has(digest_bytes(content))]
    assert desk.open("m31-1991").mount_source == m31


def test_kept_or_not_the_digest_is_that_of_the_content(desk: Desk, m31: Path, tmp_path: Path) -> None:
    m31.rename(tmp_path / "moved")
    assert (
        desk.add(tmp_path / "moved", name="a").digest
        == desk.add(tmp_path / "moved", name="b", keep=False).digest
    )


def test_progress_adds_up_to_the_bytes_of_the_dataset(desk: Desk, m31: Path) -> None:
    for keep in (False, True):
        told: list[int] = []
        dataset = add_dataset(
            m31, vault=desk.vault, store=desk.store, now=OBSERVED, keep=keep, progress=told.append
        )
        assert sum(told) == dataset.size


def test_the_same_content_is_registered_once(desk: Desk, m31: Path) -> None:
    assert desk.add(m31) == desk.add(m31) == desk.open(m31).dataset == desk.open(str(m31)).dataset
    assert len(desk.store.datasets()) == 1


def test_changed_content_added_again_is_a_new_version_and_the_old_stays(desk: Desk, m31: Path) -> None:
    desk.add(m31)
    before = files_of(m31)
    (m31 / "plate2.fits").unlink()
    assert desk.add(m31).reference == "m31-1991@2"
    assert files_of(desk.open("m31-1991@1").mount_source) == before
    assert desk.open("m31-1991").files == 2


def test_another_folder_of_the_same_name_gets_a_number(desk: Desk, m31: Path, tmp_path: Path) -> None:
    desk.add(m31)
    other = tmp_path / "tape" / "m31-1991"
    other.mkdir(parents=True)
    (other / "plate7.fits").write_bytes(b"END")
    assert desk.add(other).reference == "m31-1991-2@1"


def test_a_path_given_to_a_run_becomes_a_dataset_on_the_fly(desk: Desk, m31: Path) -> None:
    opened = desk.open(m31)
    assert (opened.reference, opened.files, opened.size) == ("m31-1991@1", 3, 9011)
    assert files_of(opened.mount_source) == files_of(m31)


def test_a_single_file_is_a_dataset_of_one_file(desk: Desk, m31: Path) -> None:
    kept = desk.open(m31 / "plate1.fits")
    referred = desk.open(m31 / "plate2.fits", keep=False)
    assert (kept.reference, referred.reference) == ("plate1.fits@1", "plate2.fits@1")
    assert [*files_of(kept.mount_source)] == ["plate1.fits"]
    assert [*files_of(referred.mount_source)] == ["plate2.fits"]
    assert (referred.mount_source / "plate2.fits").samefile(m31 / "plate2.fits")


def test_a_single_file_that_was_replaced_by_its_equal_is_linked_anew(desk: Desk, m31: Path) -> None:
    plate = m31 / "plate2.fits"
    source = desk.open(plate, keep=False).mount_source
    (m31 / "aside").write_bytes(plate.read_bytes())
    (m31 / "aside").replace(plate)
    assert desk.open("plate2.fits").mount_source == source
    assert (source / "plate2.fits").samefile(plate)


def test_a_dataset_whose_digest_changed_is_refused(desk: Desk, m31: Path) -> None:
    dataset = desk.add(m31)
    (m31 / "plate1.fits").write_bytes(b"SIMPLE  =                    F" * 100)
    with pytest.raises(DatasetChanged) as raised:
        desk.open("m31-1991")
    assert str(raised.value).splitlines() == [
        f"error[dataset-changed]: dataset 'm31-1991' is not the one registered: expected {dataset.digest},"
        f" found {desk.check(dataset).found}",
        f"  at   {m31}",
        f"  hint restore the file, or register a new version: thaw dataset add {m31}",
    ]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda m31: (m31 / "plate3.fits").write_bytes(b"new"),
        lambda m31: (m31 / "log" / "night.txt").unlink(),
        lambda m31: (m31 / "plate1.fits").rename(m31 / "plate0.fits"),
        lambda m31: (m31 / "plate1.fits").chmod(0o755),
    ],
    ids=["added", "missing", "renamed", "made executable"],
)
def test_any_change_of_the_files_is_noticed(
    desk: Desk, m31: Path, keep: bool, change: Callable[[Path], object]
) -> None:
    desk.add(m31, keep=keep)
    change(m31)
    with pytest.raises(DatasetChanged):
        desk.open("m31-1991")


def test_an_unchanged_dataset_is_not_read_again(desk: Desk, m31: Path, hashed: list[str]) -> None:
    desk.add(m31, keep=False)
    hashed.clear()
    desk.open("m31-1991")
    assert hashed == []


def test_only_the_files_that_look_different_are_read_again(desk: Desk, m31: Path, hashed: list[str]) -> None:
    desk.add(m31, keep=False)
    hashed.clear()
    os.utime(m31 / "plate2.fits", (0, 0))
    desk.open("m31-1991")
    desk.open("m31-1991")
    assert hashed == ["plate2.fits"]


def test_a_change_that_keeps_size_and_mtime_is_noticed(desk: Desk, m31: Path) -> None:
    desk.add(m31, keep=False)
    plate = m31 / "plate1.fits"
    before = plate.stat()
    plate.write_bytes(b"SIMPLE  =                    F" * 100)
    os.utime(plate, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (plate.stat().st_size, plate.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(DatasetChanged):
        desk.open("m31-1991")


def test_a_file_just_written_is_read_again_since_its_time_stamp_may_not_tell(
    desk: Desk, m31: Path, hashed: list[str]
) -> None:
    just_now = datetime.now(UTC)
    add_dataset(m31, vault=desk.vault, store=desk.store, now=just_now, keep=False)
    hashed.clear()
    desk.open("m31-1991", now=just_now)
    assert sorted(hashed) == ["night.txt", "plate1.fits", "plate2.fits"]


def test_a_kept_dataset_is_served_from_the_vault_when_its_path_is_gone(desk: Desk, m31: Path) -> None:
    desk.add(m31)
    before = files_of(m31)
    m31.rename(m31.with_name("elsewhere"))
    assert files_of(desk.open("m31-1991").mount_source) == before


def test_a_reference_whose_path_is_gone_cannot_be_opened(desk: Desk, m31: Path) -> None:
    dataset = desk.add(m31, keep=False)
    m31.rename(m31.with_name("elsewhere"))
    with pytest.raises(DatasetUnreadable, match="there is no file or folder"):
        desk.open("m31-1991")
    with pytest.raises(DatasetUnreadable, match="is a reference, and its path is gone"):
        desk.check(dataset)


def test_what_is_mounted_is_not_the_users_folder_but_the_vaults_bytes(desk: Desk, m31: Path) -> None:
    source = desk.open(m31).mount_source
    assert (source / "plate1.fits").samefile(
        desk.vault.path(digest_bytes((m31 / "plate1.fits").read_bytes()))
    )
    assert not (source / "plate1.fits").samefile(m31 / "plate1.fits")


@pytest.mark.parametrize("restore_mtime", [False, True])
def test_a_byte_written_into_a_kept_dataset_is_noticed(desk: Desk, m31: Path, restore_mtime: bool) -> None:
    plate = desk.open(m31).mount_source / "plate1.fits"
    before = plate.stat()
    plate.chmod(0o644)
    with plate.open("r+b") as stream:
        stream.write(b"X")
    if restore_mtime:
        os.utime(plate, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ObjectRotten, match=r"dataset m31-1991@1, file plate1\.fits"):
        desk.open("m31-1991")
    with pytest.raises(ObjectRotten):
        desk.check(find_dataset("m31-1991", desk.store))


def test_a_folder_of_links_that_lost_a_file_is_made_anew(desk: Desk, m31: Path) -> None:
    source = desk.open(m31).mount_source
    source.chmod(0o755)
    (source / "plate1.fits").unlink()
    (source / "core").write_text("dumped")
    assert files_of(desk.open("m31-1991").mount_source) == files_of(m31)


def test_a_file_shared_with_another_dataset_is_still_as_it_was(desk: Desk, m31: Path, tmp_path: Path) -> None:
    desk.open(m31)
    desk.open(m31 / "plate1.fits")  # one more link to the object: its ctime changes
    assert files_of(desk.open("m31-1991").mount_source) == files_of(m31)


def test_a_check_names_the_files_that_changed_are_missing_and_were_added(desk: Desk, m31: Path) -> None:
    dataset = desk.add(m31)
    (m31 / "plate1.fits").write_bytes(b"END")
    (m31 / "plate2.fits").unlink()
    (m31 / "plate3.fits").write_bytes(b"END")
    found = desk.check(dataset)
    assert (found.changed, found.missing, found.added) == (
        ("plate1.fits",),
        ("plate2.fits",),
        ("plate3.fits",),
    )
    assert not found.is_unchanged
    assert isinstance(found.error(), DatasetChanged)


def test_a_check_reads_every_file_again(desk: Desk, m31: Path, hashed: list[str]) -> None:
    dataset = desk.add(m31, keep=False)
    hashed.clear()
    assert desk.check(dataset).is_unchanged
    assert sorted(hashed) == ["night.txt", "plate1.fits", "plate2.fits"]


def test_an_older_version_is_checked_in_the_vault_and_not_at_the_path_of_the_newer(
    desk: Desk, m31: Path
) -> None:
    first = desk.add(m31)
    (m31 / "plate2.fits").unlink()
    desk.add(m31)
    assert desk.check(first).is_unchanged


def test_a_kept_dataset_that_left_its_path_is_unchanged(desk: Desk, m31: Path) -> None:
    dataset = desk.add(m31)
    m31.rename(m31.with_name("elsewhere"))
    assert (desk.check(dataset).is_unchanged, desk.check(dataset).found) == (True, None)


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_grows_while_it_is_read_is_refused(desk: Desk, m31: Path, keep: bool) -> None:
    plate = m31 / "plate2.fits"

    def observe_on(_count: int) -> None:
        with plate.open("ab") as stream:
            stream.write(b"one more line")

    with pytest.raises(DatasetUnreadable, match=r"'plate2\.fits' was written to while it was read"):
        add_dataset(plate, vault=desk.vault, store=desk.store, now=desk.now, keep=keep, progress=observe_on)
    assert desk.store.datasets() == ()


def test_a_dataset_that_is_upgraded_from_reference_to_kept_is_in_the_vault(desk: Desk, m31: Path) -> None:
    desk.add(m31, keep=False)
    assert desk.add(m31).reference == "m31-1991@1"
    m31.rename(m31.with_name("elsewhere"))
    assert desk.open("m31-1991").files == 3


def test_an_unknown_dataset_gets_the_nearest_name(desk: Desk, m31: Path) -> None:
    desk.add(m31)
    with pytest.raises(DatasetUnknown) as raised:
        desk.open("m31-1919")
    assert "did you mean 'm31-1991'?" in raised.value.hint


def test_an_unknown_version_names_those_there_are(desk: Desk, m31: Path) -> None:
    desk.add(m31)
    with pytest.raises(DatasetUnknown, match="there is no dataset 'm31-1991@2': found m31-1991@1"):
        find_dataset("m31-1991@2", desk.store)


def test_a_path_that_is_not_there_is_unreadable_and_not_unknown(desk: Desk, tmp_path: Path) -> None:
    for missing in (tmp_path / "m33", str(tmp_path / "m33")):
        with pytest.raises(DatasetUnreadable, match="there is no file or folder"):
            desk.open(missing)


def test_a_folder_without_files_is_no_dataset(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(DatasetUnreadable, match="the folder holds none"):
        desk.add(tmp_path / "empty")


def test_a_link_that_leads_out_of_the_folder_is_refused(desk: Desk, m31: Path) -> None:
    (m31 / "calibration.fits").symlink_to("/etc/hostname")
    with pytest.raises(DatasetUnreadable, match=r"calibration\.fits"):
        desk.add(m31)


@pytest.mark.parametrize("keep", [True, False])
def test_a_pipe_is_refused_without_waiting_for_it(desk: Desk, m31: Path, keep: bool) -> None:
    os.mkfifo(m31 / "telescope")
    for path in (m31, m31 / "telescope"):
        with pytest.raises(DatasetUnreadable, match="neither a file nor a folder"):
            desk.add(path, keep=keep)


@pytest.mark.parametrize("name", ["", "m 31", "../m31", "m31@1", "-m31", ".m31", "M" * 81, "galaxië"])
def test_a_name_that_could_be_mistaken_is_refused(desk: Desk, m31: Path, name: str) -> None:
    with pytest.raises(DatasetNameInvalid, match="a dataset cannot be called"):
        desk.add(m31, name=name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/m31-1991", "m31-1991"),
        ("/data/M 31 (Andromède).fits", "M-31-Andromede-.fits"),
        ("/data/...", "dataset"),
        ("/", "dataset"),
        ("/data/" + "x" * 200, "x" * 80),
        ("/data/星系", "dataset"),
    ],
)
def test_a_name_is_made_from_any_path(path: str, name: str) -> None:
    assert derive_name(Path(path)) == name


def test_the_hint_for_a_wrong_name_is_a_name_that_is_right(desk: Desk, m31: Path) -> None:
    with pytest.raises(DatasetNameInvalid) as raised:
        desk.add(m31, name="M 31: plates")
    desk.add(m31, name=raised.value.hint.split("--name ")[1])
