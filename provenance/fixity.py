"""Fixity: whether every object of a vault still has its bytes, and bringing back those that have not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from provenance.digest import Digest, hash_descriptor, map_in_threads, told_in_turn
from provenance.errors import ThawError
from provenance.vault import OBJECT_NAME, SHARD_NAME, Vault
from provenance.vault_files import nearest_existing, open_object
from provenance.vault_state import Fault, ObjectState


class RepairSource(Protocol):
    """Somewhere objects can be had again. What it gives is verified: it need not be trusted."""

    @property
    def name(self) -> str:
        """How the audit's report calls it."""

    def fetch(self, digest: Digest, size: int | None) -> BinaryIO | None:
        """The object's bytes, or None where the source has none. `size` is None where it is unknown."""


@dataclass(frozen=True, slots=True)
class SecondVault:
    """A repair source that is another vault's folder. It is only read."""

    vault: Vault

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.vault.root)

    def fetch(self, digest: Digest, size: int | None) -> BinaryIO | None:
        """The object as it is there; None where it is missing or has another size."""
        path = self.vault.path(digest)
        if not path.is_file() or size not in (None, path.stat().st_size):
            return None
        return path.open("rb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong in a vault, what uses it, and what was done about it."""

    fault: Fault
    path: Path
    digest: Digest | None
    found: Digest | None = None
    reason: str = ""
    used_by: tuple[str, ...] = ()
    set_aside: Path | None = None
    repaired_from: str = ""

    def describe(self) -> str:
        """The finding in one sentence."""
        what = f"object {self.digest} is {self.fault}" if self.digest else f"{self.path} is no object"
        parts = [what]
        parts += [f"its bytes have {self.found}"] if self.found else []
        parts += [self.reason] if self.reason else []
        parts += [f"used by {', '.join(self.used_by)}"] if self.used_by else []
        parts += [f"set aside as {self.set_aside}"] if self.set_aside else []
        parts += [f"repaired from {self.repaired_from}"] if self.repaired_from else []
        return "; ".join(parts)

    def to_json(self) -> dict[str, object]:
        """Keys: fault, digest, path, found, reason, used_by, set_aside, repaired_from."""
        return {
            "fault": self.fault.value,
            "digest": self.digest,
            "path": str(self.path),
            "found": self.found,
            "reason": self.reason,
            "used_by": list(self.used_by),
            "set_aside": str(self.set_aside) if self.set_aside else None,
            "repaired_from": self.repaired_from or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit looked at and found. `objects` and `size` count what was hashed; findings are by path."""

    objects: int
    size: int
    findings: tuple[Finding, ...]

    @property
    def rotten(self) -> tuple[Finding, ...]:
        """Objects with other bytes than their name says."""
        return self._of(Fault.ROTTEN)

    @property
    def missing(self) -> tuple[Finding, ...]:
        """Objects that are used and not there."""
        return self._of(Fault.MISSING)

    @property
    def unreadable(self) -> tuple[Finding, ...]:
        """Objects whose bytes the disk, or their mode, does not give."""
        return self._of(Fault.UNREADABLE)

    @property
    def strangers(self) -> tuple[Finding, ...]:
        """What is in `objects/` under a name no object has."""
        return self._of(Fault.STRANGER)

    @property
    def repaired(self) -> tuple[Finding, ...]:
        """What was wrong and is right again."""
        return tuple(finding for finding in self.findings if finding.repaired_from)

    def is_sound(self) -> bool:
        """Whether every object is right now: nothing found, or all repaired; strangers are harmless."""
        return all(finding.repaired_from or finding.fault is Fault.STRANGER for finding in self.findings)

    def to_json(self) -> dict[str, object]:
        """Keys: objects, bytes, sound, and lists: rotten, missing, unreadable, strangers, repaired."""
        kinds = ("rotten", "missing", "unreadable", "strangers", "repaired")
        lists = {kind: [finding.to_json() for finding in getattr(self, kind)] for kind in kinds}
        return {"objects": self.objects, "bytes": self.size, "sound": self.is_sound(), **lists}

    def _of(self, fault: Fault) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.fault is fault)


def audit(
    vault: Vault,
    *,
    uses: Callable[[Digest], Sequence[str]],
    expected: Iterable[Digest] = (),
    repair_from: Sequence[RepairSource] = (),
    progress: Callable[[int], None] | None = None,
) -> AuditReport:
    """Hash every object of a vault again, set aside what is wrong, and bring it back where a source has it.

    `uses` says what an object is needed for, `expected` are objects that should be there. Rotten objects and
    strangers are moved to `quarantine/`: nothing is deleted. An unreadable object stays where it is until a
    source gives its bytes, since its disk or mode may be mended. `progress` is told how many more bytes.
    """
    wanted = set(expected)
    strangers = [_treat_stranger(vault, path, uses, wanted) for path in _find_strangers(vault)]
    states = _look_at_all(vault, wanted, progress)
    found = [_treat_object(vault, state, uses, repair_from) for state in states if not state.is_sound()]
    sizes = [state.size for state in states if state.found]
    findings = tuple(sorted(strangers + found, key=lambda finding: finding.path))
    return AuditReport(objects=len(sizes), size=sum(sizes), findings=findings)


def _look_at_all(
    vault: Vault, wanted: set[Digest], progress: Callable[[int], None] | None
) -> list[ObjectState]:
    told = told_in_turn(progress)
    digests = sorted(wanted.union(vault.digests()))
    states = map_in_threads(lambda digest: vault.look_at(digest, told), digests)
    # What is missing and not wanted was there a moment ago: another audit set it aside, and reports it.
    return [state for state in states if state.fault is not Fault.MISSING or state.digest in wanted]


def _treat_object(
    vault: Vault, state: ObjectState, uses: Callable[[Digest], Sequence[str]], sources: Sequence[RepairSource]
) -> Finding:
    assert state.fault is not None
    before = vault.list_set_aside(state.digest)
    repaired_from, failures = _repair(vault, state.digest, sources)
    if state.fault is Fault.ROTTEN and not repaired_from:
        with suppress(OSError):  # a vault on a read-only disk is audited all the same
            vault.set_aside(state.digest)
    moved = [path for path in vault.list_set_aside(state.digest) if path not in before]
    return Finding(
        fault=state.fault,
        path=vault.path(state.digest),
        digest=state.digest,
        found=state.found,
        reason="; ".join([state.reason, *failures] if state.reason else failures),
        used_by=tuple(uses(state.digest)),
        set_aside=moved[-1] if moved else None,
        repaired_from=repaired_from,
    )


def _repair(vault: Vault, digest: Digest, sources: Sequence[RepairSource]) -> tuple[str, list[str]]:
    """Put the object again from the first source with the right bytes: its name, or what failed where."""
    failures = []
    for source in sources:
        try:
            stream = source.fetch(digest, None)
            if stream is None:
                continue
            with stream:
                vault.put_stream(stream, expected=digest)
            return source.name, []
        except ThawError as error:
            failures.append(f"{source.name}: {error.message}")
        except OSError as error:
            failures.append(f"{source.name}: {error}")
    return "", failures


def _find_strangers(vault: Vault) -> list[Path]:
    """What is in `objects/` and is no object by its name and place."""
    shards = sorted(vault.objects.iterdir()) if vault.objects.is_dir() else []
    good = [shard for shard in shards if SHARD_NAME.fullmatch(shard.name) and shard.is_dir()]
    inside = [path for shard in good for path in sorted(shard.iterdir())]
    strangers = [path for path in inside if not OBJECT_NAME.fullmatch(path.name)]
    return [shard for shard in shards if shard not in good] + strangers


def _treat_stranger(
    vault: Vault, path: Path, uses: Callable[[Digest], Sequence[str]], wanted: set[Digest]
) -> Finding:
    """Set a stranger aside; where it is a wanted object, misnamed, keep it under its right name first."""
    found = _digest_of(path)
    is_wanted = found is not None and found in wanted and not vault.has(found)
    moved = None
    with suppress(OSError):
        if is_wanted:
            vault.put_file(path, expected=found)
        moved = vault.set_aside_stranger(path)
    return Finding(
        fault=Fault.STRANGER,
        path=path,
        digest=None,
        found=found,
        used_by=tuple(uses(found)) if found else (),
        set_aside=moved,
        repaired_from=str(moved) if is_wanted and moved else "",
    )


def _digest_of(path: Path) -> Digest | None:
    try:
        with open_object(path) as descriptor:
            return hash_descriptor(descriptor)[0]
    except OSError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultStatus:
    """How much a vault holds, and how much room its disk has. Sizes are bytes."""

    objects: int
    size: int
    temps: int
    quarantined: int
    disk_free: int

    def to_json(self) -> dict[str, int]:
        """Keys: objects, bytes, temps, quarantined, disk_free."""
        return {
            "objects": self.objects,
            "bytes": self.size,
            "temps": self.temps,
            "quarantined": self.quarantined,
            "disk_free": self.disk_free,
        }


def status(vault: Vault) -> VaultStatus:
    """Count what a vault holds, by names and sizes: nothing is hashed, nothing is made."""
    sizes = [vault.path(digest).stat().st_size for digest in vault.digests()]
    return VaultStatus(
        objects=len(sizes),
        size=sum(sizes),
        temps=_count_names(vault.temps),
        quarantined=_count_names(vault.quarantine),
        disk_free=shutil.disk_usage(nearest_existing(vault.root)).free,
    )


def _count_names(folder: Path) -> int:
    return len(list(folder.iterdir())) if folder.is_dir() else 0
