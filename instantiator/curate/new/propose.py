"""Write down a recipe from what was found. Every proposal says so, and what nobody can find is listed as missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from instantiator.curate.new.find import Found
from instantiator.curate.new.libraries import Mapped
from instantiator.curate.new.licence import read_licence
from instantiator.curate.risk import Risk, overall

_THREAD = "a thread with typed inputs, parameters and outputs, or a GUI: what people did with it"
_NO_PAGE = "https://example.org/"
"""The language wants a page; lint refuses this one until the real one is found."""
_SMOKE = "a smoke test: small real data with its origin and licence, and what must come out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the files came from: a package of the suite, a wheel, or a file that has to be handed in."""

    kind: str
    file: str
    sha256: str
    size: int
    package: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposed recipe: its name and version, and the texts of its two files."""

    name: str
    version: str
    recipe: str
    readme: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the curator asked for."""

    name: str
    suite: str
    snapshot: str
    maintainer: str


def propose(asked: Asked, origin: Origin, found: Found, mapped: Mapped, risks: tuple[Risk, ...]) -> Draft:
    """A recipe that loads and lints, and is a draft: its `missing:` lists what a curator still has to find."""
    version = _version(found)
    facts = _Facts(asked, origin, found, mapped)
    missing = tuple(facts.missing())
    recipe = "\n".join(facts.lines(version, missing)) + "\n"
    return Draft(
        name=asked.name,
        version=version,
        recipe=recipe,
        readme=render_readme(asked, version, origin, found, mapped, risks),
        missing=missing,
    )


class _Facts:
    """What is put into the recipe, key by key."""

    def __init__(self, asked: Asked, origin: Origin, found: Found, mapped: Mapped) -> None:
        self._asked, self._origin, self._found, self._mapped = asked, origin, found, mapped
        self._licence = _licence(found)
        self._homepage = found.control.get("Homepage") or _home_of_wheel(found)
        self._guis = dict(_guis(found))

    def missing(self) -> Iterator[str]:
        """Facts that are nowhere in the files."""
        if not self._licence:
            yield "the licence of the software, as an SPDX expression"
        if not self._homepage:
            yield "the page where the software is, or was, published"
        if not _description(self._found):
            yield "what the software is and what this version is good for"
        if self._origin.kind in ("archive", "deb-file"):
            yield f"where {self._origin.file} is published, and why it cannot be fetched"
        for name in self._mapped.missing:
            yield f"what brings {name}: no package of {self._asked.suite} does"
        if not self._guis:
            yield _THREAD
        yield _SMOKE

    def lines(self, version: str, missing: tuple[str, ...]) -> Iterator[str]:
        """The YAML, line by line."""
        found, asked = self._found, self._asked
        yield "# yaml-language-server: $schema=../../recipe.schema.json"
        yield f"# Proposed by `thaw recipe new` from {self._origin.file}: read every line, and take this one away."
        yield "format: 1"
        yield f"name: {asked.name}"
        yield f"version: {_quoted(version)}"
        yield f"title: {_quoted(_title(found) or asked.name)}"
        yield "# As long as anything is listed here the recipe is a draft."
        yield "missing:"
        yield from (f"  - {_quoted(fact)}" for fact in missing)
        yield f"description: {_quoted(_description(found) or f'Proposed from {self._origin.file}.')}"
        yield f"homepage: {_quoted(self._homepage or _NO_PAGE)}"
        yield "# From the copyright file: read it, Debian's word may stand for another text."
        yield f"licence: {self._licence or 'LicenseRef-not-established'}"
        yield "maintainers:"
        yield f"  - name: {_quoted(asked.maintainer)}"
        yield ""
        yield "base:"
        yield f"  debian: {asked.suite}"
        yield f"  snapshot: {asked.snapshot}"
        if any("32-bit" in machine for machine in found.machines) and len(found.machines) == 1:
            yield "architecture: i386"
        yield f"packages: [{', '.join(self._packages())}]"
        yield from self._bytes(version)
        yield from self._windows()

    def _packages(self) -> list[str]:
        """A package of the suite brings what it needs itself; other files need what was found in them."""
        if self._origin.package:
            return [self._origin.package]
        base = {"python3"} if self._origin.kind == "wheel" else set()
        return sorted(base | {package for package in self._mapped.packages.values() if package})

    def _bytes(self, version: str) -> Iterator[str]:
        origin, name = self._origin, self._asked.name
        if origin.kind == "wheel":
            requirement = f"{self._found.wheel.get('Name', name)}=={version}"
            yield f"python: [{_quoted(requirement)}]"
        if origin.kind not in ("archive", "deb-file"):
            return
        yield "deposits:"
        yield f"  - name: {name}"
        yield f"    file: {_quoted(origin.file)}"
        yield "    found_at: where it was published (see missing)"
        yield "    why: it was given as a file (see missing)"
        yield f"    sha256: {origin.sha256}"
        yield f"    size: {origin.size}"
        yield f"    unpack: /opt/{name}"
        if origin.kind == "deb-file":
            yield "steps:"
            yield f"  - run: {_quoted(f'dpkg -x /opt/{name}/{origin.file} / && rm -r /opt/{name}')}"
            yield "    why: it was given as a file; one of the suite is named with --package"

    def _windows(self) -> Iterator[str]:
        if not self._guis:
            return
        yield ""
        yield "# From the desktop files: open each once, and write down its window_class."
        yield "guis:"
        for name, (title, command, window) in self._guis.items():
            yield f"  {name}:"
            yield f"    title: {_quoted(title)}"
            yield f"    command: [{', '.join(_quoted(word) for word in command)}]"
            if window:
                yield f"    window_class: {_quoted(window)}"


def _version(found: Found) -> str:
    """The version of the software itself: Debian's epoch and revision are its package's."""
    raw = found.control.get("Version") or found.wheel.get("Version") or "1"
    upstream = raw.partition(":")[2] if ":" in raw else raw
    bare = upstream.rpartition("-")[0] or upstream
    bare = re.sub(r"\+(?:dfsg|ds|repack).*$", "", bare)
    return re.sub(r"[^0-9A-Za-z._+~-]", "-", bare).lstrip("._+~-") or "1"


def _title(found: Found) -> str:
    summary = found.control.get("Description", "").partition("\n")[0] or found.wheel.get("Summary", "")
    if not summary and found.manuals:
        named = re.search(r"(?im)^\.SH +\"?NAME\"?\n(.+)$", next(iter(found.manuals.values())))
        summary = re.sub(r"\\(?:f.|-)", lambda m: "-" if m[0] == "\\-" else "", named[1]) if named else ""
    return " ".join(summary.split())[:200]


def _description(found: Found) -> str:
    text = found.control.get("Description", "").partition("\n")[2] or found.wheel.get("Summary", "")
    return " ".join(line for line in text.split() if line != ".")[:2000]


def _home_of_wheel(found: Found) -> str:
    page = found.wheel.get("Home-page", "")
    return page if page.startswith("http") else found.wheel.get("Project-URL", "").rpartition(", ")[2]


def _licence(found: Found) -> str:
    given = found.wheel.get("License-Expression", "")
    texts = (text for path, text in found.documents.items() if path.endswith("copyright"))
    return given or next((name for name in map(read_licence, texts) if name), "")


def _guis(found: Found) -> Iterator[tuple[str, tuple[str, list[str], str]]]:
    for path, entry in found.desktops.items():
        words = [word for word in entry.get("Exec", "").split() if not word.startswith("%")]
        name = re.sub(r"[^a-z0-9]+", "-", PurePosixPath(path).stem.lower()).strip("-")
        if words and name and entry.get("Type", "Application") == "Application":
            yield name, (entry.get("Name") or name, words, entry.get("StartupWMClass", ""))


def _quoted(text: str) -> str:
    """A text as YAML takes it on one line, whatever is in it."""
    return json.dumps(re.sub(r"[\x00-\x1f\x7f]+", " ", text), ensure_ascii=False)


def render_readme(
    asked: Asked, version: str, origin: Origin, found: Found, mapped: Mapped, risks: tuple[Risk, ...]
) -> str:
    """What was found, for the curator to go on from."""
    lines = [f"# {asked.name} {version}", "", _title(found) or "(no title was found)", ""]
    lines += [f"Found in `{origin.file}` ({origin.size:,} bytes, sha256 {origin.sha256}).", ""]
    lines += ["## What is in it", ""]
    lines += [f"- program `{path}`" for path in found.programs[:60]]
    lines += [f"- manual `{path}`" for path in list(found.manuals)[:20]]
    lines += [f"- desktop file `{path}`" for path in found.desktops]
    lines += ["", f"## What it needs of Debian {asked.suite}", ""]
    lines += [f"- `{name}`: {package}" for name, package in mapped.packages.items()]
    lines += [f"- `{name}`: **in no package of the suite**" for name in mapped.missing]
    lines += ["", f"## Risk of rot: {overall(risks).value}", ""]
    lines += ["| risk | found | why it matters |", "|---|---|---|"]
    lines += [f"| {risk.level.value} | {_cell(risk.what)} | {_cell(risk.why)} |" for risk in risks]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"[\x00-\x1f|<>`]+", " ", text)
