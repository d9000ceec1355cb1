"""What a run really did, held against what its plan says: the findings a record keeps beside the observation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

from instantiator.image.lock import lock_from_json
from instantiator.observe.findings import Declared, find_undeclared
from instantiator.thread.plan import OUT, SCRIPT, WORK, RunPlan
from provenance.digest import Digest
from provenance.errors import ThawError
from provenance.vault import Vault

TMP = "/tmp"
_PATH = re.compile(rb'\["(/(?:[^"\\]|\\.)*)",')


def account_for(
    observed: Mapping[str, object] | None, plan: RunPlan, vault: Vault
) -> Mapping[str, object] | None:
    """The observation with its `findings`. Where the image's list of files is not at hand, `limits` says so."""
    if observed is None or observed.get("mechanism") == "none":
        return observed
    image = list_image_files(plan.lock, vault)
    declared = Declared(
        inputs={item.name: item.mount for item in plan.inputs},
        files=(SCRIPT,),
        writable=(OUT, WORK, TMP, "/dev/shm"),
        image=image,
    )
    findings = [finding.to_json() for finding in find_undeclared(observed, declared)]
    limits = observed.get("limits")
    told = [str(limit) for limit in limits] if isinstance(limits, list) else []
    if image is None:
        told.append("the vault holds no list of the image's files: what was read was not compared with it")
    return {**observed, "findings": findings, "limits": told}


def list_image_files(lock: Digest, vault: Vault) -> frozenset[str] | None:
    """Every path of the image a lock names; None where the vault has not the list of them."""
    try:
        content = vault.read_bytes(lock, used_by="lock of a run")
        image = lock_from_json(json.loads(content), where="lock of a run").image
        return _read_paths(vault, Digest(image.manifest)) if image is not None else None
    except ThawError:
        return None


@lru_cache(maxsize=8)
def _read_paths(vault: Vault, manifest: Digest) -> frozenset[str]:
    """The paths alone: parsing every fact of 20,000 files would cost a short run more than observing it does."""
    content = vault.read_bytes(manifest, used_by="list of an image's files")
    return frozenset(_plain(path) for path in _PATH.findall(content))


def _plain(path: bytes) -> str:
    return str(json.loads(b'"' + path + b'"')) if b"\\" in path else path.decode()
