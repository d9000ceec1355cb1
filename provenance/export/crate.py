"""A run as a Workflow Run RO-Crate: Process Run Crate profile 0.5 on RO-Crate 1.1. The one door to `rocrate`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from provenance.digest import Digest
from provenance.export.contents import (
    INPUT_FOLDER,
    LOG_PATH,
    OUTPUT_FOLDER,
    RECORD_PATH,
    check_contents,
    list_contents,
    source_of,
)
from provenance.export.model import NOT_KNOWN, Bundle, Bundled, DatasetFacts, Export
from provenance.record import Record, RunState

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = "https://w3id.org/ro/terms/workflow-run#"
_EXTRA = ("ContainerImage", "containerImage", "environment", "registry", "sha256", "tag")
NOBODY = "not recorded"
_STATUS = "http://schema.org/{}ActionStatus"

Properties = Mapping[str, object]


def write_crate(export: Export, folder: Path) -> None:
    """Write the crate, every byte verified, into a new folder. The same record gives the same files."""
    contents = list_contents(export)
    check_contents(export, contents)
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms.update({term: f"{_TERMS}{term}" for term in _EXTRA})
    files = _add_files(crate, export, contents, folder)
    datasets = _add_datasets(crate, export, files)
    _describe_root(crate, export)
    agent = _add_agent(crate, export.record, export.bundle)
    action = _add_action(crate, export, agent, files, datasets)
    crate.root_dataset["author"] = agent
    crate.root_dataset["mentions"] = action
    crate.write(folder)


def _add_files(
    crate: ROCrate, export: Export, contents: Sequence[Bundled], folder: Path
) -> Mapping[str, Entity]:
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for part in contents:
        source = source_of(export, part)
        if part.path == RECORD_PATH:  # of a run that was not kept in this vault: its bytes are at hand
            source = folder / RECORD_PATH
            source.write_bytes(export.record.to_bytes())
        properties = {
            "name": part.path,
            "description": part.what,
            "encodingFormat": part.media_type,
            "contentSize": str(part.size),
            "sha256": part.digest.removeprefix("sha256:"),
        }
        found[part.path] = crate.add_file(source, part.path, properties=properties)
    return found


def _add_datasets(crate: ROCrate, export: Export, files: Mapping[str, Entity]) -> list[Entity]:
    found = []
    for item in export.record.inputs:
        prefix = f"{INPUT_FOLDER}/{item.name}/"
        parts = [file for path, file in files.items() if path.startswith(prefix)]
        facts = export.bundle.datasets.get(item.digest, DatasetFacts())
        properties: dict[str, object] = {
            "name": item.dataset,
            "description": facts.title or f"input {item.name} of the run, read-only at {item.mount}",
            "identifier": item.digest,
            "hasPart": _one_or_all(parts),
            **({"alternateName": facts.title} if facts.title else {}),
            **({"license": facts.licence} if facts.licence else {}),
            **({"isBasedOn": facts.origin} if facts.origin else {}),
        }
        found.append(crate.add_dataset(dest_path=prefix, properties=properties))
    return found


def _describe_root(crate: ROCrate, export: Export) -> None:
    record, software = export.record, export.software
    root = crate.root_dataset
    what = record.thread or record.kind
    root["name"] = f"Run {record.run}: {what} with {software.title} {software.version}"
    root["description"] = (
        f"One run of {record.recipe}, {what}, kept by Thaw: the record, what it was given, what it gave, "
        f"and the frozen environment by digest. It ended {record.state.value}."
    )
    root["identifier"] = record.digest
    crate.datePublished = record.ended
    root["license"] = _licence(crate, export)
    root["conformsTo"] = _context(
        crate, PROFILE, "CreativeWork", {"name": "Process Run Crate", "version": "0.5"}
    )


def _licence(crate: ROCrate, export: Export) -> Entity:
    given, software = export.bundle.licence, export.software
    if given:
        address = given if given.startswith("http") else f"https://spdx.org/licenses/{given}"
        return _context(
            crate, address, "CreativeWork", {"name": given, "description": "licence of this crate"}
        )
    stated = f"The software is under {software.licence}." if software.licence else ""
    return _context(
        crate,
        "#licence",
        "CreativeWork",
        {
            "name": "No licence was stated",
            "description": f"No licence was stated for this run. {stated}".strip(),
        },
    )


def _add_agent(crate: ROCrate, record: Record, bundle: Bundle) -> Entity:
    """Who asked for the run. A single user's own Thaw does not record a name, and none is made up."""
    organisation = _context(
        crate,
        "#organisation",
        "Organization",
        {"name": bundle.organisation or NOBODY, "url": bundle.organisation_url or "urn:thaw:not-recorded"},
    )
    crate.root_dataset["publisher"] = organisation
    return _context(crate, "#agent", "Person", {"name": record.user or NOBODY, "affiliation": organisation})


def _add_action(
    crate: ROCrate, export: Export, agent: Entity, files: Mapping[str, Entity], datasets: Sequence[Entity]
) -> Entity:
    record = export.record
    results = [file for path, file in files.items() if path.startswith(f"{OUTPUT_FOLDER}/")]
    results += [files[LOG_PATH]] if LOG_PATH in files else []
    properties: dict[str, object] = {
        "name": f"{record.recipe}: {record.thread or record.kind}",
        "description": f"command: {json.dumps(list(record.job.command))}",
        "identifier": record.run,
        "instrument": _add_software(crate, export),
        "agent": agent,
        "object": [*datasets, *_parameters(crate, record)],
        "result": results or [files[RECORD_PATH]],
        "endTime": record.ended.isoformat(timespec="milliseconds"),
        "containerImage": _add_image(crate, export),
        "environment": _variables(crate, record),
        "actionStatus": _STATUS.format("Completed" if record.state is RunState.COMPLETED else "Failed"),
    }
    if record.started is not None:
        properties["startTime"] = record.started.isoformat(timespec="milliseconds")
    if record.state is not RunState.COMPLETED:
        properties["error"] = record.message or record.state.value
    return _context(crate, f"#run-{record.run}", "CreateAction", properties)


def _add_software(crate: ROCrate, export: Export) -> Entity:
    software = export.software
    articles = [
        _context(
            crate,
            cited.url,
            "ScholarlyArticle" if cited.scheme != "ascl" else "CreativeWork",
            {"name": cited.note or cited.label, "identifier": cited.label, "url": cited.url},
        )
        for cited in software.citations
    ]
    properties: dict[str, object] = {
        "name": software.title,
        "softwareVersion": software.version,
        "url": software.homepage or next((cited.url for cited in software.citations), software.uri),
        "description": " ".join(software.description.split()) or NOT_KNOWN,
    }
    if articles:
        properties["citation"] = articles
        properties["identifier"] = [cited.url for cited in software.citations]
    if software.licence:
        properties["license"] = software.licence
    if software.mission:
        properties["keywords"] = ", ".join(software.mission)
    return _context(crate, software.uri, "SoftwareApplication", properties)


def _add_image(crate: ROCrate, export: Export) -> Entity:
    """The image: of no registry, so `localhost` stands where the profile wants one."""
    record = export.record
    name, _, tag = (export.bundle.image_name or f"thaw/{record.recipe.partition('/')[0]}").partition(":")
    properties: dict[str, object] = {
        "name": name,
        "registry": "localhost",
        "sha256": record.image.removeprefix("sha256:"),
        "additionalType": {"@id": f"{_TERMS}DockerImage"},
        "description": "sha256 is the image ID: the digest of the image's configuration",
        **({"tag": tag} if tag else {}),
    }
    return _context(crate, f"#image-{Digest(record.image)[7:19]}", "ContainerImage", properties)


def _parameters(crate: ROCrate, record: Record) -> list[Entity]:
    return [
        _property(crate, f"#parameter-{name}", name, value)
        for name, value in record.parameters.items()
        if value is not None
    ]


def _variables(crate: ROCrate, record: Record) -> list[Entity]:
    return [
        _property(crate, f"#environment-{name}", name, value)
        for name, value in sorted(record.job.environment.items())
    ]


def _property(crate: ROCrate, identifier: str, name: str, value: object) -> Entity:
    plain = value if isinstance(value, (str, int, float, bool)) else json.dumps(value, sort_keys=True)
    return _context(crate, identifier, "PropertyValue", {"name": name, "value": plain})


def _context(crate: ROCrate, identifier: str, kind: str, properties: Properties) -> Entity:
    plain = {
        key: _one_or_all(value) if isinstance(value, list) else value for key, value in properties.items()
    }
    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **plain}))


def _one_or_all(values: list[object]) -> object:
    """A list of one is written as that one: RO-Crate 1.1 recommends it."""
    return values[0] if len(values) == 1 else values
