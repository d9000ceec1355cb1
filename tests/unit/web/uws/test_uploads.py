"""Files that come with a job: they become datasets of who sent them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instantiator.users import Scope
from instantiator.web.portal import Portal
from tests.unit.web.uws.conftest import SERVICE, Client, client_of, text_of

IMAGE = b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800)
MIDAS = "/uws/eso-midas/image-statistics"


def send(client: Client, form: dict[str, Any], path: str = MIDAS, name: str = "m31.fits") -> Any:
    return client.post(path, form, files={"picture": (name, IMAGE, "image/fits")})


@pytest.fixture
def portal(portal: Portal) -> Portal:
    """One that takes larger files."""
    return replace(portal, upload_limit=10_000)


def test_an_uploaded_file_becomes_a_dataset_of_its_user(
    portal: Portal, client: Client, stranger: Client
) -> None:
    answer = send(client, {"UPLOAD": "image,param:picture", "radius": "2"})
    assert answer.status_code == 303, answer.text
    name = client.get(f"{answer.headers['Location']}/parameters/image").text
    dataset = portal.bench.store.dataset(name.partition("@")[0])
    assert dataset is not None
    assert (dataset.files, dataset.size, dataset.kept) == (1, len(IMAGE), True)
    assert client.post(MIDAS, {"image": name}).status_code == 303
    assert stranger.post(MIDAS, {"image": name}).status_code == 403


def test_names_of_files_stay_inside_their_folder(client: Client) -> None:
    answer = send(client, {"UPLOAD": "image,param:picture"}, name="../../etc/passwd")
    assert answer.status_code == 303, answer.text


def test_several_files_of_one_input_are_a_directory(client: Client) -> None:
    parts = {"a": ("session.json", b"{}"), "b": ("eps.cfg", b"")}
    form = {"UPLOAD": "scenario,param:a;scenario,param:b"}
    answer = client.post("", form, files=parts)
    assert answer.status_code == 403
    assert "config/**" in answer.text


@pytest.mark.parametrize(
    ("upload", "told"),
    [
        ("image,param:other", "no file 'other'"),
        ("kernel,param:picture", "an input of image"),
        ("image,http://archive.test/m31.fits", "with its sha256"),
        ("image,param:picture;image,param:picture", "one file"),
        ("picture", "INPUT,param:PART"),
    ],
)
def test_an_upload_that_is_none_is_refused_and_nothing_is_registered(
    portal: Portal, client: Client, upload: str, told: str
) -> None:
    answer = send(client, {"UPLOAD": upload})
    assert (answer.status_code, told in answer.text) == (403, True), answer.text
    assert portal.bench.store.datasets() == ()


def test_a_wrong_parameter_is_found_before_files_are_registered(portal: Portal, client: Client) -> None:
    assert send(client, {"UPLOAD": "image,param:picture", "radius": "0"}).status_code == 403
    assert portal.bench.store.datasets() == ()


def test_files_need_the_scope_for_datasets(portal: Portal) -> None:
    runner = client_of(portal, "caroline", frozenset({Scope.RUN, Scope.READ}))
    answer = send(runner, {"UPLOAD": "image,param:picture"})
    assert (answer.status_code, "'dataset'" in answer.text) == (403, True)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_form_larger_than_the_limit_is_not_read(client: Client, is_told: bool) -> None:
    body = b"x=" + b"y" * 2_000_000
    content = body if is_told else iter([body[:1_500_000], body[1_500_000:]])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.http.post(SERVICE, content=content, headers=headers)
    assert (answer.status_code, "at most" in answer.text) == (413, True), answer.text


def test_an_upload_is_shown_by_the_name_of_its_dataset(client: Client) -> None:
    path = send(client, {"UPLOAD": "image,param:picture"}).headers["Location"]
    shown = text_of(client.xml(path), "uws:parameters/uws:parameter[@id='image']")
    assert shown is not None
    assert shown.startswith("upload-")
