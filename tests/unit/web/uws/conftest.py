"""A client of one thread's UWS service, beside somebody else's; every document it gets is valid, or the test fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import httpx2
import pytest
import xmlschema
from fastapi.testclient import TestClient

from instantiator.users import Scope
from instantiator.web.app import create_app
from instantiator.web.portal import Portal
from tests.unit.web.api.conftest import cruise

__all__ = ["cruise"]
SCHEMAS = Path(__file__).parents[3] / "data/uws"
SERVICE = "/uws/rosetta-eps/simulate"
ORIGIN = "http://portal.test"
NAMES = {"uws": "http://www.ivoa.net/xml/UWS/v1.0", "thaw": "urn:thaw:terms:"}
HREF = "{http://www.w3.org/1999/xlink}href"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


@lru_cache(maxsize=4)
def schema(name: str) -> xmlschema.XMLSchema:
    """A schema, found here alone."""
    links = {"http://www.w3.org/1999/xlink": str(SCHEMAS / "xlink.xsd")}
    return xmlschema.XMLSchema(str(SCHEMAS / name), locations=links, allow="local")


@dataclass
class Client:
    """A script with a token. Redirects are looked at, not followed."""

    http: TestClient
    portal: Portal

    def get(self, path: str = "", **more: Any) -> httpx2.Response:
        return self.http.get(_whole(path), **more)

    def post(self, path: str = "", form: Any = None, **more: Any) -> httpx2.Response:
        return self.http.post(_whole(path), data=form, **more)

    def xml(self, path: str = "", **more: Any) -> Element:
        """A document that is valid against the official schema."""
        answer = self.get(path, **more)
        assert answer.status_code == 200, answer.text
        schema("UWS.xsd").validate(answer.text)
        return ElementTree.fromstring(answer.text)

    def create(self, **form: str) -> str:
        """A new job; its path."""
        answer = self.post("", {"scenario": "cruise", **form})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["Location"])

    def jobs(self, query: str = "") -> list[str]:
        """The ids in the list."""
        return [str(job.get("id")) for job in self.xml(query)]


def _whole(path: str) -> str:
    return path if path.startswith(("/uws/", "/datalink/")) else f"{SERVICE}{path}"


def client_of(portal: Portal, user: str, scopes: frozenset[Scope] = frozenset(Scope)) -> Client:
    expires = portal.clock() + timedelta(days=1)
    token = portal.users.tokens.new(user, scopes, label="a script", expires=expires, now=portal.clock())
    http = TestClient(create_app(portal), base_url=ORIGIN, follow_redirects=False)
    http.headers["Authorization"] = f"Bearer {token.text}"
    return Client(http=http, portal=portal)


def text_of(job: Element, path: str) -> str | None:
    """The text of an element that has to be there; None where it says that nothing is known."""
    found = job.find(path, NAMES)
    assert found is not None, path
    return None if found.get(NIL) == "true" else found.text


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


@pytest.fixture
def client(portal: Portal) -> Iterator[Client]:
    made = client_of(portal, "caroline")
    yield made
    made.http.close()


@pytest.fixture
def stranger(portal: Portal) -> Iterator[Client]:
    made = client_of(portal, "william")
    yield made
    made.http.close()
