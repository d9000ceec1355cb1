"""VOSI: whether a service is there, and what it can do. For all to see, as archives' clients expect."""

from __future__ import annotations

from datetime import timedelta
from xml.etree.ElementTree import Element

from fastapi import APIRouter
from fastapi.responses import Response

from instantiator.web.guard import PortalOf
from instantiator.web.uws.address import SERVICE, Service, ServiceOf
from instantiator.web.uws.elements import AVAILABILITY, CAPABILITIES, XSI, answer_xml, element, some

router = APIRouter()
_VOSI = "ivo://ivoa.net/std/VOSI"
_DALI = "ivo://ivoa.net/std/DALI"
_SERVICES = "http://www.ivoa.net/xml/VODataService/v1.1"
_SILENT = timedelta(seconds=30)
_BASIC = "ivo://ivoa.net/sso#BasicAA"


@router.get(f"{SERVICE}/availability")
def get_availability(portal: PortalOf, service: ServiceOf) -> Response:
    """Whether jobs are accepted and somebody executes them."""
    assert service.path
    now = portal.clock()
    is_available = any(now - worker.beat < _SILENT for worker in portal.queue.workers())
    return answer_xml(availability(is_available=is_available))


@router.get(f"{SERVICE}/capabilities")
def get_capabilities(service: ServiceOf) -> Response:
    """What there is at which address."""
    return answer_xml(capabilities(service))


def availability(*, is_available: bool) -> Element:
    """The document."""
    note = "jobs are executed" if is_available else "jobs are accepted and wait: no worker is running"
    return element(
        AVAILABILITY,
        "availability",
        element(AVAILABILITY, "available", text=is_available),
        element(AVAILABILITY, "note", text=note),
    )


def capabilities(service: Service) -> Element:
    """The document."""
    root = element(
        CAPABILITIES,
        "capabilities",
        _capability(f"{_VOSI}#availability", f"{service.url}/availability", is_open=True),
        _capability(f"{_VOSI}#capabilities", f"{service.url}/capabilities", is_open=True),
        _capability(f"{_DALI}#async", service.url),
        _capability(f"{_DALI}#sync", f"{service.url}/sync"),
    )
    root.set("xmlns:vs", _SERVICES)  # named only inside the value of xsi:type
    return root


def _capability(standard: str, url: str, *, is_open: bool = False) -> Element:
    use = "full" if is_open else "base"
    interface = element(
        "",
        "interface",
        *some(
            (
                element("", "accessURL", text=url, attributes={"use": use}),
                None if is_open else element("", "securityMethod", attributes={"standardID": _BASIC}),
            )
        ),
        attributes={f"{{{XSI}}}type": "vs:ParamHTTP", "role": "std"},
    )
    return element("", "capability", interface, attributes={"standardID": standard})
