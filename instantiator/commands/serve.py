"""`thaw serve`: portal, gateway and the supervisor of sessions, in one command that ends them together."""

from __future__ import annotations

import fcntl
import getpass
import logging
import os
import pwd
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from instantiator.commands.common import Bench, json_option, show
from instantiator.commands.gateway import Place, find_gateway_user, keep_gateway, run_gateway
from instantiator.commands.stopping import Stopping, stop_on_signal
from provenance.errors import ThawError

if TYPE_CHECKING:
    import uvicorn

    from instantiator.session.sessions import Sessions
    from instantiator.session.tickets import Tickets
    from instantiator.web.portal import Portal

TOKEN_LIFE = timedelta(hours=24)
_log = logging.getLogger(__name__)


class AlreadyServing(ThawError):
    """Another service works with this state folder."""

    code = "already-serving"


class NotServing(ThawError):
    """No service runs with this state folder."""

    code = "not-serving"


def _check_site(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Scheme, host and port alone: the portal is not served below a path."""
    if value is None:
        return None
    parts = urlsplit(value)
    is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
        raise click.BadParameter(f"{value!r} is not the address of a site, as https://thaw.example.org is")
    return f"{parts.scheme}://{parts.netloc}"


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the gateway listens on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(1, 65535), help="Its port.")
@click.option(
    "--public-url",
    metavar="URL",
    callback=_check_site,
    help="The address browsers use, with nginx or Caddy in front: https://thaw.example.org",
)
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    help="Seconds that runs under way get when the service is told to end; those left are handed back.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    help="Serve Prometheus metrics without a login on this port, to this host alone.",
)
@click.option(
    "--login", is_flag=True, help="Start nothing: print a new login address of the running service."
)
@json_option
def serve_command(
    host: str,
    port: int,
    public_url: str | None,
    grace_s: float,
    metrics_port: int | None,
    *,
    login: bool,
    as_json: bool,
) -> None:
    """Serve the catalogue, sessions and runs in the browser, until Ctrl-C.

    Prints one address with a one-time login token. Sessions outlive the service. Told to end (Ctrl-C, SIGTERM), it
    takes nothing new and gives runs the time of --grace; told twice, it ends at once. Keys: url, socket.
    """
    from instantiator.operate.log import start_logging
    from instantiator.session.tickets import Tickets

    bench = Bench()
    folder = bench.settings.home / "serve"
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    tickets = Tickets(folder / "tickets.sqlite")
    url = login_url(
        tickets, running_site(bench.settings.home) if login else public_url or local_url(host, port)
    )
    told = {"url": url, "socket": str(folder / "portal.sock")}
    if login:
        show(told, as_json=as_json, human=url)
        return
    start_logging()
    place = Place(socket=folder / "portal.sock", address=(host, port), site=public_url, metrics=metrics_port)
    with stop_on_signal(grace_s) as stopping, _only_one(folder):
        _serve(bench, tickets, place, stopping, _teller(told, as_json=as_json))


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: a second service would take the socket away from the first."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyServing(
                "a service is running with this state folder already",
                where=str(folder),
                hint="its login address: thaw serve --login",
            ) from error
        yield


def running_site(home: Path) -> str:
    """Where browsers find the service that runs with this state folder; raises `NotServing`."""
    from instantiator.commands.service import find_service

    service = find_service(home)
    if service is None:
        raise NotServing("no service is running", where=str(home), hint="start it: thaw serve")
    return service.seen_at


def local_url(host: str, port: int) -> str:
    """The address at which this host itself reaches the gateway."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://{shown}:{port}"


def login_url(tickets: Tickets, site: str, *, user: str | None = None) -> str:
    """The address that logs a user in, once: this host's where none is named."""
    from instantiator.session.tickets import Right, RightKind

    now = datetime.now(UTC)
    right = Right(
        kind=RightKind.TOKEN,
        user=user or getpass.getuser(),
        session="",
        view_only=False,
        expires=now + TOKEN_LIFE,
    )
    return f"{site}/login?token={tickets.issue(right, now=now)}"


def _serve(
    bench: Bench, tickets: Tickets, place: Place, stopping: Stopping, tell: Callable[[], None]
) -> None:
    """The parts of one service: begun one after the other, ended the other way round."""
    from instantiator.commands.keep import kept_worker
    from instantiator.commands.service import told_address
    from instantiator.commands.session import sessions_of
    from instantiator.session.bench import Quota

    gateway_user = find_gateway_user(place.socket)
    gateway_gid = gateway_user.pw_gid if gateway_user else None
    sessions = sessions_of(
        bench,
        quota=Quota(idle_displays=bench.settings.idle_displays, launches=bench.settings.jobs),
        gateway_gid=gateway_gid,
        is_observing=True,
    )
    sessions.recover()
    portal = _portal_of(bench, sessions, tickets, place, gateway_gid)
    ended = threading.Event()
    with (
        told_address(place.socket.parent, place.address, place.site),
        _portal_serving(portal, place.socket, gateway_user),
        _metrics_serving(portal, place.metrics),
        ExitStack() as worker,
    ):
        worker.enter_context(kept_worker(bench.store, stopping))
        ending = threading.Thread(target=_end_work, args=(portal, stopping, worker, ended), name="ending")
        ending.start()
        threading.Thread(target=_supervise, args=(sessions, ended), name="supervisor", daemon=True).start()
        try:
            keep_gateway(
                lambda: run_gateway(bench.settings.cache_dir, place, gateway_user), place, ended, tell
            )
        finally:
            stopping.told.set()
            ending.join()
            sessions.close()
            portal.works.stop()
    _log.info("the service has ended")


def _end_work(portal: Portal, stopping: Stopping, worker: ExitStack, ended: threading.Event) -> None:
    """Once told to end: take nothing new, let runs come to their end, then say that the rest may end too.

    Meanwhile portal and gateway answer: whoever follows a run sees its end.
    """
    stopping.told.wait()
    portal.gate.close()
    _log.info("the service is told to end", extra={"grace_s": stopping.grace_s})
    try:
        worker.close()
        portal.works.wait(lambda: stopping.has_grace)
    finally:
        portal.gate.end()
        ended.set()


def _portal_of(
    bench: Bench, sessions: Sessions, tickets: Tickets, place: Place, gateway_gid: int | None
) -> Portal:
    from instantiator.queue import Queue
    from instantiator.users import Users
    from instantiator.web.oidc import Provider
    from instantiator.web.portal import Portal

    return Portal(
        bench=bench,
        sessions=sessions,
        tickets=tickets,
        users=Users(bench.settings.users_file),
        queue=Queue(bench),
        provider=Provider(bench.settings.oidc) if bench.settings.oidc else None,
        user=getpass.getuser(),
        gateway_gid=gateway_gid,
        dataset_folders=bench.settings.dataset_folders,
        cookie_name=f"thaw-{place.address[1]}",  # cookies know no ports: two services on one host must not share one
    )


@contextmanager
def _metrics_serving(portal: Portal, port: int | None) -> Iterator[None]:
    """Metrics without a login, on loopback alone, where a port is given for them."""
    from instantiator.operate.metrics import Watched

    if port is None:
        yield
        return
    server = portal.meters.serve(Watched(bench=portal.bench, sessions=portal.sessions.list), port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _teller(told: dict[str, str], *, as_json: bool) -> Callable[[], None]:
    def tell() -> None:
        human = f"Thaw is here: {told['url']}\n  The address logs you in once; Ctrl-C stops the service."
        show(told, as_json=as_json, human=human)
        sys.stdout.flush()

    return tell


@contextmanager
def _portal_serving(portal: Portal, socket: Path, gateway_user: pwd.struct_passwd | None) -> Iterator[None]:
    """The portal on its unix socket, in a thread; ready when the body begins."""
    import uvicorn

    from instantiator.web.app import create_app

    socket.unlink(missing_ok=True)
    config = uvicorn.Config(
        create_app(portal),
        uds=str(socket),
        log_config=None,  # its words go where ours go
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="portal")
    thread.start()
    try:
        _wait_until_ready(server, thread, socket)
        socket.chmod(0o660)
        if gateway_user is not None:
            for path in (socket.parent, socket):
                os.chown(path, -1, gateway_user.pw_gid)
        yield
    finally:
        server.should_exit = True
        thread.join()
        socket.unlink(missing_ok=True)


def _wait_until_ready(server: uvicorn.Server, thread: threading.Thread, socket: Path) -> None:
    waited = threading.Event()
    while not server.started:
        if not thread.is_alive():
            raise ThawError("the portal did not start", where=str(socket), hint="its words are above")
        waited.wait(0.02)


def _supervise(sessions: Sessions, stop: threading.Event) -> None:
    """Look after the sessions once a second; what goes wrong in one pass is told, and the next one comes."""
    last = ""
    while not stop.wait(1):
        try:
            sessions.supervise(datetime.now(UTC))
        except ThawError as error:
            if str(error) != last:
                _log.error("looking after the sessions fails: %s", error.message, extra={"code": error.code})
            last = str(error)
