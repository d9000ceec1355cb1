"""The files that start a service: what systemd and compose themselves take for right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from instantiator.operate.units import DeployRefused, Site, render_compose, render_units, write_files


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(
        home=Path("/srv/thaw"),
        recipes=Path("/srv/recipes"),
        engine=Path("/run/docker.sock"),
        thaw=Path(sys.executable).with_name("thaw"),
        source=Path("/srv/source"),
        user="root",
        group="root",
        uid=1000,
        gid=1000,
        engine_group="root",
        engine_gid=998,
    )


def test_systemd_takes_the_units(site: Site, tmp_path: Path) -> None:
    files = write_files(render_units(site), tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_finds_the_service_hardened(site: Site, tmp_path: Path) -> None:
    for file in write_files(render_units(site), tmp_path):
        judged = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(file)]
        done = subprocess.run(judged, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-600:]


def test_the_unit_leaves_the_service_time_to_end(site: Site) -> None:
    text = render_units(site)["thaw.service"]
    assert "KillMode=mixed" in text
    assert "--grace 20" in text
    assert "TimeoutStopSec=90" in text


def test_the_public_address_is_in_the_command(site: Site) -> None:
    text = render_units(replace(site, public_url="https://thaw.example.org"))["thaw.service"]
    assert "--grace 20 --public-url https://thaw.example.org\n" in text


# What the Compose Specification knows, as far as the file uses it: an unknown key is a mistake.
SERVICE_KEYS = {
    "build": dict,
    "image": str,
    "command": list,
    "user": str,
    "group_add": list,
    "environment": dict,
    "volumes": list,
    "ports": list,
    "read_only": bool,
    "tmpfs": list,
    "init": bool,
    "cap_drop": list,
    "security_opt": list,
    "restart": str,
    "stop_grace_period": str,
    "healthcheck": dict,
}
BELOW: Mapping[str, set[str]] = {
    "build": {"context", "dockerfile_inline"},
    "healthcheck": {"test", "interval", "timeout", "retries", "start_period"},
}


def compose_of(site: Site) -> Any:
    return yaml.safe_load(render_compose(site)["compose.yaml"])


def test_compose_knows_every_key(site: Site) -> None:
    document = compose_of(site)
    service = document["services"]["thaw"]
    assert set(document) == {"name", "services"}
    assert {key: type(value) for key, value in service.items()} == SERVICE_KEYS
    assert {key: set(service[key]) for key in BELOW} == BELOW
    assert all(set(item) <= {"type", "source", "target", "read_only"} for item in service["volumes"])
    assert all(isinstance(item, str) for item in (*service["command"], *service["ports"]))
    assert service["stop_grace_period"] == "90s"


def test_the_state_folder_has_the_same_path_on_both_sides(site: Site) -> None:
    """Containers the service starts are given its folders by their path on the host."""
    service = compose_of(site)["services"]["thaw"]
    assert all(item["source"] == item["target"] for item in service["volumes"])
    assert service["environment"]["THAW_HOME"] == "/srv/thaw"
    assert service["environment"]["THAW_DOCKER_HOST"] == "unix:///run/docker.sock"


def test_what_a_file_would_read_as_something_else_is_refused(site: Site) -> None:
    for path in ("/srv/a b", "/srv/$HOME", "/srv/50%", "/srv/a\nUser=root"):
        with pytest.raises(DeployRefused, match="expected letters"):
            render_units(replace(site, home=Path(path)))


def test_a_file_changed_by_hand_is_not_written_over(site: Site, tmp_path: Path) -> None:
    (written,) = write_files(render_compose(site), tmp_path)
    write_files(render_compose(site), tmp_path)
    written.write_text("mine")
    with pytest.raises(DeployRefused, match="another file of this name"):
        write_files(render_compose(site), tmp_path)
    assert written.read_text() == "mine"
