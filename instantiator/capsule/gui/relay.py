"""Shows a display in the browser: noVNC's files, and the relay to whoever names the password.

Executed by the display image's own Python with the wheel of websockify beside it; nothing of Thaw is there.
"""

from __future__ import annotations

import os
import secrets
import sys

sys.path.insert(0, "/thaw/gui/websockify.whl")

from websockify.token_plugins import BasePlugin  # the line above says where it is
from websockify.websocketproxy import WebSocketProxy

SOCKET = "/thaw/display/rfb.sock"


class OnePassword(BasePlugin):  # type: ignore[misc]  # websockify has no types
    """The display, for the one token that is the password."""

    def lookup(self, token: str) -> tuple[str, str] | None:
        """Where to connect; None refuses."""
        return (
            ("unix_socket", SOCKET) if secrets.compare_digest(token.encode(), self.source.encode()) else None
        )


def main() -> None:
    """Serve until the container is removed."""
    password = os.environ.pop("PASSWORD")
    WebSocketProxy(
        listen_host="0.0.0.0",
        listen_port=6080,
        web="/thaw/gui/web",
        file_only=True,
        token_plugin=OnePassword(password),
    ).start_server()


if __name__ == "__main__":
    main()
