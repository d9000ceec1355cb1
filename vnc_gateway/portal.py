"""What the gateway asks of the portal, over the portal's unix socket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aiohttp

from vnc_gateway.errors import LabRefused, PortalDown, TicketRefused

_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a redeemed ticket allows."""

    socket: Path
    view_only: bool
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Where a web lab listens, and whose it is."""

    socket: Path
    user: str


class Portal:
    """The portal behind its unix socket. `http` also carries what is only passed through."""

    def __init__(self, socket: Path) -> None:
        self.http = open_client(socket)

    async def close(self) -> None:
        """Let go of the connections."""
        await self.http.close()

    async def redeem(self, ticket: str, session: str) -> Admission:
        """Use a ticket up; raises `TicketRefused` whatever is wrong with it."""
        status, found = await self._ask("/internal/redeem", {"ticket": ticket, "session": session})
        if status != 200:
            raise PortalDown if status >= 500 else TicketRefused
        return Admission(
            socket=Path(str(found["socket"])),
            view_only=found["view_only"] is not False,
            user=str(found["user"]),
        )

    async def find_lab(self, session: str, cookie: str) -> Lab:
        """The web lab of a session, for whoever is logged in by that cookie; raises `LabRefused`."""
        status, found = await self._ask("/internal/lab", {"session": session}, cookie=cookie)
        if status != 200:
            raise PortalDown if status >= 500 else LabRefused
        return Lab(socket=Path(str(found["socket"])), user=str(found.get("user", "")))

    async def report_activity(self, session: str, viewers: int) -> None:
        """Say that somebody works in a session, and how many watch."""
        await self._ask("/internal/activity", {"session": session, "viewers": viewers})

    async def _ask(
        self, path: str, question: dict[str, object], *, cookie: str = ""
    ) -> tuple[int, dict[str, object]]:
        headers = {"Cookie": cookie} if cookie else {}
        try:
            asking = self.http.post(f"http://portal{path}", json=question, headers=headers, timeout=_TIMEOUT)
            async with asking as answer:
                is_json = answer.status == 200 and answer.content_type == "application/json"
                found = await answer.json() if is_json else {}
                return answer.status, found if isinstance(found, dict) else {}
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise PortalDown from error


def open_client(socket: Path) -> aiohttp.ClientSession:
    """An HTTP client that reaches one unix socket and changes nothing it carries."""
    return aiohttp.ClientSession(
        # Kept for less time than servers keep theirs: a reused connection is not closed under a POST.
        connector=aiohttp.UnixConnector(str(socket), limit=0, keepalive_timeout=2),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        read_bufsize=256 * 1024,
        trust_env=False,
    )
