"""What every value on the wire is: strict, closed, and apart from the domain's own values."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from provenance.record import format_time


class Wire(BaseModel):
    """A value on the wire: no key is unknown, nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


def _only_text(value: object) -> object:
    if isinstance(value, str) and len(value) >= len("2026-11-20T15:49:49Z"):
        return value
    raise PydanticCustomError("time", "a time is a text such as 2026-11-20T15:49:49Z")


GivenTime = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(_only_text),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-27T12:00:00Z"]}),
]
"""A time as a request gives it: RFC 3339, with its offset."""

Time = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-20T12:00:00.000000Z"])
]
"""A time as an answer gives it: UTC with microseconds, as in a record."""


def _whole(value: object) -> object:
    """JSON does not tell 5.0 from 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Takes a whole number as JSON may write it; stands behind its bounds, which the schema would lose else."""

DigestText = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", examples=["sha256:" + "0f1e2d3c" * 8])]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["0f1e2d3c" * 8])]
RecipeName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$", max_length=80, examples=["rosetta-eps"])
]
RecipeId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}(/[A-Za-z0-9][A-Za-z0-9._+-]{0,79})?$",
        max_length=161,
        examples=["rosetta-eps/9.3.35"],
    ),
]
ThreadName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", max_length=80, examples=["simulate"])
]
DatasetName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", max_length=80, examples=["m31-1991"])
]
DatasetReference = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}(@[1-9][0-9]{0,8})?$",
        max_length=90,
        examples=["m31-1991", "m31-1991@2"],
    ),
]
RelativePath = Annotated[
    str,
    Field(
        pattern=r"^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,1023}$",
        max_length=1024,
        examples=["rosetta/events.fits"],
    ),
]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=500)]


def told_time(time: datetime | None) -> str | None:
    """A time as answers give it."""
    return format_time(time) if time is not None else None
