"""The files pane: what goes in comes out, and nothing outside the workspace is reached."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import pytest

from tests.unit.web.conftest import Browser


def put(browser: Browser, session: str, path: str, content: bytes, offset: int = 0, size: int = -1) -> int:
    where: dict[str, str | int] = {"path": path, "size": len(content) if size < 0 else size, "offset": offset}
    base = f"/api/sessions/{session}/files/upload"
    return browser.client.put(base, params=where, content=content, headers=browser.headers).status_code


def get(browser: Browser, session: str, path: str) -> tuple[int, bytes]:
    answer = browser.client.get(f"/api/sessions/{session}/files/content", params={"path": path})
    return answer.status_code, answer.content


def test_a_file_uploaded_in_two_pieces_comes_back_the_same(browser: Browser) -> None:
    session = browser.open()
    assert put(browser, session, "out/m31.dat", b"abc", size=6) == 200
    there = browser.client.get(
        f"/api/sessions/{session}/files/upload", params={"path": "out/m31.dat", "size": 6}
    )
    assert there.json()["offset"] == 3
    assert put(browser, session, "out/m31.dat", b"zzz", offset=0, size=6) == 409
    assert put(browser, session, "out/m31.dat", b"def", offset=3, size=6) == 200
    assert get(browser, session, "out/m31.dat") == (200, b"abcdef")
    assert [file.name for file in (browser.workspace(session) / "out").iterdir()] == ["m31.dat"]


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "..", "a/./b", "a\0b", ".thaw-upload-x"]
)
def test_a_path_that_leads_out_is_refused(browser: Browser, path: str) -> None:
    session = browser.open()
    assert get(browser, session, path)[0] == 400
    assert put(browser, session, path, b"x") == 400


def test_links_and_pipes_are_not_followed(browser: Browser) -> None:
    session = browser.open()
    folder = browser.workspace(session)
    (folder / "out").symlink_to("/etc")
    (folder / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    assert [get(browser, session, name)[0] for name in ("out/passwd", "passwd", "pipe")] == [404, 404, 404]
    assert put(browser, session, "out/new", b"x") == 404


def test_a_name_with_a_line_break_and_a_direction_mark_is_shown_escaped(browser: Browser) -> None:
    session = browser.open()
    (browser.workspace(session) / "a\nb\u202egnp.exe").write_bytes(b"x")
    entries = browser.client.get(f"/api/sessions/{session}/files").json()["entries"]
    assert [entry["shown"] for entry in entries] == ["a\\nb\\u202egnp.exe"]
    assert get(browser, session, "a\nb\u202egnp.exe") == (200, b"x")


def test_an_upload_beyond_the_limit_is_refused_before_a_byte_is_kept(browser: Browser) -> None:
    session = browser.open()
    assert put(browser, session, "big", b"x", size=1001) == 413
    assert list(browser.workspace(session).iterdir()) == []


def test_a_file_that_is_there_is_not_replaced_unasked(browser: Browser) -> None:
    session = browser.open()
    put(browser, session, "a", b"old")
    assert put(browser, session, "a", b"new") == 409
    assert get(browser, session, "a")[1] == b"old"


def test_all_files_come_as_tar_and_as_zip(browser: Browser) -> None:
    session = browser.open()
    put(browser, session, "a/b.txt", b"hello")
    (browser.workspace(session) / "link").symlink_to("/etc/passwd")
    base = f"/api/sessions/{session}/files/archive"
    with tarfile.open(fileobj=io.BytesIO(browser.client.get(f"{base}.tar").content)) as tar:
        assert tar.getnames() == ["a/b.txt"]
    with zipfile.ZipFile(io.BytesIO(browser.client.get(f"{base}.zip").content)) as archive:
        assert (archive.namelist(), archive.read("a/b.txt")) == (["a/b.txt"], b"hello")
