"""The calls of a container's life, each one request to the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from instantiator.engine.wire import Answer, EngineRefused, Stream, Wire


class ContainerMissing(EngineRefused):
    """The engine knows no container of that name."""

    code = "container-missing"


class ImageMissing(EngineRefused):
    """The engine holds no image of that name or digest."""

    code = "image-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """What the engine says of a container. `pid` is 0 unless it runs; times are None where it never did."""

    is_running: bool
    pid: int
    exit_status: int
    oom_killed: bool
    error: str
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSummary:
    """One container in a listing."""

    id: str
    name: str
    state: str
    labels: Mapping[str, str]


class Demultiplexer:
    """Strips the 8-byte heads the engine puts before each piece of standard output or error."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def feed(self, received: bytes) -> bytes:
        """The program's own bytes in what was received, in the order they came."""
        pieces, at = [], 0
        while at < len(received):
            if self._left:
                piece = received[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
            else:
                piece = received[at : at + 8 - len(self._head)]
                self._head += piece
                if len(self._head) == 8:
                    self._left, self._head = int.from_bytes(self._head[4:], "big"), b""
            at += len(piece)
        return b"".join(pieces)


def create_container(wire: Wire, name: str, config: Mapping[str, object]) -> str:
    """Make a container; its ID. Raises `ImageMissing` where the engine does not hold the image."""
    answer = wire.ask("POST", f"/containers/create?name={quote(name)}", config)
    if answer.status == 404:
        raise missing_image(wire, str(config.get("Image")))
    value = _data(wire, answer)
    return str(value["Id"])


def attach_container(wire: Wire, container: str) -> Stream:
    """The program's output from its first byte on: to be called before the start. Multiplexed."""
    stream = wire.open_stream("POST", f"/containers/{container}/attach?stream=1&stdout=1&stderr=1")
    if stream.status not in (101, 200):
        answer = Answer(status=stream.status, body=stream.read_all())
        check_answer(wire, answer)
    stream.connection.settimeout(None)
    return stream


def start_container(wire: Wire, container: str) -> None:
    """Start the program. Raises `EngineRefused` with the engine's words where it cannot be."""
    check_answer(wire, wire.ask("POST", f"/containers/{container}/start"))


def wait_for_container(wire: Wire, container: str) -> Stream:
    """An answer that ends when the container has; to be polled."""
    return wire.wait_stream(f"/containers/{container}/wait")


def inspect_container(wire: Wire, container: str) -> ContainerState:
    """The state of a container now."""
    value = _data(wire, wire.ask("GET", f"/containers/{container}/json"))
    state = value["State"]
    assert isinstance(state, dict)
    return ContainerState(
        is_running=bool(state["Running"]),
        pid=int(state.get("Pid") or 0),
        exit_status=int(state["ExitCode"]),
        oom_killed=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        started=parse_engine_time(str(state.get("StartedAt") or "")),
        finished=parse_engine_time(str(state.get("FinishedAt") or "")),
    )


def measure_written_bytes(wire: Wire, container: str) -> int:
    """How much a container has written over its image; walks all of it."""
    value = _data(wire, wire.ask("GET", f"/containers/{container}/json?size=1"))
    size = value.get("SizeRw")
    return size if isinstance(size, int) else 0


def read_container_log(wire: Wire, container: str, *, lines: int | None = None) -> bytes:
    """What a container's program has printed, the last `lines` of it; of one whose log the engine keeps."""
    tail = "all" if lines is None else str(lines)
    answer = wire.ask("GET", f"/containers/{container}/logs?stdout=1&stderr=1&tail={tail}")
    check_answer(wire, answer)
    return Demultiplexer().feed(answer.body)


def kill_container(wire: Wire, container: str, signal: str = "SIGKILL") -> None:
    """Send a signal. A container that has ended by now, or is gone, is fine."""
    answer = wire.ask("POST", f"/containers/{container}/kill?signal={signal}")
    if answer.status not in (404, 409, 500):  # 500 is what some engines say of one that just ended
        check_answer(wire, answer)


def remove_container(wire: Wire, container: str) -> bool:
    """Kill and remove; False where it was gone already."""
    answer = wire.ask("DELETE", f"/containers/{container}?force=1&v=1")
    if answer.status in (404, 409):  # 409: somebody else is removing it
        return False
    check_answer(wire, answer)
    return True


def list_containers(wire: Wire, labels: Mapping[str, str]) -> tuple[ContainerSummary, ...]:
    """All containers, the ended ones too, that carry these labels; an empty value stands for any."""
    wanted = [f"{key}={value}" if value else key for key, value in sorted(labels.items())]
    filters = quote(json.dumps({"label": wanted}))
    answer = wire.ask("GET", f"/containers/json?all=1&filters={filters}")
    check_answer(wire, answer)
    rows = answer.json()
    assert isinstance(rows, list)
    return tuple(
        ContainerSummary(
            id=row["Id"],
            name=row["Names"][0].lstrip("/"),
            state=row["State"],
            labels=row.get("Labels") or {},
        )
        for row in rows
    )


def check_answer(wire: Wire, answer: Answer) -> None:
    """Raise `EngineRefused` in the engine's words unless the answer is a success."""
    if answer.status < 400:
        return
    kind = ContainerMissing if answer.status == 404 else EngineRefused
    raise kind(_engine_words(answer), status=answer.status, where=str(wire.socket_path))


def missing_image(wire: Wire, image: str) -> ImageMissing:
    """The engine does not hold an image, and how it gets it."""
    return ImageMissing(
        f"the engine does not hold image {image}",
        status=404,
        where=str(wire.socket_path),
        hint="build it: thaw recipe build NAME",
    )


def _data(wire: Wire, answer: Answer) -> dict[str, object]:
    check_answer(wire, answer)
    value = answer.json()
    if not isinstance(value, dict):
        raise EngineRefused(f"not an answer: {answer.body[:80]!r}", status=answer.status)
    return value


def _engine_words(answer: Answer) -> str:
    try:
        value = answer.json()
    except ValueError:
        value = None
    if isinstance(value, dict) and value.get("message"):
        return str(value["message"])
    return answer.body.decode(errors="replace").strip() or f"status {answer.status} without a word"


def parse_engine_time(text: str) -> datetime | None:
    """The aware time in the engine's RFC 3339 text, which has nanoseconds; None for its year 1, "never"."""
    if not text or text.startswith("0001-"):
        return None
    whole, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = (rest[len(digits) :] if dot else whole[19:]) or "Z"
    return datetime.fromisoformat(f"{whole[:19]}.{digits[:6]:0<6}{zone}")
