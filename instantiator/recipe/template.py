"""Scripts and argvs from their templates. A value never becomes program text, whatever it holds.

In `sh` and `python` an expression does not render to its value but to a reference: the values stand at the
top of the script as quoted data (`thaw_0='...'`, `_thaw = json.loads('...')`), and `{{ params.x }}` renders
to `"${thaw_0}"` or `_thaw[0]`. Quoting the value in place would be right in one context and an injection in
the next (double quotes, here-documents, backticks); a reference is harmless in all of them. Other
interpreters get the value itself, and only where it is made of characters that no language gives a meaning.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

from instantiator.recipe.errors import TemplateInvalid
from instantiator.recipe.model import ParameterValue, Script, ScriptLanguage

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes
    from jinja2.runtime import Context

FILTERS = (
    "abs", "default", "first", "float", "int", "join", "last", "length", "list", "lower", "replace", "round",
    "sort", "string", "trim", "unique", "upper",
)  # fmt: skip
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_.,:+/=@%-]+(?: [A-Za-z0-9_.,:+/=@%-]+)*")
_SIMPLE = re.compile(r"(?<!\{)\{\{ *(?:(params|inputs)\.([a-z][a-z0-9_]*)|(out|work)) *\}\}")
_SIGNS = re.compile(r"\{\{|\{%|\r")
_TOP_COMMENTS = re.compile(r"(?:#![^\n]*\n)?(?:[ \t\f]*#[^\n]*?coding[:=][^\n]*\n)?")
_SHEBANG = re.compile(r"(?:#![^\n]*(?:\n|$))?")
_FUTURE = re.compile(r"^from __future__ import (?:\([^)]*\)|(?:[^\n\\]|\\\n)*)[^\n]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContext:
    """What a template may name: `params.x` and `inputs.x` (None where not given), `out`, `work`."""

    params: Mapping[str, ParameterValue | None]
    inputs: Mapping[str, str | None]
    out: str
    work: str


def render_script(script: Script, context: TemplateContext) -> str:
    """The program text of a script; raises `TemplateInvalid` for unknown names and unsafe values."""
    writer = _WRITERS[script.language]()
    body = _render(script.text, context, writer)
    return writer.finish(body)


def render_command(command: tuple[str, ...], context: TemplateContext) -> tuple[str, ...]:
    """The argv of a command: each element rendered on its own, never split again, an empty one kept.

    An element that is one expression and gives a list stands for that many arguments, or for none:
    `{{ option("--step", params.step) }}`, `{{ flag("--verbose", params.verbose) }}`.
    """
    return tuple(argument for element in command for argument in _render_element(element, context))


def template_names(text: str) -> frozenset[str]:
    """Every name a template uses: `params.x`, `inputs.y`, `out`; `params` alone where a member is computed.

    Raises `TemplateInvalid` where the template is none.
    """
    from jinja2 import meta, nodes

    tree = _parse(text, _make_environment())
    names = meta.find_undeclared_variables(tree) - {"option", "flag"}
    members = {id(owner): name for owner, name in _find_members(tree)}
    used = tree.find_all(nodes.Name)
    return frozenset(members.get(id(node), node.name) for node in used if node.name in names)


class _Writer:
    """How one language takes a value: `write` gives what an expression renders to, `finish` the program."""

    def __init__(self) -> None:
        self.values: list[object] = []

    def write(self, value: object) -> str:
        """What stands in the text for `value`."""
        raise NotImplementedError

    def finish(self, body: str) -> str:
        """The program: the rendered text with what has to stand before it."""
        return body

    def _keep(self, value: object) -> int:
        self.values.append(value)
        return len(self.values) - 1


class _ShWriter(_Writer):
    def write(self, value: object) -> str:
        if isinstance(value, (list, tuple)):
            return " ".join(self.write(item) for item in value)
        return f'"${{thaw_{self._keep(_text_of(value))}}}"'

    def finish(self, body: str) -> str:
        head = "".join(f"thaw_{i}={shlex.quote(str(value))}\n" for i, value in enumerate(self.values))
        return _insert(body, head, after=_SHEBANG)


class _PythonWriter(_Writer):
    def write(self, value: object) -> str:
        return f"_thaw[{self._keep(value)}]"

    def finish(self, body: str) -> str:
        if not self.values:
            return body
        try:
            text = json.dumps(self.values, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise _refuse_value(f"a value has no JSON form: {error}") from error
        head = f"import json as _thaw_json; _thaw = _thaw_json.loads({text!r})\n"
        return _insert(body, head, after=_TOP_COMMENTS)


class _PlainWriter(_Writer):
    def write(self, value: object) -> str:
        text = _text_of(value)
        if not _PLAIN_VALUE.fullmatch(text):
            raise _refuse_value(
                f"the value {text!r} cannot be put into a plain script: expected letters, digits, _.,:+/=@%- "
                "and single spaces between them"
            )
        return text


class _ArgumentWriter(_Writer):
    """For an element of an argv: the text itself, for no shell reads it."""

    def write(self, value: object) -> str:
        self._keep(value)
        return "" if isinstance(value, (list, tuple)) else _text_of(value)


_WRITERS: dict[ScriptLanguage, Callable[[], _Writer]] = {
    ScriptLanguage.SH: _ShWriter,
    ScriptLanguage.PYTHON: _PythonWriter,
    ScriptLanguage.PLAIN: _PlainWriter,
}


def _insert(body: str, head: str, *, after: re.Pattern[str]) -> str:
    """`head` behind the lines that have to be first: `#!`, coding, and Python's imports from the future."""
    top = after.match(body)
    end = top.end() if top else 0
    if after is _TOP_COMMENTS:
        end = max([end, *(found.end() for found in _FUTURE.finditer(body))])
    first = body[:end] if not end or body[:end].endswith("\n") else body[:end] + "\n"
    return first + head + body[end:]


def _render_element(element: str, context: TemplateContext) -> Sequence[str]:
    writer = _ArgumentWriter()
    text = _render(element, context, writer)
    lists = [value for value in writer.values if isinstance(value, (list, tuple))]
    if not lists:
        return (text,)
    if len(writer.values) > 1 or text:
        raise _refuse_value(f"a list stands beside other text in {element!r}: give it an element of its own")
    return tuple(_text_of(item) for item in lists[0])


def _text_of(value: object) -> str:
    """A value as text: booleans in small letters, no None, nothing that could hide more than itself."""
    if value is None:
        raise _refuse_value(
            "a parameter that was not given has no text: guard it with {% if params.x is not none %}, "
            "or use option()"
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise _refuse_value(f"a {type(value).__name__} has no text: use one of its parts")
    text = str(value)
    if "\0" in text or (not text.isascii() and not _is_encodable(text)):
        raise _refuse_value(f"the value {text!r} holds a NUL or half a character: no program can be given it")
    return text


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_value(message: str) -> TemplateInvalid:
    return TemplateInvalid(
        message, hint="docs/recipe-reference.md, Templates, says how a value gets into a program"
    )


def _option(name: str, value: object) -> list[object]:
    """`[name, value]`, or nothing where the value was not given."""
    return [] if value is None else [name, value]


def _flag(name: str, value: object) -> list[object]:
    """`[name]` where the value is true."""
    return [name] if value is True else []


def _render(text: str, context: TemplateContext, writer: _Writer) -> str:
    """The text with every expression written by `writer`, in the order they are met."""
    if not _SIGNS.search(text):
        return text
    if not _SIGNS.search(_SIMPLE.sub("", text)):
        return _SIMPLE.sub(lambda match: writer.write(_look_up(match, context)), text)
    return _render_with_jinja(text, context, writer)


def _look_up(match: re.Match[str], context: TemplateContext) -> object:
    """The value of a plain `{{ params.x }}`: most templates hold nothing else; Jinja2 imports slowly."""
    group, name, place = match.groups()
    if place:
        return context.out if place == "out" else context.work
    members: Mapping[str, object] = context.params if group == "params" else context.inputs
    if name not in members:
        raise _refuse_name(f"{group!r} has no {name!r}", context)
    return members[name]


def _render_with_jinja(text: str, context: TemplateContext, writer: _Writer) -> str:
    from jinja2 import TemplateError, UndefinedError

    try:
        return _compile(text, writer).render(
            params=SimpleNamespace(**context.params),
            inputs=SimpleNamespace(**context.inputs),
            out=context.out,
            work=context.work,
        )
    except UndefinedError as error:
        raise _refuse_name(f"unknown name in a template: {error.message}", context) from error
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise _refuse_value(f"a template cannot be rendered: {error}") from error


def _refuse_name(message: str, context: TemplateContext) -> TemplateInvalid:
    names = [*(f"params.{name}" for name in context.params), *(f"inputs.{name}" for name in context.inputs)]
    return TemplateInvalid(message, hint=f"there is {', '.join([*names, 'out', 'work'])}")


def _compile(text: str, writer: _Writer) -> Template:
    from jinja2 import pass_context
    from jinja2.runtime import Undefined

    # With the context as argument, Jinja2 cannot call it when compiling: a value is met once, when rendered.
    @pass_context
    def finalize(context: Context, value: object) -> str:  # noqa: ARG001 (see above)
        if isinstance(value, Undefined):
            str(value)  # raises UndefinedError
        return writer.write(value)

    environment = _make_environment(finalize)
    _parse(text, environment)
    return environment.from_string(text)


def _make_environment(finalize: Callable[..., object] | None = None) -> Environment:
    """A sandbox with a closed set of filters and no way to import, include or draw random numbers.

    Comments are `{{# ... #}}`: Jinja2's own `{#` is a part of the shell's `${#name}`.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        finalize=finalize,
        keep_trailing_newline=True,
        comment_start_string="{{#",
        comment_end_string="#}}",
    )
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.globals = {"option": _option, "flag": _flag}
    return environment


def _parse(text: str, environment: Environment) -> nodes.Template:
    """The tree of a template. Statements are a closed set: values reach the text through `finalize` alone."""
    from jinja2 import TemplateSyntaxError, nodes

    allowed = (nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign)
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        raise _refuse_value(f"line {error.lineno} of a template: {error.message}") from error
    for node in tree.find_all((nodes.Stmt, nodes.FilterBlock)):
        if not isinstance(node, allowed):
            statement = type(node).__name__.lower()
            raise _refuse_value(
                f"line {node.lineno} of a template uses a statement that recipes do not have ({statement}): "
                "there are if, for, set and raw"
            )
    return tree


def _find_members(tree: nodes.Template) -> Iterator[tuple[nodes.Name, str]]:
    """Every `params.x` and `params['x']` as its owner's node and its dotted name."""
    from jinja2 import nodes

    for attribute in tree.find_all(nodes.Getattr):
        if isinstance(attribute.node, nodes.Name):
            yield attribute.node, f"{attribute.node.name}.{attribute.attr}"
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.node, nodes.Name) and isinstance(item.arg, nodes.Const):
            yield item.node, f"{item.node.name}.{item.arg.value}"
