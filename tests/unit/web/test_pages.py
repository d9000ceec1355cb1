"""Every page, with something on it and with nothing."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from astropy.io import fits

from instantiator.web.pages import words
from instantiator.web.previews import PreviewImpossible, preview_file
from tests.unit.web.conftest import Browser

THREAD = "/recipes/rosetta-eps/9.3.35/threads/simulate"


def test_the_catalogue_is_searched_and_narrowed(browser: Browser) -> None:
    assert "Experiment Planning System" in browser.client.get("/?q=rosetta&mission=JUICE").text
    assert "Nothing matches" in browser.client.get("/?q=nonesuch").text


@pytest.mark.parametrize("path", ["/sessions", "/runs", "/recipes/rosetta-eps/9.3.35", THREAD])
def test_a_page_is_there_before_anything_was_done(browser: Browser, path: str) -> None:
    assert browser.client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/runs/20200101-000000-none", "/work/none", "/recipes/x/1"])
def test_what_is_not_there_is_told_in_words(browser: Browser, path: str) -> None:
    answer = browser.client.get(path)
    assert answer.status_code == 404
    assert 'role="alert"' in answer.text


def test_a_wrong_parameter_comes_back_in_the_form_with_what_was_typed(browser: Browser) -> None:
    given = {"input.scenario": "eps-juice", "param.time_step": "fast"}
    answer = browser.client.post(THREAD, data=given, headers=browser.headers)
    assert answer.status_code == 422
    assert "has to be a whole number from 1 to 86400" in answer.text
    assert 'value="fast"' in answer.text


def test_a_form_cannot_name_a_folder_of_this_host(browser: Browser) -> None:
    answer = browser.client.post(THREAD, data={"input.scenario": "/etc"}, headers=browser.headers)
    assert (answer.status_code, "there is no dataset" in answer.text) == (422, True)


def test_a_session_page_says_how_the_program_ended_and_no_path_of_this_host(browser: Browser) -> None:
    session = browser.open()
    browser.sessions.crash(session, 139)
    data = browser.client.get(f"/api/sessions/{session}").json()
    assert (data["state"], data["exit_status"]) == ("application-ended", 139)
    assert data["log_tail"] == ["Segmentation fault"]
    assert str(browser.sessions.root) not in browser.client.get(f"/sessions/{session}").text + str(data)


def test_a_launch_shows_what_display_and_program_print(browser: Browser, other: Browser) -> None:
    session = browser.open()
    lines = browser.client.get(f"/api/sessions/{session}/log").json()["lines"]
    assert [line["from"] for line in lines] == ["display", "application"]
    assert other.client.get(f"/api/sessions/{session}/log").status_code == 404


def test_backquoted_words_are_code_and_nothing_else_becomes_markup() -> None:
    assert words("type `help` & <b>") == "type <code>help</code> &amp; &lt;b&gt;"


def test_a_fits_image_is_shown_as_png() -> None:
    content = io.BytesIO()
    fits.PrimaryHDU(np.arange(10_000.0).reshape(100, 100)).writeto(content)
    content.seek(0)
    shown = preview_file(content, "m31.fits")
    assert base64.b64decode(str(shown["png"])).startswith(b"\x89PNG")
    assert "100 x 100 pixels" in str(shown["caption"])


def test_a_fits_table_is_shown_as_rows() -> None:
    content = io.BytesIO()
    fits.BinTableHDU.from_columns([fits.Column("FLUX", "E", array=np.array([1.5, 2.5]))]).writeto(content)
    content.seek(0)
    assert preview_file(content, "x.fits")["rows"] == [["1.5"], ["2.5"]]


def test_a_cut_fits_file_is_refused_in_words() -> None:
    content = io.BytesIO(b"SIMPLE  =                    T" + bytes(100))
    with pytest.raises(PreviewImpossible):
        preview_file(content, "cut.fits")
