"""`thaw backup`: copy store and vault while the service runs, check the copy, make a state folder of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text
from instantiator.commands.steps import progress
from instantiator.progress import Progress, megabytes, step

link_option = click.option(
    "--link", is_flag=True, help="Hard links where both are on one disk: quick, no help if that disk dies."
)


@click.group("backup")
def backup_command() -> None:
    """Copy store and vault while the service runs, check the copy, restore it."""


@backup_command.command("create")
@click.argument("target")
@link_option
@json_option
def create(target: str, *, link: bool, as_json: bool) -> int:
    """Back up to TARGET: a folder, where only new objects are copied, or a new file that ends in .tar.

    The service may go on. Exit 1 where an object is rotten: it is left out and named.
    Keys: path, objects, bytes, added, added_bytes, journal, drafts, problems.
    """
    from instantiator.operate.backup import Home, create_backup, write_archive

    bench, steps, now = Bench(), progress(), datetime.now(UTC)
    home, path = Home(root=bench.settings.home), Path(target)
    with step(steps, f"back up to {target}") as current:
        if path.suffix == ".tar":
            report = write_archive(home, path, bench.settings.scratch_dir, now=now, progress=_teller(steps))
        else:
            report = create_backup(home, path, now=now, link=link, progress=_teller(steps))
        current.detail = f"{report.added:,} objects new, {size_text(report.added_size)}"
    words = [
        f"{report.path}: {report.objects:,} objects, {size_text(report.size)}, {report.added:,} of them new"
    ]
    words += [f"  left out: {problem}" for problem in report.problems]
    show(report.to_json(), as_json=as_json, human="\n".join(words))
    return 1 if report.problems else 0


@backup_command.command("check")
@click.argument("backup")
@json_option
def check(backup: str, *, as_json: bool) -> int:
    """Hash everything of the newest whole BACKUP again; exit 1 where it is not sound, or a later one was killed.

    Keys: path, made, objects, runs, problems, unfinished, sound.
    """
    from instantiator.operate.restore import check_backup

    steps = progress()
    with step(steps, "hash every object of the backup"):
        state = check_backup(Path(backup), Bench().settings.scratch_dir, progress=_teller(steps))
    words = [
        f"{'sound' if state.is_sound() else 'not sound'}: made {state.made}, "
        f"{state.objects:,} objects, {state.runs:,} runs"
    ]
    words += [f"  {problem}" for problem in state.problems]
    words += [f"  a later backup was not brought to its end: {name}" for name in state.unfinished]
    show(state.to_json(), as_json=as_json, human="\n".join(words))
    return 0 if state.is_sound() else 1


@backup_command.command("restore")
@click.argument("backup")
@link_option
@json_option
def restore(backup: str, *, link: bool, as_json: bool) -> None:
    """Make the state folder (THAW_HOME) of the newest whole BACKUP; it must be empty, or not be there.

    Keys: home, made, objects, runs, waiting.
    """
    from instantiator.operate.restore import restore_backup

    steps, home = progress(), Bench().settings.home
    with step(steps, f"restore to {home}"):
        report = restore_backup(Path(backup), home, link=link, progress=_teller(steps))
    human = f"{home}: {report.runs:,} runs, {report.waiting:,} wait; {report.objects:,} objects"
    show(report.to_json(), as_json=as_json, human=human)


def _teller(steps: Progress) -> Callable[[int], None]:
    done = 0

    def tell(size: int) -> None:
        nonlocal done
        done += size
        steps.note(megabytes(done))

    return tell
