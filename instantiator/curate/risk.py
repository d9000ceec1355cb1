"""How a program may rot: what in it depends on something that goes away, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from instantiator.curate.new.find import Found


class Level(StrEnum):
    """How surely it rots."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """One thing that may rot: what was found, why that is a risk, and what a recipe does about it."""

    level: Level
    what: str
    why: str

    def to_json(self) -> dict[str, str]:
        """Keys: level, what, why."""
        return {"level": self.level.value, "what": self.what, "why": self.why}


# Interpreters whose makers no longer mend them, by how a shebang names them.
_DEAD = {
    "python2": "Python 2 ended in 2020; no suite from Debian 12 on has it",
    "python2.7": "Python 2 ended in 2020; no suite from Debian 12 on has it",
    "python2.6": "Python 2.6 ended in 2013",
    "python": "a bare `python` was Python 2, which ended in 2020; Debian has no such command",
    "csh": "csh scripts behave otherwise under tcsh: name the package csh or tcsh and try it",
    "tclsh8.4": "Tcl 8.4 ended in 2013",
    "tclsh8.5": "Tcl 8.5 ended in 2016",
    "wish8.4": "Tk 8.4 ended in 2013",
    "wish8.5": "Tk 8.5 ended in 2016",
    "perl4": "Perl 4 ended in 1994",
}
_WORST_FIRST = tuple(Level)


def rate_risks(found: Found, *, missing: tuple[str, ...]) -> tuple[Risk, ...]:
    """All that may rot, the worst first. `missing` are libraries and interpreters the base suite does not have."""
    risks = (
        *_of_install(found),
        *_of_environment(found, missing),
        *_of_network(found),
        *_of_rights(found),
    )
    return tuple(sorted(risks, key=lambda risk: (_WORST_FIRST.index(risk.level), risk.what)))


def overall(risks: tuple[Risk, ...]) -> Level:
    """The worst there is."""
    return risks[0].level if risks else Level.LOW


def _of_install(found: Found) -> Iterator[Risk]:
    for line, script in found.downloads.items():
        yield Risk(
            level=Level.HIGH,
            what=f"its {script} downloads: {_short(line)}",
            why="a build has no network: hand the file in as a deposit, or name it under sources",
        )
    for name in found.nested:
        yield Risk(
            level=Level.LOW,
            what=f"an archive inside: {name}",
            why="it was not looked into: it may need what is not in this list",
        )
    if found.unseen:
        yield Risk(
            level=Level.MEDIUM,
            what=f"{len(found.unseen)} files were not looked into, the first is {found.unseen[0]}",
            why="too big, or damaged: what they need is not in this list",
        )


def _of_environment(found: Found, missing: tuple[str, ...]) -> Iterator[Risk]:
    for name in missing:
        yield Risk(
            level=Level.HIGH,
            what=f"{name} is in no package of the base suite (needed by {_needed_by(found, name)})",
            why="choose an older suite, or bring it as a source",
        )
    for interpreter, path in found.shebangs.items():
        name = interpreter.rpartition("/")[2]
        if name in _DEAD:
            yield Risk(level=Level.HIGH, what=f"{path} is run by {interpreter}", why=_DEAD[name])
    for machine in sorted(found.machines):
        if "32-bit" in machine:
            yield Risk(
                level=Level.MEDIUM,
                what=f"programs for {machine}",
                why="32-bit libraries leave the distributions: set architecture: i386",
            )
    for what, path in found.versions.items():
        yield Risk(
            level=Level.LOW,
            what=f"{path} wants {what}",
            why="another version may refuse it: test it in a run",
        )


def _of_network(found: Found) -> Iterator[Risk]:
    for host, path in found.hosts.items():
        is_program = path in found.programs or "/bin/" in path or "/lib/" in path or ".so" in path
        yield Risk(
            level=Level.MEDIUM if is_program else Level.LOW,
            what=f"the host {host} is named in {path}",
            why="hosts go away, and a session has no network: what asks it will fail, or is only a text",
        )
    for name, path in found.paths.items():
        yield Risk(
            level=Level.MEDIUM if path in found.programs else Level.LOW,
            what=f"the path {_short(name)} is in {path}",
            why="it was true where it was built: look whether it is opened, and set the variable that moves it",
        )


def _of_rights(found: Found) -> Iterator[Risk]:
    for path in found.setuid:
        yield Risk(
            level=Level.MEDIUM,
            what=f"{path} is setuid or setgid",
            why="containers grant no new privileges: it runs as the user, and may refuse to",
        )


def _needed_by(found: Found, name: str) -> str:
    return found.needed.get(name) or found.shebangs.get(name) or "its programs"


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."
