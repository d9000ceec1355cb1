"""A file fetched over real https: verified, bounded, and never from where a redirect should not lead."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from instantiator.dataset.download import AddressRefused, DownloadFailed, Downloads, is_public
from provenance.digest import digest_bytes
from provenance.errors import DigestMismatch

EVENTS = b"SIMPLE  =                    T" * 1000


class Archive(BaseHTTPRequestHandler):
    """An archive with one file, and with redirects to it and to its own neighbour."""

    def do_GET(self) -> None:
        to = {"/moved": "/m31.fits", "/inside": "https://neighbour.example/m31.fits"}.get(self.path)
        self.send_response(302 if to else 200 if self.path == "/m31.fits" else 404)
        self.send_header(*(("Location", to) if to else ("Content-Length", str(len(EVENTS)))))
        self.end_headers()
        if self.path == "/m31.fits":
            self.wfile.write(EVENTS)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the library's
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Downloads]]:
    """An archive on loopback with a certificate for its name, and downloads that take it for a public host."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key)]
    command += ["-out", str(certificate), "-subj", "/CN=archive.example"]
    command += ["-addext", "subjectAltName=DNS:archive.example"]
    subprocess.run(command, check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.server_address[1]
    yield (
        f"https://archive.example:{port}",
        Downloads(
            look_up=lambda host, _port: ["127.0.0.1" if host == "archive.example" else "10.0.0.1"],
            is_public=lambda address: address == "127.0.0.1" or is_public(address),
            tls=partial(ssl.create_default_context, cafile=str(certificate)),
            ports=(port, None),
        ),
    )
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/m31.fits", "/moved"])
def test_a_file_is_fetched_and_verified(served: tuple[str, Downloads], tmp_path: Path, path: str) -> None:
    url, downloads = served
    size = downloads.fetch(url + path, digest_bytes(EVENTS), tmp_path / "m31.fits")
    assert (size, (tmp_path / "m31.fits").read_bytes()) == (len(EVENTS), EVENTS)


def test_what_is_wrong_leaves_nothing(served: tuple[str, Downloads], tmp_path: Path) -> None:
    (url, downloads), target = served, tmp_path / "m31.fits"
    digest = digest_bytes(EVENTS)
    with pytest.raises(DigestMismatch):
        downloads.fetch(f"{url}/m31.fits", digest_bytes(b"another"), target)
    with pytest.raises(DownloadFailed, match="too large"):
        replace(downloads, max_bytes=100).fetch(f"{url}/m31.fits", digest, target)
    with pytest.raises(DownloadFailed, match="404"):
        downloads.fetch(f"{url}/nothing", digest, target)
    with pytest.raises(AddressRefused, match="not a public host"):
        downloads.fetch(f"{url}/inside", digest, target)
    assert not target.exists()


def test_a_host_with_another_ones_certificate_is_not_believed(
    served: tuple[str, Downloads], tmp_path: Path
) -> None:
    url, downloads = served
    other = replace(downloads, look_up=lambda _host, _port: ["127.0.0.1"])
    with pytest.raises(DownloadFailed, match="certificate"):
        other.fetch(f"{url.replace('archive', 'other')}/m31.fits", digest_bytes(EVENTS), tmp_path / "file")
