"""The two packagings, each by the library of the field: OCFL (ocfl-py) and BagIt (bagit). The one door to `ocfl`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from instantiator.curate.preserve.errors import PreserveRefused
from instantiator.image.scratch import scratch_folder

OCFL_MARK = "0=ocfl_object_1.1"
BAG_MARK = "bagit.txt"


class Packaging(StrEnum):
    """How the files are wrapped."""

    OCFL = "ocfl"
    BAG = "bag"


def wrap(packaging: Packaging, content: Path, target: Path, *, name: str, about: str) -> None:
    """Make `target`, which does not exist, of the files in `content`. They are copied; `content` stays."""
    if packaging is Packaging.OCFL:
        _make_ocfl(content, target, name=name, about=about)
    else:
        _make_bag(content, target, name=name, about=about)


@contextmanager
def unwrapped(folder: Path, scratch: Path) -> Iterator[Path]:
    """The files of an object or bag, every byte checked against its own manifests first.

    An OCFL object stores files under names of its own, and equal ones once: they are laid out in `scratch`. Raises
    `PreserveRefused` naming what is wrong.
    """
    _refuse_links(folder)
    if (folder / OCFL_MARK).is_file():
        _check_ocfl(folder)
        with scratch_folder(scratch, "preserve-") as room:
            yield _extract_ocfl(folder, room / "content")
    elif (folder / BAG_MARK).is_file():
        _check_bag(folder)
        yield folder / "data"
    else:
        raise _unknown(folder)


def _refuse_links(folder: Path) -> None:
    """A link would lead to bytes that no manifest of this folder vouches for."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise _damaged(folder, f"{path.relative_to(folder)} is a link")


def _unknown(folder: Path) -> PreserveRefused:
    return PreserveRefused(
        f"{folder.name!r} is neither an OCFL object nor a BagIt bag: it has no {OCFL_MARK} and no {BAG_MARK}",
        where=str(folder),
        hint="name the folder that `thaw preserve export` made",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Both libraries tell loggers what they do and find; what they find is told once, by the error."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _make_ocfl(content: Path, target: Path, *, name: str, about: str) -> None:
    from ocfl import Object, VersionMetadata

    said = VersionMetadata(message=about, name="Thaw")
    made = Object(identifier=name, digest_algorithm="sha512", content_path_normalization="uri")
    with _quiet():
        made.create(srcdir=str(content), metadata=said, objdir=str(target))


def _check_ocfl(folder: Path) -> None:
    from ocfl import Object

    with _quiet():
        passed, validator = Object().validate(objdir=str(folder), log_warnings=False, log_errors=True)
    if not passed:
        said = "; ".join(str(message) for message in validator.log.messages[:5])
        raise _damaged(folder, f"it is no sound OCFL object: {said}")


def _extract_ocfl(folder: Path, target: Path) -> Path:
    from ocfl import Object

    with _quiet():
        Object().extract(objdir=str(folder), version="head", dstdir=str(target))
    return target


def _make_bag(content: Path, target: Path, *, name: str, about: str) -> None:
    import bagit

    shutil.copytree(content, target)
    said = {"External-Identifier": name, "External-Description": about, "Bag-Software-Agent": "Thaw"}
    bagit.make_bag(str(target), said, checksums=["sha256"])


def _check_bag(folder: Path) -> None:
    import bagit

    try:
        with _quiet():
            bagit.Bag(str(folder)).validate()
    except (bagit.BagError, OSError, ValueError) as error:
        raise _damaged(folder, f"it is no sound bag: {error}") from error


def _damaged(folder: Path, reason: str) -> PreserveRefused:
    return PreserveRefused(
        f"{folder.name!r} was damaged or changed since it was exported: {reason}; nothing was taken",
        where=str(folder),
        hint="copy it again from where it was exported, or export it again",
    )
