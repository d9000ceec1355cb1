"""The gateway as a process: tickets, limits, relays, proxies, and what no request gets out of it."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import aiohttp
import pytest

from tests.integration.gateway_fixtures import (
    GREETING,
    HEADERS,
    ORIGIN,
    ROOT,
    SESSION,
    TICKET,
    Running,
    run_gateway,
    start_gateway,
)

BINARY, CLOSE = aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.CLOSE


def use(
    folder: Path, test: Callable[[Running], Coroutine[None, None, None]], *options: str, **others: object
) -> None:
    """Run a test's coroutine against a gateway."""

    async def run() -> None:
        async with run_gateway(folder, *options, **others) as gateway:  # type: ignore[arg-type]
            await asyncio.wait_for(test(gateway), 120)

    asyncio.run(run())


async def read_close(gateway: Running, ticket: str, **how: str) -> tuple[object, str]:
    """Join; the close code and reason that come instead of a display."""
    async with gateway.join(ticket, **how) as there:
        message = await there.receive(5)
        assert message.type is CLOSE, message
        return message.data, message.extra or ""


async def read_bytes(there: aiohttp.ClientWebSocketResponse[bool], size: int) -> bytes:
    """As many bytes of binary messages."""
    found = b""
    while len(found) < size:
        message = await there.receive(10)
        assert message.type is BINARY, message
        found += message.data
    return found


def test_a_ticket_opens_its_session_once_and_bytes_go_both_ways(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        async with gateway.join(gateway.portal.issue()) as there:
            assert there.protocol == "binary"
            assert await read_bytes(there, len(GREETING)) == GREETING
            sent = os.urandom(700_000)
            await there.send_bytes(sent)
            assert await read_bytes(there, len(sent)) == sent
        assert (await read_close(gateway, TICKET))[0] == 4403

    use(tmp_path, test)


def test_unknown_used_and_someone_elses_tickets_get_the_same_answer(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        gateway.portal.issue()
        answers = {await read_close(gateway, TICKET, session="20261120-000000-none")}
        answers |= {await read_close(gateway, "x" * 30), await read_close(gateway, "short")}
        assert answers == {(4403, "this ticket does not open this session: reload the page to get a new one")}

    use(tmp_path, test)


def test_another_origin_never_gets_a_websocket(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with gateway.join(gateway.portal.issue(), origin="http://evil.example"):
                pass
        assert refused.value.status == 403
        assert TICKET in gateway.portal.tickets  # and the ticket is not used up

    use(tmp_path, test)


def test_a_refusal_at_a_limit_names_the_limit_and_its_value(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        first, second, third, fourth = (gateway.portal.issue(f"ticket-number-{n:04}") for n in range(4))
        gateway.portal.issue(fourth, user="bob")
        async with gateway.join(first) as there:
            await read_bytes(there, 1)
            assert await read_close(gateway, second) == (
                4429,
                "limit reached: connections per user (--max-per-user) is 1; close another tab and reload",
            )
            async with gateway.join(fourth) as bob:
                await read_bytes(bob, 1)
                code, reason = await read_close(gateway, third)
                assert (code, "(--max-connections) is 2" in reason) == (4429, True)
                assert third in gateway.portal.tickets

    use(tmp_path, test, "--max-per-user", "1", "--max-connections", "2")


def test_text_and_oversized_messages_end_the_connection_with_a_reason(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        found = []
        for message in ("text", bytes(5000)):
            async with gateway.join(gateway.portal.issue()) as there:
                await read_bytes(there, len(GREETING))
                await (there.send_str(message) if isinstance(message, str) else there.send_bytes(message))
                found.append((await there.receive(5)).data)
        assert found == [1003, 1009]

    use(tmp_path, test, "--max-message", "4096")


def test_a_connection_on_which_nothing_moves_is_closed(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        async with gateway.join(gateway.portal.issue()) as there:
            await read_bytes(there, len(GREETING))
            message = await there.receive(5)
            assert (message.data, message.extra) == (4408, "nothing moved for 1 s: reload to go on")

    use(tmp_path, test, "--idle", "1")


def test_a_display_that_ends_or_is_not_there_is_said_to_be_gone(tmp_path: Path) -> None:
    async def vanish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.read(1)
        writer.close()

    async def test(gateway: Running) -> None:
        async with gateway.join(gateway.portal.issue()) as there:
            await read_bytes(there, len(GREETING))
            await there.send_bytes(b"x")
            assert (await there.receive(5)).data == 4410
        gateway.portal.display.unlink()
        assert (await read_close(gateway, gateway.portal.issue()))[0] == 4410

    use(tmp_path, test, display=vanish)


def test_a_connection_that_was_dropped_from_the_backlog_is_made_again(tmp_path: Path) -> None:
    tries = iter(range(100))

    async def drop_two(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(tries) >= 2:
            writer.write(GREETING)
            await asyncio.sleep(2)
        writer.close()

    async def test(gateway: Running) -> None:
        async with gateway.join(gateway.portal.issue()) as there:
            assert await read_bytes(there, len(GREETING)) == GREETING

    use(tmp_path, test, display=drop_two)


def test_a_slow_reader_holds_the_display_up_and_takes_no_memory(tmp_path: Path) -> None:
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(GREETING)
        while True:
            writer.write(bytes(1 << 20))
            await writer.drain()
            sent += 1

    async def test(gateway: Running) -> None:
        before = gateway.memory_mb()
        async with gateway.join(gateway.portal.issue()) as there:
            await asyncio.sleep(2)
            assert sent < 40
            assert gateway.memory_mb() - before < 16
            await read_bytes(there, 50 << 20)  # and it goes on as soon as it is read
        assert gateway.memory_mb() - before < 24

    use(tmp_path, test, display=flood)


def test_a_display_that_does_not_read_holds_the_browser_up(tmp_path: Path) -> None:
    async def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await asyncio.sleep(4)
        writer.close()

    async def test(gateway: Running) -> None:
        before = gateway.memory_mb()
        async with gateway.join(gateway.portal.issue()) as there:
            await read_bytes(there, len(GREETING))

            async def push() -> None:
                for _ in range(300):
                    await there.send_bytes(bytes(1 << 20))

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(push(), 2)
            assert gateway.memory_mb() - before < 16

    use(tmp_path, test, display=ignore)


def test_a_view_only_viewer_cannot_type(tmp_path: Path) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        while data := await reader.read(1000):
            heard.extend(data)
        writer.close()

    async def test(gateway: Running) -> None:
        update = struct.pack(">BBHHHH", 3, 0, 0, 0, 8, 8)
        async with gateway.join(gateway.portal.issue(view_only=True)) as there:
            await read_bytes(there, len(GREETING))
            await there.send_bytes(GREETING + b"\x01\x00" + struct.pack(">BBxxI", 4, 1, 97) + update)
            await there.send_bytes(b"\x63")
            message = await there.receive(5)
            assert (message.data, "unknown type 99" in (message.extra or "")) == (4400, True)
        await asyncio.sleep(0.1)
        assert bytes(heard) == GREETING + b"\x01\x01" + update

    use(tmp_path, test, display=listen)


def test_the_portal_hears_of_viewers_and_of_work_now_and_then(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        async with gateway.join(gateway.portal.issue()) as there:
            for _ in range(20):
                await there.send_bytes(struct.pack(">BBxxI", 4, 1, 97))
            await asyncio.sleep(0.3)
        assert gateway.portal.activity == [{"session": SESSION, "viewers": 1}]

    use(tmp_path, test)


def test_viewers_are_told_when_the_gateway_restarts(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        async with gateway.join(gateway.portal.issue()) as there:
            await read_bytes(there, len(GREETING))
            gateway.process.send_signal(signal.SIGTERM)
            assert (await there.receive(5)).data == 1012
        assert await asyncio.to_thread(gateway.process.wait, 10) == 0

    use(tmp_path, test)


def test_the_portal_is_passed_through_with_security_headers(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        lies = {"X-Forwarded-For": "10.0.0.1", "X-Thaw-User": "root", "Cookie": "thaw=ada"}
        async with gateway.http.get(f"{gateway.url}/catalogue?q=ds9", headers=HEADERS | lies) as answer:
            assert (answer.status, await answer.text()) == (200, "portal: /catalogue")
            policies = answer.headers.getall("Content-Security-Policy")
            assert ("script-src 'self';" in policies[0], policies[1:]) == (True, ["sandbox"])
            assert answer.headers.getall("Set-Cookie") == ["thaw=ada; HttpOnly; Path=/", "theme=dark; Path=/"]
            assert ("X-Hop" in answer.headers, answer.headers["Server"]) == (False, "thaw")
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        [seen] = gateway.portal.requests
        assert (seen.headers["X-Forwarded-For"], "X-Thaw-User" in seen.headers) == ("127.0.0.1", False)
        assert (seen.headers["Host"], seen.cookies["thaw"]) == ("thaw.example:8080", "ada")

    use(tmp_path, test)


def test_nothing_from_outside_reaches_what_is_internal(tmp_path: Path) -> None:
    gateway_answers = {}

    async def test(gateway: Running) -> None:
        gateway.portal.issue()
        host, port = gateway.url.removeprefix("http://").split(":")
        for target in (
            "/internal/redeem",
            "/%69nternal/redeem",
            "/x/../internal/redeem",
            "//internal/redeem",
            "http://portal/internal/redeem",
            "/novnc/../../etc/passwd",
            "/novnc/core/%2e%2e/package.json",
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"GET {target} HTTP/1.1\r\nHost: thaw.example:8080\r\nConnection: close\r\n\r\n".encode()
            )
            answer = await reader.read()
            writer.close()
            gateway_answers[target] = int(answer.split()[1])
        assert set(gateway_answers.values()) <= {400, 404}, gateway_answers
        assert (gateway.portal.requests, list(gateway.portal.tickets)) == ([], [TICKET])

    use(tmp_path, test)


@pytest.mark.parametrize(
    "smuggled",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /internal/redeem HTTP/1.1\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "Host: evil.example\r\n\r\n",
        "X-A: b\r\n folded: c\r\nContent-Length : 3\r\n\r\nabc",
    ],
)
def test_requests_that_can_be_read_in_two_ways_are_refused(smuggled: str, tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /upload HTTP/1.1\r\nHost: thaw.example:8080\r\nConnection: close\r\n{smuggled}".encode()
        )
        answer = await reader.read()
        writer.close()
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), answer
        assert gateway.portal.requests == []

    use(tmp_path, test)


def test_another_host_and_a_foreign_pages_post_are_refused(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        async with gateway.http.get(f"{gateway.url}/") as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (421, "wrong-host")
        foreign = HEADERS | {"Origin": "http://evil.example"}
        async with gateway.http.post(f"{gateway.url}/api/x", headers=foreign) as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (403, "wrong-origin")
        async with gateway.http.get(f"{gateway.url}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        assert gateway.portal.requests == []

    use(tmp_path, test)


def test_two_gigabytes_are_uploaded_without_being_held(tmp_path: Path) -> None:
    size = 2 << 30

    async def produce() -> AsyncIterator[bytes]:
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            yield block

    async def test(gateway: Running) -> None:
        before = gateway.memory_mb()
        upload = asyncio.ensure_future(
            gateway.http.post(
                f"{gateway.url}/upload", data=produce(), headers=HEADERS | {"Content-Length": str(size)}
            )
        )
        most = before
        while not upload.done():
            most = max(most, gateway.memory_mb())
            await asyncio.sleep(0.05)
        async with await upload as answer:
            assert await answer.json() == {"received": size}
        assert most - before < 32

    use(tmp_path, test)


def test_events_arrive_as_they_are_sent(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        async with gateway.http.get(f"{gateway.url}/events", headers=HEADERS) as answer:
            started = time.monotonic()
            assert await answer.content.readany() == b"data: first\n\n"
            assert time.monotonic() - started < 0.3
            assert await answer.content.read() == b"data: second\n\n"

    use(tmp_path, test)


def test_a_portal_that_is_down_is_said_to_be_and_asked_again(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        gateway.portal.socket.rename(tmp_path / "away")
        html = HEADERS | {"Accept": "text/html"}
        async with gateway.http.get(f"{gateway.url}/", headers=html) as answer:
            assert (answer.status, answer.headers["Refresh"]) == (503, "2")
            assert "the portal does not answer" in await answer.text()
        assert (await read_close(gateway, TICKET))[0] == 4502

    use(tmp_path, test)


def test_a_lab_gets_its_own_cookies_and_a_sandbox(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        url = f"{gateway.url}/lab/{SESSION}/tree?x=1"
        cookies = HEADERS | {"Cookie": "thaw=ada; _xsrf=2"}
        async with gateway.http.get(url, headers=cookies) as answer:
            seen = await answer.json()
            assert (seen["headers"]["Cookie"], seen["path"]) == ("_xsrf=2", f"/lab/{SESSION}/tree?x=1")
            assert answer.headers.getall("Set-Cookie") == [f"_xsrf=2; Path=/lab/{SESSION}/"]
            policy = answer.headers["Content-Security-Policy"]
            assert (f"connect-src {ORIGIN}/lab/{SESSION}/" in policy, "sandbox" in policy) == (True, True)
        async with gateway.http.get(url, headers=HEADERS | {"Cookie": "thaw=bob"}) as answer:
            assert answer.status == 403

    use(tmp_path, test)


def test_a_labs_websocket_is_passed_through(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        url = f"{gateway.url}/lab/{SESSION}/api/kernels"
        cookies = HEADERS | {"Cookie": "thaw=ada"}
        opening = gateway.http.ws_connect(url, headers=cookies, origin=ORIGIN, protocols=("v1.kernel",))
        async with opening as there:
            await there.send_str("1 + 1")
            await there.send_bytes(bytes(1 << 20))
            found = [await there.receive(5) for _ in range(2)]
            assert (there.protocol, found[0].data, len(found[1].data)) == ("v1.kernel", "1 + 1", 1 << 20)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await gateway.http.ws_connect(url, headers=cookies, origin="http://evil.example")

    use(tmp_path, test)


def test_novncs_modules_are_served_with_their_type_and_cached(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        async with gateway.http.get(f"{gateway.url}/novnc/core/rfb.js", headers=HEADERS) as answer:
            assert answer.headers["Content-Type"].startswith("text/javascript")
            assert answer.headers["Cache-Control"] == "public, max-age=3600"
            etag = answer.headers["ETag"]
        again = HEADERS | {"If-None-Match": etag}
        async with gateway.http.get(f"{gateway.url}/novnc/core/rfb.js", headers=again) as answer:
            assert answer.status == 304

    use(tmp_path, test)


def test_the_log_is_json_and_holds_no_ticket_cookie_or_token(tmp_path: Path) -> None:
    async def test(gateway: Running) -> None:
        secret = HEADERS | {"Cookie": "thaw=cookie-secret"}
        async with gateway.http.get(f"{gateway.url}/login?token=token-secret", headers=secret):
            pass
        async with gateway.join(gateway.portal.issue()) as there:
            await read_bytes(there, 1)

    use(tmp_path, test)
    text = (tmp_path / "gateway.log").read_text()
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert {"request", "viewer joins", "viewer leaves"} <= set(events)
    assert not any(secret in text for secret in (TICKET, "cookie-secret", "token-secret"))


def test_started_as_root_it_becomes_another_user_that_cannot_reach_the_engine(tmp_path: Path) -> None:
    engine = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(engine))
        engine.chmod(0o660)  # as Docker leaves it, with a group the gateway is not in
        listener.listen()
        process, _ = start_gateway(tmp_path, tmp_path / "portal.sock", "--user", "nobody")
        try:
            status = dict(
                line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            )
            uid, gid = pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid
            assert set(map(int, status["Uid"].split())) == {uid}
            assert (set(map(int, status["Gid"].split())), status["Groups"].strip()) == ({gid}, "")
            assert (int(status["CapEff"], 16), int(status["CapPrm"], 16), status["NoNewPrivs"]) == (0, 0, "1")
            probe = f"import os,socket; os.setgroups([]); os.setgid({gid}); os.setuid({uid});"
            probe += f"socket.socket(socket.AF_UNIX).connect({str(engine)!r})"
            tried = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
            assert "PermissionError" in tried.stderr
        finally:
            process.terminate()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--origin", "nowhere"), "--origin 'nowhere' is not the address of a site"),
        (("--user", "no-such-user"), "--user 'no-such-user': no such user"),
        (("--listen", "8080"), "--listen '8080' is not HOST:PORT"),
    ],
)
def test_wrong_options_are_refused_with_a_hint(option: tuple[str, str], said: str, tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core/rfb.js").touch()
    command = [
        sys.executable,
        "-m",
        "vnc_gateway",
        "--listen",
        "127.0.0.1:0",
        "--portal",
        "x",
        "--origin",
        ORIGIN,
    ]
    tried = subprocess.run(
        [*command, "--novnc", str(tmp_path), *option], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (tried.returncode, said in tried.stderr, "hint" in tried.stderr) == (1, True, True), tried.stderr
