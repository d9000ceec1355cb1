"""Examples the unit tests share: ESO-MIDAS as values, the EPS recipe of this repository, a .deb made by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from instantiator.image.lock import (
    Lock,
    LockedDeposit,
    LockedFile,
    LockedImage,
    LockedPackage,
    LockedSource,
    LockedWheel,
    lock_from_yaml,
    request_digest,
)
from instantiator.recipe.load import load_recipe
from instantiator.recipe.model import (
    Base,
    CompareRule,
    Deposit,
    Input,
    InputType,
    Location,
    Output,
    Parameter,
    ParameterType,
    Recipe,
    Refusal,
    Script,
    ScriptLanguage,
    Step,
    Success,
    Thread,
)
from provenance.digest import Digest, digest_bytes

EPS_FOLDER = Path(__file__).parents[1] / "recipes/rosetta-eps/9.3.35"
HERE = Location(file=Path("recipes/midas/22SEP/recipe.yaml"), line=7)


def sha256(content: bytes) -> str:
    """The bare hexadecimal digest, as recipes and locks write it."""
    return hashlib.sha256(content).hexdigest()


@cache
def eps_recipe() -> Recipe:
    """rosetta-eps as committed."""
    return load_recipe(EPS_FOLDER)


@cache
def eps_lock() -> Lock:
    """The committed lock of rosetta-eps."""
    return lock_from_yaml((EPS_FOLDER / "recipe.lock.yaml").read_bytes(), where="rosetta-eps")


MIDAS_LOCK = Lock(
    recipe="midas/22SEP",
    request=digest_bytes(b"what MIDAS asks for"),
    architecture="amd64",
    suite="bookworm",
    source_date_epoch=1_795_132_800,
    packages=(
        LockedPackage(
            name="libstdc++6",
            version="12.2.0-14+deb12u1",
            architecture="amd64",
            pool="pool/main/g/gcc-12/libstdc++6_12.2.0-14+deb12u1_amd64.deb",
            sha256=sha256(b"libstdc++6"),
            size=613_000,
        ),
        LockedPackage(
            name="xterm",
            version="1:379-1~deb12u1",
            architecture="amd64",
            pool="pool/main/x/xterm/xterm_379-1~deb12u1_amd64.deb",
            sha256=sha256(b"xterm"),
            size=800_123,
        ),
    ),
    python=(
        LockedWheel(
            name="numpy",
            version="1.26.4",
            file="numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl",
            sha256=sha256(b"numpy"),
            size=18_000_000,
        ),
    ),
    sources=(
        LockedSource(
            name="midas",
            file="22SEPpl1.2.tar.gz",
            sha256=sha256(b"midas"),
            size=41_000_000,
            urls=("https://archive.example/22SEPpl1.2.tar.gz",),
            unpack="/opt/midas",
        ),
        LockedSource(name="calib", file="calib.zip", sha256=sha256(b"calib"), size=9, wheel="calib==1.0"),
    ),
    deposits=(
        LockedDeposit(name="tables", file="it's tables.dat", sha256=sha256(b"tables"), size=6, unpack="/opt"),
    ),
    files=(
        LockedFile(path="usr/local/bin/inmidas", sha256=sha256(b"inmidas"), size=7, executable=True),
        LockedFile(path="etc/midas.conf", sha256=sha256(b"conf"), size=4),
    ),
    steps=("ldconfig", "cd /opt/midas\n./configure --prefix='/usr/local'\nmake install\n"),
    environment={"MIDASHOME": "/opt/midas", "PROMPT": 'it\'s "$MIDASHOME" \\o/'},
)
MIDAS_IMAGE = LockedImage(
    id=digest_bytes(b"image"), layer=digest_bytes(b"layer"), size=5, manifest=digest_bytes(b"manifest")
)

FLATFIELD = Thread(
    location=HERE,
    name="flatfield",
    title="Divide a frame by a flat",
    inputs=(
        Input(location=HERE, name="frame", type=InputType.FITS, help="raw frame"),
        Input(
            location=HERE,
            name="flats",
            type=InputType.DIRECTORY,
            help="flat fields",
            must_contain=("**/*.fits",),
            required=False,
        ),
    ),
    parameters=(
        Parameter(location=HERE, name="sigma", type=ParameterType.FLOAT, default=3.0, minimum=0),
        Parameter(location=HERE, name="title", type=ParameterType.TEXT),
    ),
    outputs=(
        Output(
            location=HERE,
            name="result",
            path="flat.txt",
            media_type="text/plain",
            compare=CompareRule(rule="text", options={"ignore": ["# made .*"]}),
        ),
        Output(location=HERE, name="logs", path="logs/*.log", media_type="text/plain", required=False),
    ),
    script=Script(
        language=ScriptLanguage.SH,
        text="""\
inmidas {{ inputs.frame }} {{ params.sigma }} > {{ out }}/flat.txt
{% if inputs.flats is not none %}inmidas-flats {{ inputs.flats }}{% endif %}
{% if params.title is not none %}inmidas-title {{ params.title }}{% endif %}
""",
    ),
    success=Success(refuse=(Refusal(where="log", pattern=r"\*\*\* ERR.*", message="MIDAS says"),)),
    time_limit_s=60,
)


def midas_recipe(folder: Path) -> Recipe:
    """MIDAS as a recipe in `folder`, which holds nothing yet."""
    return Recipe(
        folder=folder,
        digest=digest_bytes(b"midas recipe"),
        name="midas",
        version="22SEP",
        title="ESO-MIDAS",
        description="Munich Image Data Analysis System",
        homepage="https://www.eso.org/midas",
        licence="GPL-2.0-or-later",
        mission=("La Silla",),
        citations=(),
        maintainers=(),
        base=Base(debian="bookworm", snapshot="2026-11-20"),
        packages=("xterm", "libstdc++6"),
        deposits=(
            Deposit(
                location=HERE,
                name="tables",
                file="tables.dat",
                found_at="the ESO archive",
                why="its licence forbids download",
            ),
        ),
        steps=(Step(location=HERE, run="ldconfig"),),
        threads=(FLATFIELD,),
    )


def answering_lock(recipe: Recipe, lock: Lock = MIDAS_LOCK) -> Lock:
    """`lock` as if it had been made for `recipe`."""
    return replace(lock, recipe=recipe.id, request=request_digest(recipe))


def make_deb(files: Mapping[str, bytes], *, control: str, mtime: int = 1_600_000_000) -> bytes:
    """A Debian package: an ar archive of debian-binary, control.tar.gz and data.tar.gz (deb(5))."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _tar({"./control": control.encode()}, mtime),
        "data.tar.gz": _tar(files, mtime),
    }
    content = b"!<arch>\n"
    for name, member in members.items():
        head = f"{name:<16}{mtime:<12}{0:<6}{0:<6}{'100644':<8}{len(member):<10}`\n"
        content += head.encode() + member + b"\n" * (len(member) % 2)
    return content


def _tar(files: Mapping[str, bytes], mtime: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.uname, entry.size = mtime, "builder", len(content)
            if name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def locked_deb(
    name: str, content: bytes, *, version: str = "1.0", architecture: str = "amd64"
) -> LockedPackage:
    """A package as a lock names it."""
    pool = f"pool/main/{name[0]}/{name}/{name}_{version}_{architecture}.deb"
    return LockedPackage(
        name=name,
        version=version,
        architecture=architecture,
        pool=pool,
        sha256=sha256(content),
        size=len(content),
    )


def digest_of(content: bytes) -> Digest:
    """The digest an object has in the vault."""
    return digest_bytes(content)
