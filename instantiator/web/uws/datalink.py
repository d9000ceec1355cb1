"""A description of a thread that an archive can put beside its data: "run this thread on this product"."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from instantiator.recipe.errors import ParameterInvalid, ParameterMistake
from instantiator.recipe.model import ParameterValue, Thread
from instantiator.recipe.parameters import NotAValue, parse_value
from instantiator.web.access import Reader
from instantiator.web.guard import PortalOf
from instantiator.web.uws.address import find_service, origin_of
from instantiator.web.uws.asked import read_job
from instantiator.web.uws.elements import answer_xml
from instantiator.web.uws.sync import is_short
from instantiator.web.uws.votables import MEDIA_TYPE, service_votable

router = APIRouter()


@router.get("/datalink/{service:uwsservice}")
def describe_service(request: Request, portal: PortalOf, asker: Reader, service: str) -> Response:
    """A DataLink service descriptor; what the address gives of inputs and parameters is filled in."""
    assert asker.user
    found = find_service(portal, service, path=f"/uws/{service}", origin=origin_of(request))
    asked = read_job(request.query_params.multi_items(), found.thread)
    given = {**asked.datasets, **fill_in(found.thread, asked.parameters)}
    document = service_votable(found, is_sync=is_short(found.thread), given=given)
    return answer_xml(document, media_type=f"{MEDIA_TYPE};content=datalink")


def fill_in(thread: Thread, given: Mapping[str, str]) -> dict[str, ParameterValue]:
    """The values of parameters that are given, typed; raises `ParameterInvalid`."""
    known = {item.name: item for item in thread.parameters}
    values: dict[str, ParameterValue] = {}
    mistakes = []
    for name, text in given.items():
        try:
            if name not in known:
                raise NotAValue(f"thread {thread.name!r} has no parameter {name!r}")
            values[name] = parse_value(known[name], text)
        except NotAValue as error:
            mistakes.append(ParameterMistake(parameter=name, message=str(error)))
    if mistakes:
        told = ", ".join(known) or "none"
        raise ParameterInvalid(mistakes, where=thread.name, hint=f"the thread's parameters: {told}")
    return values
