"""`thaw vault`: look after the bytes everything is made of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from instantiator.commands.common import Bench, json_option, show, size_text
from instantiator.commands.steps import progress
from instantiator.progress import megabytes, step
from provenance.digest import Digest, parse_digest
from provenance.fixity import RepairSource, SecondVault, audit, status
from provenance.vault import Vault
from provenance.vault_archive import export_objects, import_objects


@click.group("vault")
def vault_command() -> None:
    """Look after the bytes everything is made of."""


@vault_command.command("status")
@json_option
def show_status(*, as_json: bool) -> None:
    """Show how much the vault holds. Keys: objects, bytes, temps, quarantined, free_bytes, path."""
    bench = Bench()
    found = status(bench.vault)
    data = {**found.to_json(), "path": str(bench.settings.vault_dir)}
    words = [f"vault     {bench.settings.vault_dir}"]
    words += [f"{key:<20} {value:,}" for key, value in found.to_json().items()]
    show(data, as_json=as_json, human="\n".join(words))


@vault_command.command("audit")
@click.option(
    "--repair-from", metavar="VAULT", multiple=True, help="Another vault's folder to take sound copies from."
)
@click.option(
    "--repair-from-origin", is_flag=True, help="Fetch again from the mirror or address the locks name."
)
@click.option(
    "--report", "report_file", metavar="FILE", help="Also write the report: a page where it ends in .html."
)
@json_option
def audit_all(
    repair_from: tuple[str, ...], *, repair_from_origin: bool, report_file: str | None, as_json: bool
) -> int:
    """Hash every object again, and name what rotted and what uses it. Exit 1 where something is wrong.

    Keys: those of the report (docs/vault-layout.md).
    """
    from instantiator.curate.locks import known_locks
    from instantiator.curate.preserve.audit_report import Audited, count_users, write_report
    from instantiator.image.origin import Origin, uses_of_locks

    began, clock = datetime.now(UTC), time.monotonic()
    bench, steps, done = Bench(), progress(), 0
    locks = known_locks(bench.settings.recipes_dir)
    of_locks = uses_of_locks(locks)
    sources: list[RepairSource] = [SecondVault(Vault(Path(folder))) for folder in repair_from]
    if repair_from_origin:
        sources.append(Origin(locks, bench.mirrors))

    def uses(digest: Digest) -> Sequence[str]:
        return (*bench.store.uses(digest), *of_locks.get(digest, ()))

    with step(steps, "hash every object") as current:

        def tell(size: int) -> None:
            nonlocal done
            done += size
            steps.note(megabytes(done))

        report = audit(
            bench.vault,
            uses=uses,
            expected=bench.store.record_digests(),
            repair_from=sources,
            progress=tell,
        )
        current.detail = size_text(done)
    words = [
        f"{'sound' if report.is_sound() else 'not sound'}: {report.objects:,} objects, {size_text(report.size)}"
    ]
    words += [f"  {finding.describe()}" for finding in report.findings]
    if report_file:
        audited = Audited(
            vault=str(bench.settings.vault_dir),
            began=began,
            seconds=time.monotonic() - clock,
            report=report,
            users=count_users(bench.vault.digests(), uses),
        )
        write_report(audited, Path(report_file))
        words.append(f"  the report is in {report_file}")
    show(report.to_json(), as_json=as_json, human="\n".join(words))
    return 0 if report.is_sound() else 1


@vault_command.command("deposit")
@click.argument("recipe_name", metavar="RECIPE")
@click.argument("name")
@click.argument("file")
@json_option
def deposit_file(recipe_name: str, name: str, file: str, *, as_json: bool) -> None:
    """Hand in FILE as the deposit NAME of a RECIPE; it is checked against what the recipe says of it.

    Keys: recipe, name, digest, bytes, pinned.
    """
    from instantiator.curate.deposit import take_deposit

    bench = Bench()
    recipe = bench.recipe(recipe_name)
    with step(progress(), f"hash {file}"):
        taken = take_deposit(recipe, name, Path(file), bench.vault)
    data = {
        "recipe": recipe.id,
        "name": taken.name,
        "digest": taken.digest,
        "bytes": taken.size,
        "pinned": taken.is_pinned_now,
    }
    note = " (now pinned in the lock)" if taken.is_pinned_now else ""
    show(data, as_json=as_json, human=f"{recipe.id}: deposit {taken.name} is {taken.digest}{note}")


@vault_command.command("export")
@click.argument("archive")
@click.option(
    "--recipe", "recipes", multiple=True, help="Only what this recipe's image is made of, and the builder."
)
@click.option("--object", "objects", multiple=True, metavar="SHA256", help="Only this object.")
@json_option
def export_archive(
    archive: str, recipes: tuple[str, ...], objects: tuple[str, ...], *, as_json: bool
) -> None:
    """Write objects into one ARCHIVE file, to carry them to another vault. Keys: archive, objects, bytes."""
    from instantiator.image.builder import builder_lock
    from instantiator.image.lock import read_lock

    bench = Bench()
    locks = [read_lock(bench.recipe(name)) for name in recipes]
    wanted = [
        digest for lock in (*locks, *([builder_lock()] if locks else [])) for digest, _ in lock.objects()
    ]
    wanted += [parse_digest(text if text.startswith("sha256:") else f"sha256:{text}") for text in objects]
    with step(progress(), f"write {archive}") as current:
        report = export_objects(bench.vault, wanted or None, Path(archive))
        current.detail = size_text(report.size)
    data = {"archive": archive, **report.to_json()}
    show(data, as_json=as_json, human=f"{archive}: {report.objects:,} objects, {size_text(report.size)}")


@vault_command.command("import")
@click.argument("archive")
@json_option
def import_archive(archive: str, *, as_json: bool) -> None:
    """Take the objects of an ARCHIVE in, each verified. Keys: archive, objects, added, present, bytes."""
    bench = Bench()
    with step(progress(), f"read {archive}") as current:
        report = import_objects(bench.vault, Path(archive))
        current.detail = size_text(report.size)
    data = {"archive": archive, **report.to_json()}
    show(
        data,
        as_json=as_json,
        human=f"{archive}: {len(report.added):,} objects new, {report.present:,} were there",
    )
