"""XML elements from values. What XML cannot hold (a program's control characters) becomes a question mark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from fastapi.responses import Response

from provenance.record import format_time

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
THAW = "urn:thaw:terms:"
VOTABLE = "http://www.ivoa.net/xml/VOTable/v1.3"
AVAILABILITY = "http://www.ivoa.net/xml/VOSIAvailability/v1.0"
CAPABILITIES = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"
_PREFIXES = {
    VOTABLE: "",
    UWS: "uws",
    XLINK: "xlink",
    XSI: "xsi",
    THAW: "thaw",
    AVAILABILITY: "avl",
    CAPABILITIES: "vosi",
}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

for _space, _prefix in _PREFIXES.items():
    ElementTree.register_namespace(_prefix, _space)


def element(
    space: str,
    name: str,
    *below: Element,
    text: object = None,
    attributes: Mapping[str, object] | None = None,
) -> Element:
    """An element of a namespace; attributes that are None are left out."""
    made = Element(f"{{{space}}}{name}" if space else name)
    for key, value in (attributes or {}).items():
        if value is not None:
            made.set(key, write(value))
    made.text = write(text) if text is not None else None
    made.extend(below)
    return made


def nillable(space: str, name: str, value: object) -> Element:
    """An element that is there also where nothing is known."""
    if value is None:
        return element(space, name, attributes={f"{{{XSI}}}nil": True})
    return element(space, name, text=value)


def link(href: str) -> Mapping[str, object]:
    """The attributes of a simple link."""
    return {f"{{{XLINK}}}type": "simple", f"{{{XLINK}}}href": href}


def write(value: object) -> str:
    """A value as XML and UWS write it; times at the precision they are kept with."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return format_time(value)
    return _NOT_XML.sub("?", str(value))


def some(found: Iterable[Element | None]) -> tuple[Element, ...]:
    """Those that are there."""
    return tuple(item for item in found if item is not None)


def answer_xml(root: Element, *, media_type: str = "text/xml", status: int = 200) -> Response:
    """A document as an answer."""
    content = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(content, status_code=status, media_type=media_type)
