"""The RO-Crate validator with the one context it needs at hand: it would else fetch it, and offline check nothing."""

from __future__ import annotations

import io
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings
from urllib3.response import HTTPResponse

CONTEXT_URL = "https://w3id.org/ro/crate/1.1/context"
CONTEXT_FILE = Path(__file__).parent / "data/ro-crate/context-1.1.jsonld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the validator found: how many checks it executed, and what it complains of."""

    executed: int
    issues: tuple[str, ...]


def check_crate(crate: Path, cache: Path) -> Checked:
    """Validate a crate (folder or zip) for Process Run Crate 0.5, RECOMMENDED and above, with no network."""
    _seed(cache)
    if crate.is_file():  # the validator's own unpacked copy is left to the garbage collector
        with zipfile.ZipFile(crate) as archive:
            crate = cache.with_name("unpacked")
            archive.extractall(crate)
    settings = ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="process-run-crate",
        requirement_severity=Severity.RECOMMENDED,
        cache_path=cache,
        cache_max_age=-1,
        offline=True,
    )
    with warnings.catch_warnings():  # of rdflib, about how pyshacl calls it
        warnings.simplefilter("ignore", DeprecationWarning)
        result = services.validate(settings)
    issues = tuple(
        f"{issue.severity.name} {issue.check.identifier}: {issue.message} ({issue.violatingEntity})"
        for issue in result.get_issues(min_severity=Severity.RECOMMENDED)
    )
    return Checked(executed=len(result.executed_checks), issues=issues)


def _seed(cache: Path) -> None:
    """Let the validator's cache learn the context from the file beside the tests."""
    with CachedSession(cache_name=str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", _FromFile())
        assert session.get(CONTEXT_URL).status_code == 200


class _FromFile(HTTPAdapter):
    """Answers every request with the context."""

    def send(
        self, request: requests.PreparedRequest, *_args: object, **_options: object
    ) -> requests.Response:
        raw = HTTPResponse(
            body=io.BytesIO(CONTEXT_FILE.read_bytes()),
            headers={"Content-Type": "application/ld+json"},
            status=200,
            preload_content=False,
            request_url=request.url,
        )
        return self.build_response(request, raw)
