"""The command line: parse, call, show. The only module that turns errors into text and exit status."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

import click

from provenance.errors import ThawError

EXIT_USER, EXIT_USAGE, EXIT_DEFECT, EXIT_DIFFERS, EXIT_INTERRUPTED = 1, 2, 3, 4, 130

# name -> (module, one line of help). The module is imported when the command is used, so `thaw --help` is quick.
_COMMANDS = {
    "list": ("listing", "Show what is in the catalogue and what each entry can do."),
    "run": ("run", "Run a thread on a dataset."),
    "serve": ("serve", "Serve it all in the browser; prints one address."),
    "worker": ("worker", "Execute what waits in the service's queue; `thaw serve` does."),
    "runs": ("runs", "Show the runs, newest first."),
    "show": ("runs", "Show one run: what was done, what it gave."),
    "logs": ("runs", "Print what the program of a run printed."),
    "open": ("session", "Open a GUI: a session with a window of its own."),
    "sessions": ("session", "Show the sessions that are open."),
    "session": ("session", "Look at one session, its files, stop it."),
    "capsule": ("capsule", "Pack all that is needed to repeat a run without Thaw."),
    "export": ("export", "Write a run for other people's tools: PROV, IVOA, RO-Crate, BagIt."),
    "cite": ("export", "Say how to cite a run, its software and environment."),
    "import": ("export", "Take a run from a crate another Thaw exported."),
    "verify": ("verify", "Repeat a run from its record and judge every output."),
    "dataset": ("dataset", "Name, hash and keep the data threads work on."),
    "recipe": ("recipe", "Propose, check, lock, build, test, publish and retire recipes."),
    "image": ("image", "Export and import images, look at their evidence."),
    "user": ("users", "Say who may do what, and see what was done."),
    "token": ("users", "Make, list and revoke tokens for scripts."),
    "share": ("users", "Let somebody look at a run, a dataset or a session."),
    "catalog": ("catalog", "Verify everything that is published."),
    "login": ("login", "Let commands go to a service elsewhere."),
    "logout": ("login", "Let them stay on this host again."),
    "vault": ("vault", "Look after the bytes everything is made of."),
    "preserve": ("preserve", "Carry a recipe with all its bytes away, and take it in."),
    "store": ("store", "Look after the index of runs."),
    "backup": ("backup", "Copy store and vault while the service runs, check and restore."),
    "deploy": ("deploy", "Write systemd units or a compose file for this host."),
    "doctor": ("doctor", "Probe this host and say which recipes can run here."),
    "builder": ("builder", "The image every other image is built in."),
    "trace": ("trace", "The tools `thaw run --trace` traces a run with."),
    "display": ("display", "The image sessions draw on."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and help, and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names in the order of the table: by what people do most."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import the module of a command; None for an unknown name."""
        if cmd_name not in _COMMANDS:
            return None
        module = _import_quickly(f"instantiator.commands.{_COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, and the nearest name where there is none."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """The table of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="thaw", prog_name="thaw")
def thaw() -> None:
    """Legacy scientific software, frozen as recipes and thawed on demand.

    Every command takes --json: the data alone on stdout, everything else on stderr.
    """


def _import_quickly(name: str) -> ModuleType:
    """Import a module without looking for garbage meanwhile: there is none, and looking takes a tenth of the time."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `thaw`.

    Exit 0 fine, 1 the user can fix it, 2 wrong usage, 3 a defect of Thaw, 4 verification differs.
    """
    sys.exit(run_cli(list(sys.argv[1:] if arguments is None else arguments)))


def run_cli(arguments: list[str]) -> int:
    """Run one command and give its exit status; errors are told on stderr, as data where --json asked for data."""
    as_json = "--json" in arguments
    try:
        result = thaw.main(arguments, prog_name="thaw", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        _tell_usage(error, as_json=as_json)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _tell(_named("interrupted", ThawError("interrupted")), as_json=as_json)
        return EXIT_INTERRUPTED
    except ThawError as error:
        _tell(error, as_json=as_json)
        return EXIT_INTERRUPTED if error.code == "cancelled" else EXIT_USER
    except OSError as error:
        if error.filename is None and error.errno is None:
            return _report_defect(arguments, as_json=as_json)
        _tell(_os_error(error), as_json=as_json)
        return EXIT_USER
    except Exception:  # noqa: BLE001  # the last line of defence: a defect becomes a report, never a bare trace
        return _report_defect(arguments, as_json=as_json)


def _tell(error: ThawError, *, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps({"error": error.to_json()}), err=True)
    else:
        click.echo(str(error), err=True)


def _tell_usage(error: click.UsageError, *, as_json: bool) -> None:
    if as_json:
        command = error.ctx.command_path if error.ctx else "thaw"
        told = ThawError(error.format_message(), where=command, hint=f"see how it is used: {command} --help")
        _tell(_named("usage", told), as_json=True)
    else:
        error.show()


def _named(code: str, error: ThawError) -> ThawError:
    error.code = code
    return error


def _os_error(error: OSError) -> ThawError:
    code = {13: "permission-denied", 2: "file-not-found", 28: "disk-full"}.get(
        error.errno or 0, "system-error"
    )
    told = ThawError(error.strerror or str(error), where=str(error.filename or ""), hint=_os_hint(error))
    return _named(code, told)


def _os_hint(error: OSError) -> str:
    hints = {
        13: "use a folder you may write to; THAW_HOME says where Thaw keeps its state",
        28: "free some space and run the same command again: nothing finished was lost",
    }
    return hints.get(error.errno or 0, "")


def _report_defect(arguments: list[str], *, as_json: bool) -> int:
    """Write a report that can be pasted into an issue: no environment, no file contents."""
    import platform
    import tempfile
    import traceback

    from instantiator import __version__

    lines = [
        f"thaw {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"arguments: {arguments!r}",
        traceback.format_exc(),
    ]
    with tempfile.NamedTemporaryFile("w", prefix="thaw-report-", suffix=".txt", delete=False) as report:
        report.write("\n".join(lines))
    if not as_json:
        click.echo(traceback.format_exc(limit=-3), err=True)
    told = ThawError(
        "this is a defect of Thaw, not of your input",
        where=report.name,
        hint="report it with that file; your data and finished runs are safe",
    )
    _tell(_named("defect", told), as_json=as_json)
    return EXIT_DEFECT


if __name__ == "__main__":
    main()
