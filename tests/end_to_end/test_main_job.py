"""The main job, from nothing: freeze, run, record, repeat, judge. Real engine, real image, real data."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.image.lock import lock_from_yaml
from tests.end_to_end.conftest import RECIPE, Thaw

pytestmark = pytest.mark.docker
SFT2 = ("run", "rosetta-eps", "simulate", "-d", "eps-bepicolombo-2015")


def locked_image() -> str:
    lock = lock_from_yaml((RECIPE / "recipe.lock.yaml").read_text(), where="lock")
    assert lock.image is not None
    return lock.image.id


def test_the_image_built_from_nothing_is_the_one_the_committed_lock_names(thaw: Thaw) -> None:
    built = thaw.ok("recipe", "build", "rosetta-eps")
    assert (built["image"], built["built"]) == (locked_image(), False)


def test_the_committed_lock_answers_the_recipe_and_locking_again_changes_nothing(thaw: Thaw) -> None:
    before = (RECIPE / "recipe.lock.yaml").read_text()
    assert thaw.ok("recipe", "lock", "rosetta-eps", "--check")["locked"] is True
    assert thaw.ok("recipe", "lock", "rosetta-eps")["changed"] is False
    assert (RECIPE / "recipe.lock.yaml").read_text() == before


def test_a_rebuild_offline_by_another_user_of_another_day_is_identical(thaw: Thaw, tmp_path: Path) -> None:
    settings = {
        "TZ": "Pacific/Auckland",
        "LANG": "tr_TR.UTF-8",
        "LC_ALL": "C",
        "HOME": str(tmp_path),
        "USER": "somebody",
    }
    stranger = replace(
        thaw,
        settings=settings,
        cwd=tmp_path,
        before=("unshare", "-n", "sh", "-c", 'umask 077; exec "$@"', "sh"),
    )
    rebuilt = stranger.ok("recipe", "rebuild", "rosetta-eps")
    assert (rebuilt["identical"], rebuilt["image"], rebuilt["paths"]) == (True, locked_image(), [])


def test_every_smoke_test_gives_what_it_must_and_repeats_identically(thaw: Thaw) -> None:
    tested = thaw.ok("recipe", "test", "rosetta-eps")
    assert [(t["name"], t["passed"], t["verdict"]) for t in tested["tests"]] == [
        ("bepicolombo-sft2", True, "identical"),
        ("rosetta-67p", True, "identical"),
        ("juice", True, "identical"),
    ]
    assert "1130 of 1130 values" in " ".join(tested["tests"][0]["findings"])


def test_a_run_is_repeated_without_its_recipe_and_without_its_image(thaw: Thaw, tmp_path: Path) -> None:
    run = thaw.ok(*SFT2, "-p", "output_step=120")
    subprocess.run(["docker", "rmi", "-f", locked_image()], check=True, capture_output=True)
    forgetful = replace(thaw, recipes=tmp_path / "no-recipes", before=("unshare", "-n"))
    verified = forgetful.ok("verify", run["run"])
    assert verified["verdict"] == "identical"
    assert {output["rule"] for output in verified["outputs"]} == {"table", "text"}


def test_outputs_are_delivered_whole_and_named_by_digest(thaw: Thaw, tmp_path: Path) -> None:
    run = thaw.ok(*SFT2, "-o", str(tmp_path / "results"))
    listed = {output["path"]: output["sha256"] for output in run["outputs"]}
    summed = subprocess.run(
        ["sha256sum", *listed], cwd=tmp_path / "results", capture_output=True, text=True, check=True
    )
    assert {line[66:]: line[:64] for line in summed.stdout.splitlines()} == listed
    again = thaw(*SFT2, "-o", str(tmp_path / "results"))
    assert again.status == 1
    assert "output-folder-taken" in again.words


def test_one_changed_byte_of_an_output_is_named_with_file_column_and_size(thaw: Thaw, tmp_path: Path) -> None:
    results = tmp_path / "results"
    run = thaw.ok(*SFT2, "-o", str(results))
    table = results / "eps_output/power_avg.out"
    table.write_text(table.read_text().replace("5.100", "5.300", 1))
    judged = thaw("verify", run["run"], "--outputs", str(results))
    (wrong,) = [output for output in judged.data["outputs"] if output["verdict"] != "identical"]
    assert (judged.status, judged.data["verdict"], wrong["path"]) == (
        4,
        "different",
        "eps_output/power_avg.out",
    )
    assert "MERTIS" in wrong["explanation"]
    assert "+0.2" in wrong["explanation"]


def test_one_changed_input_value_makes_the_repeat_different(
    thaw: Thaw, scenario: Callable[[str], Path]
) -> None:
    run = thaw.ok(*SFT2)
    changed = scenario("eps-bepicolombo-2015")
    edf = changed / "input/edf/BELA.edf"
    edf.write_text(edf.read_text().replace("13.47", "13.57", 1))
    judged = thaw("verify", run["run"], "--dataset", f"scenario={changed}")
    wrong = {output["path"]: output for output in judged.data["outputs"] if output["verdict"] == "different"}
    power = wrong["eps_output/power_avg.out"]
    assert (judged.status, judged.data["verdict"]) == (4, "different")
    assert "row 1 (06-Oct-2022_20:00:00)" in power["explanation"]
    assert any("column BELA: expected 13.470, found 13.570 (+0.1" in line for line in power["differences"])
    assert power["differences_total"] == 370
    assert "other data" in judged.data["reason"]


def break_events(folder: Path) -> None:
    (folder / "input/ev.evf").unlink()


def break_keyword(folder: Path) -> None:
    with (folder / "config/eps/eps.cfg").open("a") as configuration:
        configuration.write("Foo_bar: 1\n")


def break_label(folder: Path) -> None:
    timeline = folder / "input/ev.evf"
    timeline.write_text(timeline.read_text().replace("CA_67P", "CA_99X"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_events, '"eventTimelineFilePath" at "inputFiles" doesn\'t exist'),
        (break_keyword, "Unknown keyword Foo_bar found"),
        (break_label, "CA_99X"),
    ],
)
def test_a_wrong_scenario_ends_in_a_failed_run_that_quotes_eps(
    thaw: Thaw, scenario: Callable[[str], Path], damage: Callable[[Path], None], words: str
) -> None:
    folder = scenario("eps-rosetta-67p")
    damage(folder)
    failed = thaw("run", "rosetta-eps", "simulate", "-d", str(folder))
    assert (failed.status, failed.data["state"]) == (1, "failed")
    assert failed.data["message"].startswith("EPS says: ")
    assert words in failed.data["message"]
    assert thaw.ok("show", failed.data["run"])["state"] == "failed"


def test_a_failed_run_repeats_as_failed(thaw: Thaw, scenario: Callable[[str], Path]) -> None:
    folder = scenario("eps-rosetta-67p")
    break_keyword(folder)
    failed = thaw("run", "rosetta-eps", "simulate", "-d", str(folder))
    assert thaw("verify", failed.data["run"]).data["verdict"] == "identical"


def test_the_program_gets_parameters_and_never_reaches_a_network(thaw: Thaw) -> None:
    run = thaw.ok(
        *SFT2, "-p", "output_step=300", "-p", "start=2022-10-06T21:00:00Z", "-p", "end=2022-10-06T22:00:00Z"
    )
    shown = thaw.ok("show", run["run"])
    log = thaw.ok("logs", run["run"])["log"]
    assert (shown["job"]["network"], shown["parameters"]["output_step"]) == (False, 300)
    assert "2022-10-06T21:00:00Z - 2022-10-06T22:00:00Z" in log
    assert "Simulation Output Time Step 300s" in log


def test_the_index_is_made_again_from_the_vault(thaw: Thaw) -> None:
    run = thaw.ok(*SFT2)
    before = thaw.ok("runs", "-n", "1000")
    for file in thaw.home.glob("store.sqlite*"):
        file.unlink()
    assert thaw.ok("runs", "-n", "1000") == before
    assert thaw.ok("show", run["run"])["record"] == run["record"]


def test_an_image_goes_out_as_an_oci_layout_and_comes_back(thaw: Thaw, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    thaw.ok("image", "export", "rosetta-eps", str(layout))
    inspected = subprocess.run(
        ["skopeo", "inspect", "--config", "--raw", f"oci:{layout}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "thaw.lock" in inspected.stdout
    subprocess.run(["docker", "rmi", "-f", locked_image()], check=True, capture_output=True)
    assert thaw.ok("image", "import", str(layout))["image"] == locked_image()
    assert thaw.ok("recipe", "build", "rosetta-eps")["built"] is False


def test_an_oci_layout_with_a_flipped_bit_is_refused(thaw: Thaw, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    thaw.ok("image", "export", "rosetta-eps", str(layout))
    layer = max((layout / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    flip_bit(layer)
    refused = thaw("image", "import", str(layout))
    assert refused.status == 1
    assert layer.name in refused.words


def test_the_evidence_names_every_package_and_file(thaw: Thaw, tmp_path: Path) -> None:
    thaw.ok("image", "evidence", "rosetta-eps", str(tmp_path / "evidence"))
    bill = (tmp_path / "evidence/sbom.cdx.json").read_text()
    assert "pkg:pypi/osve@2.9.0" in bill
    assert "/usr/bin/python3.11" in (tmp_path / "evidence/manifest.json").read_text()
    assert "osve==2.9.0" in (tmp_path / "evidence/Dockerfile").read_text()


def test_the_preserved_image_holds_nothing_of_ours(thaw: Thaw, tmp_path: Path) -> None:
    thaw.ok("image", "evidence", "rosetta-eps", str(tmp_path / "evidence"))
    paths = (tmp_path / "evidence/manifest.json").read_text()
    assert "thaw" not in paths.lower()


def flip_bit(file: Path) -> None:
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, 1)
        stream.write(bytes([byte[0] ^ 1]))


def object_of(home: Path, sha256: str) -> Path:
    return home / "vault/objects" / sha256[:2] / sha256[2:]


def test_a_flipped_bit_of_a_package_is_caught_at_audit_and_at_build(own_thaw: Thaw) -> None:
    lock = lock_from_yaml((RECIPE / "recipe.lock.yaml").read_text(), where="lock")
    (python,) = [package for package in lock.packages if package.name == "python3.11-minimal"]
    flip_bit(object_of(own_thaw.home, python.sha256))
    audited = own_thaw("vault", "audit")
    built = own_thaw("recipe", "rebuild", "rosetta-eps")
    assert (audited.status, built.status) == (1, 1)
    assert python.sha256 in str(audited.data)
    assert "package python3.11-minimal" in str(audited.data)
    assert python.sha256 in built.words
    assert "package python3.11-minimal" in built.words


def test_a_flipped_bit_is_repaired_from_a_second_vault_and_from_the_origin(
    own_thaw: Thaw, thaw: Thaw
) -> None:
    lock = lock_from_yaml((RECIPE / "recipe.lock.yaml").read_text(), where="lock")
    package, wheel = lock.packages[0], lock.python[0]
    flip_bit(object_of(own_thaw.home, package.sha256))
    assert own_thaw("vault", "audit", "--repair-from", str(thaw.home / "vault")).status == 0
    flip_bit(object_of(own_thaw.home, package.sha256))
    flip_bit(object_of(own_thaw.home, wheel.sha256))
    assert own_thaw("vault", "audit", "--repair-from-origin").status == 0
    assert own_thaw.ok("vault", "audit")["rotten"] == []


def test_a_flipped_bit_of_an_input_is_caught_at_verify(own_thaw: Thaw) -> None:
    run = own_thaw.ok(*SFT2)
    script = RECIPE / "data/eps-bepicolombo-2015/input/itl/top.itl"
    sha256 = subprocess.run(["sha256sum", str(script)], capture_output=True, text=True, check=True).stdout[
        :64
    ]
    flip_bit(object_of(own_thaw.home, sha256))
    verified = own_thaw("verify", run["run"])
    assert verified.status == 1
    assert sha256 in verified.words
    assert "input/itl/top.itl" in verified.words
    assert run["run"] in verified.words


def test_a_vault_carried_in_one_file_builds_offline_on_an_empty_machine(thaw: Thaw, tmp_path: Path) -> None:
    archive = tmp_path / "rosetta-eps.thaw"
    thaw.ok("vault", "export", str(archive), "--recipe", "rosetta-eps")
    empty = replace(thaw, home=tmp_path / "home", before=("unshare", "-n"))
    lacking = empty("recipe", "build", "rosetta-eps", "--offline", "--force")
    assert lacking.status == 1
    assert "lacks" in lacking.words
    empty.ok("vault", "import", str(archive))
    assert empty.ok("recipe", "build", "rosetta-eps", "--offline", "--force")["image"] == locked_image()
