"""`python -m vnc_gateway`: read the options, serve."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vnc_gateway.errors import GatewayError, SettingsRefused
from vnc_gateway.log import start_logging
from vnc_gateway.serve import serve
from vnc_gateway.settings import GatewaySettings, Limits, parse_listen, parse_origin


def main() -> int:
    """Serve until told to stop; 1 where the user can fix it."""
    try:
        settings = read_settings(sys.argv[1:])
        start_logging()
        serve(settings)
    except GatewayError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def read_settings(arguments: list[str]) -> GatewaySettings:
    """The settings these arguments ask for; raises `SettingsRefused`."""
    found = build_parser().parse_args(arguments)
    host, port = parse_listen(found.listen)
    if not (found.novnc / "core/rfb.js").is_file():
        raise SettingsRefused(
            f"--novnc {found.novnc} does not hold noVNC", hint="python -m vnc_gateway.novnc FOLDER"
        )
    return GatewaySettings(
        host=host,
        port=port,
        portal=found.portal,
        novnc=found.novnc,
        origins=tuple(parse_origin(text) for text in found.origin),
        user=found.user,
        parent=found.parent,
        limits=Limits(
            connections=found.max_connections,
            connections_per_user=found.max_per_user,
            message_bytes=found.max_message,
            idle_s=found.idle,
        ),
    )


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    usual = Limits()
    parser = argparse.ArgumentParser(prog="vnc_gateway", description="From a ticket to bytes.")
    parser.add_argument(
        "--listen", required=True, metavar="HOST:PORT", help="where browsers, or nginx, connect"
    )
    parser.add_argument(
        "--portal", required=True, type=Path, metavar="SOCKET", help="the portal's unix socket"
    )
    parser.add_argument(
        "--novnc", required=True, type=Path, metavar="FOLDER", help="the installed @novnc/novnc"
    )
    parser.add_argument(
        "--origin", required=True, action="append", metavar="URL", help="as browsers see it; may be repeated"
    )
    parser.add_argument("--user", help="the user to become, when started as root")
    parser.add_argument("--parent", type=_positive, metavar="PID", help="end when this parent process dies")
    parser.add_argument("--max-connections", type=_positive, default=usual.connections, metavar="N")
    parser.add_argument("--max-per-user", type=_positive, default=usual.connections_per_user, metavar="N")
    parser.add_argument("--max-message", type=_positive, default=usual.message_bytes, metavar="BYTES")
    parser.add_argument("--idle", type=_positive, default=int(usual.idle_s), metavar="SECONDS")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
