"""What was found where an object should be, and how that is told to the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from provenance.digest import Digest
from provenance.errors import ObjectMissing, ObjectRotten, ThawError

if TYPE_CHECKING:
    from provenance.vault import Vault


class Fault(StrEnum):
    """What can be wrong with an object. A stranger is something in `objects/` that is no object at all."""

    MISSING = "missing"
    ROTTEN = "rotten"
    UNREADABLE = "unreadable"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectState:
    """An object, looked at. `found` and `size` are of its bytes; `reason` says why they cannot be had."""

    digest: Digest
    fault: Fault | None
    found: Digest | None = None
    size: int = 0
    reason: str = ""

    def is_sound(self) -> bool:
        """Whether the object is there and has the digest it is stored under."""
        return self.fault is None


def tell_wrong(vault: Vault, states: Sequence[ObjectState], used: Mapping[Digest, str]) -> ThawError:
    """One error that names every object of `states` and what uses it: rotten where any is, else missing."""
    lines = [_describe(vault, state, used.get(state.digest, "")) for state in states]
    if len(lines) > 1:
        lines.insert(0, f"{len(states)} objects of the vault are not as they should be:")
    where = vault.path(states[0].digest) if len(states) == 1 else vault.root
    missing = all(state.fault is Fault.MISSING for state in states)
    return (ObjectMissing if missing else ObjectRotten)(
        "\n  ".join(lines),
        where=str(where),
        hint="name every such object and bring it back from another vault: "
        "thaw vault audit --repair-from FOLDER, or thaw vault import FILE",
    )


def _describe(vault: Vault, state: ObjectState, used_by: str) -> str:
    use = f"; used by {used_by}" if used_by else ""
    if state.fault is Fault.UNREADABLE:
        return f"object {state.digest} cannot be read: {state.reason}{use}"
    if state.fault is Fault.ROTTEN:
        found = f"its bytes now have {state.found}" if state.found else state.reason
        return f"object {state.digest} is rotten: {found}{use}"
    aside = [str(path.relative_to(vault.root)) for path in vault.list_set_aside(state.digest)]
    rotted = f" (it rotted, and was set aside as {', '.join(aside)})" if aside else ""
    return f"object {state.digest} is not in the vault{rotted}{use}"
