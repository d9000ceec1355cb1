from __future__ import annotations

import pytest

from instantiator.observe.findings import Declared, FindingCode, find_undeclared, is_complete
from instantiator.observe.summary import summarise

DECLARED = Declared(
    inputs={"image": "/in/image", "flat": "/in/flat"},
    files=("/thaw/script",),
    writable=("/out", "/work", "/tmp"),
    image=frozenset(("/usr/bin/prog", "/etc/prog.conf")),
)


def observed(
    *,
    read: tuple[str, ...] = ("/in/image/a", "/in/flat/b"),
    written: tuple[str, ...] = (),
    programs: tuple[str, ...] = (),
    mechanism: str = "fanotify",
    lost: int = 0,
) -> dict[str, object]:
    def entries(paths: tuple[str, ...]) -> list[dict[str, object]]:
        return [{"path": path, "times": 1, "first": None} for path in paths]

    return {
        "mechanism": mechanism,
        "files_read": entries((*read, *programs)),
        "files_written": entries(written),
        "programs": entries(programs),
        "lost_events": lost,
        "limits": [],
    }


def codes(seen: dict[str, object], declared: Declared = DECLARED) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.code.value, finding.paths) for finding in find_undeclared(seen, declared)]


def test_a_run_that_does_what_its_recipe_says_has_no_findings() -> None:
    seen = observed(
        read=("/in/image/a", "/in/flat/b", "/etc/prog.conf", "/thaw/script", "/tmp/x", "/proc/1/maps"),
        written=("/out/r.fits", "/work/login.cl", "/tmp/x"),
        programs=("/usr/bin/prog",),
    )
    assert codes(seen) == []


def test_a_file_from_nowhere_is_an_undeclared_input_and_a_program_an_undeclared_program() -> None:
    seen = observed(read=("/in/image/a", "/in/flat/b", "/etc/passwd"), programs=("/opt/helper",))
    assert codes(seen) == [
        (FindingCode.UNDECLARED_INPUT.value, ("/etc/passwd",)),
        (FindingCode.UNDECLARED_PROGRAM.value, ("/opt/helper",)),
    ]


def test_what_the_run_wrote_itself_is_no_undeclared_input_but_a_write_outside() -> None:
    seen = observed(read=("/in/image/a", "/in/flat/b", "/var/cache/p"), written=("/var/cache/p",))
    assert codes(seen) == [(FindingCode.WRITE_OUTSIDE.value, ("/var/cache/p",))]


def test_a_name_that_only_begins_like_a_declared_folder_is_not_below_it() -> None:
    seen = observed(read=("/in/image/a", "/in/flat/b", "/in/image2/x"), written=("/output/x",))
    assert codes(seen) == [
        (FindingCode.UNDECLARED_INPUT.value, ("/in/image2/x",)),
        (FindingCode.WRITE_OUTSIDE.value, ("/output/x",)),
    ]


@pytest.mark.parametrize(
    ("mechanism", "lost", "found"),
    [("fanotify", 0, 1), ("reprozip", 0, 1), ("polling", 0, 0), ("fanotify", 2, 0)],
)
def test_an_input_counts_as_never_read_only_where_nothing_can_have_been_missed(
    mechanism: str, lost: int, found: int
) -> None:
    seen = observed(read=("/in/image/a",), mechanism=mechanism, lost=lost)
    assert is_complete(seen) == bool(found)
    assert len(find_undeclared(seen, DECLARED)) == found


def test_without_the_list_of_the_images_files_nothing_is_called_a_stranger() -> None:
    unknown = Declared(inputs={}, files=(), writable=("/out",), image=None)
    assert codes(observed(read=("/etc/passwd",)), unknown) == []


def test_of_many_paths_twenty_are_named_and_all_are_counted() -> None:
    many = tuple(f"/srv/{number:03}" for number in range(50))
    (finding,) = find_undeclared(observed(read=("/in/image/a", "/in/flat/b", *many)), DECLARED)
    assert (len(finding.paths), finding.count) == (20, 50)
    told = summarise({**observed(), "findings": [finding.to_json()]})
    assert told is not None
    assert told.findings == (
        "50 files were read that neither the image nor an input holds: /srv/000, /srv/001, /srv/002 and 47 more "
        "(undeclared-input)",
    )


def test_the_summary_says_what_was_seen_by_what_and_what_was_not() -> None:
    told = summarise({**observed(programs=("/usr/bin/prog",)), "findings": []})
    assert told is not None
    assert told.text == "3 files read, 0 written, 1 programs, by fanotify; all as the recipe says"
    unseen = summarise({"mechanism": "none", "limits": ["nothing was observed: no right"]})
    assert unseen is not None
    assert unseen.text == "nothing was observed: no right"
    lossy = summarise(observed(lost=3))
    assert lossy is not None
    assert lossy.text.endswith("; events were lost, so there is more")
    assert summarise({"applications": []}) is None
