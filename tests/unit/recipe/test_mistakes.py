"""Every mistake in a recipe is reported at once, at its line, with the nearest right word."""

# ruff: noqa: E501 (one case per line reads better than six)
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.recipe.samples import MIDAS, change, line_of, mistakes_of, refusal

THREAD = "    title: Divide an image by a flat field\n"
GAIN = "gain: {type: float, unit: e-/ADU, min: 0.1, max: 10, default: 1.0, help: the gain of the CCD}"
FLAT = "flat: {path: flat.fits, media_type: image/fits, compare: {rule: fits}}"
COMMAND = '    command: [flat, "{{ inputs.image }}", "{{ params.gain }}", "{{ params.mode }}", "{{ params.start }}"]\n'

CASES = [
    # keys
    ("    command: [", "    comand: [", "comand", "unknown key 'comand' in thread 'flatfield' (did you mean 'command'?)"),
    ("title: ESO-MIDAS\n", "", "format", "key 'title' is missing in the recipe"),
    (THREAD, "", "flatfield:", "key 'title' is missing in thread 'flatfield'"),
    ("format: 1\n", "format: 1\nformat: 1\n", "format: 1\nname: midas", "key 'format' stands twice in the recipe (first in line 1)"),
    ("      mode: {", "      gain: {type: int}\n      mode: {", "gain: {type: int}", "key 'gain' stands twice"),
    ("min: 0.1, ", "minimum: 0.1, ", GAIN[:8], "unknown key 'minimum' in parameter 'gain' of thread 'flatfield'"),
    # shapes
    ("packages: [eso-midas]", "packages: eso-midas", "packages", "'packages' in the recipe has to be a list"),
    ("base:\n  debian: bookworm", "base: bookworm", "base", "'base' in the recipe has to be a mapping"),
    ("title: ESO-MIDAS", "title: [ESO-MIDAS]", "title", "has to be a single value, found a list"),
    ("[median, mean]", "[]", "mode:", "'choices' in parameter 'mode' of thread 'flatfield' is empty"),
    ("packages: [eso-midas]", "packages: [eso-midas, eso-midas]", "packages", "names 'eso-midas' twice"),
    # scalars
    ("format: 1", "format: 2", "format", "'format' in the recipe has to be a number from 1 to 1, found 2"),
    ("format: 1", 'format: "1"', "format", "found the text '1': leave the quotes away"),
    ("name: midas", "name: Midas", "name", "'name' in the recipe has to be a name of small letters"),
    ("title: ESO-MIDAS", "title: no", "title", "no is true or false to some YAML readers"),
    ("title: ESO-MIDAS", "title:", "title", "'title' in the recipe has no value"),
    ("title: ESO-MIDAS", 'title: ""', "title", "'title' in the recipe has to be a line of text, found nothing"),
    ("title: ESO-MIDAS", 'title: "ESO\\x07MIDAS"', "title", "found the control character '\\x07'"),
    ("https://www.eso.org", "www.eso.org", "homepage", "has to be an http, https or ftp URL"),
    ("min: 0.1", "min: .nan", GAIN[:8], "'min' in parameter 'gain' of thread 'flatfield' has to be a number, found .nan"),
    ("type: fits", "type: fit", "image: {", "cannot be 'fit' (did you mean 'fits'?)"),
    (THREAD, THREAD + "    time_limit: 600\n", "time_limit", "such as 10 min, found 600"),
    (THREAD, THREAD + "    time_limit: 0 s\n", "time_limit", "such as 10 min, found 0 s"),
    (THREAD, THREAD + "    resources: {memory: 512 MB}\n", "resources", "and MiB, GiB or TiB"),
    (THREAD, THREAD + "    resources: {processes: 010}\n", "resources", "octal to some YAML readers"),
    (THREAD, THREAD + "    resources: {processes: 1_000}\n", "resources", "YAML readers understand in different ways"),
    ("type: fits,", "type: fits, required: yes,", "image: {", "has to be true or false, found yes"),
    ("ascl:1302.017", "1302.017", "- ascl", "has to be an ASCL id such as ascl:1302.017"),
    ("ascl: ascl:1302.017", "doi: https://doi.org/10.1051/1", "- doi", "has to be a bare DOI"),
    ("ascl: ascl:1302.017", "ads: 1992ASPC", "- ads", "has to be an ADS bibcode of 19 characters"),
    ("GPL-2.0-or-later", "GPL 2", "licence", "has to be an SPDX expression"),
    ("path: flat.fits", "path: /tmp/flat.fits", FLAT[:8], "a path inside the folder"),
    ("path: flat.fits", "path: a/../../flat.fits", FLAT[:8], "a path inside the folder"),
    ("path: data/m31", "path: ../m31", "path: ../m31", "a path inside the folder"),
    ("media_type: image/fits", "media_type: FITS", FLAT[:8], "has to be a media type such as text/csv"),
    (THREAD, THREAD + "    environment: {1ST: x}\n", "environment", "has to be the name of an environment variable"),
    # one thing or another
    ("  debian: bookworm", "  debian: bookworm\n  image: debian:12", "base:", "needs exactly one of debian, image, rootfs: found debian and image"),
    ("base:\n  debian: bookworm", "base: {}", "base:", "needs exactly one of debian, image, rootfs: found none"),
    ("  debian: bookworm", "  image: debian\n  snapshot: 2026-11-20", "base:", "key 'snapshot' in 'base' in the recipe needs debian beside it"),
    ("ascl: ascl:1302.017", "note: a paper", "- note", "citation 1 needs exactly one of doi, ascl, ads: found none"),
    (COMMAND, "", "flatfield:", "thread 'flatfield' needs exactly one of command, script: found none"),
    (COMMAND, COMMAND + "    script: {language: sh, text: ls}\n", "flatfield:", "found command and script"),
    ("contains: [SIMPLE]", "compare: {rule: fits}", "- output", "needs at least one of file, sha256, contains"),
    ("packages:", "sources: [{name: src, urls: ['https://a.org/b']}]\npackages:", "sources", "needs sha256 and size beside it"),
    # parameters among themselves
    ("default: median", "default: mode", "mode: {", "parameter 'mode' cannot be 'mode'"),
    ("default: 1.0", "default: 11", GAIN[:8], "has to be a number from 0.1 to 10 (e-/ADU), found 11.0"),
    ("min: 0.1, max: 10, default: 1.0", "min: 10, max: 0.1", GAIN[:8], "is greater than 'max': 10 > 0.1"),
    ("type: time", "type: time, min: 3", "start: {", "'min' in parameter 'start' of thread 'flatfield' is for type int or float, not time"),
    ("type: time", "type: choice", "start: {", "is a choice: list its words under 'choices'"),
    ("type: time", "type: text, pattern: '(['", "start: {", "is no regular expression"),
    ("default: 1.0", "default: 1.0, required: true", GAIN[:8], "is required and has a default"),
    # names that must exist
    ("thread: flatfield", "thread: flatfeld", "thread: flatfeld", "smoke test 'm31' names no thread: 'flatfeld' (did you mean 'flatfield'?)"),
    ("{image: m31}", "{image: m13}", "{image: m13}", "input 'image' of smoke test 'm31' names no dataset: 'm13' (did you mean 'm31'?)"),
    ("{image: m31}", "{imag: m31}", "{imag: m31}", "gives an input that thread 'flatfield' does not have: 'imag'"),
    ("    inputs: {image: m31}\n", "", "m31:\n    thread", "smoke test 'm31' lacks the input 'image' of thread 'flatfield'"),
    ("{gain: 2}", "{gian: 2}", "{gian: 2}", "thread 'flatfield' has no parameter 'gian' (did you mean 'gain'?)"),
    ("{gain: 2}", "{gain: 20}", "{gain: 20}", "smoke test 'm31': parameter 'gain' has to be a number from 0.1 to 10"),
    ("output: flat", "output: flats", "output: flats", "names no output of thread 'flatfield': 'flats'"),
    ("contains: [SIMPLE]", "file: smoke/flat.fits", "file: smoke", "does not exist: smoke/flat.fits"),
    ("path: data/m31", "path: data/m13", "path: data/m13", "'path' in dataset 'm31' does not exist: data/m13"),
    ("path: data/m31", "path: data/m31/m31.fits", "path: data", "has to be a folder"),
    ("path: data/m31", "path: data/m31\n    source: sdss", "source: sdss", "names no source or deposit: 'sdss'"),
    ("debian: bookworm", "rootfs: centos", "rootfs", "'rootfs' names no deposit: 'centos'"),
    (THREAD, THREAD + "    success: {refuse: [{in: lgo, pattern: x}]}\n", "success", "'lgo' is neither log nor an output of thread 'flatfield' (did you mean 'log'?)"),
    (COMMAND, "    script: {language: plain, text: ls}\n", "script: {", "the plain script of thread 'flatfield' needs 'command'"),
    (THREAD, THREAD + "    needs: [{grant: capability}]\n", "needs", "say which under 'capability'"),
    (THREAD, THREAD + "    needs: [{grant: network, capability: NET_RAW}]\n", "needs", "'grant' is not capability"),
    (THREAD, THREAD + "    needs: [{grant: capability, capability: SYS_ADMIN}]\n", "needs", "cannot be 'SYS_ADMIN'"),
    ("{rule: fits}", "{rule: fist}", FLAT[:8], "cannot be 'fist' (did you mean 'fits'?)"),
    ("{rule: fits}", "{rule: table, delimeter: ','}", FLAT[:8], "unknown option 'delimeter' of rule 'table' (did you mean 'delimiter'?)"),
    # the folder
    ("name: midas", "name: madis", "name: madis", "'name' is 'madis', but the folder is called 'midas'"),
    ("version: 22SEP", "version: 23SEP", "version", "'version' is '23SEP', but the folder is called '22SEP'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), CASES, ids=[case[3][:60] for case in CASES])
def test_a_mistake_is_found_at_its_line(tmp_path: Path, old: str, new: str, line: str, message: str) -> None:
    text = change(old, new)
    found = mistakes_of(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].startswith(f"{line_of(text, line)}: "), (found, line)
    assert message in found[0]


def test_the_sample_itself_is_without_a_mistake(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path, MIDAS) == []


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = change("thread: flatfield", "thread: flatfeld")
    text = change("    command: [", "    comand: [", text=text)
    text = change("format: 1", "format: 3", text=text)
    text = change("default: median", "default: mode", text=text)
    found = mistakes_of(tmp_path, text)
    assert len(found) == 4
    assert [int(message.split(":")[0]) for message in found] == sorted(int(m.split(":")[0]) for m in found)


def test_a_mistake_inside_a_thread_hides_none_in_a_smoke_test_of_it(tmp_path: Path) -> None:
    text = change("{gain: 2}", "{gian: 2}", text=change(THREAD, ""))
    assert [message.partition(": ")[2][:30] for message in mistakes_of(tmp_path, text)] == [
        "key 'title' is missing in thre",
        "smoke test 'm31': thread 'flat",
    ]


def test_the_error_reads_as_the_style_guide_says(tmp_path: Path) -> None:
    error = refusal(tmp_path, change("    command: [", "    comand: ["))
    assert str(error.mistakes[0]).endswith(
        "recipes/midas/22SEP/recipe.yaml:24: unknown key 'comand' in thread 'flatfield' (did you mean 'command'?)"
    )
    assert error.to_json()["code"] == "recipe-invalid"
    assert all(str(mistake) in str(error) for mistake in error.mistakes)


def test_a_path_that_leaves_the_folder_by_a_link_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "recipes/midas/22SEP"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (folder / "outside").symlink_to(tmp_path / "elsewhere")
    assert any(
        "leaves the recipe's folder" in m
        for m in mistakes_of(tmp_path, change("path: data/m31", "path: outside"))
    )


@pytest.mark.parametrize("name", ["source", "deposit"])
def test_two_sources_or_deposits_cannot_share_a_name(tmp_path: Path, name: str) -> None:
    deposit = "deposits: [{name: sas, file: sas.tgz, found_at: ESA, why: licence}, {name: sas, file: s, found_at: x, why: z}]\n"
    source = "sources: [{name: sas, wheel: a==1}]\ndeposits: [{name: sas, file: sas.tgz, found_at: ESA, why: licence}]\n"
    text = change("packages:", (deposit if name == "deposit" else source) + "packages:")
    assert mistakes_of(tmp_path, text)[0].endswith(f"deposit 'sas' has the name of a {name} before it")
