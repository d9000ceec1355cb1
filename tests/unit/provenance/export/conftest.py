"""A finished run with everything in a vault: two small inputs, one output, a script, a log, a lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.digest import TreeEntry, canonical_json, make_tree
from provenance.export import Bundle, Cited, DatasetFacts, Export, Software
from provenance.record import Record, RecordedInput, RecordedOutput, Rule, RunState, record_from_bytes
from provenance.vault import Vault
from provenance.vault_tree import tree_to_bytes

GOLDEN = (Path(__file__).parents[3] / "golden/record-format-1.json").read_bytes()

EPS = Software(
    name="rosetta-eps",
    version="9.3.35",
    title="Experiment Planning System (EPS)",
    description="Executes an instrument timeline.",
    licence="LicenseRef-ESA-PL-Permissive-2.4",
    homepage="https://www.cosmos.esa.int/web/esac-cmso/mapps",
    citations=(
        Cited(scheme="doi", value="10.2514/6.2010-2167", note="Küppers et al. 2010, 100 % of it & more"),
        Cited(scheme="ascl", value="1302.017"),
    ),
    mission=("Rosetta",),
    known_from="the recipe of the run",
)


def kept_record(vault: Vault) -> Record:
    """The golden record, with bytes of its own in the vault."""
    files = {
        "session.json": b"{}\n",
        "input/ev.evf": b"Start_time: 2015\n",
        "odd name #1%.txt": b"one\n",
    }
    tree = make_tree(
        TreeEntry(path=path, digest=vault.put_bytes(content), size=len(content))
        for path, content in files.items()
    )
    vault.put_bytes(tree_to_bytes(tree))
    power = b"time,power\n0,13.47\n"
    return replace(
        record_from_bytes(GOLDEN),
        lock=vault.put_bytes(canonical_json({"format": 1, "recipe": "rosetta-eps/9.3.35"})),
        job=replace(record_from_bytes(GOLDEN).job, script=vault.put_bytes(b"print('EPS')\n")),
        log=vault.put_bytes(b"EPS 9.3.35\n"),
        inputs=(
            RecordedInput(
                name="scenario",
                dataset="eps-bepicolombo-2015@1",
                digest=tree.digest,
                files=len(files),
                size=tree.size,
                mount="/in/scenario",
            ),
        ),
        outputs=(
            RecordedOutput(
                name="power-average",
                path="eps_output/power avg.out",
                digest=vault.put_bytes(power),
                size=len(power),
                media_type="text/csv",
                rule=Rule(rule="table"),
            ),
        ),
    )


def session_record(vault: Vault) -> Record:
    """A finished session: no thread, no script, and nobody said it completed."""
    record = kept_record(vault)
    return replace(
        record,
        run="20261120-160000-zzzz",
        kind="session",
        thread="",
        job=replace(record.job, script=None),
        message="ended: its user ended it",
        user="caroline",
        repeats=None,
    )


def failed_record(vault: Vault) -> Record:
    """A run that was killed before it began: it has no output, no log, no start."""
    record = kept_record(vault)
    return replace(
        record,
        run="20261120-170000-xxxx",
        state=RunState.INTERRUPTED,
        exit_status=None,
        message="Thaw was killed",
        started=None,
        outputs=(),
        log=None,
        inputs=(),
        answered_from="20261120-154949-k3f9",
    )


KINDS: dict[str, Callable[[Vault], Record]] = {
    "thread": kept_record,
    "session": session_record,
    "interrupted": failed_record,
}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault")


@pytest.fixture
def export(vault: Vault) -> Export:
    """A thread's run with all that can be said of it."""
    record = kept_record(vault)
    facts = DatasetFacts(title="BepiColombo SFT2", origin="ESA, 2015", licence="CC0-1.0")
    bundle = Bundle(datasets={record.inputs[0].digest: facts}, image_name="thaw/rosetta-eps:9.3.35-7a0e")
    return Export(record=record, vault=vault, software=EPS, bundle=bundle)


@pytest.fixture(params=sorted(KINDS))
def any_export(request: pytest.FixtureRequest, vault: Vault) -> Export:
    """Each kind of record in turn."""
    return Export(record=KINDS[request.param](vault), vault=vault, software=EPS)
