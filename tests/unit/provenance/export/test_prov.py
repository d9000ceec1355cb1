from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import pytest
from astropy.io import votable
from prov.model import ProvActivity, ProvDocument, ProvEntity, ProvGeneration, ProvUsage

from provenance.export import Export, ExportFormat, bare_software, export_document
from provenance.export.graph import prov_graph
from provenance.export.ivoa import COLUMNS, ivoa_rows, ivoa_votable
from provenance.export.w3c import prov_document, prov_json, prov_n


def read_back(content: bytes) -> ProvDocument:
    return ProvDocument.deserialize(io.StringIO(content.decode()), format="json")


def test_prov_json_loads_and_round_trips(any_export: Export) -> None:
    read = read_back(prov_json(any_export))
    assert read == prov_document(any_export)
    assert read_back(str(read.serialize(format="json")).encode()) == read


def test_the_activity_has_times_and_used_the_input_and_made_the_output(export: Export) -> None:
    read = read_back(prov_json(export))
    runs = [run for run in read.get_records(ProvActivity) if isinstance(run, ProvActivity)]
    (activity,) = [run for run in runs if run.get_startTime()]
    roles = {
        str(value)
        for kind in (ProvUsage, ProvGeneration)
        for relation in read.get_records(kind)
        for value in relation.get_attribute("prov:role")
    }
    assert (activity.get_startTime(), activity.get_endTime()) == (export.record.started, export.record.ended)
    assert roles == {
        *("input scenario", "environment", "lock", "recipe", "script"),
        *("output power-average", "log", "record"),
    }


def test_every_digest_of_the_record_is_an_entity_s(export: Export) -> None:
    record = export.record
    digests = {
        str(value)
        for entity in read_back(prov_json(export)).get_records(ProvEntity)
        for value in entity.get_attribute("thaw:digest")
    }
    wanted: set[str | None] = {
        record.image,
        record.lock,
        record.recipe_digest,
        record.job.script,
        record.log,
        record.digest,
    }
    wanted |= {item.digest for item in record.inputs} | {item.digest for item in record.outputs}
    assert wanted <= digests


def test_a_session_names_its_user_as_a_person_and_a_thread_of_nobody_names_none(any_export: Export) -> None:
    text = prov_n(any_export).decode()
    assert ("user:caroline" in text) == (any_export.record.user == "caroline")
    assert "actedOnBehalfOf" in text


def test_an_answer_from_the_cache_hangs_on_the_run_it_repeats(any_export: Export) -> None:
    found = "thaw:answeredFrom" in prov_n(any_export).decode()
    assert found == (any_export.record.answered_from is not None)


def test_without_a_recipe_the_export_says_what_it_does_not_know(export: Export) -> None:
    bare = Export(record=export.record, vault=export.vault, software=bare_software(export.record))
    assert b"no longer here" in prov_json(bare)
    assert b"no longer here" in ivoa_votable(bare)


def test_the_same_record_gives_the_same_bytes(export: Export) -> None:
    documents = [how for how in ExportFormat if not how.has_bytes]
    assert [export_document(export, how) for how in documents] == [
        export_document(export, how) for how in documents
    ]


def test_the_picture_is_svg_with_nothing_active_and_odd_names_escaped(any_export: Export) -> None:
    root = ElementTree.fromstring(prov_graph(any_export))
    kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert kinds <= {
        *("svg", "title", "style", "defs", "marker", "path", "rect", "ellipse", "polygon", "g", "text"),
    }
    assert any_export.record.run in "".join(root.itertext())


def test_the_votable_is_strictly_valid_and_holds_every_class(export: Export) -> None:
    read = votable.parse(io.BytesIO(ivoa_votable(export)), verify="exception")
    tables = {table.name: table for table in read.iter_tables()}
    assert set(tables) == {name for name, rows in ivoa_rows(export).items() if rows}
    assert {field.utype for field in tables["Activity"].fields} == {
        f"voprov:Activity.{column}" for column in COLUMNS["Activity"]
    }
    assert [str(row["role"]) for row in tables["WasAssociatedWith"].array] == ["program", "executor"]


@pytest.mark.parametrize(
    ("table", "column", "of"),
    [
        ("Used", "entity", ("Entity", "DatasetEntity")),
        ("WasGeneratedBy", "entity", ("Entity", "DatasetEntity")),
        ("WasDerivedFrom", "generatedEntity", ("DatasetEntity",)),
        ("WasDerivedFrom", "usedEntity", ("DatasetEntity",)),
        ("WasAssociatedWith", "agent", ("Agent",)),
        ("Used", "activity", ("Activity",)),
        ("Parameter", "description", ("ParameterDescription",)),
        ("Entity", "description", ("EntityDescription",)),
        ("DatasetEntity", "description", ("DatasetDescription",)),
        ("Activity", "description", ("ActivityDescription",)),
    ],
)
def test_every_reference_of_the_votable_leads_to_a_row(
    export: Export, table: str, column: str, of: tuple[str, ...]
) -> None:
    rows = ivoa_rows(export)
    known = {row["id"] for name in of for row in rows[name]}
    assert {row[column] for row in rows[table]} <= known


def test_parameters_keep_their_types(export: Export) -> None:
    rows = ivoa_rows(export)["ParameterDescription"]
    assert {row["name"]: row["valueType"] for row in rows} == {
        "margin": "double",
        "start": "unicodeChar",
        "time_step": "long",
        "verbose": "boolean",
    }
    activity = json.loads(prov_json(export))["activity"]["run:20261120-154949-k3f9"]
    assert activity["parameter:time_step"] == {"$": "60", "type": "xsd:int"}
