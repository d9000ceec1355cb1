"""The lock: what it says, how it is written down, and when it answers a recipe no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from instantiator.image.errors import LockInvalid, LockMissing, LockStale
from instantiator.image.lock import (
    Lock,
    LockedPackage,
    check_lock_matches,
    lock_from_json,
    lock_from_yaml,
    lock_to_json,
    lock_to_yaml,
    read_lock,
    refuse_unlocked,
    request_digest,
)
from instantiator.recipe.model import Recipe, Step
from tests.examples import (
    EPS_FOLDER,
    FLATFIELD,
    MIDAS_IMAGE,
    MIDAS_LOCK,
    answering_lock,
    eps_lock,
    eps_recipe,
    midas_recipe,
)

PINNED = replace(MIDAS_LOCK, image=MIDAS_IMAGE)


@pytest.fixture
def midas(tmp_path: Path) -> Recipe:
    return midas_recipe(tmp_path)


def test_the_whole_text_of_a_lock_is_as_reviewed(check_golden: Callable[[str, str], None]) -> None:
    check_golden("midas/recipe.lock.yaml", lock_to_yaml(PINNED))


@pytest.mark.parametrize("lock", [MIDAS_LOCK, PINNED, replace(MIDAS_LOCK, environment={}, steps=())])
def test_a_lock_is_read_as_it_was_written(lock: Lock) -> None:
    assert lock_from_yaml(lock_to_yaml(lock), where="here") == lock


def test_the_committed_lock_is_written_again_byte_for_byte() -> None:
    assert lock_to_yaml(eps_lock()) == (EPS_FOLDER / "recipe.lock.yaml").read_text(encoding="utf-8")


def test_the_committed_lock_answers_the_committed_recipe() -> None:
    assert refuse_unlocked(eps_recipe()) == eps_lock()


@pytest.mark.parametrize("version", ["1:20", "0.10", "1e3", "12345", "on", "null", "~", "2026-11-20", "1_0"])
def test_a_version_that_looks_like_another_kind_of_value_stays_a_text(version: str) -> None:
    package = replace(MIDAS_LOCK.packages[0], version=version)
    lock = replace(MIDAS_LOCK, packages=(package,))
    assert lock_from_yaml(lock_to_yaml(lock), where="here").packages[0].version == version


def test_a_pinned_image_changes_neither_the_digest_nor_the_name_of_a_lock() -> None:
    assert (PINNED.digest, PINNED.image_name) == (MIDAS_LOCK.digest, MIDAS_LOCK.image_name)


def test_the_image_name_is_one_an_engine_takes() -> None:
    lock = replace(MIDAS_LOCK, recipe="midas/22SEP+pl1.2~beta")
    assert lock.image_name == f"thaw/midas:22SEP_pl1.2_beta-{lock.digest[7:19]}"


def test_objects_names_all_that_a_build_takes_from_the_vault() -> None:
    assert [what for _, what in MIDAS_LOCK.objects()] == [
        "package libstdc++6 12.2.0-14+deb12u1 of midas/22SEP",
        "package xterm 1:379-1~deb12u1 of midas/22SEP",
        "wheel numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl of midas/22SEP",
        "source midas of midas/22SEP",
        "source calib of midas/22SEP",
        "deposit tables of midas/22SEP",
        "file usr/local/bin/inmidas of midas/22SEP",
        "file etc/midas.conf of midas/22SEP",
    ]


def test_a_deposit_without_a_digest_is_awaited() -> None:
    waiting = replace(MIDAS_LOCK.deposits[0], sha256=None, size=None)
    lock = replace(MIDAS_LOCK, deposits=(waiting,))
    assert lock_from_yaml(lock_to_yaml(lock), where="here").awaited == (waiting,)
    assert MIDAS_LOCK.awaited == ()


@pytest.mark.parametrize("number", [0, 2, "1", None])
def test_a_lock_of_another_format_is_refused(number: object) -> None:
    with pytest.raises(LockInvalid, match=f"lock of format {number!r}: expected 1"):
        lock_from_json({**lock_to_json(MIDAS_LOCK), "format": number}, where="here")


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("packages", None, "packages is no list"),
        ("packages", ["xterm"], "'xterm' is no LockedPackage"),
        ("packages", [{"name": "xterm"}], "missing 5 required"),
        ("packages", [{**lock_to_json(MIDAS_LOCK), "name": "xterm"}], "unexpected keyword"),
        ("recipe", "midas", "recipe of Lock is 'midas'"),
        ("recipe", 5, "recipe of Lock is 5"),
        ("request", "sha256:beef", "request of Lock is 'sha256:beef'"),
        ("source_date_epoch", "today", "source_date_epoch of Lock is 'today'"),
        ("steps", [1], "steps of Lock is"),
        ("steps", "make", "steps is no list"),
        ("environment", ["HOME"], "environment of Lock is"),
        ("environment", {"HOME": 1}, "environment of Lock is"),
        ("image", "sha256:beef", "'sha256:beef' is no LockedImage"),
        ("sauces", [], "unexpected keyword"),
    ],
)
def test_a_damaged_lock_is_refused_naming_what_is_wrong(key: str, value: object, found: str) -> None:
    with pytest.raises(LockInvalid) as refusal:
        lock_from_json({**lock_to_json(MIDAS_LOCK), key: value}, where="recipes/midas/22SEP/recipe.lock.yaml")
    assert found in refusal.value.message
    assert (refusal.value.where, "lock again" in refusal.value.hint) == (
        "recipes/midas/22SEP/recipe.lock.yaml",
        True,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../etc/cron.d/x"),
        ("name", ".."),
        ("pool", "/etc/passwd"),
        ("pool", "pool/../../secret"),
        ("sha256", "beef"),
        ("sha256", "A" * 64),
        ("size", -1),
        ("size", True),
        ("size", "12"),
        ("version", 379),
    ],
)
def test_a_package_that_leads_elsewhere_or_has_no_digest_is_refused(field: str, value: object) -> None:
    package = {**_plain(MIDAS_LOCK.packages[0]), field: value}
    with pytest.raises(LockInvalid, match=f"{field} of LockedPackage"):
        lock_from_json({**lock_to_json(MIDAS_LOCK), "packages": [package]}, where="here")


def _plain(package: LockedPackage) -> dict[str, object]:
    return {name: getattr(package, name) for name in LockedPackage.__slots__}


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"- 1", b"", b"format: 1\n\trecipe: x"])
def test_a_file_that_is_no_lock_is_refused(midas: Recipe, content: bytes) -> None:
    (midas.folder / "recipe.lock.yaml").write_bytes(content)
    with pytest.raises(LockInvalid):
        read_lock(midas)


def test_a_recipe_without_a_lock_says_how_to_make_one(midas: Recipe) -> None:
    with pytest.raises(LockMissing) as refusal:
        read_lock(midas)
    assert refusal.value.hint == "make one: thaw recipe lock midas"


def test_a_lock_that_answers_its_recipe_is_taken(midas: Recipe) -> None:
    check_lock_matches(midas, answering_lock(midas))


@pytest.mark.parametrize(
    "change",
    [
        lambda recipe: replace(recipe, packages=("xterm",)),
        lambda recipe: replace(recipe, steps=(*recipe.steps, Step(location=recipe.at("steps"), run="true"))),
        lambda recipe: replace(recipe, environment={"MIDASHOME": "/opt"}),
        lambda recipe: replace(recipe, base=replace(recipe.base, snapshot="2027-01-01")),
        lambda recipe: replace(recipe, python=("numpy==1.26.4",)),
        lambda recipe: replace(recipe, deposits=()),
        lambda recipe: replace(recipe, architecture="i386"),
    ],
)
def test_a_recipe_that_asks_for_another_image_makes_its_lock_stale(
    midas: Recipe, change: Callable[[Recipe], Recipe]
) -> None:
    with pytest.raises(LockStale) as refusal:
        check_lock_matches(change(midas), answering_lock(midas))
    assert refusal.value.hint == "lock again: thaw recipe lock midas"


def test_a_lock_copied_from_another_version_is_stale(midas: Recipe) -> None:
    newer = replace(midas, version="23SEP")
    with pytest.raises(LockStale, match="midas/22SEP"):
        check_lock_matches(newer, answering_lock(midas))


@pytest.mark.parametrize(
    "change",
    [
        lambda recipe: replace(recipe, threads=()),
        lambda recipe: replace(recipe, threads=(replace(FLATFIELD, time_limit_s=1),)),
        lambda recipe: replace(recipe, title="MIDAS", description="", packages=("libstdc++6", "xterm")),
    ],
)
def test_editing_threads_texts_or_the_order_of_packages_needs_no_new_lock(
    midas: Recipe, change: Callable[[Recipe], Recipe]
) -> None:
    assert request_digest(change(midas)) == request_digest(midas)


def test_a_file_its_bytes_and_its_right_to_be_executed_are_part_of_the_request(midas: Recipe) -> None:
    file = midas.folder / "files/usr/bin/inmidas"
    digests = [request_digest(midas)]
    file.parent.mkdir(parents=True)
    for content, mode in (("#!/bin/sh", 0o644), ("#!/bin/sh", 0o755), ("#!/bin/bash", 0o755)):
        file.write_text(content)
        file.chmod(mode)
        digests.append(request_digest(midas))
    assert len(set(digests)) == 4
