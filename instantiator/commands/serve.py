"""`thaw serve`: portal, gateway and the supervisor of sessions, in one command that ends them together."""

from __future__ import annotations

import fcntl
import getpass
import os
import pwd
import signal
import socket as socketlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from instantiator.commands.common import Bench, json_option, show
from provenance.errors import ThawError

if TYPE_CHECKING:
    import uvicorn

    from instantiator.session.sessions import Sessions
    from instantiator.session.tickets import Tickets
    from instantiator.web.portal import Portal

TOKEN_LIFE = timedelta(hours=24)
LEAST_LIFE_S = 3
"""A gateway that lived shorter is not started again: it cannot be."""


class AlreadyServing(ThawError):
    """Another service works with this state folder."""

    code = "already-serving"


class GatewayEnded(ThawError):
    """The gateway ended by itself, mostly because its port is taken."""

    code = "gateway-ended"


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
    "--login", is_flag=True, help="Start nothing: print a new login address of the running service."
)
@json_option
def serve_command(host: str, port: int, public_url: str | None, *, login: bool, as_json: bool) -> None:
    """Serve the catalogue, sessions and runs in the browser, until Ctrl-C.

    Prints one address with a one-time login token. Sessions outlive the service. Keys: url, socket.
    """
    from instantiator.session.tickets import Tickets

    bench = Bench()
    folder = bench.settings.home / "serve"
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    tickets = Tickets(folder / "tickets.sqlite")
    url = login_url(tickets, public_url or local_url(host, port))
    told = {"url": url, "socket": str(folder / "portal.sock")}
    if login:
        show(told, as_json=as_json, human=url)
        return
    with _stop_on_signal() as stop, _only_one(folder):
        _serve(bench, tickets, folder / "portal.sock", (host, port), public_url, stop, told, as_json=as_json)


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
                hint="its login address: thaw serve --login, with the same --port",
            ) from error
        yield


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


def _serve(  # the parts of one service
    bench: Bench,
    tickets: Tickets,
    socket: Path,
    address: tuple[str, int],
    public_url: str | None,
    stop: threading.Event,
    told: dict[str, str],
    *,
    as_json: bool,
) -> None:
    from instantiator.commands.keep import kept_worker
    from instantiator.commands.service import told_address
    from instantiator.commands.session import sessions_of
    from instantiator.queue import Queue
    from instantiator.queue.bench import limits_of
    from instantiator.session.bench import Quota
    from instantiator.users import Users
    from instantiator.web.oidc import Provider
    from instantiator.web.portal import Portal

    gateway_user = _gateway_user(socket)
    gateway_gid = gateway_user.pw_gid if gateway_user else None
    quota = Quota(idle_displays=bench.settings.idle_displays, launches=bench.settings.jobs)
    sessions = sessions_of(bench, quota=quota, gateway_gid=gateway_gid, is_observing=True)
    sessions.recover()
    users = Users(bench.settings.users_file)
    portal = Portal(
        bench=bench,
        sessions=sessions,
        tickets=tickets,
        users=users,
        queue=Queue(bench, limits_of(bench.settings, users.people.limits_of)),
        provider=Provider(bench.settings.oidc) if bench.settings.oidc else None,
        user=getpass.getuser(),
        gateway_gid=gateway_gid,
        dataset_folders=bench.settings.dataset_folders,
        cookie_name=f"thaw-{address[1]}",  # cookies know no ports: two services on one host must not share one
    )
    with (
        told_address(socket.parent, address),
        kept_worker(bench.store),
        _portal_serving(portal, socket, gateway_user),
    ):
        threading.Thread(target=_supervise, args=(sessions, stop), name="supervisor", daemon=True).start()
        try:
            _keep_gateway(
                lambda: _gateway(bench, socket, address, public_url, gateway_user),
                address,
                stop,
                _teller(told, as_json=as_json),
            )
        finally:
            stop.set()
            sessions.close()
            portal.works.stop()


def _teller(told: dict[str, str], *, as_json: bool) -> Callable[[], None]:
    def tell() -> None:
        human = f"Thaw is here: {told['url']}\n  The address logs you in once; Ctrl-C stops the service."
        show(told, as_json=as_json, human=human)
        sys.stdout.flush()

    return tell


def _keep_gateway(
    run_gateway: Callable[[], AbstractContextManager[subprocess.Popen[bytes]]],
    address: tuple[str, int],
    stop: threading.Event,
    tell: Callable[[], None],
) -> None:
    """Run the gateway until told to stop; one that dies is started again, unless it could not even start."""
    is_told = False
    while not stop.is_set():
        started = time.monotonic()
        with run_gateway() as gateway:
            while gateway.poll() is None and not stop.wait(0.2):
                if not is_told and _answers(address):
                    is_told = True
                    tell()
        if stop.is_set():
            return
        if not is_told or time.monotonic() - started < LEAST_LIFE_S:
            raise GatewayEnded(
                f"the gateway ended with status {gateway.returncode}",
                where=f"{address[0]}:{address[1]}",
                hint="is the port taken? choose another: thaw serve --port 8766",
            )
        click.echo(f"  ! the gateway ended with status {gateway.returncode}; it is started again", err=True)


def _answers(address: tuple[str, int]) -> bool:
    """Whether the gateway listens: the address is told only when it leads somewhere."""
    host = "127.0.0.1" if address[0] in ("0.0.0.0", "::") else address[0]
    try:
        with socketlib.create_connection((host, address[1]), timeout=0.5):
            return True
    except OSError:
        return False


@contextmanager
def _portal_serving(portal: Portal, socket: Path, gateway_user: pwd.struct_passwd | None) -> Iterator[None]:
    """The portal on its unix socket, in a thread; ready when the body begins."""
    import uvicorn

    from instantiator.web.app import create_app

    socket.unlink(missing_ok=True)
    config = uvicorn.Config(
        create_app(portal),
        uds=str(socket),
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


def _gateway_user(socket: Path) -> pwd.struct_passwd | None:
    """Whom the gateway becomes where this is root: nobody, if that user can reach the socket at all."""
    if os.geteuid() != 0:
        return None
    above = socket.parent.parents
    if all(path.stat().st_mode & 0o001 for path in above):
        return pwd.getpwnam("nobody")
    click.echo(
        f"  ! the gateway runs as root: other users cannot reach {socket.parent.parent} (chmod o+x the folders above)",
        err=True,
    )
    return None


@contextmanager
def _gateway(
    bench: Bench,
    socket: Path,
    address: tuple[str, int],
    public_url: str | None,
    user: pwd.struct_passwd | None,
) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway, a process of its own; it ends with the body."""
    novnc = _novnc(bench.settings.cache_dir / "novnc")
    host, port = address
    names = dict.fromkeys((host, "127.0.0.1", "localhost"))
    command = [sys.executable, "-m", "vnc_gateway", "--portal", str(socket), "--novnc", str(novnc)]
    command += ["--listen", f"{host}:{port}", "--parent", str(os.getpid())]
    origins = [*([public_url] if public_url else []), *(f"http://{name}:{port}" for name in names)]
    command += [part for origin in origins for part in ("--origin", origin)]
    command += ["--user", user.pw_name] if user else []
    process = subprocess.Popen(command, start_new_session=True, stdout=sys.stderr)  # stdout is for the answer
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _novnc(folder: Path) -> Path:
    """noVNC, fetched once; the program that does it is the gateway's, which nothing of Thaw imports."""
    command = [sys.executable, "-m", "vnc_gateway.novnc", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GatewayEnded(
            "noVNC is not there: " + done.stderr.strip(), where=str(folder), hint="is npm there?"
        )
    return folder / "node_modules/@novnc/novnc"


def _supervise(sessions: Sessions, stop: threading.Event) -> None:
    """Look after the sessions once a second; what goes wrong in one pass is told, and the next one comes."""
    last = ""
    while not stop.wait(1):
        try:
            sessions.supervise(datetime.now(UTC))
        except ThawError as error:
            if str(error) != last:
                click.echo(str(error), err=True)
            last = str(error)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set."""
    event = threading.Event()

    def set_event(_signal: int, _frame: FrameType | None) -> None:
        event.set()

    former = {number: signal.signal(number, set_event) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
