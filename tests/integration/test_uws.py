"""Many clients that wait for their jobs at once do not keep others out."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from instantiator.users import Scope
from tests.integration.test_schemathesis import ROOT, portal_in, served

WAITING = 80


async def wait_and_look(url: str, token: str) -> tuple[list[int], float, str]:
    """Let many wait for a job; meanwhile ask for its phase. The answers, the time that took, and the phase."""
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=WAITING + 5)
    async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False, limits=limits) as client:
        created = await client.post(f"{url}/uws/rosetta-eps/simulate", data={"scenario": "cruise"})
        job = url + created.headers["Location"]
        waits = [asyncio.create_task(client.get(job, params={"WAIT": "40"})) for _ in range(WAITING)]
        await asyncio.sleep(1.0)
        began = time.monotonic()
        phase = (await client.get(f"{job}/phase")).text
        took = time.monotonic() - began
        await client.post(f"{job}/phase", data={"PHASE": "ABORT"})
        answers = await asyncio.gather(*waits)
        return [answer.text.count(">ABORTED<") for answer in answers], took, phase


def test_many_who_wait_leave_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THAW_RECIPES", str(ROOT / "recipes"))
    portal, now = portal_in(tmp_path), datetime.now(UTC)
    token = portal.users.tokens.new(
        "caroline", Scope, label="", expires=now + timedelta(hours=1), now=now
    ).text
    began = time.monotonic()
    with served(portal) as url:
        aborted, took, phase = asyncio.run(wait_and_look(url.removesuffix("/api/v1"), token))
    portal.works.stop()
    assert (phase, aborted) == ("PENDING", [1] * WAITING)
    assert took < 5
    assert time.monotonic() - began < 35
