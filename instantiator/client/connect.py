"""From what a caller gives to the service meant: the environment and the logins are looked at here."""

from __future__ import annotations

import os

from instantiator.client.service import Service, find_service, read_logins
from instantiator.settings import read_settings


def connect(url: str | None, token: str | None) -> Service:
    """The service a client is for; raises `ServiceNotNamed`, `ServiceRefused`, `TokenMissing`, `LoginsUnsafe`."""
    return find_service(url, token, read_logins(read_settings().home), os.environ)
