"""Stop being root: the process that faces the network has no rights beyond its own user's."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal

from vnc_gateway.errors import SettingsRefused

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def drop_to(user: str) -> None:
    """Become `user` for good, in that user's own group alone; raises `SettingsRefused` where that is not possible."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise SettingsRefused(f"--user {user!r}: no such user", hint=f"useradd --system {user}") from error
    if entry.pw_uid == 0:
        raise SettingsRefused("--user names root: the gateway is meant to have no rights")
    if os.getuid() == entry.pw_uid:
        return
    if os.getuid() != 0:
        raise SettingsRefused(
            f"--user {user!r} needs root to start with", hint="leave --user out, or start as root"
        )
    os.setgroups([])  # above all not the engine's group, even if the user is in it
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    os.environ["HOME"] = "/nonexistent"
    _forbid_new_privileges()


def end_with(parent: int) -> None:
    """Be told to stop when the process that started this one is killed: no gateway holds a port for nobody.

    Called last: the kernel forgets the wish when a process becomes another user.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it was killed before
        os.kill(os.getpid(), signal.SIGTERM)


def _forbid_new_privileges() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
