"""A dataset by identifier, from an archive over real https that behaves, breaks off, or says no.

What it sends are files of this test: nothing of a mission is run on them.
"""

from __future__ import annotations

import io
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from instantiator.dataset import Dataset, open_dataset
from instantiator.dataset.archives import Archive
from instantiator.dataset.archives_fetch import add_identified
from instantiator.dataset.archives_integral import IntegralArchive
from instantiator.dataset.archives_model import ArchiveRefused, ArchiveUnreachable
from instantiator.dataset.archives_xmm import XmmArchive
from instantiator.dataset.download import Downloads
from provenance.store import Journal, Store
from provenance.vault import Vault

NOW = datetime(2026, 11, 20, tzinfo=UTC)
WINDOW = "197200240010"


def _tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("0070_0123700101_M1S.FIT", "0070_0123700101_M2S.FIT"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return packed.getvalue()


ODF = _tar()
TREE = {
    f"scw/1972/{WINDOW}.001/": ["swg.fits", "raw/"],
    f"scw/1972/{WINDOW}.001/raw/": ["isgri.fits"],
    "scw/1972/rev.001/": ["gti.fits"],
    "aux/adp/1972.001/": ["attitude.fits"],
    "aux/adp/ref/": ["orbit.fits"],
}


class Handler(BaseHTTPRequestHandler):
    """Answers by observation number: well, cut off, with more than announced, or with a text."""

    asked: list[str] = []  # noqa: RUF012  # one server at a time, emptied by the fixture

    def do_GET(self) -> None:
        self.asked.append(self.path)
        for obsid, (announced, content) in ANSWERS.items():
            if obsid in self.path:
                return self._answer(content, announced)
        path = self.path.removeprefix("/data/")
        if path in TREE:
            links = "".join(f'<a href="{name}">{name}</a>' for name in ["../", "?C=N;O=D", *TREE[path]])
            return self._answer(links.encode(), None)
        folder, _, name = path.rpartition("/")
        if name in TREE.get(f"{folder}/", []):
            return self._answer(path.encode(), None)
        self.send_error(404)
        return None

    def _answer(self, content: bytes, announced: int | None) -> None:
        self.send_response(200)
        if announced != -1:
            self.send_header("Content-Length", str(len(content) if announced is None else announced))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the library's
        """Say nothing."""


ANSWERS: dict[str, tuple[int | None, bytes]] = {
    "0123700101": (None, ODF),
    "0000000001": (len(ODF), ODF[: len(ODF) // 2]),
    "0000000002": (-1, ODF[: len(ODF) // 2]),
    "0000000003": (len(ODF) // 2, ODF),
    "0000000004": (None, b"Access denied: observation 0000000004 is proprietary"),
}
"""By observation: the length that is announced (None: the right one, -1: none), and what is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A vault, a store, and the archives of the test."""

    home: Path
    vault: Vault
    store: Store
    downloads: Downloads
    archives: dict[str, Archive] = field(default_factory=dict)

    def add(self, identifier: str) -> Dataset:
        return add_identified(
            identifier,
            vault=self.vault,
            store=self.store,
            scratch=self.home / "scratch",
            now=NOW,
            downloads=self.downloads,
            archives=self.archives,
        )


@pytest.fixture
def desk(own_state_folder: Path, tmp_path: Path) -> Iterator[Desk]:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key)]
    command += ["-out", str(certificate), "-subj", "/CN=archive.example"]
    command += ["-addext", "subjectAltName=DNS:archive.example"]
    subprocess.run(command, check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.server_address[1]
    Handler.asked.clear()
    downloads = Downloads(
        look_up=lambda _host, _port: ["127.0.0.1"],
        is_public=lambda _address: True,
        tls=partial(ssl.create_default_context, cafile=str(certificate)),
        ports=(port,),
    )
    base = f"https://archive.example:{port}"
    store = Store(own_state_folder / "store.sqlite", journal=Journal(own_state_folder / "vault"))
    archives: dict[str, Archive] = {
        "xmm": XmmArchive(address=f"{base}/odf"),
        "integral": IntegralArchive(address=f"{base}/data", downloads=downloads),
    }
    vault = Vault(own_state_folder / "vault")
    yield Desk(home=own_state_folder, vault=vault, store=store, downloads=downloads, archives=archives)
    store.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_observation_is_fetched_once_hashed_and_kept(desk: Desk) -> None:
    made = desk.add("xmm:0123700101")
    assert (made.reference, made.files, made.kept) == ("xmm-0123700101@1", 2, True)
    assert "obsno=0123700101&level=ODF" in made.origin
    assert desk.add("xmm:0123700101") == made
    assert len(Handler.asked) == 1
    opened = open_dataset(
        "xmm:0123700101", vault=desk.vault, store=desk.store, trees_dir=desk.home / "trees", now=NOW
    )
    assert opened.digest == made.digest


@pytest.mark.parametrize(
    ("obsid", "error", "said"),
    [
        ("0000000001", ArchiveUnreachable, "broke off"),
        ("0000000002", ArchiveRefused, "no whole tar"),
        ("0000000003", ArchiveRefused, "no whole tar"),
        ("0000000004", ArchiveRefused, "said: Access denied"),
        ("9999999999", ArchiveUnreachable, "answered 404"),
    ],
    ids=["truncated", "truncated, no length", "more than announced", "a text", "unknown"],
)
def test_what_is_not_the_whole_data_leaves_nothing(
    desk: Desk, obsid: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        desk.add(f"xmm:{obsid}")
    assert list(desk.store.datasets()) == []
    assert list((desk.home / "scratch").iterdir()) == []
    assert not any(path.is_file() for path in (desk.home / "vault").rglob("*") if "object" in str(path))


def test_science_windows_are_fetched_as_the_tree_the_software_wants(desk: Desk) -> None:
    made = desk.add(f"integral:{WINDOW}")
    paths = [entry.path for entry in desk.vault.read_tree(made.digest).entries]
    assert paths == [
        "aux/adp/1972.001/attitude.fits",
        "aux/adp/ref/orbit.fits",
        f"scw/1972/{WINDOW}.001/raw/isgri.fits",
        f"scw/1972/{WINDOW}.001/swg.fits",
        "scw/1972/rev.001/gti.fits",
    ]
    with pytest.raises(ArchiveUnreachable, match="404"):
        desk.add("integral:197200240011")


def test_a_host_that_is_not_there_is_one_clear_message(desk: Desk) -> None:
    def look_up(_host: str, _port: int) -> list[str]:
        raise OSError("no such host")

    lost = Desk(
        home=desk.home,
        vault=desk.vault,
        store=desk.store,
        downloads=Downloads(look_up=look_up),
        archives={"xmm": XmmArchive()},
    )
    with pytest.raises(ArchiveUnreachable, match="there is no host 'nxsa") as error:
        lost.add("xmm:0123700101")
    assert "thaw dataset add FOLDER --name xmm-0123700101" in str(error.value.hint)
