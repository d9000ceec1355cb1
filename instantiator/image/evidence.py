"""What goes with an image so that people and tools can see what is in it: Dockerfile, manifest, packages, SBOM."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from instantiator.image.lock import Lock, LockedPackage, LockedWheel, lock_to_yaml
from instantiator.image.plan import unpacked_parts

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://spdx.org/thaw")


def render_evidence(lock: Lock, manifest: bytes) -> Mapping[str, bytes]:
    """Each piece of evidence by file name; the same lock always gives the same bytes."""
    return {
        "Dockerfile": render_dockerfile(lock).encode(),
        "manifest.json": manifest,
        "packages.tsv": render_packages(lock).encode(),
        "recipe.lock.yaml": lock_to_yaml(lock).encode(),
        "sbom.cdx.json": render_sbom(lock).encode(),
    }


def render_dockerfile(lock: Lock) -> str:
    """A readable Dockerfile of the environment; `render` returns a string, no engine is needed."""
    from jinja2 import Environment, StrictUndefined

    text = Path(__file__).with_name("Dockerfile.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["quoted"] = _quote
    epoch = datetime.fromtimestamp(lock.source_date_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return environment.from_string(text).render(lock=lock, epoch=epoch, unpacked=unpacked_parts(lock))


def _quote(value: str) -> str:
    """A value as ENV takes it: nothing in it is expanded."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def render_packages(lock: Lock) -> str:
    """Name, version, architecture, kind and sha256 of every package and wheel, tab-separated with a header."""
    rows = [["name", "version", "architecture", "kind", "sha256"]]
    rows += [[p.name, p.version, p.architecture, "deb", p.sha256] for p in lock.packages]
    rows += [[w.name, w.version, "any", "wheel", w.sha256] for w in lock.python]
    return "".join("\t".join(row) + "\n" for row in rows)


def render_sbom(lock: Lock) -> str:
    """A CycloneDX 1.5 bill of materials as JSON; serial number and time are functions of the lock."""
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot5

    name, version = lock.recipe.split("/")
    root = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=lock.recipe)
    when = datetime.fromtimestamp(lock.source_date_epoch, UTC)
    components = [
        *(_component(package, lock.suite) for package in lock.packages),
        *(_component(wheel, lock.suite) for wheel in lock.python),
    ]
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, lock.digest),
        metadata=BomMetaData(component=root, timestamp=when),
        components=components,
    )
    bom.register_dependency(root, components)
    return JsonV1Dot5(bom).output_as_string(indent=1) + "\n"


def _component(part: LockedPackage | LockedWheel, suite: str) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    if isinstance(part, LockedPackage):
        qualifiers = {"arch": part.architecture, "distro": f"debian-{suite}"}
        purl = PackageURL("deb", "debian", part.name, part.version, qualifiers)
    else:
        purl = PackageURL("pypi", None, part.name, part.version)
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)],
    )
