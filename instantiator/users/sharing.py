"""Share a thing with whom a text names."""

from __future__ import annotations

from instantiator.users.errors import UserRefused, UserUnknown
from instantiator.users.model import EVERYONE, Share, Thing
from instantiator.users.users import Users


def share_with(users: Users, kind: Thing, thing: str, whom: str, *, is_taken_back: bool = False) -> Share:
    """Share with the user or group called this (`user:NAME`, `group:NAME` where both are), or take it back."""
    share = _named(users, kind, thing, whom)
    if is_taken_back:
        if not users.shares.remove(share):
            raise UserUnknown(f"{kind} {thing} is not shared with {share.told}")
    else:
        users.shares.add(share)
    return share


def _named(users: Users, kind: Thing, thing: str, whom: str) -> Share:
    what, _, name = whom.rpartition(":")
    is_user = what != "group" and users.people.find(name) is not None
    groups = {EVERYONE, *(group for person in users.people.all() for group in person.groups)}
    is_group = what != "user" and name in groups
    if is_user and is_group:
        raise UserRefused(f"{name!r} is a user and a group", hint=f"say which: user:{name} or group:{name}")
    if not is_user and not is_group:
        raise UserUnknown(
            f"there is no user and no group {whom!r}", hint=f"all users together are the group {EVERYONE!r}"
        )
    return Share(kind=kind, id=thing, with_user=name if is_user else "", with_group=name if is_group else "")
