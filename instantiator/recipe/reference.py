"""The reference of the recipe language as Markdown, from the description the loader reads by."""

from __future__ import annotations

from collections.abc import Iterator

from instantiator.recipe.fields import RECIPE
from instantiator.recipe.kinds import (
    Anything,
    Boolean,
    Choice,
    Duration,
    Field,
    Integer,
    Kind,
    ListOf,
    MapOf,
    Mapping,
    Number,
    Size,
    Text,
    Value,
)
from instantiator.recipe.template import FILTERS


def render_reference() -> str:
    """docs/recipe-reference.md."""
    sections = [
        _HEAD,
        *(_render_mapping(kind) for kind in _find_mappings(RECIPE)),
        _render_templates(),
        _TAIL,
    ]
    return "\n".join(section.strip("\n") + "\n" for section in sections)


def _find_mappings(root: Mapping) -> list[Mapping]:
    """Every mapping of the language once, in the order a reader meets them."""
    found: list[Mapping] = []
    waiting = [root]
    while waiting:
        kind = waiting.pop(0)
        if kind.noun in [known.noun for known in found]:
            continue
        found.append(kind)
        waiting += [inner for field in kind.fields if (inner := _inner_mapping(field.kind))]
    return found


def _inner_mapping(kind: Kind) -> Mapping | None:
    if isinstance(kind, (ListOf, MapOf)):
        return _inner_mapping(kind.item)
    return kind if isinstance(kind, Mapping) else None


def _render_mapping(kind: Mapping) -> str:
    rows = [_render_row(field) for field in kind.fields]
    table = ["| key | holds | default | what it is for |", "|---|---|---|---|", *rows]
    return "\n".join([f"## {kind.noun.capitalize()}", "", kind.help, "", *table, *_render_rules(kind), ""])


def _render_row(field: Field) -> str:
    default = "**required**" if field.required else f"`{field.default}`" if field.default else ""
    return f"| `{field.key}` | {_describe(field.kind)} | {default} | {_escape(field.help)} |"


def _render_rules(kind: Mapping) -> Iterator[str]:
    rules = [f"exactly one of {_code(keys)}" for keys in kind.exactly_one]
    rules += [f"at least one of {_code(keys)}" for keys in kind.at_least_one]
    rules += [f"`{key}` asks for {_code(others)}" for key, others in kind.together]
    if kind.others:
        rules.append("further keys are options")
    if rules:
        yield ""
        yield f"Rules: {'; '.join(rules)}."


def _describe(kind: Kind) -> str:
    """What a key holds, in a few words, with a link to the section of a mapping."""
    if isinstance(kind, Mapping):
        return f"[{kind.noun}](#{kind.noun.replace(' ', '-')})"
    if isinstance(kind, MapOf):
        return f"mapping of {kind.noun} name to {_describe(kind.item)}"
    if isinstance(kind, ListOf):
        return f"list of {_describe(kind.item)}"
    if isinstance(kind, Choice):
        return " \\| ".join(f"`{word}`" for word in kind.words)
    if isinstance(kind, (Integer, Number)):
        return _describe_number(kind)
    return _escape(kind.means) if isinstance(kind, Text) else _WORDS[type(kind)]


def _describe_number(kind: Integer | Number) -> str:
    words = "whole number" if isinstance(kind, Integer) else "number"
    if kind.minimum is not None and kind.minimum == kind.maximum:
        return f"`{kind.minimum}`"
    least = "" if kind.minimum is None else f" from {kind.minimum}"
    most = "" if kind.maximum is None else f" to {kind.maximum}"
    return words + least + most


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _render_templates() -> str:
    return _TEMPLATES.replace("FILTERS", _code(FILTERS))


_WORDS = {
    Boolean: "`true` \\| `false`",
    Duration: "whole number and `s`, `min`, `h` or `d`",
    Size: "whole number and `MiB`, `GiB` or `TiB`",
    Value: "a value, as on the command line",
    Anything: "any YAML",
}

_HEAD = """
# Recipe reference, format 1

<!-- Made from instantiator/recipe/fields.py: python -m instantiator.recipe.publish -->

A recipe is a folder `recipes/<name>/<version>/` with `recipe.yaml`, which this page describes,
`recipe.lock.yaml` (written by `thaw recipe lock`), `files/` (what steps use), `data/` (datasets it
brings), `smoke/` (what smoke tests expect) and `README.md`. Every mistake in a recipe.yaml is
reported at once, as `file:line: what is wrong`; an unknown key is a mistake. An editor completes and
checks it while you type where its first line is
`# yaml-language-server: $schema=../../recipe.schema.json`.

How YAML is read:

- One UTF-8 document of at most 1 MiB, without tags and merge keys. Anchors and aliases may be used.
  A key may stand once in a mapping.
- Where text is expected, an unquoted number is its text as written: `version: 9.10` is version
  9.10, not 9.1.
- `yes`, `no`, `on`, `off` and their kind are true or false to some readers of YAML and words to
  others. They are refused unquoted; booleans are `true` and `false`.
- `0o17`, `010`, `1_000` and `1:30` are different numbers to different readers and are refused as
  numbers.
"""

_TEMPLATES = """
## Templates

`command` (element by element) and `script: text` of a thread are
[Jinja2](https://jinja.palletsprojects.com) templates. They may name

- `params.<name>`: the value of a parameter, `none` where it was left out and has no default;
- `inputs.<name>`: the path of an input in the container, `none` where an optional one was left out;
- `out`: the folder the outputs are written to; `work`: a scratch folder.

Any other name is an error. Expressions, `if`, `for`, `set` and `raw` may be used, and these
filters: FILTERS. There is no include, import, macro or random number. A line of statements alone leaves an
empty line, so that lines of the program are lines of the recipe. Comments are `{{# ... #}}`,
for `{#` is a part of the shell's `${#name}`.

**A value never becomes program text.** An expression does not render to its value but to a
reference to it:

| where | `{{ params.title }}` renders to | and the program begins with |
|---|---|---|
| script, `sh` | `"${thaw_0}"` | `thaw_0='...'` |
| script, `python` | `_thaw[0]` | `import json as _thaw_json; _thaw = _thaw_json.loads('...')` |
| script, `plain` | the value: letters, digits, `_.,:+/=@%-` and single spaces, or an error | |
| `command` | the value, as (a part of) one argument | |

So write expressions bare, without quotes of your own: `cp {{ inputs.image }} {{ out }}/copy.fits`
in `sh`, `step = {{ params.time_step }}` in `python` (where numbers are numbers, and a parameter
left out is `None`). In `sh` and in a command a parameter that was left out has no text; guard it
with `{% if params.start is not none %}`. A line with `#!`, a coding line and imports from
`__future__` stay first.

An element of a command stays one argument, even an empty one, and is never split. An element that
is one expression and gives a list stands for that many arguments:

```yaml
command:
  - simulate
  - "{{ inputs.scenario }}"
  - "{{ option('--step', params.time_step) }}"    # two arguments, or none where it was left out
  - "{{ flag('--verbose', params.verbose) }}"     # one argument, or none where it is not true
```
"""

_TAIL = """
## Parameters given by a user

On the command line, in a smoke test and in `default:` a value is written in the same way: whole
numbers and numbers in decimal (no NaN, no infinity), without their unit; booleans as `true`, `yes`,
`1`, `false`, `no`, `0`; times as ISO 8601, `2014-11-12T15:34:00Z` (without a zone they are UTC,
with another zone they are converted; the record holds UTC); texts in one line, without control
characters, matched by `pattern` as a whole.

## The digest of a recipe

A lock belongs to the recipe with the digest it names: the digest of the tree of `recipe.yaml` (its
very bytes) and of all files in `files/`, `data/` and `smoke/`, by path, content and executable bit.
`README.md` and `recipe.lock.yaml` do not count. Symbolic links are refused in these folders.

## History

- Format 1: the first one.
"""
