"""Real shells and a real Python run scripts on hostile values: no value is ever executed or changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from instantiator.recipe.model import Script, ScriptLanguage
from instantiator.recipe.template import TemplateContext, render_script

SHELLS = [path for name in ("sh", "dash", "bash", "busybox") if (path := shutil.which(name))]
INJECTIONS = (
    "$(touch hacked)",
    "`touch hacked`",
    "; touch hacked;",
    "'; touch hacked; '",
    '"; touch hacked; "',
    "\n touch hacked\n",
    "\nEND\ntouch hacked\n",
    "${IFS}touch${IFS}hacked",
    "$((a[$(touch hacked)]))",
    "& touch hacked &",
    "| touch hacked",
    "\\",
    "\\'",
    "'\\''",
    '\\"',
    "$",
    "${",
    "${thaw_0}",
    "$thaw_1",
    "!!",
    "*",
    "~",
    "{a,b}",
    "-n",
    "a  b",
    " a ",
    "\t",
    "\r\n",
    "é𝛑\u2028",
    "%s%n",
    "');import os;os.system('touch hacked')#",
    '");open("hacked","w")#',
    "\\x27",
    "{{ out }}",
    "{% if %}",
    "{}",
    "#",
    "",
)
SH_SCRIPT = """\
#!/bin/sh
set -u
printf '%s\\0' {{ params.a }} > plain
value={{ params.b }}
printf '%s\\0' "$value" > assigned
printf '%s\\0' "in double quotes {{ params.a }} and on" > double
printf '%s\\0' 'in single quotes {{ params.a }} and on' > single
printf '%s\\0' $(printf '%s' {{ params.a }} | wc -c) > substituted
: `printf '%s' {{ params.a }}`
: "$(printf '%s' "{{ params.b }}")"
cat > here <<END
{{ params.a }}
END
cat > here_quoted <<'END'
{{ params.a }}
END
# a comment {{ params.a }}
case {{ params.a }} in {{ params.b }}) echo same ;; *) echo other ;; esac > case
f() { printf '%s\\0' "$@" > function; }
f {{ params.a }} {{ params.b }}
for word in {{ params.a }}; do printf '%s\\0' "$word"; done > for
"""
PYTHON_SCRIPT = '''\
"""A docstring with {{ params.a }}."""
from __future__ import annotations
import json
plain = {{ params.a }}
quoted = "{{ params.a }}"
single = '{{ params.a }}'
triple = """{{ params.a }}"""
raw = r"{{ params.b }}"
formatted = f"{ {{ params.b }} }"
# a comment {{ params.a }}
json.dump([plain, {{ params.b }}, [{{ params.a }}], formatted, quoted], open("found.json", "w"))
'''

_TEXTS = st.one_of(
    st.sampled_from(INJECTIONS),
    st.lists(st.sampled_from(INJECTIONS), max_size=4).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
)


def _context(a: str, b: str) -> TemplateContext:
    return TemplateContext(params={"a": a, "b": b}, inputs={}, out="/out", work="/work")


def _run(
    command: list[str], language: ScriptLanguage, text: str, folder: Path, values: tuple[str, str]
) -> None:
    """Run a rendered script in a folder of its own."""
    for old in folder.iterdir():
        old.unlink()
    script = render_script(Script(language=language, text=text), _context(*values))
    (folder / "script").write_text(script, encoding="utf-8", newline="")
    done = subprocess.run([*command, "script"], cwd=folder, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, (script, done.stderr)


def _read(file: Path) -> str:
    return file.read_bytes().decode()


def _check_sh(shell: str, folder: Path, a: str, b: str) -> None:
    command = [shell, "sh"] if shell.endswith("busybox") else [shell]
    _run(command, ScriptLanguage.SH, SH_SCRIPT, folder, (a, b))
    assert not (folder / "hacked").exists()
    assert _read(folder / "plain") == f"{a}\0"
    assert _read(folder / "assigned") == f"{b}\0"
    assert _read(folder / "function") == f"{a}\0{b}\0"
    assert _read(folder / "for") == f"{a}\0"
    assert _read(folder / "substituted") == f"{len(a.encode())}\0"
    assert _read(folder / "single") == 'in single quotes "${thaw_3}" and on\0'
    assert _read(folder / "here") == f'"{a}"\n'
    assert _read(folder / "case") == ("same\n" if a == b else "other\n")


def _check_python(folder: Path, a: str, b: str) -> None:
    _run([sys.executable, "-I"], ScriptLanguage.PYTHON, PYTHON_SCRIPT, folder, (a, b))
    assert not (folder / "hacked").exists()
    assert json.loads(_read(folder / "found.json"))[:4] == [a, b, [a], b]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_known_injection_stays_text_in_a_shell(shell: str, tmp_path: Path) -> None:
    for value in INJECTIONS:
        _check_sh(shell, tmp_path, value, value)


def test_known_injections_stay_text_in_python(tmp_path: Path) -> None:
    joined = "".join(INJECTIONS)
    for value in ("\\", "'", '"', "'''", joined, "\n" + joined):
        _check_python(tmp_path, value, value[::-1])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(a="$(touch hacked)", b="x")
@given(a=_TEXTS, b=_TEXTS)
def test_no_value_is_executed_or_changed_by_a_shell(tmp_path: Path, a: str, b: str) -> None:
    _check_sh("/bin/sh", tmp_path, a, b)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(a=_TEXTS, b=_TEXTS)
def test_no_value_is_executed_or_changed_by_python(tmp_path: Path, a: str, b: str) -> None:
    _check_python(tmp_path, a, b)
