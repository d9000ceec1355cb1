"""VOTables: DALI's way to say what went wrong, and DataLink's way to describe a service. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from instantiator.recipe.model import Input, Parameter, ParameterType, Thread
from instantiator.recipe.parameters import describe_type
from instantiator.web.uws.address import Service
from instantiator.web.uws.elements import VOTABLE, element, some, write

MEDIA_TYPE = "application/x-votable+xml"
_TYPES: Mapping[ParameterType, Mapping[str, object]] = {
    ParameterType.INT: {"datatype": "long"},
    ParameterType.FLOAT: {"datatype": "double"},
    ParameterType.BOOLEAN: {"datatype": "boolean"},
    ParameterType.TIME: {"datatype": "char", "arraysize": "*", "xtype": "timestamp"},
}
_TEXT: Mapping[str, object] = {"datatype": "unicodeChar", "arraysize": "*"}
_NOTHING = {"long": "-9223372036854775808", "double": "NaN", "boolean": "?"}
"""What a PARAM holds that has no value: it must have one."""


def error_votable(message: str, more: Mapping[str, str] | None = None) -> Element:
    """A VOTable that says what went wrong; `more` are further INFO elements."""
    status = element(VOTABLE, "INFO", text=message, attributes={"name": "QUERY_STATUS", "value": "ERROR"})
    others = (
        element(VOTABLE, "INFO", text=text, attributes={"name": name, "value": name})
        for name, text in (more or {}).items()
    )
    return _votable(element(VOTABLE, "RESOURCE", status, *others, attributes={"type": "results"}))


def service_votable(service: Service, *, is_sync: bool, given: Mapping[str, object]) -> Element:
    """A DataLink service descriptor of a thread: where it is, and what it takes. `given` are values filled in."""
    recipe, thread = service.recipe, service.thread
    told = f"{thread.title}: {recipe.title} {recipe.version}"
    params = (
        *(_of_input(item, given.get(item.name)) for item in thread.inputs),
        *(_of_parameter(item, given.get(item.name)) for item in thread.parameters),
        *(() if is_sync else (_started(),)),
    )
    return _votable(
        element(
            VOTABLE,
            "RESOURCE",
            element(VOTABLE, "DESCRIPTION", text=told),
            _text_param("accessURL", f"{service.url}/sync" if is_sync else service.url),
            _text_param("contentType", _content_type(thread) if is_sync else "text/xml"),
            element(VOTABLE, "GROUP", *params, attributes={"name": "inputParams"}),
            attributes={
                "type": "meta",
                "utype": "adhoc:service",
                "ID": f"thaw-{recipe.name}-{thread.name}".replace(".", "-"),
                "name": thread.name,
            },
        )
    )


def _votable(resource: Element) -> Element:
    return element(VOTABLE, "VOTABLE", resource, attributes={"version": "1.4"})


def _text_param(name: str, value: str) -> Element:
    attributes = {"name": name, "datatype": "char", "arraysize": "*", "value": value}
    return element(VOTABLE, "PARAM", attributes=attributes)


def _started() -> Element:
    """A client that fills the form in gets a job that runs."""
    options = element(VOTABLE, "VALUES", element(VOTABLE, "OPTION", attributes={"value": "RUN"}))
    made = _text_param("PHASE", "RUN")
    made.append(options)
    return made


def _content_type(thread: Thread) -> str:
    return thread.outputs[0].media_type if thread.outputs else "text/plain"


def _of_input(found: Input, given: object) -> Element:
    told = f"{found.help or found.name}: the name of a dataset of the service ({found.type.value})"
    made = _text_param(found.name, write(given) if given is not None else "")
    made.append(element(VOTABLE, "DESCRIPTION", text=told))
    return made


def _of_parameter(found: Parameter, given: object) -> Element:
    kind = _TYPES.get(found.type, _TEXT)
    value = given if given is not None else found.default
    nothing = _NOTHING.get(str(kind["datatype"]), "")
    return element(
        VOTABLE,
        "PARAM",
        *some(
            (
                element(VOTABLE, "DESCRIPTION", text=found.help or describe_type(found)),
                _values(found, nothing),
            )
        ),
        attributes={
            "name": found.name,
            **kind,
            "unit": found.unit or None,
            "value": value if value is not None else nothing,
        },
    )


def _values(found: Parameter, nothing: str) -> Element | None:
    """What a parameter may be: its bounds or its choices."""
    bounds = (("MIN", found.minimum), ("MAX", found.maximum))
    below = [
        element(VOTABLE, name, attributes={"value": bound}) for name, bound in bounds if bound is not None
    ]
    below += [element(VOTABLE, "OPTION", attributes={"value": choice}) for choice in found.choices]
    null = nothing if found.type is ParameterType.INT and found.default is None else None
    return element(VOTABLE, "VALUES", *below, attributes={"null": null}) if below or null else None
