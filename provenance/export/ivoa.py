"""A run in the IVOA Provenance Data Model 1.0, as one VOTable: one table for each class of the model.

Fields carry `utype="voprov:<Class>.<attribute>"`; a reference to another class holds the id of its row.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

from provenance.export.model import NOT_KNOWN, Export
from provenance.record import Record, format_time

Row = Mapping[str, str]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Activity": ("id", "name", "startTime", "stopTime", "comment", "description"),
    "ActivityDescription": ("id", "name", "version", "description", "type", "subtype", "docurl"),
    "Entity": ("id", "name", "location", "generatedAtTime", "comment", "description"),
    "DatasetEntity": ("id", "name", "location", "generatedAtTime", "comment", "description"),
    "EntityDescription": ("id", "name", "type", "description"),
    "DatasetDescription": ("id", "name", "type", "description", "contentType"),
    "Used": ("id", "role", "time", "activity", "entity"),
    "WasGeneratedBy": ("id", "role", "entity", "activity"),
    "WasDerivedFrom": ("id", "generatedEntity", "usedEntity"),
    "Agent": ("id", "name", "type", "comment", "url"),
    "WasAssociatedWith": ("id", "role", "activity", "agent"),
    "Parameter": ("id", "name", "value", "activity", "description"),
    "ParameterDescription": ("id", "name", "valueType", "description"),
    "WasInformedBy": ("id", "informed", "informant"),
}


def ivoa_votable(export: Export) -> bytes:
    """The VOTable, version 1.4; classes nothing is said of are left out."""
    # 50 ms to import, and exporting is seldom: only whoever asks pays.
    from astropy.io.votable.tree import Info, Resource, VOTableFile

    table_file = VOTableFile(version="1.4")
    resource = Resource(name=f"run {export.record.run}")
    resource.description = f"Provenance of run {export.record.run}, IVOA Provenance Data Model 1.0"
    table_file.resources.append(resource)
    resource.infos.append(Info(name="model", value="IVOA Provenance Data Model 1.0"))
    resource.infos.append(Info(name="record", value=export.record.digest))
    for name, rows in ivoa_rows(export).items():
        if rows:
            resource.tables.append(_table(table_file, name, rows))
    buffer = io.BytesIO()
    table_file.to_xml(buffer)
    return buffer.getvalue()


def _table(table_file: object, name: str, rows: Sequence[Row]) -> object:
    from astropy.io.votable.tree import Field, TableElement

    table = TableElement(table_file, name=name)
    table.utype = f"voprov:{name}"
    for column in COLUMNS[name]:
        table.fields.append(
            Field(
                table_file,
                name=column,
                ID=f"{name}_{column}",
                datatype="unicodeChar",
                arraysize="*",
                utype=f"voprov:{name}.{column}",
            )
        )
    table.create_arrays(len(rows))
    for number, row in enumerate(rows):
        table.array[number] = tuple(row.get(column, "") for column in COLUMNS[name])
    return table


def ivoa_rows(export: Export) -> Mapping[str, Sequence[Row]]:
    """The rows of each class."""
    record = export.record
    return {
        "Activity": [_activity(record)],
        "ActivityDescription": [_activity_description(export)],
        "Entity": _entities(record),
        "DatasetEntity": _datasets(record),
        "EntityDescription": _entity_descriptions(record),
        "DatasetDescription": _dataset_descriptions(record),
        "Used": _used(record),
        "WasGeneratedBy": _generated(record),
        "WasDerivedFrom": _derived(record),
        "Agent": _agents(export),
        "WasAssociatedWith": _associated(export),
        "Parameter": _parameters(record),
        "ParameterDescription": _parameter_descriptions(record),
        "WasInformedBy": _informed(record),
    }


def _activity(record: Record) -> Row:
    return {
        "id": _run(record.run),
        "name": f"{record.recipe} {record.thread}".strip(),
        "startTime": _time(record) if record.started else "",
        "stopTime": format_time(record.ended)[:-1],
        "comment": "; ".join(text for text in (record.state.value, record.message) if text),
        "description": _thread(record),
    }


def _activity_description(export: Export) -> Row:
    record, software = export.record, export.software
    return {
        "id": _thread(record),
        "name": f"{software.title}: {record.thread or record.kind}",
        "version": software.version,
        "description": software.description.strip() or (NOT_KNOWN if not software.known_from else ""),
        "type": "processing" if record.kind == "thread" else "interactive analysis",
        "subtype": record.kind,
        "docurl": software.homepage or "; ".join(cited.url for cited in software.citations),
    }


def _environment(record: Record) -> Mapping[str, str]:
    """What a run is executed with, by role."""
    found = {"image": record.image, "lock": record.lock, "recipe": record.recipe_digest}
    return {**found, "script": record.job.script} if record.job.script else found


def _entities(record: Record) -> Sequence[Row]:
    rows = [
        {"id": digest, "name": f"{role} of {record.recipe}", "description": f"entity:{role}"}
        for role, digest in _environment(record).items()
    ]
    ended = format_time(record.ended)[:-1]
    kept = {"record": record.digest, **({"log": record.log} if record.log else {})}
    rows += [
        {
            "id": f"{_run(record.run)}/{role}",
            "name": role,
            "location": digest,
            "generatedAtTime": ended,
            "description": f"entity:{role}",
        }
        for role, digest in kept.items()
    ]
    return rows


def _entity_descriptions(record: Record) -> Sequence[Row]:
    texts = {
        "image": "container image, named by the digest of its configuration",
        "lock": "every byte the image is made of, by digest",
        "recipe": "what was declared of the software and the processing",
        "script": "the script as it was executed",
        "record": "the account of the run, named by the digest of its canonical JSON",
        "log": "what the program printed",
    }
    roles = [*_environment(record), "record", *(["log"] if record.log else [])]
    return [
        {"id": f"entity:{role}", "name": role, "type": role, "description": texts[role]} for role in roles
    ]


def _datasets(record: Record) -> Sequence[Row]:
    rows = {
        item.digest: {
            "id": item.digest,
            "name": item.dataset,
            "location": item.digest,
            "comment": f"{item.files} files, {item.size} bytes",
            "description": f"dataset:{item.name}",
        }
        for item in record.inputs
    }
    outputs = [
        {
            "id": f"{_run(record.run)}/outputs/{item.path}",
            "name": item.path,
            "location": item.digest,
            "generatedAtTime": format_time(record.ended)[:-1],
            "comment": f"{item.size} bytes",
            "description": f"dataset:{item.name}",
        }
        for item in record.outputs
    ]
    return [*rows.values(), *outputs]


def _dataset_descriptions(record: Record) -> Sequence[Row]:
    kinds = {item.name: ("input", "") for item in record.inputs}
    kinds |= {item.name: ("output", item.media_type) for item in record.outputs}
    return [
        {"id": f"dataset:{name}", "name": name, "type": kind, "contentType": media_type}
        for name, (kind, media_type) in kinds.items()
    ]


def _used(record: Record) -> Sequence[Row]:
    used = [(item.name, item.digest) for item in record.inputs] + list(_environment(record).items())
    return [
        {
            "id": f"used:{number}",
            "role": role,
            "time": _time(record),
            "activity": _run(record.run),
            "entity": entity,
        }
        for number, (role, entity) in enumerate(used, 1)
    ]


def _generated(record: Record) -> Sequence[Row]:
    run = _run(record.run)
    made = [(item.name, f"{run}/outputs/{item.path}") for item in record.outputs]
    made += [("record", f"{run}/record"), *([("log", f"{run}/log")] if record.log else [])]
    return [
        {"id": f"generated:{number}", "role": role, "entity": entity, "activity": run}
        for number, (role, entity) in enumerate(made, 1)
    ]


def _derived(record: Record) -> Sequence[Row]:
    pairs = [
        (f"{_run(record.run)}/outputs/{item.path}", source)
        for item in record.outputs
        for source in dict.fromkeys(given.digest for given in record.inputs)
    ]
    return [
        {"id": f"derived:{number}", "generatedEntity": made, "usedEntity": source}
        for number, (made, source) in enumerate(pairs, 1)
    ]


def _agents(export: Export) -> Sequence[Row]:
    record, software = export.record, export.software
    rows = [
        {
            "id": software.uri,
            "name": f"{software.title} {software.version}",
            "type": "SoftwareAgent",
            "comment": "; ".join(f"{cited.label} {cited.note}".strip() for cited in software.citations),
            "url": software.homepage,
        },
        {
            "id": "urn:thaw:software:thaw",
            "name": f"Thaw {record.software.get('thaw', '')}".strip(),
            "type": "SoftwareAgent",
        },
    ]
    if record.user is not None:
        rows.append({"id": f"urn:thaw:user:{record.user}", "name": record.user, "type": "Person"})
    return rows


def _associated(export: Export) -> Sequence[Row]:
    roles = ["program", "executor", "requester"]
    return [
        {
            "id": f"associated:{role}",
            "role": role,
            "activity": _run(export.record.run),
            "agent": agent["id"],
        }
        for role, agent in zip(roles, _agents(export), strict=False)
    ]


def _parameters(record: Record) -> Sequence[Row]:
    return [
        {
            "id": f"parameter:{name}",
            "name": name,
            "value": value if isinstance(value, str) else json.dumps(value),
            "activity": _run(record.run),
            "description": f"parameter-description:{name}",
        }
        for name, value in record.parameters.items()
        if value is not None
    ]


def _parameter_descriptions(record: Record) -> Sequence[Row]:
    return [
        {"id": f"parameter-description:{name}", "name": name, "valueType": _value_type(value)}
        for name, value in record.parameters.items()
        if value is not None
    ]


def _value_type(value: object) -> str:
    """The VOTable type of a value; `bool` is asked first, for it is an `int` to Python."""
    for kind, name in ((bool, "boolean"), (int, "long"), (float, "double")):
        if isinstance(value, kind):
            return name
    return "unicodeChar"


def _informed(record: Record) -> Sequence[Row]:
    earlier = [run for run in (record.repeats, record.answered_from) if run is not None]
    return [
        {"id": f"informed:{number}", "informed": _run(record.run), "informant": _run(run)}
        for number, run in enumerate(earlier, 1)
    ]


def _run(run: str) -> str:
    return f"urn:thaw:run:{run}"


def _thread(record: Record) -> str:
    return f"urn:thaw:recipe:{record.recipe}/{record.thread or record.kind}"


def _time(record: Record) -> str:
    return format_time(record.started)[:-1] if record.started else ""
