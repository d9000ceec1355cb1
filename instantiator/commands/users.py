"""`thaw user`, `thaw token` and `thaw share`: who may do what, on this host where everything may be done."""

from __future__ import annotations

import getpass
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from instantiator.commands.common import Bench, json_option, show, table
from instantiator.users import Event, Person, Role, Scope, Thing, Token, Users
from instantiator.users.sharing import share_with
from provenance.record import format_time

roles_option = click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="May be repeated.",
)


def users_of(bench: Bench) -> Users:
    """The users of this state folder."""
    return Users(bench.settings.users_file)


@click.group("user")
def user_command() -> None:
    """Say who may do what. Who runs `thaw serve` may do everything and needs no entry."""


@user_command.command("add")
@click.argument("name")
@roles_option
@click.option("--external", is_flag=True, help="Logs in at the identity provider under this name.")
@json_option
def add_user(name: str, roles: tuple[str, ...], *, external: bool, as_json: bool) -> None:
    """Make a user known; a scientist where no role is given. Keys: name, roles, groups, external, limits."""
    bench, now = Bench(), datetime.now(UTC)
    users = users_of(bench)
    wanted = [Role(role) for role in roles] or [Role.SCIENTIST]
    users.people.add(name, wanted, now=now, is_external=external)
    _note(users, Event.USER, name, f"added: {' '.join(sorted(wanted))}")
    person = users.people.get(name)
    show(_person_to_json(person), as_json=as_json, human=f"{name} is known: {', '.join(sorted(wanted))}")


@user_command.command("list")
@json_option
def list_users(*, as_json: bool) -> None:
    """List users. Keys: users[name, roles, groups, external, limits]."""
    people = users_of(Bench()).people.all()
    rows = [
        (p.name, " ".join(sorted(p.roles)) or "-", " ".join(sorted(p.groups)) or "-", _way_in(p))
        for p in people
    ]
    human = table(("USER", "ROLES", "GROUPS", "LOGS IN"), rows) if rows else "nobody but the local user"
    show({"users": [_person_to_json(p) for p in people]}, as_json=as_json, human=human)


@user_command.command("remove")
@click.argument("name")
@json_option
def remove_user(name: str, *, as_json: bool) -> None:
    """Let a user in no more; runs and records stay. Keys: name, removed."""
    users = users_of(Bench())
    users.people.remove(name, now=datetime.now(UTC))
    _note(users, Event.USER, name, "removed")
    show({"name": name, "removed": True}, as_json=as_json, human=f"{name} is let in no more")


@user_command.command("role")
@click.argument("name")
@click.argument("roles", nargs=-1, type=click.Choice([role.value for role in Role]))
@json_option
def set_roles(name: str, roles: tuple[str, ...], *, as_json: bool) -> None:
    """Give a user exactly these roles; none takes all away. Keys: name, roles, groups, external, limits."""
    users = users_of(Bench())
    users.people.set_roles(name, [Role(role) for role in roles])
    _note(users, Event.USER, name, f"roles: {' '.join(sorted(roles))}")
    show(
        _person_to_json(users.people.get(name)),
        as_json=as_json,
        human=f"{name}: {', '.join(sorted(roles)) or 'no role'}",
    )


@user_command.command("group")
@click.argument("name")
@click.argument("groups", nargs=-1)
@json_option
def set_groups(name: str, groups: tuple[str, ...], *, as_json: bool) -> None:
    """Put a user into exactly these groups. Keys: name, roles, groups, external, limits."""
    users = users_of(Bench())
    users.people.set_groups(name, groups)
    _note(users, Event.USER, name, f"groups: {' '.join(sorted(groups))}")
    show(
        _person_to_json(users.people.get(name)),
        as_json=as_json,
        human=f"{name}: {', '.join(sorted(groups)) or 'no group'}",
    )


@user_command.command("limit")
@click.argument("name")
@click.option("--queued", type=click.IntRange(0), help="Runs that may wait at once.")
@click.option("--executing", type=click.IntRange(0), help="Runs that may execute at once.")
@click.option("--sessions", type=click.IntRange(0), help="Sessions that may be open at once.")
@click.option("--upload-bytes", type=click.IntRange(0), help="Bytes one upload may have.")
@json_option
def set_limits(name: str, *, as_json: bool, **given: int | None) -> None:
    """Say how much a user may have at once. Keys: name, roles, groups, external, limits."""
    users = users_of(Bench())
    changes = {key: value for key, value in given.items() if value is not None}
    limits = replace(users.people.get(name).limits, **changes)
    users.people.set_limits(name, limits)
    _note(users, Event.USER, name, f"limits: {changes}")
    human = f"{name}: {limits.queued} queued, {limits.executing} executing, {limits.sessions} sessions"
    show(_person_to_json(users.people.get(name)), as_json=as_json, human=human)


@user_command.command("login")
@click.argument("name")
@click.option("--url", "site", help="The service as browsers see it; default: the one that is running.")
@json_option
def login_user(name: str, site: str | None, *, as_json: bool) -> None:
    """Print an address that logs a user in to the portal, once, within a day. Keys: url."""
    from instantiator.commands.serve import login_url, running_site
    from instantiator.session.tickets import Tickets

    bench = Bench()
    users_of(bench).people.get(name)
    site = site or running_site(bench.settings.home)
    folder = bench.settings.home / "serve"
    url = login_url(Tickets(folder / "tickets.sqlite"), site.rstrip("/"), user=name)
    show({"url": url}, as_json=as_json, human=url)


@user_command.command("audit")
@click.option(
    "--check", "is_check", is_flag=True, help="Compute every hash again; exit 1 where one is wrong."
)
@click.option("--last", default=30, show_default=True, type=click.IntRange(1), help="How many lines.")
@json_option
def audit(last: int, *, is_check: bool, as_json: bool) -> int:
    """Print the audit log, newest first, or check it.

    Keys: entries[number, time, event, user, subject, detail]; with --check: sound, entries, head, wrong.
    """
    users = users_of(Bench())
    if is_check:
        found = users.audit.check()
        words = f"sound: {found.entries} lines, head {found.head}"
        if not found.is_sound:
            words = f"line {found.wrong} is not the one that was written, or one before it is gone"
        told = {"sound": found.is_sound, "entries": found.entries, "head": found.head, "wrong": found.wrong}
        show(told, as_json=as_json, human=words)
        return 0 if found.is_sound else 1
    entries = users.audit.page(last)
    rows = [
        (str(e.number), format_time(e.when), e.user or "-", e.event.value, e.subject, e.detail)
        for e in entries
    ]
    keys = ("number", "time", "user", "event", "subject", "detail")
    human = table(("LINE", "TIME", "USER", "EVENT", "ON", "HOW"), rows) if rows else "nothing was done yet"
    show({"entries": [dict(zip(keys, row, strict=True)) for row in rows]}, as_json=as_json, human=human)
    return 0


@click.group("token")
def token_command() -> None:
    """Make, list and revoke tokens: what a script shows to the service."""


@token_command.command("new")
@click.option("--user", default=getpass.getuser, help="Whose it is; default: yours.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; may be repeated. Default: read and run.",
)
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, 366), help="How long it is good."
)
@click.option("--label", default="", help="What it is for.")
@json_option
def new_token(user: str, scopes: tuple[str, ...], days: int, label: str, *, as_json: bool) -> None:
    """Make a token and print it, this once. Keys: token, id, user, scopes, label, expires."""
    users, now = users_of(Bench()), datetime.now(UTC)
    if user != getpass.getuser():
        users.people.get(user)
    wanted = [Scope(scope) for scope in scopes] or [Scope.READ, Scope.RUN]
    made = users.tokens.new(user, wanted, label=label, expires=now + timedelta(days=days), now=now)
    _note(users, Event.TOKEN_NEW, made.token.id, f"for {user}: {' '.join(sorted(wanted))}")
    human = f"{made.text}\n  copy it now, it is not shown again; it is good until {format_time(made.token.expires)}"
    show({"token": made.text, **_token_to_json(made.token)}, as_json=as_json, human=human)


@token_command.command("list")
@json_option
def list_tokens(*, as_json: bool) -> None:
    """List all tokens, the expired ones too. Keys: tokens[id, user, scopes, label, expires, used]."""
    tokens = users_of(Bench()).tokens.of(None)
    rows = [
        (
            *(t.id, t.user, " ".join(sorted(t.scopes)), format_time(t.expires)),
            *(format_time(t.used) if t.used else "-", t.label),
        )
        for t in tokens
    ]
    human = (
        table(("TOKEN", "USER", "IT MAY", "EXPIRES", "LAST USED", "FOR"), rows) if rows else "no tokens yet"
    )
    show({"tokens": [_token_to_json(t) for t in tokens]}, as_json=as_json, human=human)


@token_command.command("revoke")
@click.argument("token")
@json_option
def revoke_token(token: str, *, as_json: bool) -> None:
    """Make a token worthless at once. Keys: id, revoked."""
    users = users_of(Bench())
    owner = next((item.user for item in users.tokens.of(None) if item.id == token), "anybody")
    users.tokens.revoke(owner, token)
    _note(users, Event.TOKEN_REVOKE, token, f"of {owner}")
    show({"id": token, "revoked": True}, as_json=as_json, human=f"token {token} is worthless now")


@click.command("share")
@click.argument("kind", type=click.Choice([kind.value for kind in Thing]))
@click.argument("name")
@click.option("--with", "whom", required=True, help="A user or a group; user:NAME or group:NAME says which.")
@click.option("--back", is_flag=True, help="Take it back.")
@json_option
def share_command(kind: str, name: str, whom: str, *, back: bool, as_json: bool) -> None:
    """Let somebody look at a run, a dataset or a session; everybody is the group `everyone`.

    Keys: kind, id, with, shared.
    """
    bench = Bench()
    users, found = users_of(bench), _known(bench, Thing(kind), name)
    share = share_with(users, Thing(kind), found, whom, is_taken_back=back)
    _note(users, Event.UNSHARE if back else Event.SHARE, f"{kind} {found}", share.told)
    told = f"{kind} {found} is {'not shared any more' if back else 'shared'} with {share.told}"
    data = {"kind": kind, "id": found, "with": share.told, "shared": not back}
    show(data, as_json=as_json, human=told)


def _known(bench: Bench, kind: Thing, name: str) -> str:
    """The whole name of a thing there is; raises what an unknown one raises."""
    if kind is Thing.DATASET:
        from instantiator.dataset import find_dataset

        return find_dataset(name, bench.store).name
    if kind is Thing.RUN:
        return bench.store.run(name).id
    from instantiator.commands.session import sessions_of
    from instantiator.session.model import SessionId

    return sessions_of(bench).get(SessionId(name)).id


def _note(users: Users, event: Event, subject: str, detail: str) -> None:
    users.audit.write(
        event, getpass.getuser(), now=datetime.now(UTC), subject=subject, detail=f"{detail}; on the host"
    )


def _way_in(person: Person) -> str:
    if not person.is_external:
        return "address or token"
    return "identity provider" if person.subject else "identity provider, not yet"


def _person_to_json(person: Person) -> dict[str, object]:
    return {
        "name": person.name,
        "roles": sorted(person.roles),
        "groups": sorted(person.groups),
        "external": person.is_external,
        "limits": {
            "queued": person.limits.queued,
            "executing": person.limits.executing,
            "sessions": person.limits.sessions,
            "upload_bytes": person.limits.upload_bytes,
        },
    }


def _token_to_json(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "user": token.user,
        "scopes": sorted(token.scopes),
        "label": token.label,
        "expires": format_time(token.expires),
        "used": format_time(token.used) if token.used else None,
    }
