"""A run leaves the portal in every format, and never as a page of ours."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace

import pytest

from instantiator.image.lock import lock_to_json
from instantiator.web.portal import Portal
from provenance.digest import canonical_json
from provenance.export import CitationStyle, ExportFormat
from provenance.record import Record
from tests.examples import eps_lock
from tests.unit.provenance.export.conftest import kept_record
from tests.unit.web.conftest import Browser


@pytest.fixture
def record(portal: Portal) -> Record:
    """A finished run in the portal's store."""
    vault = portal.bench.vault
    lock = vault.put_bytes(canonical_json(lock_to_json(eps_lock())))
    record = replace(kept_record(vault), lock=lock)
    portal.bench.store.finish_run(record, vault)
    return record


@pytest.mark.parametrize("how", list(ExportFormat))
def test_a_run_is_downloaded_in_every_format(browser: Browser, record: Record, how: ExportFormat) -> None:
    answer = browser.client.get(f"/runs/{record.run}/export/{how}")
    headers: Mapping[str, str] = answer.headers
    assert answer.status_code == 200
    assert headers["Content-Type"] == how.media_type
    assert f'attachment; filename="{how.file_name(record.run)}"' in headers["Content-Disposition"]
    assert list(browser.portal.bench.settings.scratch_dir.glob("download-*")) == []


def test_the_crate_of_the_portal_holds_the_record(browser: Browser, record: Record) -> None:
    answer = browser.client.get(f"/runs/{record.run}/export/ro-crate")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("record.json") == record.to_bytes()


@pytest.mark.parametrize("style", list(CitationStyle))
def test_a_citation_is_downloaded(browser: Browser, record: Record, style: CitationStyle) -> None:
    answer = browser.client.get(f"/runs/{record.run}/cite/{style}")
    assert answer.status_code == 200
    assert record.digest in answer.text


@pytest.mark.parametrize("path", ["export/docx", "cite/apa"])
def test_a_format_there_is_not_is_told(browser: Browser, record: Record, path: str) -> None:
    answer = browser.client.get(f"/runs/{record.run}/{path}")
    assert answer.status_code == 404
    assert "there are: " in answer.text


def test_a_run_there_is_not_cannot_be_exported(browser: Browser) -> None:
    assert browser.client.get("/runs/20200101-000000-none/export/prov-json").status_code == 404


def test_the_page_of_a_run_offers_every_format(browser: Browser, record: Record) -> None:
    page = browser.client.get(f"/runs/{record.run}").text
    wanted = [f"/runs/{record.run}/export/{how}" for how in ExportFormat]
    wanted += [f"/runs/{record.run}/cite/{style}" for style in CitationStyle]
    assert [path for path in wanted if f'href="{path}"' not in page] == []
