"""Make the folder of a new recipe: from a package of the suite, from a file, or from nothing but a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from instantiator.curate.new.contents import ensure_contents
from instantiator.curate.new.find import Found, look_into
from instantiator.curate.new.libraries import Mapped, map_names
from instantiator.curate.new.members import ArchiveUnknown, read_members
from instantiator.curate.new.propose import Asked, Draft, Origin, propose
from instantiator.curate.risk import Risk, rate_risks
from instantiator.image.debian import Archive, host_mirror, resolve_packages
from instantiator.image.fetch import Mirrors, fetch_one, wanted_package
from instantiator.image.scratch import scratch_folder
from instantiator.progress import Progress, step
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import Recipe
from provenance.digest import Digest, digest_file
from provenance.errors import ThawError
from provenance.vault import Vault

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class RecipeExists(ThawError):
    """A new recipe would take the place of one that is there, or has a name none can have."""

    code = "recipe-exists"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a recipe is proposed with."""

    vault: Vault
    mirrors: Mirrors
    recipes_dir: Path
    cache: Path
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The recipe that was written, and what was found."""

    recipe: Recipe
    draft: Draft
    found: Found
    mapped: Mapped
    risks: tuple[Risk, ...]


def new_recipe(asked: Asked, desk: Desk, progress: Progress, *, file: Path | None, package: str) -> Proposal:
    """Look into a file or a package of the suite, and write `recipes/NAME/VERSION/` with what was found."""
    refuse_name(asked.name)
    archive = Archive(
        mirror=desk.mirrors.debian or host_mirror(asked.suite), suite=asked.suite, architecture="amd64"
    )
    source, called, package = _source(file, package, archive, desk, progress)
    with step(progress, f"look into {called}") as current:
        found = look_into(read_members(source))
        current.detail = f"{found.files:,} files, {len(found.programs)} programs"
    contents = ensure_contents(archive, desk.cache, desk.scratch, progress)
    mapped = map_names([*found.needed, *found.loaders, *_interpreters(found)], contents)
    origin = Origin(
        kind=_kind(source, found, package),
        file=called,
        sha256=digest_file(source).removeprefix("sha256:"),
        size=source.stat().st_size,
        package=package,
    )
    risks = rate_risks(found, missing=mapped.missing)
    draft = propose(asked, origin, found, mapped, risks)
    recipe = write_draft(draft, desk.recipes_dir)
    return Proposal(recipe=recipe, draft=draft, found=found, mapped=mapped, risks=risks)


def refuse_name(name: str) -> None:
    """Raise for a name no recipe can have."""
    if not _NAME.fullmatch(name):
        raise RecipeExists(
            f"{name!r} is no name of a recipe",
            hint="use small letters, digits and single hyphens, e.g. source-extractor",
        )


def _source(
    file: Path | None, package: str, archive: Archive, desk: Desk, progress: Progress
) -> tuple[Path, str, str]:
    """The file to look into, what it is called, and the package of the suite it is (empty where it is none)."""
    if file is not None:
        return file, file.name, package
    with step(progress, f"find {package} in Debian {archive.suite}") as current:
        (locked,) = [one for one in resolve_packages(archive, [package]) if one.name == package]
        fetch_one(wanted_package(locked, archive.mirror, desk.mirrors.snapshot), desk.vault)
        current.detail = locked.version
    return desk.vault.path(Digest(f"sha256:{locked.sha256}")), locked.pool.rpartition("/")[2], package


def _interpreters(found: Found) -> list[str]:
    """The interpreters scripts name, but for those every Debian has, or the archive brings."""
    own = {path.rpartition("/")[2] for path in found.programs}
    usual = ("/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/bin/sh", "sh", "bash")
    return [name for name in found.shebangs if name not in usual and name.rpartition("/")[2] not in own]


def _kind(source: Path, found: Found, package: str) -> str:
    if package:
        return "package"
    if found.control:
        return "deb-file"
    if found.wheel:
        return "wheel"
    if not found.files:
        raise ArchiveUnknown(f"{source.name} holds no file", where=str(source), hint="name another one")
    return "archive"


def write_draft(draft: Draft, recipes_dir: Path) -> Recipe:
    """The folder, whole or not at all; raises `RecipeExists` where there is one already."""
    folder = recipes_dir / draft.name / draft.version
    if folder.exists():
        raise RecipeExists(
            f"there is a recipe {draft.name}/{draft.version} already",
            where=str(folder),
            hint="choose another name, or edit that one",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with scratch_folder(folder.parent, ".new-") as room:
            made = room / draft.version
            made.mkdir()
            (made / "recipe.yaml").write_text(draft.recipe, encoding="utf-8")
            (made / "README.md").write_text(draft.readme, encoding="utf-8")
            made.rename(folder)
    finally:
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
    return load_recipe(folder)
