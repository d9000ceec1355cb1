"""Rule `tree`: the same members in a tar archive or a folder, each judged by a rule of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provenance.compare.files import Unreadable, describe_kind, first_difference, missing, same_bytes
from provenance.compare.findings import (
    Findings,
    count_of,
    different,
    nothing_compared,
    say_different,
    say_unreadable,
)
from provenance.compare.globs import matches_glob
from provenance.compare.model import (
    CompareRuleInvalid,
    Comparison,
    Difference,
    Grade,
    Rule,
    worst_grade,
)
from provenance.compare.options import OptionReader, suggest
from provenance.compare.tree_members import BROKEN_ARCHIVE, FILE, Member, open_files, read_members
from provenance.errors import ObjectMissing

RULE = "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRule:
    """The rule for the members that match a glob; `options` are as its own `parse_options` gave them."""

    match: str
    name: str
    rule: Rule[Any]  # whatever options it takes, it gave them itself
    options: object


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeOptions:
    """`members`: the first that matches counts, `bytes` where none does; `ignore`: globs of members."""

    members: tuple[MemberRule, ...] = ()
    ignore: tuple[str, ...] = ()
    times: bool = False
    owners: bool = False


class TreeRule:
    """Two trees are as alike as their least alike member; times and owners count only when asked for."""

    def __init__(self, rules: Mapping[str, Rule[Any]]) -> None:
        self._rules = rules

    def parse_options(self, options: Mapping[str, object]) -> TreeOptions:
        """Read `members`, `ignore`, `times` and `owners`, and the options of every member's rule."""
        reader = OptionReader(RULE, options)
        members = (
            self._read_member(reader, number, item) for number, item in enumerate(reader.items("members"))
        )
        parsed = TreeOptions(
            members=tuple(member for member in members if member is not None),
            ignore=reader.words("ignore"),
            times=reader.flag("times", default=False),
            owners=reader.flag("owners", default=False),
        )
        reader.finish()
        return parsed

    def compare(self, expected: Path, found: Path, options: TreeOptions) -> Comparison:
        """Judge `found` against `expected`, member by member."""
        if settled := _check_roots(expected, found):
            return settled
        if expected.is_file() and found.is_file() and first_difference(expected, found) is None:
            return same_bytes(RULE, expected.stat().st_size)
        try:
            members = read_members(expected, "expected"), read_members(found, "found")
            judging = _start_judging(options, members, self._rules["bytes"])
            _judge_members(judging, expected, found)
        except Unreadable as error:
            return say_unreadable(RULE, error.message)
        except BROKEN_ARCHIVE as error:
            return say_unreadable(RULE, f"an archive cannot be read to its end: {error}")
        return _conclude(judging)

    def _read_member(self, reader: OptionReader, number: int, item: object) -> MemberRule | None:
        if not isinstance(item, Mapping):
            reader.refuse("members", f"lists mappings with `match` and `rule`, found {item!r}")
            return None
        given = {str(key): value for key, value in item.items()}
        match, name = given.pop("match", None), given.pop("rule", "bytes")
        if not isinstance(match, str) or not match:
            reader.refuse("members", f"has no glob under `match` in item {number + 1}")
            return None
        if not isinstance(name, str) or name not in self._rules:
            reader.refuse(
                "members", f"gives {match!r} the unknown rule {name!r}{suggest(str(name), self._rules)}"
            )
            return None
        try:
            options = self._rules[name].parse_options(given)
        except CompareRuleInvalid as error:
            reader.mistakes.extend(f"for members {match!r}: {mistake}" for mistake in error.mistakes)
            return None
        return MemberRule(match=match, name=name, rule=self._rules[name], options=options)


def _check_roots(expected: Path, found: Path) -> Comparison | None:
    if not os.path.lexists(expected):
        raise ObjectMissing(
            f"{expected} is not there: there is nothing to compare with",
            where=str(expected),
            hint="check the vault: thaw vault audit",
        )
    if not os.path.lexists(found):
        return missing(RULE)
    kinds = describe_kind(expected), describe_kind(found)
    if all(kind in ("a file", "a folder") for kind in kinds):
        return None
    return say_different(RULE, "the output", *kinds)


def _drop_ignored(members: Mapping[str, Member], options: TreeOptions) -> dict[str, Member]:
    return {path: member for path, member in members.items() if not _is_ignored(path, options)}


def _is_ignored(path: str, options: TreeOptions) -> bool:
    """Whether a glob names the member or a folder it is in."""
    parts = path.split("/")
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    return any(matches_glob(part, pattern) for part in above for pattern in options.ignore)


@dataclass(slots=True)
class _Judging:
    """What was seen while two trees were compared."""

    options: TreeOptions
    default: Rule[Any]  # as in MemberRule
    expected: dict[str, Member]
    found: dict[str, Member]
    ignored: int = 0
    findings: Findings = field(default_factory=Findings)
    grades: list[Grade] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)

    def measures(self) -> dict[str, float]:
        counts = {"members_compared": len(self.grades), "members_ignored": self.ignored}
        return {**self.sums, **counts, **self.findings.measures()}


def _start_judging(
    options: TreeOptions,
    members: tuple[Mapping[str, Member], Mapping[str, Member]],
    default: Rule[Any],  # as in MemberRule
) -> _Judging:
    expected, found = (_drop_ignored(side, options) for side in members)
    ignored = max(len(members[0]) - len(expected), len(members[1]) - len(found))
    return _Judging(options, default, expected, found, ignored)


def _judge_members(judging: _Judging, expected: Path, found: Path) -> None:
    unequal = []
    for path in sorted(judging.expected.keys() | judging.found.keys()):
        one, other = judging.expected.get(path), judging.found.get(path)
        if one is None or other is None:
            judging.findings.add(_describe_lone(path, one, other))
            continue
        differences = list(_compare_entries(one, other, judging.options))
        for difference in differences:
            judging.findings.add(difference)
        if one.digest and other.digest and one.digest != other.digest:
            unequal.append(path)
        else:
            judging.grades.append(Grade.DIFFERENT if differences else Grade.IDENTICAL)
    with open_files(expected, unequal) as left, open_files(found, unequal) as right:
        for path in unequal:
            _judge_file(path, left[path], right[path], judging)


def _describe_lone(path: str, one: Member | None, other: Member | None) -> Difference:
    return Difference(
        place=f"member {path}", expected=one.kind if one else None, found=other.kind if other else None
    )


def _compare_entries(one: Member, other: Member, options: TreeOptions) -> Iterator[Difference]:
    """What differs in two members, but for the content of files."""
    place = f"member {one.path}"
    if one.kind != other.kind:
        yield Difference(place=place, expected=one.kind, found=other.kind)
        return
    if one.target != other.target:
        yield Difference(place=f"{place}, target", expected=repr(one.target), found=repr(other.target))
    if one.kind == FILE and one.executable != other.executable:
        says = ["executable" if side.executable else "not executable" for side in (one, other)]
        yield Difference(place=place, expected=says[0], found=says[1])
    if options.times and one.time != other.time:
        yield Difference(place=f"{place}, time", expected=f"{one.time} s", found=f"{other.time} s")
    if options.owners and one.owner != other.owner:
        yield Difference(place=f"{place}, owner", expected=one.owner, found=other.owner)


def _judge_file(path: str, expected: Path, found: Path, judging: _Judging) -> None:
    named = next((rule for rule in judging.options.members if matches_glob(path, rule.match)), None)
    if named is None:
        comparison = judging.default.compare(expected, found, None)
    else:
        comparison = named.rule.compare(expected, found, named.options)
    judging.grades.append(comparison.grade)
    for name, value in comparison.measures.items():
        if not name.startswith("max_"):
            judging.sums[name] = judging.sums.get(name, 0) + value
    if comparison.grade is Grade.DIFFERENT:
        for difference in comparison.differences:
            judging.findings.add(replace(difference, place=f"{path}: {difference.place}"))
        judging.findings.count(more=comparison.differences_total - len(comparison.differences))
    judging.remarks.append(f"{path} ({comparison.rule}): {comparison.explanation}")


def _conclude(judging: _Judging) -> Comparison:
    counted = f"{count_of(len(judging.grades), 'member')} compared"
    if judging.ignored:
        counted += f", {judging.ignored} ignored"
    if judging.findings.total:
        differs = "differs" if judging.findings.total == 1 else "differ"
        text = f"{count_of(judging.findings.total, 'place')} {differs}, {counted}"
        return different(RULE, judging.findings, text, judging.measures())
    if not judging.grades:
        return nothing_compared(RULE, f"the trees hold no member to judge, {judging.ignored} ignored")
    grade = worst_grade(judging.grades)
    unasked = [
        word
        for word, asked in (("times", judging.options.times), ("owners", judging.options.owners))
        if not asked
    ]
    text = f"{counted}; not judged: {', '.join([*unasked, 'order'])}"
    return Comparison(
        grade=grade,
        rule=RULE,
        explanation="; ".join([text, *judging.remarks[:5]]),
        measures=judging.measures(),
    )
