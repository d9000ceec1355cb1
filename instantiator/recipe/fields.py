"""The recipe language, format 1, described once: loader, JSON Schema and reference are made from this.

What stands under `base:`, `sources:` and the like is in `fields_image.py`, what stands under `threads:` and
`guis:` in `fields_program.py`.
"""

from __future__ import annotations

from instantiator.recipe.fields_image import BASE, CITATION, DEPOSIT, MAINTAINER, SOURCE, STEP
from instantiator.recipe.fields_program import COMPARE, ENVIRONMENT, GUI, THREAD
from instantiator.recipe.kinds import Choice, Field, Integer, ListOf, MapOf, Mapping, Number, Text, Value
from instantiator.recipe.model import Expectation, Recipe, RecipeDataset, SmokeTest
from instantiator.recipe.texts import (
    DATASET_NAME,
    IDENTIFIER,
    INSIDE,
    LICENCE,
    LINE,
    NAME,
    PACKAGE,
    PROSE,
    REQUIREMENT,
    SHA256,
    URL,
)
from provenance.digest import Digest

FORMAT = 1
ARCHITECTURES = ("amd64", "arm64", "i386")


def _expectation(*, sha256: str | None = None, **values: object) -> Expectation:
    digest = Digest(f"sha256:{sha256}") if sha256 else None
    return Expectation(sha256=digest, **values)  # type: ignore[arg-type]  # the fields below name these attributes


DATASET = Mapping(
    noun="dataset",
    help="Data a recipe brings: a folder of the recipe, files of a source, or both (the folder lies on top).",
    make=RecipeDataset,
    at_least_one=(("path", "source"),),
    together=(("subpath", ("source",)),),
    fields=(
        Field(key="title", kind=LINE, help="one line for lists", required=True),
        Field(
            key="origin", kind=PROSE, help="where the data come from and how they were made", required=True
        ),
        Field(key="licence", kind=LICENCE, help="their licence, as an SPDX expression"),
        Field(key="path", kind=INSIDE, help="a folder of the recipe"),
        Field(key="source", kind=NAME, help="the source or deposit that holds the files"),
        Field(key="subpath", kind=INSIDE, help="the folder in the source's archive that counts"),
        Field(
            key="include",
            kind=ListOf(item=INSIDE, minimum=1, unique=True),
            help="globs of the files that belong to it",
            default='["**"]',
        ),
    ),
)

EXPECTATION = Mapping(
    noun="expectation",
    help="What a smoke test must find in an output.",
    make=_expectation,
    at_least_one=(("file", "sha256", "contains"),),
    fields=(
        Field(key="output", kind=NAME, help="the output of the thread", required=True),
        Field(key="file", kind=INSIDE, help="a file of the recipe that holds what is expected"),
        Field(key="sha256", kind=SHA256, help="or the digest of the expected bytes"),
        Field(key="compare", kind=COMPARE, help="how the file is compared", default="{rule: bytes}"),
        Field(
            key="measures",
            kind=MapOf(key=IDENTIFIER, item=Number(), noun="measure"),
            help="what the comparison must have counted, as {values_compared: 1130}: so that it cannot pass on less",
            default="{}",
        ),
        Field(
            key="contains",
            kind=ListOf(item=Text(exact=True), minimum=1),
            help="texts that must stand in the output",
            default="[]",
        ),
    ),
)

SMOKE = Mapping(
    noun="smoke test",
    help="One real run of a thread and what it must give, or a GUI, really opened, and the screen it must show. "
    "`thaw recipe test` runs it.",
    make=SmokeTest,
    exactly_one=(("thread", "gui"),),
    together=(
        ("thread", ("expect",)),
        ("expect", ("thread",)),
        ("inputs", ("thread",)),
        ("parameters", ("thread",)),
        ("gui", ("reference",)),
        ("reference", ("gui",)),
        ("datasets", ("gui",)),
        ("least_similarity", ("gui",)),
    ),
    fields=(
        Field(key="title", kind=LINE, help="one line for lists"),
        Field(key="thread", kind=NAME, help="the thread"),
        Field(
            key="inputs",
            kind=MapOf(key=IDENTIFIER, item=DATASET_NAME, noun="input"),
            help="for every input the dataset it is given",
            default="{}",
        ),
        Field(
            key="parameters",
            kind=MapOf(key=IDENTIFIER, item=Value(), noun="parameter"),
            help="values of parameters",
            default="{}",
        ),
        Field(
            key="expect", kind=ListOf(item=EXPECTATION, minimum=1), help="what a run of the thread must give"
        ),
        Field(key="gui", kind=NAME, help="or the GUI"),
        Field(
            key="datasets",
            kind=ListOf(item=DATASET_NAME, unique=True),
            help="the datasets it is opened with",
            default="[]",
        ),
        Field(
            key="reference",
            kind=INSIDE,
            help="a PNG of the recipe: the screen as it must be once the program has drawn, of the size it has then",
        ),
        Field(
            key="least_similarity",
            kind=Number(minimum=0.1, maximum=1),
            help="how alike the screens have to be, 1 for the same (docs/sessions.md)",
            default="0.8",
        ),
    ),
)

RECIPE = Mapping(
    noun="recipe",
    help="The curated description of one version of one application: `recipes/<name>/<version>/recipe.yaml`.",
    make=Recipe,
    located=False,
    fields=(
        Field(
            key="format",
            kind=Integer(minimum=FORMAT, maximum=FORMAT),
            help="the format of the language: 1",
            required=True,
        ),
        Field(key="name", kind=NAME, help="the name of the recipe, as its folder", required=True),
        Field(
            key="version",
            kind=Text(
                means="a version of letters, digits and . _ + ~ -",
                pattern=r"[0-9A-Za-z][0-9A-Za-z._+~-]*",
                number=True,
            ),
            help="the version of the software, as its folder; taken as written (9.10 stays 9.10)",
            required=True,
        ),
        Field(key="title", kind=LINE, help="what people call the software", required=True),
        Field(
            key="description", kind=PROSE, help="what it is and what this version is good for", required=True
        ),
        Field(key="homepage", kind=URL, help="where the software is (or was) published", required=True),
        Field(
            key="licence",
            kind=LICENCE,
            help="the licence of the software, as an SPDX expression",
            required=True,
        ),
        Field(
            key="mission", kind=ListOf(item=LINE, unique=True), help="the missions it served", default="[]"
        ),
        Field(
            key="missing",
            kind=ListOf(item=LINE, minimum=1, unique=True),
            help="facts a curator still has to find; as long as there are any, the recipe is a draft",
            default="[]",
        ),
        Field(
            key="retired",
            kind=LINE,
            help="why it left the lists (`thaw recipe retire`); it can be run and verified all the same",
        ),
        Field(
            key="superseded_by",
            kind=Text(
                means="a recipe, as NAME or NAME/VERSION",
                pattern=r"[a-z0-9]+(?:-[a-z0-9]+)*(?:/[0-9A-Za-z][0-9A-Za-z._+~-]*)?",
                number=False,
            ),
            help="the recipe to use instead",
        ),
        Field(key="citations", kind=ListOf(item=CITATION), help="how to cite it", default="[]"),
        Field(
            key="maintainers",
            kind=ListOf(item=MAINTAINER, minimum=1),
            help="who answers for the recipe",
            required=True,
        ),
        Field(key="base", kind=BASE, help="what the environment stands on", required=True),
        Field(
            key="architecture",
            kind=Choice(words=ARCHITECTURES),
            help="the processor it is built for",
            default="amd64",
        ),
        Field(
            key="packages",
            kind=ListOf(item=PACKAGE, unique=True),
            help="Debian packages, without versions: the lock names those",
            default="[]",
        ),
        Field(
            key="python",
            kind=ListOf(item=REQUIREMENT, unique=True),
            help="Python packages of the index",
            default="[]",
        ),
        Field(
            key="python_version",
            kind=Text(means="a Python version such as 3.11", pattern=r"[23]\.[0-9]{1,2}", number=True),
            help="the Python the packages are chosen for",
            default="3.11",
        ),
        Field(key="sources", kind=ListOf(item=SOURCE), help="bytes from elsewhere", default="[]"),
        Field(key="deposits", kind=ListOf(item=DEPOSIT), help="files a curator hands in", default="[]"),
        Field(key="steps", kind=ListOf(item=STEP), help="commands of the build, in order", default="[]"),
        Field(
            key="environment",
            kind=ENVIRONMENT,
            help="variables of every container of this recipe",
            default="{}",
        ),
        Field(
            key="guis",
            kind=MapOf(key=NAME, item=GUI, noun="gui"),
            help="windows the user can open",
            default="{}",
        ),
        Field(
            key="threads", kind=MapOf(key=NAME, item=THREAD, noun="thread"), help="processings", default="{}"
        ),
        Field(
            key="datasets",
            kind=MapOf(key=DATASET_NAME, item=DATASET, noun="dataset"),
            help="data it brings",
            default="{}",
        ),
        Field(
            key="smoke",
            kind=MapOf(key=NAME, item=SMOKE, noun="smoke test"),
            help="real runs that prove it works",
            default="{}",
        ),
    ),
)
