"""The two steps of a login by the identity provider: away to it, and back."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from instantiator.users import Event, LoginRefused, Person, UserRefused
from instantiator.users.people import check_name
from instantiator.web.guard import PortalOf
from instantiator.web.oidc import Identity, Provider
from instantiator.web.pages import own_page, page
from instantiator.web.portal import NotFound, Portal
from instantiator.web.routes.login import give_cookie

router = APIRouter(prefix="/login/oidc")
COOKIE_LIFE = timedelta(hours=12)
"""Short: roles and groups are the provider's, and are asked for at each login."""


@router.get("")
def begin(request: Request, portal: PortalOf, next: str = "/") -> Response:  # noqa: A002
    """Send the browser to the provider; what its answer has to fit is kept here, and a cookie names it."""
    provider = _provider(portal)
    secret, pending = portal.users.logins.begin(own_page(next), now=portal.clock())
    response = RedirectResponse(provider.address(pending, _back(request, provider)), status_code=303)
    response.set_cookie(
        _cookie(portal),
        secret,
        max_age=600,
        httponly=True,
        samesite="lax",  # strict ones are not sent when the provider leads back here
        secure=_scheme(request) == "https",
        path="/login/oidc",
    )
    return response


@router.get("/done")
def done(request: Request, portal: PortalOf) -> Response:
    """The provider's answer: a login, once, for the browser that began it."""
    provider, now = _provider(portal), portal.clock()
    pending = portal.users.logins.take(request.cookies.get(_cookie(portal), ""), now=now)
    try:
        if pending is None:
            raise LoginRefused(
                "this browser began no such login, or it took too long, or it came back already",
                hint="begin again: /login",
            )
        answer = dict(request.query_params)
        identity = provider.identity(pending, answer, _back(request, provider), now=now)
        name = admit(portal, identity)
    except LoginRefused as error:
        portal.users.audit.write(Event.REFUSED, "", now=now, subject="login", detail=error.message)
        raise
    portal.users.audit.write(Event.LOGIN, name, now=now, subject="login", detail=provider.settings.issuer)
    # A page, not a redirect: browsers send no strict cookie while they are still led here from elsewhere.
    response = page(request, "logged_in.html", next=pending.next, name=name)
    response.delete_cookie(_cookie(portal), path="/login/oidc")
    return give_cookie(portal, response, name, life=COOKIE_LIFE, is_secure=_scheme(request) == "https")


def admit(portal: Portal, identity: Identity) -> str:
    """The user here who is this identity, with the roles it has now; raises `LoginRefused`.

    A name belongs to the first identity that came with it. The local user's, and those made for tokens alone,
    are nobody's at the provider.
    """
    people = portal.users.people
    person = people.bound_to(identity.subject) or _new_person(portal, identity)
    people.set_roles(person.name, identity.roles, is_external=True)
    people.set_groups(person.name, _good_names(identity.groups), is_external=True)
    principal = portal.users.principal(person.name, local=portal.user)
    if principal is None or not principal.scopes:
        raise LoginRefused(
            f"{person.name} may do nothing here yet: no group of yours has a role",
            hint="ask the operator for a role",
        )
    return person.name


def _new_person(portal: Portal, identity: Identity) -> Person:
    people, name = portal.users.people, identity.name
    try:
        check_name(name)
    except UserRefused as error:
        raise LoginRefused(error.message, hint="ask the operator which claim names users") from error
    known = people.find(name)
    is_taken = known is not None and (not known.is_external or known.subject != "")
    if name == portal.user or is_taken or (known is None and people.was_removed(name)):
        raise LoginRefused(f"the name {name!r} is somebody else's here", hint="ask the operator")
    if known is None and not identity.roles:
        raise LoginRefused(
            f"{name} is not known here, and no group of yours has a role", hint="ask the operator"
        )
    person = known or people.add(name, (), now=portal.clock(), is_external=True)
    people.bind(person.name, identity.subject)
    return person


def _good_names(groups: frozenset[str]) -> list[str]:
    found = []
    for group in sorted(groups):
        try:
            found.append(check_name(group.casefold(), "group"))
        except UserRefused:
            continue  # a group of the provider with a name nothing here can be shared with
    return found


def _provider(portal: Portal) -> Provider:
    if portal.provider is None:
        raise NotFound("no identity provider is set up here", hint="log in with a token: /login")
    return portal.provider


def _cookie(portal: Portal) -> str:
    return f"{portal.cookie_name}-login"


def _scheme(request: Request) -> str:
    return request.headers.get("x-forwarded-proto", request.url.scheme)


def _back(request: Request, provider: Provider) -> str:
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return f"{provider.settings.url.rstrip('/') or f'{_scheme(request)}://{host}'}/login/oidc/done"
