"""Every lint check finds its case, and nothing else; a clean recipe is clean."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from instantiator.recipe.lint import CHECKS, Severity, describe_check, run_checks
from instantiator.recipe.lint.pattern_slow import is_slow
from instantiator.recipe.lint.quoted_expression import find_quoted_in_python, find_quoted_in_sh
from instantiator.recipe.load import find_recipes, load_recipe

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests/lint_cases").glob("*.yaml"))


def _read_case(file: Path) -> tuple[dict[str, str], str]:
    """The expected failures (each with a part of the line it is found in) and the recipe below the line of dashes."""
    head, _, recipe = file.read_text(encoding="utf-8").partition("\n---\n")
    return yaml.safe_load(head)["expected_failures"] or {}, recipe


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_case_fails_as_expected_and_where_expected(file: Path, tmp_path: Path) -> None:
    expected, text = _read_case(file)
    folder = tmp_path / "recipes/iraf/2.17"
    (folder / "data/dev-pix").mkdir(parents=True)
    (folder / "data/dev-pix/pix.fits").write_bytes(b"SIMPLE  =")
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    findings = run_checks(load_recipe(folder))
    assert {finding.check for finding in findings} == set(expected), [str(finding) for finding in findings]
    for finding in findings:
        assert expected[finding.check] in text.splitlines()[finding.location.line - 1], str(finding)


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_a_case_of_its_name(check: str) -> None:
    file = ROOT / f"tests/lint_cases/{check}.yaml"
    assert check in _read_case(file)[0]


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_says_what_is_wrong_and_how_to_mend_it(check: str) -> None:
    message, fix = describe_check(CHECKS[check])
    assert message.endswith(".") and len(message) < 80
    assert len(fix.split()) > 12


@pytest.mark.parametrize("folder", find_recipes(ROOT / "recipes"), ids=lambda f: f"{f.parent.name}/{f.name}")
def test_every_recipe_of_the_catalogue_is_free_of_errors(folder: Path) -> None:
    findings = run_checks(load_recipe(folder))
    assert [str(finding) for finding in findings if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a*)*", "(.*,)*", "(?:x+|y)*", "(\\d+\\s?)+", "^(a+b?)+$", "([a-z]+)*\\d", "((a+))+"],
)
def test_patterns_that_take_for_ever_are_found(pattern: str) -> None:
    assert is_slow(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a+",
        ".*error.*",
        "(?:[a-z]+,)*[a-z]+",
        r"\d+(?:\.\d+)*",
        r"^\[(?:ERROR|FATAL)\].*",
        "(?:a{1,3})+",
        "(?:ab+c)*",
        r"(\w+\s)+",
    ],
)
def test_patterns_that_end_are_left_alone(pattern: str) -> None:
    assert not is_slow(pattern)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("cp {{ a }} x\n", []),
        ('cp "{{ a }}" x\n', [1]),
        ("echo 'it is\n{{ a }}'\n", [2]),
        ('echo "done"; cp {{ a }} x\n', []),
        ("echo \\\" {{ a }} \\\"\n", []),
        ('x="$(cp {{ a }} y)"\n', []),
        ('# "\ncp {{ a }} x\n', []),
        ("cat <<END\n{{ a }}\nEND\ncp {{ a }} x\n", [2]),
        ("echo 'it''s' {{ a }}\n", []),
    ],
)  # fmt: skip
def test_expressions_in_quotes_of_a_shell_are_found(text: str, lines: list[int]) -> None:
    assert list(find_quoted_in_sh(text)) == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("x = {{ a }}\n", []),
        ('x = "{{ a }}"\n', [1]),
        ('y = 1\nx = """\n{{ a }}"""\n', [2]),
        ('x = f"{ {{ a }} }"\n', []),
        ("{% if a %}\nx = '{{ a }}'\n{% endif %}\n", [2]),
    ],
)
def test_expressions_in_strings_of_python_are_found(text: str, lines: list[int]) -> None:
    assert list(find_quoted_in_python(text)) == lines
