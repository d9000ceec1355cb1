"""Run the gateway until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket

import uvloop
from aiohttp import web

from vnc_gateway.app import build_app
from vnc_gateway.errors import SettingsRefused
from vnc_gateway.privileges import drop_to, end_with
from vnc_gateway.settings import GatewaySettings

_STOP_S = 3.0
_BACKLOG = 512


def serve(settings: GatewaySettings) -> None:
    """Listen, give up every right that is not needed, serve until SIGTERM or SIGINT."""
    listener = listen(settings)
    _allow_many_files()
    if settings.user is not None:
        drop_to(settings.user)
    if settings.parent is not None:
        end_with(settings.parent)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener))


def listen(settings: GatewaySettings) -> socket.socket:
    """The listening socket, made while this may still be a privileged port."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsRefused(
            f"--listen {settings.host}:{settings.port}: {error.strerror}", hint="choose another port"
        ) from error
    return listener


async def _serve(settings: GatewaySettings, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        build_app(settings),
        access_log=None,
        handler_cancellation=True,  # a browser that leaves ends what was asked for it
        shutdown_timeout=_STOP_S,
        keepalive_timeout=75,
        lingering_time=5,
    )
    await runner.setup()
    await web.SockSite(runner, listener, backlog=_BACKLOG).start()
    gc.freeze()  # what is here now stays: no viewer waits while it is searched for garbage
    host, port = listener.getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)  # noqa: T201  # whoever started it waits for this line
    await stop.wait()
    await runner.cleanup()


def _allow_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
