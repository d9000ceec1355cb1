"""From a thread and a dataset to a plan and a job; and the same job again from the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from instantiator.image.lock import LockedImage
from instantiator.job.spec import ImageDigest, JobSpec, Limits, Mount, RunId
from instantiator.recipe.model import Grant, Input, InputType, Need, ParameterValue, Recipe, Resources, Thread
from instantiator.recipe.parameters import parse_parameters
from instantiator.thread.errors import InputWrong, ThreadUnknown
from instantiator.thread.plan import (
    Environment,
    GivenInput,
    RunFolders,
    RunPlan,
    check_input,
    find_thread,
    job_spec,
    plan_repeat,
    plan_thread,
)
from provenance.digest import Digest, Tree, TreeEntry, canonical_json, digest_bytes, make_tree
from provenance.record import record_from_bytes
from tests.examples import (
    EPS_FOLDER,
    FLATFIELD,
    HERE,
    MIDAS_IMAGE,
    MIDAS_LOCK,
    eps_lock,
    eps_recipe,
    midas_recipe,
)
from tests.unit.thread.examples import finish

RUN = RunId("20261120-120000-sft2")
FOLDERS = RunFolders(root=Path("/srv/thaw/runs") / RUN)


def tree_of(*paths: str) -> Tree:
    """A tree of small files with these paths."""
    return make_tree(
        [TreeEntry(path=path, digest=digest_bytes(path.encode()), size=len(path)) for path in paths]
    )


def given(*paths: str, name: str = "m31-1991@1") -> GivenInput:
    """A dataset that holds these files."""
    return GivenInput(dataset=name, tree=tree_of(*paths), source=Path("/srv/thaw/trees/m31"))


FRAME = given("m31.fits")


def plan_flatfield(
    thread: Thread = FLATFIELD, *, inputs: Mapping[str, GivenInput] | None = None, **values: ParameterValue
) -> RunPlan:
    """The plan of MIDAS' flatfield."""
    recipe = midas_recipe(Path("/recipes/midas/22SEP"))
    lock = replace(MIDAS_LOCK, image=MIDAS_IMAGE)
    environment = Environment(lock=lock, lock_digest=lock.digest, image=ImageDigest(MIDAS_IMAGE.id))
    parameters = parse_parameters(thread, values)
    return plan_thread(
        recipe,
        thread,
        environment,
        parameters=parameters,
        inputs=inputs if inputs is not None else {"frame": FRAME},
    )


def job_of(plan: RunPlan) -> JobSpec:
    """The job of a plan, its inputs in one folder."""
    return job_spec(plan, RUN, FOLDERS, {item.name: Path("/srv/thaw/trees/m31") for item in plan.inputs})


def plan_simulate(parameters: Mapping[str, str]) -> RunPlan:
    """The plan of EPS' simulate on the BepiColombo timeline, from the committed recipe and lock."""
    recipe, lock = eps_recipe(), eps_lock()
    assert lock.image is not None
    thread = find_thread(recipe, "simulate")
    environment = Environment(lock=lock, lock_digest=lock.digest, image=ImageDigest(lock.image.id))
    scenario = replace(given(*eps_files()), dataset="eps-bepicolombo-2015@1")
    plan = plan_thread(
        recipe,
        thread,
        environment,
        parameters=parse_parameters(thread, parameters),
        inputs={"scenario": scenario},
    )
    return replace(plan, recipe_digest=Digest("sha256:" + 64 * "0"))  # the text of the recipe is another test


def eps_files() -> list[str]:
    """The paths of the BepiColombo dataset."""
    root = EPS_FOLDER / "data/eps-bepicolombo-2015"
    return [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]


def describe_plan(plan: RunPlan) -> str:
    """The plan, the job a backend gets and the script, as one text."""
    job = json.dumps(asdict(job_of(plan)), indent=1, sort_keys=True, default=str)
    kept = {key: value for key, value in asdict(plan).items() if key != "script"}
    content = json.dumps(kept, indent=1, sort_keys=True, default=str)
    script = plan.script.decode() if plan.script else ""
    return f"== plan\n{content}\n== job\n{job}\n== script\n{script}"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("simulate", {}),
        (
            "simulate-with-parameters",
            {
                "time_step": "60",
                "output_step": "600",
                "start": "2032-07-01T00:00:00Z",
                "end": "2032-07-03T00:00:00Z",
            },
        ),
    ],
)
def test_the_whole_plan_of_a_run_is_as_reviewed(
    name: str, parameters: Mapping[str, str], check_golden: Callable[[str, str], None]
) -> None:
    check_golden(f"rosetta-eps/{name}.txt", describe_plan(plan_simulate(parameters)))


def test_a_job_gets_nothing_by_default() -> None:
    job = job_of(plan_flatfield())
    assert (job.network, job.writable_root, job.capabilities, job.uid, job.labels) == (
        False,
        False,
        (),
        64000,
        {},
    )
    assert job.mounts == (
        Mount(source=Path("/srv/thaw/trees/m31"), target="/in/frame", digest=FRAME.tree.digest),
        Mount(source=FOLDERS.work, target="/work", read_only=False),
        Mount(source=FOLDERS.out, target="/out", read_only=False),
        Mount(source=FOLDERS.script, target="/thaw/script"),
    )
    assert job.environment == {"HOME": "/work", "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp", "TZ": "UTC"}


def test_the_bounds_of_a_job_are_those_of_its_thread() -> None:
    resources = Resources(memory_mb=512, cpus=0.5, processes=9, disk_mb=77, log_mb=3)
    job = job_of(plan_flatfield(replace(FLATFIELD, resources=resources, time_limit_s=42)))
    assert job.limits == Limits(memory_mb=512, cpus=0.5, processes=9, disk_mb=77, log_mb=3, time_s=42)


def test_what_a_thread_needs_becomes_what_its_job_is_granted() -> None:
    needs = (
        Need(location=HERE, grant=Grant.NETWORK, reason="asks SIMBAD"),
        Need(location=HERE, grant=Grant.WRITABLE_ROOT, reason="writes into its own folder"),
        Need(location=HERE, grant=Grant.CAPABILITY, reason="ptrace", capability="SYS_PTRACE"),
    )
    job = job_of(plan_flatfield(replace(FLATFIELD, needs=needs)))
    assert (job.network, job.writable_root, job.capabilities) == (True, True, ("SYS_PTRACE",))


def test_the_threads_environment_goes_over_the_usual_one() -> None:
    job = job_of(plan_flatfield(replace(FLATFIELD, environment={"TZ": "Europe/Paris", "MID_WORK": "/work"})))
    assert (job.environment["TZ"], job.environment["MID_WORK"], job.environment["HOME"]) == (
        "Europe/Paris",
        "/work",
        "/work",
    )


def test_a_parameter_never_becomes_program_text() -> None:
    plan = plan_flatfield(title="'; rm -rf / #")
    assert plan.script is not None
    assert plan.parameters == {"sigma": 3.0, "title": "'; rm -rf / #"}
    body = [line for line in plan.script.decode().splitlines() if line.startswith("inmidas")]
    assert len(body) == 2
    assert "rm -rf" not in "".join(body)


def test_a_command_is_an_argv_and_has_no_script() -> None:
    thread = replace(FLATFIELD, script=None, command=("inmidas", "{{ inputs.frame }}", "{{ params.title }}"))
    job = job_of(plan_flatfield(thread, title="M 31; reboot"))
    assert job.command == ("inmidas", "/in/frame/m31.fits", "M 31; reboot")
    assert "/thaw/script" not in [mount.target for mount in job.mounts]


def test_an_unknown_thread_is_told_the_nearest() -> None:
    with pytest.raises(ThreadUnknown) as refusal:
        find_thread(midas_recipe(Path("/recipes/midas/22SEP")), "flatfeild")
    assert refusal.value.hint == "did you mean 'flatfield'?"


def test_a_recipe_without_such_a_thread_names_those_it_has() -> None:
    with pytest.raises(ThreadUnknown) as refusal:
        find_thread(midas_recipe(Path("/recipes/midas/22SEP")), "xyz")
    assert refusal.value.hint == "it has: flatfield"


FRAMES = Input(location=HERE, name="frames", type=InputType.DIRECTORY, help="set of frames")


@pytest.mark.parametrize(
    ("globs", "paths"),
    [
        (("session.json",), ("session.json",)),
        (("config/**",), ("config/eps/units.def",)),
        (("config/*.cfg",), ("config/eps.cfg", "x")),
        (("**/*.fits",), ("m31.fits",)),
        (("**/*.fits",), ("night1/raw/m31.fits",)),
        (("night[12]/*.fits", "log?"), ("night2/a.fits", "log7")),
        (("[!.]*",), ("a",)),
        (("m31 (1991)+.fits",), ("m31 (1991)+.fits",)),
        ((), ()),
    ],
)
def test_a_folder_that_holds_what_is_asked_for_is_taken(
    globs: tuple[str, ...], paths: tuple[str, ...]
) -> None:
    assert check_input(replace(FRAMES, must_contain=globs), given(*paths), FLATFIELD) == "/in/frames"


@pytest.mark.parametrize(
    ("glob", "paths"),
    [
        ("session.json", ("sub/session.json", "session.json.bak")),
        ("config/**", ("config", "configs/x", "old/config/x")),
        ("config/*.cfg", ("config/eps/eps.cfg",)),
        ("*.fits", ("m31.FITS",)),
        ("log?", ("log10",)),
        ("m31+.fits", ("m311.fits",)),
    ],
)
def test_a_folder_that_lacks_it_is_refused(glob: str, paths: tuple[str, ...]) -> None:
    with pytest.raises(InputWrong) as refusal:
        check_input(replace(FRAMES, must_contain=(glob,)), given(*paths), FLATFIELD)
    assert refusal.value.message == f"dataset 'm31-1991@1' is no set of frames: it lacks {glob}"
    assert f"it holds {len(paths)} files" in refusal.value.hint


@pytest.mark.parametrize("kind", [InputType.FILE, InputType.FITS, InputType.TABLE, InputType.TEXT])
def test_an_input_that_is_one_file_is_given_by_its_path(kind: InputType) -> None:
    declared = replace(FRAMES, type=kind)
    assert check_input(declared, given("night 1/m31.fits"), FLATFIELD) == "/in/frames/night 1/m31.fits"


@pytest.mark.parametrize("paths", [(), ("a.fits", "b.fits")])
def test_a_dataset_of_other_than_one_file_is_no_such_input(paths: tuple[str, ...]) -> None:
    with pytest.raises(InputWrong, match=f"holds {len(paths)} files"):
        check_input(replace(FRAMES, type=InputType.FITS), given(*paths), FLATFIELD)


def test_a_required_input_that_was_left_out_says_how_to_give_it() -> None:
    with pytest.raises(InputWrong) as refusal:
        plan_flatfield(inputs={})
    assert refusal.value.message == "thread 'flatfield' needs the input 'frame' (fits): raw frame"
    assert refusal.value.hint == "give it: --dataset frame=NAME_OR_PATH"


def test_an_input_that_may_be_left_out_is_none_in_the_script() -> None:
    plan = plan_flatfield()
    assert [item.name for item in plan.inputs] == ["frame"]
    assert b"inmidas-flats" not in (plan.script or b"inmidas-flats")


@pytest.mark.parametrize("values", [{}, {"sigma": 2.5, "title": "M 31 «núcleo»"}])
def test_a_repeat_asks_for_exactly_the_job_that_was_recorded(values: dict[str, ParameterValue]) -> None:
    inputs = {"frame": FRAME, "flats": given("f/1.fits", name="flats@3")}
    needs = (Need(location=HERE, grant=Grant.NETWORK, reason="asks SIMBAD"),)
    first = plan_flatfield(replace(FLATFIELD, needs=needs), inputs=inputs, **values)
    record = record_from_bytes(finish(first).to_bytes())
    lock = replace(MIDAS_LOCK, image=MIDAS_IMAGE)
    again = plan_repeat(record, lock, script=first.script, inputs=record.inputs)
    assert job_of(again) == job_of(first)
    assert (again.repeats, again.job, again.parameters) == (record.run, record.job, record.parameters)
    assert canonical_json(asdict(job_of(again)) | {"mounts": None}) == canonical_json(
        asdict(job_of(first)) | {"mounts": None}
    )


def test_a_repeat_of_eps_needs_no_recipe() -> None:
    first = plan_simulate({"time_step": "60"})
    record = record_from_bytes(finish(first).to_bytes())
    again = plan_repeat(record, eps_lock(), script=first.script, inputs=record.inputs)
    assert job_of(again) == job_of(first)


def test_the_layers_of_the_image_prove_it_to_engines_that_name_it_otherwise() -> None:
    image: LockedImage = MIDAS_IMAGE
    assert job_of(plan_flatfield()).image_layers == (image.layer,)


def test_the_recipe_itself_is_named_by_digest(tmp_path: Path) -> None:
    recipe: Recipe = midas_recipe(tmp_path)
    assert plan_flatfield().recipe_digest == recipe.digest
