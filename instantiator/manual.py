"""The reference of all commands, from their own help: `python -m instantiator.manual` writes it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

FILE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"

_HEAD = """\
# Commands

Made from the commands' own help (`python -m instantiator.manual`). Every command takes `--json`: the data
alone on stdout, with the keys named here; progress, the program's log and errors go to stderr (an error as
`{"error": {"code", "message", "where", "hint"}}`). Exit status: 0 fine, 1 the user can fix it, 2 wrong usage, 3 a
defect of Thaw, 4 the verification differs, 130 interrupted.
"""


def render_reference() -> str:
    """Markdown: one section per command with its usage, what it does, its options and JSON keys."""
    from instantiator.cli import thaw

    sections = [_render(path, command) for path, command in _walk(thaw, "thaw")]
    return "\n".join([_HEAD, *sections])


def _walk(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _walk(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


def _render(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    text = inspect.cleandoc(command.help or "")
    rows = [record for option in command.params if (record := option.get_help_record(context)) is not None]
    options = "".join(f"- `{flags}`: {what}\n" for flags, what in rows if what and "--json" not in flags)
    return f"## {path}\n\n`{path} {usage}`\n\n{text}\n" + (f"\n{options}" if options else "")


if __name__ == "__main__":
    FILE.write_text(render_reference())
