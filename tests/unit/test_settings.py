from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from instantiator.secret import Secret
from instantiator.settings import SETTINGS, Settings, SettingsInvalid, read_settings

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "thaw"
    home.mkdir()
    return home


def settings(home: Path, text: str = "", **environ: str) -> Settings:
    (home / "settings.toml").write_text(text)
    return read_settings({"THAW_HOME": str(home), **environ})


def refusal(home: Path, text: str = "", **environ: str) -> SettingsInvalid:
    with pytest.raises(SettingsInvalid) as raised:
        settings(home, text, **environ)
    return raised.value


def test_everything_lies_in_the_state_folder(home: Path) -> None:
    found = settings(home)
    places = (
        *(found.vault_dir, found.store_file, found.runs_dir, found.trees_dir),
        *(found.cache_dir, found.scratch_dir, found.settings_file),
    )
    assert {place.parent for place in places} == {home}
    assert len(set(places)) == len(places)


def test_without_settings_the_host_decides(home: Path) -> None:
    found = settings(home)
    assert (found.docker_host, found.debian_mirror, found.snapshot_mirror, found.pip_args) == (
        None,
        None,
        None,
        None,
    )
    assert found.jobs == len(os.sched_getaffinity(0))
    assert found.recipes_dir == REPOSITORY / "recipes"


def test_without_thaw_home_the_state_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "platformdirs.user_data_path", lambda name: Path("/home/astronomer/.local/share") / name
    )
    monkeypatch.setattr("pathlib.Path.read_text", _no_file)
    assert read_settings({}).home == Path("/home/astronomer/.local/share/thaw")


def test_the_environment_comes_before_the_file(home: Path) -> None:
    found = settings(home, 'jobs = 3\nrecipes = "/srv/recipes"', THAW_JOBS="7")
    assert (found.jobs, found.recipes_dir) == (7, Path("/srv/recipes"))


def test_thaws_own_docker_host_comes_before_dockers(home: Path) -> None:
    podman, docker = "unix:///run/podman/podman.sock", "tcp://10.0.0.7:2375"
    assert settings(home, DOCKER_HOST=docker).docker_host == docker
    assert settings(home, DOCKER_HOST=docker, THAW_DOCKER_HOST=podman).docker_host == podman


def test_an_empty_variable_is_as_good_as_none(home: Path) -> None:
    assert settings(home, "jobs = 3", THAW_JOBS="", THAW_RECIPES="").jobs == 3


def test_a_tilde_is_the_home_folder(home: Path) -> None:
    assert settings(home, HOME="/home/astronomer", THAW_RECIPES="~/recipes").recipes_dir == Path(
        "/home/astronomer/recipes"
    )


def test_an_unknown_key_is_named_with_its_line_and_the_nearest(home: Path) -> None:
    error = refusal(home, "# mirrors\n\ndebian_miror = 'https://deb.example.org/debian'\n")
    assert error.where == f"{home}/settings.toml:3"
    assert error.message == "unknown key 'debian_miror' (did you mean 'debian_mirror'?)"


def test_the_state_folder_is_not_set_in_a_file_that_lies_in_it(home: Path) -> None:
    assert "set THAW_HOME in the environment" in refusal(home, "home = '/srv/thaw'").message


def test_all_mistakes_are_told_at_once(home: Path) -> None:
    error = refusal(home, "jobs = 0\nmirror = 'x'\n", THAW_RECIPES="recipes")
    assert error.message.startswith("3 settings are wrong: ")
    for part in (
        "unknown key 'mirror'",
        "jobs is 0: expected a whole number from 1",
        "THAW_RECIPES is 'recipes'",
    ):
        assert part in error.message


def test_a_misspelt_variable_is_refused_and_a_strange_one_is_not_ours(home: Path) -> None:
    assert "unknown variable 'THAW_RECIPE' (did you mean 'THAW_RECIPES'?)" in str(
        refusal(home, THAW_RECIPE="/srv")
    )
    assert settings(home, THAW_OBSERVATORY="Effelsberg").home == home


def test_a_file_that_is_no_toml_says_where(home: Path) -> None:
    assert "at line 2" in refusal(home, "jobs = 2\njobs 3\n").message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("THAW_JOBS", "many"),
        ("THAW_JOBS", "-1"),
        ("THAW_JOBS", "2.5"),
        ("THAW_JOBS", "٣"),
        ("THAW_RECIPES", "./recipes"),
        ("THAW_DOCKER_HOST", "/run/docker.sock"),
        ("DOCKER_HOST", "ftp://10.0.0.7"),
        ("THAW_DEBIAN_MIRROR", "deb.example.org"),
        ("THAW_SNAPSHOT_MIRROR", "https://a b"),
    ],
)
def test_a_wrong_value_names_variable_and_value(home: Path, variable: str, value: str) -> None:
    assert f"{variable} is {value!r}: expected " in refusal(home, **{variable: value}).message


@pytest.mark.parametrize("value", ["true", "2.0", "[2]", "'two'"])
def test_a_wrong_value_in_the_file_names_key_and_line(home: Path, value: str) -> None:
    error = refusal(home, f"\njobs = {value}\n")
    assert (error.where, error.message.split(" is ")[0]) == (f"{home}/settings.toml:2", "jobs")


def test_thaw_home_must_not_depend_on_the_folder_a_command_is_typed_in() -> None:
    with pytest.raises(SettingsInvalid, match="THAW_HOME is 'thaw': expected an absolute path"):
        read_settings({"THAW_HOME": "thaw"})


def test_a_password_in_a_mirror_is_refused_and_not_shown(home: Path) -> None:
    error = refusal(home, THAW_DEBIAN_MIRROR="https://tycho:brahe@deb.example.org/debian")
    assert "without a password" in error.message
    assert "brahe" not in str(error)


def test_pip_arguments_are_never_shown(home: Path) -> None:
    found = settings(home, THAW_PIP_ARGS="--index-url https://tycho:brahe@wheels.example.org/simple")
    assert found.pip_args == Secret("--index-url https://tycho:brahe@wheels.example.org/simple")
    assert "brahe" not in f"{found} {found.pip_args} {found.pip_args!r} {[found.pip_args]}"
    assert found.pip_args.reveal().endswith("/simple")


def test_wrong_pip_arguments_are_not_shown_either(home: Path) -> None:
    error = refusal(home, THAW_PIP_ARGS="--index-url 'https://tycho:brahe@wheels.example.org")
    assert (
        "THAW_PIP_ARGS is ****: expected arguments as a shell takes them: a quote is not closed"
        in error.message
    )


def test_every_setting_is_described() -> None:
    described = (REPOSITORY / "docs/settings.md").read_text()
    names = [name for setting in SETTINGS for name in (setting.key, *setting.variables)]
    assert [name for name in names if f"`{name}`" not in described] == []


def test_reading_settings_imports_nothing_slow() -> None:
    slow = {"platformdirs", "tomllib", "docker", "sqlite3", "yaml", "rich", "hashlib"}
    script = (
        "import sys; from instantiator.settings import read_settings; read_settings(); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert slow & set(done.stdout.split()) == set()


def _no_file(path: Path, **_options: str) -> str:
    raise FileNotFoundError(path)
