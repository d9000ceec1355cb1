from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml

from provenance.export import CitationStyle, Export, bare_software, cite_run

SCHEMA = json.loads((Path(__file__).parents[3] / "data/cff/schema-1.2.0.json").read_text())


def cite(export: Export, style: CitationStyle) -> str:
    return cite_run(export.record, export.software, style)


def read_cff(text: str) -> dict[str, object]:
    read = yaml.safe_load(text)
    assert isinstance(read, dict)
    return {**read, "date-released": str(read["date-released"])}


def test_the_cff_text_is_valid_citation_file_format(any_export: Export) -> None:
    read = read_cff(cite(any_export, CitationStyle.CFF))
    jsonschema.Draft7Validator(SCHEMA).validate(read)
    assert date.fromisoformat(str(read["date-released"])) == any_export.record.ended.date()


def test_the_cff_schema_refuses_what_is_none(export: Export) -> None:
    read = read_cff(cite(export, CitationStyle.CFF))
    del read["authors"]
    with pytest.raises(jsonschema.ValidationError, match="authors"):
        jsonschema.Draft7Validator(SCHEMA).validate(read)


@pytest.mark.parametrize("style", list(CitationStyle))
def test_software_environment_and_run_are_named_by_what_finds_them(
    export: Export, style: CitationStyle
) -> None:
    text, record = cite(export, style), export.record
    for wanted in ("10.2514/6.2010-2167", "1302.017", record.image, record.lock, record.digest, record.run):
        assert wanted in text


def test_bibtex_is_balanced_and_its_special_signs_are_escaped(export: Export) -> None:
    text = cite(export, CitationStyle.BIBTEX)
    assert text.count("{") == text.count("}")
    assert r"100 \% of it \& more" in text
    assert re.findall(r"^@(\w+)", text, re.MULTILINE) == ["software", "misc", "misc", "misc", "misc"]


@pytest.mark.parametrize("style", list(CitationStyle))
def test_without_a_recipe_a_citation_says_so(export: Export, style: CitationStyle) -> None:
    text = cite_run(export.record, bare_software(export.record), style)
    assert "no longer here" in text
    assert "10.2514" not in text
