"""Which request needs which scope: one table. What no rule names is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from instantiator.users import Scope

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Door(StrEnum):
    """Who may come to where no scope is needed."""

    OPEN = "open"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Requests of one kind, and what they need: a scope, or nothing at a door for all or for the gateway."""

    methods: str
    path: str
    needs: Scope | Door

    def fits(self, method: str, path: str) -> bool:
        """Whether this rule is about this request."""
        is_safe = method in SAFE
        wanted = {"read": is_safe, "write": not is_safe, "all": True}
        return wanted[self.methods] and re.fullmatch(self.path, path) is not None


def _rule(methods: str, path: str, needs: Scope | Door) -> Rule:
    return Rule(methods=methods, path=path, needs=needs)


_REST = r"/api/v1"
RULES: tuple[Rule, ...] = (
    # The portal: before anybody is known
    _rule("all", r"/login(/.*)?", Door.OPEN),
    _rule("read", r"/static(/.*)?", Door.OPEN),
    _rule("read", r"/watch/[^/]+", Door.OPEN),
    _rule("write", r"/api/watch/[^/]+/ticket", Door.OPEN),
    _rule("all", r"/internal/.*", Door.GATEWAY),
    # Whoever watches the service: whether it works is for all, how much it does for operators
    _rule("read", r"/(healthz|readyz)", Door.OPEN),
    _rule("read", r"/metrics", Scope.OPERATE),
    # The portal: pages
    _rule("read", r"/(recipes/.*|runs(/.*)?|work/[^/]+)?", Scope.READ),
    _rule("write", r"/recipes/.*", Scope.RUN),
    _rule("write", r"/runs/[^/]+/(verify|again)|/api/runs/[^/]+/cancel", Scope.RUN),
    _rule("all", r"/(open/.*|sessions(/.*)?)", Scope.SESSION),
    _rule("write", r"/logout", Scope.READ),
    _rule("all", r"/(tokens|share)(/.*)?", Scope.READ),
    _rule("all", r"/(users|audit)(/.*)?", Scope.OPERATE),
    # The portal: data of its own pages
    _rule("read", r"/api/(recipes|runs|work)/.*", Scope.READ),
    _rule("write", r"/api/work/.*", Scope.RUN),
    _rule("all", r"/api/sessions(/.*)?", Scope.SESSION),
    # The REST API
    _rule("read", rf"{_REST}/((recipes|datasets|runs|records|verdicts|work)(/.*)?)?", Scope.READ),
    _rule("write", rf"{_REST}/runs(/.*)?", Scope.RUN),
    _rule("write", rf"{_REST}/datasets", Scope.OPERATE),  # by a path of this host
    _rule("write", rf"{_REST}/datasets/.+", Scope.DATASET),
    _rule("all", rf"{_REST}/uploads(/.*)?", Scope.DATASET),
    _rule("all", rf"{_REST}/sessions(/.*)?", Scope.SESSION),
    _rule("all", rf"{_REST}/(vault|doctor)(/.*)?", Scope.OPERATE),
    _rule("read", rf"{_REST}/(openapi\.json|docs(/.*)?)", Door.OPEN),
    # UWS: whether it is there and what it can do is for all, as archives' clients expect
    _rule("read", r"/uws/(availability|capabilities|.*/(availability|capabilities))", Door.OPEN),
    _rule("read", r"/uws(/(?!(.*/)?(availability|capabilities|sync)$).*)?", Scope.READ),
    _rule("read", r"/uws/(.*/)?sync", Scope.RUN),
    _rule("write", r"/uws/.*", Scope.RUN),
    _rule("read", r"/datalink/.+", Scope.READ),
)
"""Exactly one rule fits each route; a test goes through all of them."""


def rules_for(method: str, path: str) -> tuple[Rule, ...]:
    """The rules about a request: one, or the request is refused."""
    return tuple(rule for rule in RULES if rule.fits(method, path))


def needed_scope(method: str, path: str) -> Scope | None:
    """The scope a request needs; None where no rule gives one: the request is refused."""
    found = rules_for(method, path)
    return found[0].needs if len(found) == 1 and isinstance(found[0].needs, Scope) else None
