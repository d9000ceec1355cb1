"""What apt prints, read; and what apt was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from instantiator.image.debian import host_mirror, read_uris
from instantiator.image.errors import ResolveFailed
from instantiator.image.lock import LockedPackage

MIRROR = "http://mirror.example/debian"
POOL = f"{MIRROR}/pool/main"
A, B, C = 64 * "a", 64 * "b", 64 * "c"
LISTING = f"""\
Reading package lists...
'{POOL}/x/xterm/xterm_379-1%7edeb12u1_amd64.deb' xterm_379-1~deb12u1_amd64.deb 800123 SHA256:{A}
'{POOL}/g/gcc-12/libstdc%2b%2b6_12.2.0%2bdeb12u1_amd64.deb' libstdc++6_12.2.0+deb12u1_amd64.deb 613 SHA256:{B}
'{POOL}/u/util-linux/bsdutils_2.38.1+deb12u3_amd64.deb' bsdutils_1%3a2.38.1+deb12u3_amd64.deb 91 SHA256:{C}
"""


def test_every_package_is_read_with_its_epoch_tilde_and_plus_signs() -> None:
    assert read_uris(LISTING, MIRROR) == (
        LockedPackage(
            name="bsdutils",
            version="1:2.38.1+deb12u3",
            architecture="amd64",
            pool="pool/main/u/util-linux/bsdutils_2.38.1+deb12u3_amd64.deb",
            sha256=C,
            size=91,
        ),
        LockedPackage(
            name="libstdc++6",
            version="12.2.0+deb12u1",
            architecture="amd64",
            pool="pool/main/g/gcc-12/libstdc++6_12.2.0+deb12u1_amd64.deb",
            sha256=B,
            size=613,
        ),
        LockedPackage(
            name="xterm",
            version="379-1~deb12u1",
            architecture="amd64",
            pool="pool/main/x/xterm/xterm_379-1~deb12u1_amd64.deb",
            sha256=A,
            size=800123,
        ),
    )


def test_a_mirror_written_with_a_slash_at_its_end_is_the_same_mirror() -> None:
    assert read_uris(LISTING, f"{MIRROR}/") == read_uris(LISTING, MIRROR)


@pytest.mark.parametrize(
    "line",
    [
        f"'{MIRROR}/pool/a_1_all.deb' a_1_all.deb 5 MD5Sum:{32 * 'a'}",
        f"'{MIRROR}/pool/a_1_all.deb' a_1_all.deb 5",
        f"'http://elsewhere.example/pool/a_1_all.deb' a_1_all.deb 5 SHA256:{A}",
        f"'{MIRROR}-security/pool/a_1_all.deb' a_1_all.deb 5 SHA256:{A}",
    ],
)
def test_a_package_that_cannot_be_locked_is_never_left_out_in_silence(line: str) -> None:
    with pytest.raises(ResolveFailed, match="apt names a package Thaw cannot lock"):
        read_uris(LISTING + line + "\n", MIRROR)


def fake_apt(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An `apt-get` that is this script, alone on the PATH beside the shell's own tools."""
    program = folder / "apt-get"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("http://a.example/debian|bookworm|main", "http://a.example/debian"),
        (
            "http://a.example/ubuntu|noble|main\nhttp://b.example/debian/|trixie|main",
            "http://b.example/debian",
        ),
        ("http://a.example/debian|bookworm|contrib\nhttp://c.example/d|bookworm|main", "http://c.example/d"),
    ],
)
def test_the_hosts_own_mirror_of_the_suite_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: str, mirror: str
) -> None:
    fake_apt(tmp_path, monkeypatch, f"cat <<'END'\n{targets}\nEND")
    assert host_mirror("bookworm") == mirror


def test_a_host_without_a_debian_mirror_is_told_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_apt(tmp_path, monkeypatch, "echo 'http://a.example/ubuntu|noble|main'")
    with pytest.raises(ResolveFailed) as refusal:
        host_mirror("bookworm")
    assert "THAW_DEBIAN_MIRROR" in refusal.value.hint


def test_apts_own_errors_are_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt(
        tmp_path, monkeypatch, "echo 'W: slow' >&2; echo 'E: Unable to locate package midas' >&2; exit 100"
    )
    with pytest.raises(ResolveFailed, match="ended with 100: E: Unable to locate package midas"):
        host_mirror("bookworm")


def test_a_host_without_apt_is_told_what_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResolveFailed) as refusal:
        host_mirror("bookworm")
    assert refusal.value.hint.startswith("lock on a Debian or Ubuntu host")
