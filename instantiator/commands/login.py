"""`thaw login`, `thaw logout`: which service commands go to, and the token they show there."""

from __future__ import annotations

import os
import sys

import click

from instantiator.client.errors import TokenMissing
from instantiator.client.service import (
    Service,
    check_url,
    named_url,
    read_logins,
    write_logins,
)
from instantiator.commands.common import json_option, show
from instantiator.secret import Secret
from instantiator.settings import read_settings


@click.command("login")
@click.argument("url")
@json_option
def login_command(url: str, *, as_json: bool) -> None:
    """Let commands go to the service at URL: list, run, runs, show, logs, verify, dataset.

    The token is asked for, or read from standard input; make one on the service's page /tokens. It is kept in the
    state folder, readable for you alone. THAW_URL and THAW_TOKEN come before it; an empty THAW_URL is this host.
    Keys: url, version.
    """
    address = check_url(url)
    service = Service(url=address, token=Secret(_read_token(address)))
    from instantiator.client.drivers import Driver
    from instantiator.client.flows.catalogue import version

    driver = Driver(service)
    try:
        release = driver.do(version())
    finally:
        driver.close()
    home = read_settings().home
    write_logins(home, read_logins(home).add(service))
    human = f"logged in: list, run, runs, show, logs, verify and dataset go to {address} until: thaw logout"
    show({"url": address, "version": release}, as_json=as_json, human=human)


@click.command("logout")
@click.argument("url", required=False)
@json_option
def logout_command(url: str | None, *, as_json: bool) -> None:
    """Forget the token of a service, the one commands go to where no URL is given; the token stays good there.

    Keys: url, forgotten.
    """
    home = read_settings().home
    logins = read_logins(home)
    address = check_url(url) if url else named_url(logins, os.environ)
    is_known = address is not None and address in logins.tokens
    if address is not None and is_known:
        write_logins(home, logins.drop(address))
    human = f"logged out of {address}" if is_known else "not logged in there; nothing to forget"
    show({"url": address, "forgotten": is_known}, as_json=as_json, human=human)


def _read_token(address: str) -> str:
    if sys.stdin.isatty():
        click.echo(f"make a token at {address}/tokens and paste it here", err=True)
        text = str(click.prompt("token", hide_input=True, err=True))
    else:
        text = sys.stdin.readline()
    if not text.strip():
        raise TokenMissing(
            "no token was given", where=address, hint=f"make one at {address}/tokens, or: thaw token new"
        )
    return text.strip()
