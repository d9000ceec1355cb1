"""A run as a capsule, packed for a download: the same file as `thaw capsule` makes."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from instantiator.capsule.pack import (
    CapsuleBench,
    make_capsule,
    prepare_packing,
    recorded_recipe,
    refuse_unpackable,
)
from instantiator.progress import Silent
from instantiator.thread.verify import Repeater
from instantiator.web.portal import Bench
from instantiator.web.runner import run_bench
from provenance.record import Record


def pack_capsule(bench: Bench, record: Record) -> Path:
    """The capsule of a run, alone in a new folder, which who asked removes. Raises `CapsuleRefused`."""
    scratch = bench.settings.scratch_dir
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=scratch, prefix="download-"))
    target = folder / capsule_name(record)
    try:
        refuse_unpackable(record, target, with_window=False)
        repeater = Repeater(
            bench=run_bench(bench),
            workshop=bench.workshop,
            mirrors=bench.mirrors,
            trees_dir=bench.settings.trees_dir,
        )
        packing = prepare_packing(record, recorded_recipe(record, bench.recipe), repeater, Silent())
        make_capsule(packing, target, CapsuleBench(vault=bench.vault, engine=bench.engine, scratch=scratch))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return target


def capsule_name(record: Record) -> str:
    """What the file is called."""
    return f"thaw-{record.run}.capsule.tar"
