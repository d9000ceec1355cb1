"""Calibration trees by their date: registered once for a day, asked for by that day, never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from instantiator.dataset import Dataset, DatasetUnknown, find_dataset, open_dataset
from instantiator.dataset.calibration import (
    CalibrationInvalid,
    CalibrationMissing,
    add_calibration,
    choose_calibration,
    dates_of,
)
from instantiator.recipe.load import load_recipe
from instantiator.thread.plan import find_thread
from instantiator.thread.start import bind_calibrations
from provenance.store import Journal, Store
from provenance.vault import Vault

NOW = datetime(2027, 1, 1, tzinfo=UTC)
RECIPE = Path(__file__).parents[3] / "recipes/xmm-sas/22.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A vault, a store, and a tree that is called a calibration."""

    vault: Vault
    store: Store
    ccf: Path

    def add(self, as_of: str, name: str = "ccf") -> Dataset:
        return add_calibration(self.ccf, name, as_of, vault=self.vault, store=self.store, now=NOW)


@pytest.fixture
def desk(own_state_folder: Path, tmp_path: Path) -> Iterator[Desk]:
    store = Store(own_state_folder / "store.sqlite", journal=Journal(own_state_folder / "vault"))
    ccf = tmp_path / "ccf"
    ccf.mkdir()
    (ccf / "EPN_BADPIX_0001.CCF").write_bytes(b"SIMPLE  =                    T")
    yield Desk(vault=Vault(own_state_folder / "vault"), store=store, ccf=ccf)
    store.close()


def test_a_calibration_is_found_by_its_date_wherever_a_dataset_is_asked_for(
    desk: Desk, tmp_path: Path
) -> None:
    made = desk.add("2026-07-27")
    assert (made.reference, made.title) == ("ccf.2026-07-27@1", "calibration ccf as of 2026-07-27")
    assert find_dataset("ccf@2026-07-27", desk.store) == made
    opened = open_dataset(
        "ccf@2026-07-27", vault=desk.vault, store=desk.store, trees_dir=tmp_path / "trees", now=NOW
    )
    assert (opened.reference, opened.digest) == ("ccf.2026-07-27@1", made.digest)


def test_a_day_has_one_content(desk: Desk) -> None:
    made = desk.add("2026-07-27")
    assert desk.add("2026-07-27") == made
    (desk.ccf / "EPN_BADPIX_0002.CCF").write_bytes(b"SIMPLE  =                    F")
    with pytest.raises(CalibrationInvalid, match="other content"):
        desk.add("2026-07-27")
    assert [dataset.reference for dataset in desk.store.datasets()] == ["ccf.2026-07-27@1"]
    assert desk.add("2026-08-01").digest != made.digest


@pytest.mark.parametrize("day", ["2026-7-27", "2026-02-30", "27 July 2026", "", "2027-01-02"])
def test_what_is_no_day_or_still_to_come_is_refused(desk: Desk, day: str) -> None:
    with pytest.raises(CalibrationInvalid):
        desk.add(day)
    assert list(desk.store.datasets()) == []


def test_a_missing_date_is_answered_with_those_there_are(desk: Desk) -> None:
    desk.add("2026-07-27")
    desk.add("2025-01-02")
    desk.add("2024-01-01", name="integral-ic")
    assert dates_of("ccf", desk.store) == ("2025-01-02", "2026-07-27")
    for asked in (None, "ccf@2026-07-28", "integral-ic@2024-01-01", str(desk.ccf)):
        with pytest.raises(CalibrationMissing, match="2025-01-02, 2026-07-27") as error:
            choose_calibration("ccf", asked, desk.store)
        assert error.value.hint == "name one: --calibration ccf=2026-07-27"


def test_where_there_is_none_the_hint_says_how_one_is_registered(desk: Desk) -> None:
    with pytest.raises(CalibrationMissing, match="registered dates: none") as error:
        choose_calibration("ccf", "ccf@2026-07-27", desk.store)
    assert error.value.hint == "register one first: thaw dataset add ccf FOLDER --as-of YYYY-MM-DD"


def test_a_thread_gets_the_tree_of_the_date_and_no_other(desk: Desk) -> None:
    thread = find_thread(load_recipe(RECIPE), "odf-prepare")
    desk.add("2026-07-27")
    bound = bind_calibrations(thread, {"odf": "xmm:0123700101", "ccf": "ccf@2026-07-27"}, desk.store)
    assert bound == {"odf": "xmm:0123700101", "ccf": "ccf.2026-07-27@1"}
    with pytest.raises(CalibrationMissing, match="no date was named"):
        bind_calibrations(thread, {"odf": "xmm:0123700101"}, desk.store)


def test_an_unknown_date_of_a_dataset_says_so(desk: Desk) -> None:
    with pytest.raises(DatasetUnknown, match="there is no dataset 'ccf@2026-07-27'"):
        find_dataset("ccf@2026-07-27", desk.store)
