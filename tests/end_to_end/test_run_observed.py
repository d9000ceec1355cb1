"""A run's record says what it really read, wrote and executed, and what of it the recipe does not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import RECIPE, Thaw
from tests.end_to_end.probes import add_threads

pytestmark = pytest.mark.docker
THREADS = {
    "ignore": {
        "title": "reads nothing of its input, and writes where it should not",
        "inputs": {"scenario": {"type": "directory", "help": "a scenario"}},
        "script": {
            "language": "sh",
            "text": "echo x > /var/tmp/left-behind; cat /var/tmp/left-behind > {{ out }}/said\n",
        },
        "outputs": {"said": {"path": "said", "media_type": "text/plain"}},
        "needs": [{"grant": "writable-root", "reason": "a test of what is told of writes"}],
    },
}


def observed(thaw: Thaw, run: str) -> Any:
    return thaw.ok("show", run)["observed"]


def paths(seen: Any, key: str) -> set[str]:
    return {item["path"] for item in seen[key]}


def test_the_record_names_what_was_read_written_and_executed(thaw: Thaw) -> None:
    run = thaw.ok("run", "rosetta-eps", "simulate", "-d", "eps-bepicolombo-2015")
    seen = observed(thaw, run["run"])
    inputs = {path.relative_to(RECIPE / "data/eps-bepicolombo-2015").as_posix() for path in sources()}
    read = {path.removeprefix("/in/scenario/") for path in paths(seen, "files_read")}
    assert {name for name in inputs if name.endswith((".edf", ".itl", ".evf"))} <= read
    assert {f"/out/{output['path']}" for output in run["outputs"]} <= paths(seen, "files_written")
    assert "/usr/local/bin/osve" in paths(seen, "programs")
    assert (seen["mechanism"], seen["lost_events"], seen["findings"]) == ("fanotify", 0, [])


def sources() -> list[Path]:
    return [path for path in (RECIPE / "data/eps-bepicolombo-2015").rglob("*") if path.is_file()]


def test_what_the_recipe_does_not_say_is_a_finding(thaw: Thaw, tmp_path: Path) -> None:
    probing = replace(thaw, recipes=add_threads(tmp_path, THREADS))
    run = probing.ok("run", "rosetta-eps", "ignore", "-d", "eps-bepicolombo-2015")
    seen = observed(probing, run["run"])
    assert [(finding["code"], finding["paths"]) for finding in seen["findings"]] == [
        ("write-outside", ["/var/tmp/left-behind"]),
        ("input-not-read", []),
    ]


def test_who_may_not_watch_says_so_in_the_record(thaw: Thaw) -> None:
    """Without the right to use fanotify the record tells of polling and its limits, and calls no input unread."""
    unprivileged = replace(thaw, before=("setpriv", "--bounding-set=-sys_admin", "--"))
    run = unprivileged.ok("run", "rosetta-eps", "simulate", "-d", "eps-bepicolombo-2015")
    seen = observed(thaw, run["run"])
    assert seen["mechanism"] == "polling"
    assert "CAP_SYS_ADMIN" in seen["why"]
    assert seen["limits"][0].startswith("degraded")
    assert [f for f in seen["findings"] if f["code"] == "input-not-read"] == []
