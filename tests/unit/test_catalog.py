"""The published index: read quickly, refused where it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.catalog import CatalogEntry, CatalogInvalid, catalog_file, catalog_text, read_catalog

MIDAS = CatalogEntry(
    name="midas",
    version="22SEP",
    title="ESO-MIDAS: Münchner Bilddatenanalyse",
    mission=("La Silla",),
    threads=("flatfield",),
    guis=("xmidas",),
    image="sha256:" + 64 * "a",
)
SAS = CatalogEntry(name="xmm-sas", version="21.0", title="SAS: 'quotes' & yes", awaits=("licence",))


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    folder = tmp_path / "recipes"
    folder.mkdir()
    return folder


def write(recipes: Path, text: str | bytes) -> None:
    """Write the catalogue beside the recipes."""
    catalog_file(recipes).write_bytes(text if isinstance(text, bytes) else text.encode())


def test_entries_are_read_as_they_were_written_by_name_and_version(recipes: Path) -> None:
    write(recipes, catalog_text((SAS, MIDAS)))
    assert read_catalog(recipes) == (MIDAS, SAS)


def test_the_same_entries_give_the_same_text_in_whatever_order(recipes: Path) -> None:
    assert catalog_text((SAS, MIDAS)) == catalog_text((MIDAS, SAS))


def test_where_nothing_was_published_there_are_no_entries(recipes: Path) -> None:
    assert read_catalog(recipes) == ()


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (MIDAS, "built"),
        (SAS, "awaiting deposit"),
        (CatalogEntry(name="a", version="1", title="A"), "locked"),
        (CatalogEntry(name="a", version="1", title="A", image="sha256:x", awaits=("b",)), "awaiting deposit"),
    ],
)
def test_the_status_is_derived(entry: CatalogEntry, status: str) -> None:
    assert (entry.status, entry.to_json()["status"]) == (status, status)
    assert "status" not in catalog_text((entry,))


ENTRY = "name: midas, version: '1', title: MIDAS"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "recipes: []",
        "format: 2\nrecipes: []",
        "format: 1",
        "format: 1\nrecipes: 5",
        "format: 1\nrecipes: [midas]",
        "format: 1\nrecipes: [{name: midas}]",
        f"format: 1\nrecipes: [{{{ENTRY}, colour: red}}]",
        f"format: 1\nrecipes: [{{{ENTRY}, threads: flatfield}}]",
        f"format: 1\nrecipes: [{{{ENTRY}, threads: [1]}}]",
        "format: 1\nrecipes: [{name: midas, version: 1, title: MIDAS}]",
        "format: 1\nrecipes: [{name: midas, version: [a], title: MIDAS}]",
        "format: 1\nrecipes: [",
        b"format: 1\nrecipes: [\xff\xfe]",
    ],
)
def test_a_damaged_catalogue_is_refused_with_the_next_step(recipes: Path, text: str | bytes) -> None:
    write(recipes, text)
    with pytest.raises(CatalogInvalid) as refusal:
        read_catalog(recipes)
    assert (refusal.value.where, refusal.value.hint) == (
        str(catalog_file(recipes)),
        "make it again: thaw recipe publish NAME",
    )
