"""`thaw completion`: the script a shell sources to complete Thaw's commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_HOW = {
    "bash": 'eval "$(thaw completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(thaw completion zsh)" in ~/.zshrc',
    "fish": "thaw completion fish | source, in ~/.config/fish/config.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(sorted(_HOW)))
@click.option("--json", "as_json", is_flag=True, help="Print data alone, as JSON: keys shell, script.")
def completion_command(shell: str, *, as_json: bool) -> None:
    """Print the completion script of SHELL. For bash: eval "$(thaw completion bash)" in ~/.bashrc.

    Keys: shell, script, use.
    """
    from instantiator.commands.common import show

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    script = kind(click.get_current_context().find_root().command, {}, "thaw", "_THAW_COMPLETE").source()
    show({"shell": shell, "script": script, "use": _HOW[shell]}, as_json=as_json, human=script)
