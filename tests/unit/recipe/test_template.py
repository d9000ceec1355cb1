"""Templates render to programs and argvs; what has no safe form or no name is refused."""

from __future__ import annotations

import ast
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instantiator.recipe import template as module
from instantiator.recipe.errors import TemplateInvalid
from instantiator.recipe.model import ParameterValue, Script, ScriptLanguage
from instantiator.recipe.template import TemplateContext, render_command, render_script, template_names


def context(**params: ParameterValue | None) -> TemplateContext:
    return TemplateContext(
        params=params, inputs={"image": "/in/image/m31.fits", "mask": None}, out="/out", work="/work"
    )


def sh(text: str, **params: ParameterValue | None) -> str:
    return render_script(Script(language=ScriptLanguage.SH, text=text), context(**params))


def python(text: str, **params: ParameterValue | None) -> str:
    return render_script(Script(language=ScriptLanguage.PYTHON, text=text), context(**params))


def plain(text: str, **params: ParameterValue | None) -> str:
    return render_script(Script(language=ScriptLanguage.PLAIN, text=text), context(**params))


def command(*elements: str, **params: ParameterValue | None) -> tuple[str, ...]:
    return render_command(elements, context(**params))


def test_an_expression_in_sh_becomes_a_reference_to_a_quoted_assignment() -> None:
    assert sh("cp {{ inputs.image }} {{ out }}/x\n") == (
        'thaw_0=/in/image/m31.fits\nthaw_1=/out\ncp "${thaw_0}" "${thaw_1}"/x\n'
    )


def test_values_in_sh_are_texts_a_shell_user_expects() -> None:
    text = sh("{{ params.a }}{{ params.b }}{{ params.c }}", a=True, b=0.1, c="it's")
    assert text.startswith("thaw_0=true\nthaw_1=0.1\nthaw_2=" + shlex.quote("it's") + "\n")


def test_an_interpreter_line_stays_first() -> None:
    assert sh("#!/bin/sh\necho {{ out }}\n").splitlines()[:2] == ["#!/bin/sh", "thaw_0=/out"]
    lines = python("#!/usr/bin/python3\n# -*- coding: utf-8 -*-\nx = {{ out }}\n").splitlines()
    assert lines[:2] == ["#!/usr/bin/python3", "# -*- coding: utf-8 -*-"]
    assert lines[2].startswith("import json as _thaw_json; ")


@pytest.mark.parametrize(
    "future",
    [
        "from __future__ import annotations\n",
        "from __future__ import (\n    annotations,\n    division,\n)\n",
    ],
)
def test_imports_from_the_future_stay_before_the_values(future: str) -> None:
    text = python(f'"""Words."""\n{future}x = {{{{ params.a }}}}\n', a=1)
    compile(text, "script", "exec")
    assert text.index("_thaw_json") > text.index("__future__")


def test_values_in_python_keep_their_types() -> None:
    text = python(
        "found = [{{ params.a }}, {{ params.b }}, {{ params.c }}, {{ params.d }}]", a=1, b=None, c=True, d="x"
    )
    names: dict[str, object] = {}
    exec(compile(text, "script", "exec"), names)  # the rendered program, made of constants of this test
    assert names["found"] == [1, None, True, "x"]


def test_a_script_without_expressions_is_left_as_it_is() -> None:
    assert sh("echo ${#name} {# $x\n") == "echo ${#name} {# $x\n"
    assert python("x = {'a': {1: 2}}\n") == "x = {'a': {1: 2}}\n"


def test_conditions_loops_and_arithmetic_are_those_of_jinja() -> None:
    text = "{% for n in [1, 2] %}\n{% if params.a is not none %}\nrun {{ n * params.a }}\n{% endif %}\n{% endfor %}\n"
    lines = [line for line in sh(text, a=3).splitlines() if line]
    assert lines == ["thaw_0=3", "thaw_1=6", 'run "${thaw_0}"', 'run "${thaw_1}"']


def test_the_length_of_a_shell_variable_is_no_comment() -> None:
    assert "${#name}" in sh("echo ${#name} {{ out }}{{# a comment #}}\n")


def test_two_braces_of_the_program_itself_stand_in_raw() -> None:
    assert sh("{% raw %}find . -exec echo {{}} +{% endraw %}\n") == "find . -exec echo {{}} +\n"


def test_a_plain_script_gets_the_value_itself() -> None:
    assert (
        plain("filter/gauss {{ params.name }} 3,3\n", name="m31 v-1.0_a%")
        == "filter/gauss m31 v-1.0_a% 3,3\n"
    )


@pytest.mark.parametrize(
    "value",
    [
        "a;b",
        "a\nb",
        "$(id)",
        "`id`",
        "a  b",
        " a",
        "a ",
        "",
        "'",
        '"',
        "a|b",
        "é",
        "a\\",
        "{x}",
        "!",
        "#",
        "*",
        "a\tb",
    ],
)
def test_a_plain_script_refuses_values_that_could_mean_something(value: str) -> None:
    with pytest.raises(TemplateInvalid, match="cannot be put into a plain script"):
        plain("show {{ params.name }}", name=value)


def test_an_element_of_a_command_stays_one_argument() -> None:
    assert command("run", "{{ params.a }}", "--b={{ params.a }}", a="x y; $(id)\n") == (
        "run",
        "x y; $(id)\n",
        "--b=x y; $(id)\n",
    )


def test_an_empty_element_stays_an_empty_argument() -> None:
    assert command("run", "", "{{ params.a }}", "{% if params.a %}x{% endif %}", a="") == ("run", "", "", "")


def test_an_option_is_left_out_where_its_parameter_was() -> None:
    elements = ("run", "{{ option('--step', params.a) }}", "{{ flag('-v', params.b) }}", "{{ inputs.image }}")
    assert command(*elements, a=None, b=False) == ("run", "/in/image/m31.fits")
    assert command(*elements, a=5, b=True) == ("run", "--step", "5", "-v", "/in/image/m31.fits")


def test_a_list_in_sh_is_as_many_words() -> None:
    assert sh("run {{ option('--title', params.a) }}\n", a="x y").endswith('run "${thaw_0}" "${thaw_1}"\n')


@pytest.mark.parametrize("text", ["x{{ option('-a', params.a) }}", "{{ option('-a', params.a) }}{{ out }}"])
def test_a_list_beside_other_text_is_refused(text: str) -> None:
    with pytest.raises(TemplateInvalid, match="a list stands beside other text"):
        command(text, a=1)


@pytest.mark.parametrize(
    "text", ["{{ params.a }}", "{{ params.a }} {% if true %}{% endif %}", "{{ inputs.mask }}"]
)
def test_a_parameter_that_was_not_given_has_no_text(text: str) -> None:
    for render in (sh, plain, command):
        with pytest.raises(TemplateInvalid, match="was not given has no text"):
            render(text, a=None)


@pytest.mark.parametrize(
    "text",
    [
        "{{ params.other }}",
        "{{ inputs.other }}",
        "{{ other }}",
        "{{ params.other + 1 }}",
        "{% if other %}{% endif %}",
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(TemplateInvalid) as caught:
        sh(text, step=1)
    assert "'other'" in caught.value.message
    assert caught.value.hint == "there is params.step, inputs.image, inputs.mask, out, work"


@pytest.mark.parametrize(
    "text",
    [
        "{% include '/etc/passwd' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% filter upper %}x{% endfilter %}",
        "{% filter replace('x', params.a) %}x{% endfilter %}",
        "{% set x %}{{ params.a }}{% endset %}",
        "{% call m() %}{% endcall %}",
        "{% block b %}{% endblock %}",
        "{% with x = 1 %}{% endwith %}",
        "{% autoescape false %}{% endautoescape %}",
        "{{ params.a | safe }}",
        "{{ [1, 2] | random }}",
        "{{ lipsum() }}",
        "{{ params.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{{ params }}",
        "{{ params.a",
        "{% if %}",
        "{{ 1 / 0 }}",
    ],
)
def test_what_a_template_must_not_do_is_refused(text: str) -> None:
    with pytest.raises(TemplateInvalid):
        sh(text, a="value")


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_a_text_no_program_can_be_given_is_refused(value: str) -> None:
    for render in (sh, command):
        with pytest.raises(TemplateInvalid, match="NUL or half a character"):
            render("{{ params.a }}", a=value)


def test_a_template_tells_the_names_it_uses() -> None:
    text = "{{ params.a }}{% for x in params['b'] %}{{ x }}{{ inputs.c }}{% endfor %}{% if out %}{% endif %}"
    assert template_names(text) == {"params.a", "params.b", "inputs.c", "out"}
    assert template_names("{{ option('-a', params.a) }}") == {"params.a"}
    assert template_names("{{ params[work] }}") == {"params", "work"}


_PARTS = st.sampled_from(
    [
        "{{ params.a }}",
        "{{params.b}}",
        "{{ inputs.image }}",
        "{{ out }}",
        "{{work}}",
        "{",
        "}",
        " ",
        "\n",
        "x",
        "{#",
        "#}",
        "$",
        '"',
    ]
)


@given(st.lists(_PARTS, max_size=12).map("".join))
def test_the_short_way_around_jinja_gives_what_jinja_gives(text: str) -> None:
    values = context(a="it's", b=3)
    for writer in (module._ShWriter, module._PythonWriter):
        short, long = writer(), writer()
        found = _outcome(lambda w=short: module._render(text, values, w))
        expected = _outcome(lambda w=long: module._render_with_jinja(text, values, w))
        assert (found, short.values) == (expected, long.values)


def _outcome(render: object) -> str:
    try:
        return str(render())  # type: ignore[operator]  # a function without arguments
    except TemplateInvalid:
        return "refused"


def test_the_python_line_is_ascii_and_one_line() -> None:
    text = python("x = {{ params.a }}", a="é\u2028\\'\"\n")
    first = text.splitlines()[0]
    assert first.isascii()
    assert isinstance(ast.parse(text).body[-1], ast.Assign)
