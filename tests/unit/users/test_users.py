"""Users, tokens, shares and the audit log in one file."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from instantiator.users import (
    Event,
    Role,
    Scope,
    Share,
    Thing,
    TokenExpired,
    TokenRefused,
    UserLimits,
    UserRefused,
    Users,
    UserUnknown,
    scopes_of,
)
from instantiator.users.sharing import share_with

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def users(tmp_path: Path) -> Users:
    made = Users(tmp_path / "users.sqlite")
    made.people.add("william", [Role.SCIENTIST], now=NOON)
    return made


def test_nobody_is_known_but_the_local_user_who_may_do_everything(users: Users) -> None:
    assert users.principal("nobody", local="caroline") is None
    local = users.principal("caroline", local="caroline")
    assert local is not None
    assert local.scopes == frozenset(Scope)


def test_no_role_allows_nothing_and_each_role_all_of_the_one_before(users: Users) -> None:
    users.people.set_roles("william", [])
    found = users.principal("william", local="caroline")
    assert found is not None
    assert found.scopes == frozenset()
    steps = [scopes_of([role]) for role in (Role.SCIENTIST, Role.CURATOR, Role.OPERATOR)]
    assert steps[0] < steps[1] < steps[2]


@pytest.mark.parametrize("name", ["", "William", "../x", "a b", "-x", "x" * 64, "wílliam"])
def test_a_name_that_could_be_something_else_is_refused(users: Users, name: str) -> None:
    with pytest.raises(UserRefused):
        users.people.add(name, [], now=NOON)


def test_a_token_is_shown_once_and_only_its_digest_is_kept(users: Users, tmp_path: Path) -> None:
    made = users.tokens.new("william", [Scope.RUN], label="nightly", expires=NOON + HOUR, now=NOON)
    assert made.text.startswith("thaw_")
    assert made.text not in repr(made)
    assert users.tokens.find(made.text, now=NOON).scopes == {Scope.RUN}
    users.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert made.text.encode() not in kept
    assert (tmp_path / "users.sqlite").stat().st_mode & 0o077 == 0


def test_a_token_expires_and_is_revoked_and_says_which(users: Users) -> None:
    made = users.tokens.new("william", [Scope.RUN], label="nightly", expires=NOON + HOUR, now=NOON)
    with pytest.raises(TokenExpired, match="nightly expired on 2026-11-20T13"):
        users.tokens.find(made.text, now=NOON + HOUR)
    users.tokens.revoke("william", made.token.id)
    with pytest.raises(TokenRefused):
        users.tokens.find(made.text, now=NOON)
    with pytest.raises(UserUnknown):
        users.tokens.revoke("william", made.token.id)


def test_a_token_without_scope_or_for_ever_is_not_made(users: Users) -> None:
    with pytest.raises(UserRefused):
        users.tokens.new("william", [], label="", expires=NOON + HOUR, now=NOON)
    for expires in (NOON, NOON + timedelta(days=400)):
        with pytest.raises(UserRefused):
            users.tokens.new("william", [Scope.RUN], label="", expires=expires, now=NOON)


def test_a_removed_user_has_no_tokens_and_the_name_is_not_free(users: Users) -> None:
    made = users.tokens.new("william", [Scope.RUN], label="", expires=NOON + HOUR, now=NOON)
    users.people.remove("william", now=NOON)
    assert users.principal("william", local="caroline") is None
    assert users.people.was_removed("william")
    with pytest.raises(TokenRefused):
        users.tokens.find(made.text, now=NOON)


def test_a_share_reaches_a_user_a_group_and_everyone(users: Users) -> None:
    users.people.set_groups("william", ["vlt"])
    william = users.principal("william", local="caroline")
    assert william is not None
    for number, whom in enumerate(("william", "vlt", "everyone")):
        share_with(users, Thing.RUN, f"run{number}", whom)
    users.shares.add(Share(kind=Thing.RUN, id="run9", with_group="euclid"))
    assert users.shares.ids_for(william, Thing.RUN) == {"run0", "run1", "run2"}
    assert not users.shares.is_shared(william, Thing.RUN, "run9")
    assert not users.shares.is_shared(william, Thing.SESSION, "run0")
    share_with(users, Thing.RUN, "run1", "vlt", is_taken_back=True)
    assert not users.shares.is_shared(william, Thing.RUN, "run1")


def test_sharing_with_nobody_known_is_refused_and_a_name_of_two_asks_which(users: Users) -> None:
    with pytest.raises(UserUnknown):
        share_with(users, Thing.RUN, "run1", "nobody")
    users.people.set_groups("william", ["william"])
    with pytest.raises(UserRefused, match="a user and a group"):
        share_with(users, Thing.RUN, "run1", "william")
    assert share_with(users, Thing.RUN, "run1", "group:william").with_group == "william"


def test_the_first_owner_of_a_dataset_stays_its_owner(users: Users) -> None:
    users.shares.own(Thing.DATASET, "m31", "william")
    users.shares.own(Thing.DATASET, "m31", "caroline")
    assert users.shares.owner_of(Thing.DATASET, "m31") == "william"
    assert users.shares.owner_of(Thing.DATASET, "m42") == ""


def test_limits_are_per_user_and_have_defaults(users: Users) -> None:
    limits = UserLimits(queued=3, executing=1, sessions=0, upload_bytes=10)
    users.people.set_limits("william", limits)
    assert users.people.limits_of("william") == limits
    assert users.people.limits_of("caroline") == UserLimits()


def test_roles_of_the_identity_provider_come_and_go_beside_those_given_here(users: Users) -> None:
    users.people.set_roles("william", [Role.CURATOR], is_external=True)
    assert users.people.get("william").roles == {Role.SCIENTIST, Role.CURATOR}
    users.people.set_roles("william", [], is_external=True)
    assert users.people.get("william").roles == {Role.SCIENTIST}


def test_the_audit_log_only_grows(users: Users, tmp_path: Path) -> None:
    for number in range(3):
        users.audit.write(Event.SUBMIT, "william", now=NOON, subject=f"run{number}")
    assert [entry.subject for entry in users.audit.page(2)] == ["run2", "run1"]
    users.close()
    file = sqlite3.connect(tmp_path / "users.sqlite")
    for statement in ("DELETE FROM audit", "UPDATE audit SET user = 'caroline'"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            file.execute(statement)
    file.close()


@pytest.mark.parametrize(
    ("forgery", "wrong"),
    [("UPDATE audit SET user = 'caroline' WHERE number = 2", 2), ("DELETE FROM audit WHERE number = 2", 3)],
)
def test_a_forged_audit_log_shows(users: Users, tmp_path: Path, forgery: str, wrong: int) -> None:
    for number in range(4):
        users.audit.write(Event.SUBMIT, "william", now=NOON, subject=f"run{number}")
    sound = users.audit.check()
    assert (sound.is_sound, sound.entries) == (True, 4)
    users.close()
    file = sqlite3.connect(tmp_path / "users.sqlite", isolation_level=None)
    for trigger in ("audit_is_not_changed", "audit_is_not_shortened"):
        file.execute(f"DROP TRIGGER {trigger}")
    file.execute(forgery)
    file.close()
    found = users.audit.check()
    assert (found.is_sound, found.wrong) == (False, wrong)


def test_strangers_cannot_fill_the_disk_with_refusals(users: Users) -> None:
    for _ in range(100):
        users.audit.write(Event.REFUSED, "", now=NOON)
    assert users.audit.check().entries == 60
    users.audit.write(Event.REFUSED, "", now=NOON + timedelta(minutes=1))
    assert users.audit.check().entries == 61


def test_a_login_under_way_comes_back_once_and_not_too_late(users: Users) -> None:
    secret, pending = users.logins.begin("/runs", now=NOON)
    assert users.logins.take("another", now=NOON) is None
    assert users.logins.take(secret, now=NOON) == pending
    assert users.logins.take(secret, now=NOON) is None
    late, _ = users.logins.begin("/runs", now=NOON)
    assert users.logins.take(late, now=NOON + timedelta(minutes=11)) is None
