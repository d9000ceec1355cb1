"""The Python client and the commands at a real service: same answers as on its host, lost connections, wrong bytes."""

from __future__ import annotations

import asyncio
import getpass
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from instantiator.client import AsyncThaw, OutputWrong, RemoteError, Thaw
from instantiator.client.drivers import Driver
from instantiator.client.service import Service as Named
from instantiator.secret import Secret
from instantiator.users import Scope, Users
from provenance.digest import digest_file
from provenance.record import RunState
from tests.end_to_end.conftest import RECIPE, REPOSITORY, THAW
from tests.end_to_end.conftest import Thaw as Command
from tests.end_to_end.serving import Service, serving

pytestmark = pytest.mark.docker
SCENARIO = RECIPE / "data/eps-rosetta-67p"
ONLY_OF_THE_HOST = {"path"}


def token_for(service: Service, *, hours: float = 1) -> str:
    users, now = Users(service.thaw.home / "users.sqlite"), datetime.now(UTC)
    made = now + timedelta(hours=min(hours, 0) - 1)
    token = users.tokens.new(
        getpass.getuser(), Scope, label="night", expires=now + timedelta(hours=hours), now=made
    )
    users.close()
    return token.text


@pytest.fixture(scope="module")
def service(thaw: Command) -> Iterator[Service]:
    with serving(thaw) as found:
        yield found


@pytest.fixture
def client(service: Service) -> Iterator[Thaw]:
    with Thaw(service.base, token_for(service)) as found:
        yield found


@pytest.fixture
def away(service: Service, tmp_path: Path) -> Command:
    """The command on another machine: an empty state folder, no recipes, and the service's address."""
    settings = {"THAW_URL": service.base, "THAW_TOKEN": token_for(service), "DOCKER_HOST": "unix:///nowhere"}
    return replace(service.thaw, home=tmp_path / "away", recipes=tmp_path / "none", settings=settings)


class Cutting(httpx.HTTPTransport):
    """A network that loses answers: the first answer of each kind of request is cut off in its middle."""

    def __init__(self) -> None:
        super().__init__()
        self.cut: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        kind = f"{request.method} {request.url.path.rpartition('/')[2] if 'runs' in request.url.path else 'upload'}"
        if kind in self.cut or request.url.path.count("/") < 4:
            return response
        self.cut.add(kind)
        if kind == "GET events":
            stream = response.stream
            assert isinstance(stream, httpx.SyncByteStream)
            return httpx.Response(response.status_code, headers=response.headers, stream=_Cut(stream))
        response.read()
        raise httpx.ReadError("cut off")


class _Cut(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield next(iter(self._stream))[:30]
        raise httpx.ReadError("cut off")

    def close(self) -> None:
        self._stream.close()


def alike(here: Any, there: Any) -> None:
    """The same keys and values, but for what only the host knows."""
    if isinstance(here, dict):
        assert here.keys() == there.keys()
        for key in here.keys() - ONLY_OF_THE_HOST:
            alike(here[key], there[key])
    elif isinstance(here, list):
        assert len(here) == len(there)
        for one, other in zip(here, there, strict=True):
            alike(one, other)
    else:
        assert here == there


def test_the_example_of_the_documentation_does_what_it_says(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/client.md").read_text(), re.DOTALL)
    monkeypatch.setenv("THAW_URL", service.base)
    monkeypatch.setenv("THAW_TOKEN", token_for(service))
    exec(example, {"SCENARIO": SCENARIO, "RESULTS": tmp_path / "results"})
    told = capsys.readouterr().out
    assert told.startswith("completed ")
    assert told.splitlines()[-1] in ("identical", "equivalent")
    assert any(path.is_file() for path in (tmp_path / "results").rglob("*"))


def test_commands_answer_alike_at_home_and_away(service: Service, away: Command, tmp_path: Path) -> None:
    home = service.thaw
    given = ("run", "rosetta-eps", "simulate", "-d", str(SCENARIO), "-p", "time_step=120")
    there = away.ok(*given, "-o", str(tmp_path / "away-out"))
    here = home.ok(*given, "-o", str(tmp_path / "home-out"))
    assert here.keys() == there.keys()
    assert [item["path"] for item in here["outputs"]] == [item["path"] for item in there["outputs"]]
    for output in there["outputs"]:
        assert digest_file(tmp_path / "away-out" / output["path"]) == f"sha256:{output['sha256']}"
    run = there["run"]
    for command in (
        ("show", run),
        ("show", run[-6:]),
        ("logs", run),
        ("dataset", "list"),
        ("list",),
        ("list", "--retired"),
    ):
        alike(home.ok(*command), away.ok(*command))
    listed = [one.ok("runs", "-n", "1000")["runs"] for one in (home, away)]
    # At home everybody's are listed; the windows that smoke tests opened are a user's of their own.
    alike(*([run for run in runs if run["kind"] == "thread"] for runs in listed))
    add = ("dataset", "add", str(SCENARIO), "--name", "rosetta")
    alike(home.ok(*add), away.ok(*add))
    judged = away.ok("verify", run)
    assert judged["verdict"] in ("identical", "equivalent")
    assert home.ok("verify", run).keys() == judged.keys()
    assert away("run", "rosetta-eps", "simulate", "-p", "time_step=many").status == 1


def test_the_async_client_runs_a_thread_and_follows_it(service: Service) -> None:
    async def do() -> None:
        names: list[str] = []
        async with AsyncThaw(service.base, token_for(service)) as thaw:
            given = {"scenario": SCENARIO}
            run = await thaw.run(
                "rosetta-eps", "simulate", given, fresh=True, on_event=lambda event: names.append(event.name)
            )
            assert run.state is RunState.COMPLETED
            assert {"state", "step"} <= set(names)
            first = (await run.outputs())[0]
            assert len(await first.read()) == first.size
            assert [one.id async for one in thaw.runs(limit=1)] == [run.id]

    asyncio.run(do())


def test_lost_connections_are_taken_up_again(service: Service, scenario: Any) -> None:
    folder = scenario("eps-rosetta-67p")
    (folder / "large.txt").write_bytes(b"Rosetta " * 700_000)
    named = Named(url=service.base, token=Secret(token_for(service)))
    network = Cutting()
    with Thaw(driver=Driver(named, transport=network)) as thaw:
        dataset = thaw.upload(folder, "cut-off", resume=None)
        run = thaw.run("rosetta-eps", "simulate", {"scenario": dataset.dataset}, wait=False, fresh=True)
        numbers = [event.number for event in run.events()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert run.refresh().state is RunState.COMPLETED
        assert {"PATCH upload", "GET events"} <= network.cut
        assert len(run.outputs[0].read()) == run.outputs[0].size


def test_an_output_that_is_not_the_recorded_one_is_refused(client: Thaw, tmp_path: Path) -> None:
    run = client.run("rosetta-eps", "simulate", {"scenario": SCENARIO})
    first = next(item for item in run.outputs if item.size)
    first.file = replace(first.file, digest="sha256:" + 64 * "0")
    with pytest.raises(OutputWrong):
        first.save(tmp_path / "out")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    html = run._repr_html_()
    assert run.id in html
    assert "<script" not in html


def test_an_expired_token_says_what_to_do(service: Service, away: Command) -> None:
    expired = replace(away, settings={**away.settings, "THAW_TOKEN": token_for(service, hours=-0.5)})
    answer = expired("runs")
    assert answer.status == 1
    assert "token-expired" in answer.words
    assert "thaw login" in answer.words
    with Thaw(service.base, "thaw_wrong") as thaw, pytest.raises(RemoteError) as caught:
        thaw.recipes()
    assert caught.value.code == "token-refused"


def test_login_keeps_the_token_and_logout_forgets_it(service: Service, tmp_path: Path) -> None:
    command = replace(service.thaw, home=tmp_path / "away", settings={})
    done = subprocess.run(
        [str(THAW), "login", service.base],
        env=command.environment(),
        input=token_for(service),
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert command.ok("dataset", "list").keys() == {"datasets"}
    assert command.ok("logout") == {"url": service.base, "forgotten": True}
    assert command.ok("runs") == {"runs": []}
