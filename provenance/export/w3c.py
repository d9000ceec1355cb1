"""A run as W3C PROV: entities, one activity, agents, and how they hang together. The one door to `prov`."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import quote

from prov.model import (
    PROV_ROLE,
    PROV_TYPE,
    ProvActivity,
    ProvAgent,
    ProvDocument,
    ProvEntity,
    QualifiedName,
)

from provenance.digest import Digest
from provenance.export.model import NOT_KNOWN, Export, Software
from provenance.record import Record, RecordedInput, RecordedOutput
from provenance.vault import Vault

Facts = list[tuple[QualifiedName | str, Any]]
"""Attributes as `prov` takes them: a value is whatever PROV can write."""

_NAMESPACES = {
    "thaw": "urn:thaw:terms:",
    "parameter": "urn:thaw:parameter:",
    "sha256": "urn:thaw:sha256:",
    "run": "urn:thaw:run:",
    "recipe": "urn:thaw:recipe:",
    "user": "urn:thaw:user:",
    "software": "urn:thaw:software:",
}


def prov_json(export: Export) -> bytes:
    """PROV-JSON, indented, keys sorted."""
    text = io.StringIO()
    prov_document(export).serialize(text, format="json")
    return (
        json.dumps(json.loads(text.getvalue()), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    )


def prov_n(export: Export) -> bytes:
    """PROV-N, the notation for people."""
    text = io.StringIO()
    prov_document(export).serialize(text, format="provn")
    return text.getvalue().encode() + b"\n"


def prov_document(export: Export) -> ProvDocument:
    """The document; the same record always gives the same one."""
    record = export.record
    document = ProvDocument()
    for prefix, uri in _NAMESPACES.items():
        document.add_namespace(prefix, uri)
    activity = _activity(document, record)
    environment = _environment(document, record)
    inputs = [_input(document, item, export.vault) for item in record.inputs]
    outputs = [_output(document, record, item) for item in record.outputs]
    for item, entity in zip(record.inputs, inputs, strict=True):
        _used(document, activity, entity, record, f"input {item.name}")
    for role, entity in environment.items():
        _used(document, activity, entity, record, role)
    for given, entity in zip(record.outputs, outputs, strict=True):
        _generated(document, entity, activity, record, f"output {given.name}")
        for source in {
            item.digest: found for item, found in zip(record.inputs, inputs, strict=True)
        }.values():
            document.wasDerivedFrom(entity, source, activity)
    _log_and_record(document, activity, record)
    _agents(document, activity, environment, export)
    _earlier_runs(document, activity, record)
    return document


def _activity(document: ProvDocument, record: Record) -> ProvActivity:
    facts: Facts = [
        (PROV_TYPE, _name(document, "thaw", record.kind)),
        ("prov:label", f"{record.recipe} {record.thread}".strip()),
        ("thaw:state", record.state.value),
        ("thaw:command", json.dumps(list(record.job.command))),
        ("thaw:submitted", record.submitted),
    ]
    if record.exit_status is not None:
        facts.append(("thaw:exitStatus", record.exit_status))
    if record.message:
        facts.append(("thaw:message", record.message))
    facts += [
        (_name(document, "parameter", name), _plain(value))
        for name, value in record.parameters.items()
        if value is not None
    ]
    facts += [(f"thaw:{name}", value) for name, value in record.resources.items() if value is not None]
    ended = record.ended if record.started is not None else None
    return document.activity(_name(document, "run", record.run), record.started, ended, facts)


def _environment(document: ProvDocument, record: Record) -> dict[str, ProvEntity]:
    """The image, the lock it is made from, the recipe, the script: by the role each had in the run."""
    lock = _bytes(document, record.lock, f"lock of {record.recipe}", "Lock")
    recipe = _bytes(document, record.recipe_digest, f"recipe {record.recipe}", "Recipe")
    image = _bytes(document, Digest(record.image), f"image of {record.recipe}", "ContainerImage")
    document.wasDerivedFrom(image, lock)
    document.wasDerivedFrom(lock, recipe)
    found = {"environment": image, "lock": lock, "recipe": recipe}
    if record.job.script is not None:
        found["script"] = _bytes(document, record.job.script, f"script of {record.thread}", "Script")
        document.wasDerivedFrom(found["script"], recipe)
    return found


def _bytes(document: ProvDocument, digest: Digest, label: str, kind: str) -> ProvEntity:
    facts: Facts = [
        (PROV_TYPE, _name(document, "thaw", kind)),
        ("prov:label", label),
        ("thaw:digest", digest),
    ]
    return document.entity(_name(document, "sha256", digest.removeprefix("sha256:")), facts)


def _input(document: ProvDocument, item: RecordedInput, vault: Vault) -> ProvEntity:
    dataset = document.collection(
        _name(document, "sha256", item.digest.removeprefix("sha256:")),
        {
            "prov:label": item.dataset,
            "thaw:digest": item.digest,
            "thaw:files": item.files,
            "thaw:bytes": item.size,
        },
    )
    if vault.has(item.digest):
        for entry in vault.read_tree(item.digest).entries:
            part = _bytes(document, entry.digest, entry.path, "File")
            document.hadMember(dataset, part)
    return dataset


def _output(document: ProvDocument, record: Record, item: RecordedOutput) -> ProvEntity:
    """An output is named by run and path: two files of the same bytes are two results."""
    return document.entity(
        _name(document, "run", f"{record.run}/outputs/{item.path}"),
        [
            (PROV_TYPE, _name(document, "thaw", "Output")),
            ("prov:label", item.path),
            ("thaw:digest", item.digest),
            ("thaw:bytes", item.size),
            ("thaw:mediaType", item.media_type),
            ("thaw:judgedBy", item.rule.rule),
        ],
    )


def _log_and_record(document: ProvDocument, activity: ProvActivity, record: Record) -> None:
    kept = {"record": record.digest, **({"log": record.log} if record.log else {})}
    for role, digest in kept.items():
        entity = document.entity(
            _name(document, "run", f"{record.run}/{role}"),
            [
                (PROV_TYPE, _name(document, "thaw", role.capitalize())),
                ("prov:label", f"{role} of run {record.run}"),
                ("thaw:digest", digest),
            ],
        )
        _generated(document, entity, activity, record, role)


def _used(
    document: ProvDocument, activity: ProvActivity, entity: ProvEntity, record: Record, role: str
) -> None:
    document.used(activity, entity, record.started, other_attributes={PROV_ROLE: role})


def _generated(
    document: ProvDocument, entity: ProvEntity, activity: ProvActivity, record: Record, role: str
) -> None:
    document.wasGeneratedBy(entity, activity, record.ended, other_attributes={PROV_ROLE: role})


def _agents(
    document: ProvDocument, activity: ProvActivity, environment: dict[str, ProvEntity], export: Export
) -> None:
    record = export.record
    program = _program(document, export.software)
    facts: Facts = [(PROV_TYPE, _name(document, "prov", "SoftwareAgent")), ("prov:label", "Thaw")]
    facts += [(f"thaw:version-{name}", version) for name, version in sorted(record.software.items())]
    thaw = document.agent(_name(document, "software", "thaw"), facts)
    document.wasAssociatedWith(
        activity, program, environment["recipe"], other_attributes={PROV_ROLE: "program"}
    )
    document.wasAssociatedWith(
        activity, thaw, environment["recipe"], other_attributes={PROV_ROLE: "executor"}
    )
    document.actedOnBehalfOf(program, thaw, activity)
    if record.user is not None:
        user = document.agent(
            _name(document, "user", record.user),
            [(PROV_TYPE, _name(document, "prov", "Person")), ("prov:label", record.user)],
        )
        document.wasAssociatedWith(activity, user, other_attributes={PROV_ROLE: "requester"})
        document.actedOnBehalfOf(thaw, user, activity)


def _program(document: ProvDocument, software: Software) -> ProvAgent:
    facts: Facts = [
        (PROV_TYPE, _name(document, "prov", "SoftwareAgent")),
        ("prov:label", software.title),
        ("thaw:version", software.version),
    ]
    facts += [("thaw:licence", software.licence)] if software.licence else []
    facts += [("thaw:homepage", software.homepage)] if software.homepage else []
    facts += [("thaw:citation", cited.url) for cited in software.citations]
    facts += [("thaw:note", NOT_KNOWN)] if not software.known_from else []
    return document.agent(_name(document, "recipe", f"{software.name}/{software.version}"), facts)


def _earlier_runs(document: ProvDocument, activity: ProvActivity, record: Record) -> None:
    earlier = {"repeats": record.repeats, "answeredFrom": record.answered_from}
    for how, run in earlier.items():
        if run is not None:
            other = document.activity(_name(document, "run", run))
            facts = [(PROV_TYPE, _name(document, "thaw", how))]
            document.wasInfluencedBy(activity, other, other_attributes=facts)


def _name(document: ProvDocument, prefix: str, local: str) -> QualifiedName:
    """A qualified name; what a local part may not hold is escaped as in a URL."""
    name = document.valid_qualified_name(f"{prefix}:{quote(local, safe='/._-~@')}")
    assert name is not None, "every prefix is declared"
    return name


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool)) else json.dumps(value, sort_keys=True)
