"""The recipe language: what an environment is made of, and who answers for it."""

from __future__ import annotations

from instantiator.recipe.kinds import Field, Integer, ListOf, Mapping, Text
from instantiator.recipe.model import Base, Citation, Deposit, Maintainer, Source, Step
from instantiator.recipe.texts import ABSOLUTE, LICENCE, LINE, NAME, PROSE, SHA256, URL, WHEEL

MAINTAINER = Mapping(
    noun="maintainer",
    help="Who answers for the recipe.",
    make=Maintainer,
    located=False,
    fields=(
        Field(key="name", kind=LINE, help="a person, a team or a catalogue", required=True),
        Field(key="contact", kind=LINE, help="an address or URL where questions are answered"),
    ),
)

CITATION = Mapping(
    noun="citation",
    help="How to cite the software, by one bare identifier (no URL before it).",
    make=Citation,
    located=False,
    exactly_one=(("doi", "ascl", "ads"),),
    fields=(
        Field(
            key="doi",
            kind=Text(
                means="a bare DOI such as 10.1051/0004-6361:20078467",
                pattern=r"10\.[0-9]{4,9}/\S+",
                number=False,
            ),
            help="a DOI, as 10.prefix/suffix",
        ),
        Field(
            key="ascl",
            kind=Text(
                means="an ASCL id such as ascl:1302.017", pattern=r"ascl:[0-9]{4}\.[0-9]{3}", number=False
            ),
            help="an entry of the Astrophysics Source Code Library",
        ),
        Field(
            key="ads",
            kind=Text(
                means="an ADS bibcode of 19 characters such as 1992ASPC...25..115W",
                pattern=r"[12][0-9]{3}[A-Za-z0-9&.]{14}[A-Z.:]",
                number=False,
            ),
            help="a bibcode of the Astrophysics Data System",
        ),
        Field(key="note", kind=LINE, help="what this paper describes, where there are several"),
    ),
)

BASE = Mapping(
    noun="base",
    help="What the environment stands on.",
    make=Base,
    located=False,
    exactly_one=(("debian", "image", "rootfs"),),
    together=(("snapshot", ("debian",)),),
    fields=(
        Field(
            key="debian",
            kind=Text(means="a Debian suite such as bookworm", pattern=r"[a-z]+", number=False),
            help="a Debian suite; its packages are resolved by `thaw recipe lock`",
        ),
        Field(
            key="snapshot",
            kind=Text(
                means="a date such as 2026-11-20",
                pattern=r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])",
                number=False,
            ),
            help="the day whose state of the suite is meant",
        ),
        Field(
            key="image",
            kind=Text(
                means="an OCI reference such as registry/name:tag@sha256:...",
                pattern=r"[a-z0-9][A-Za-z0-9._:/-]*(?:@sha256:[0-9a-f]{64})?",
                number=False,
            ),
            help="an OCI image, kept in the vault as an OCI layout",
        ),
        Field(key="rootfs", kind=NAME, help="the deposit that holds a root file system as tar"),
    ),
)

SOURCE = Mapping(
    noun="source",
    help="Bytes from elsewhere: a file by URL, size and digest, or a wheel of the Python index.",
    make=Source,
    exactly_one=(("urls", "wheel"),),
    together=(("urls", ("sha256", "size")),),
    fields=(
        Field(key="name", kind=NAME, help="how datasets and steps call it", required=True),
        Field(
            key="urls",
            kind=ListOf(item=URL, minimum=1, unique=True),
            help="where the same bytes are found; the first that gives the right digest is taken",
        ),
        Field(key="wheel", kind=WHEEL, help="a wheel as name==version; `thaw recipe lock` finds its digest"),
        Field(key="sha256", kind=SHA256, help="the digest of the bytes"),
        Field(key="size", kind=Integer(minimum=1), help="how many bytes they are"),
        Field(key="unpack", kind=ABSOLUTE, help="the folder of the image the archive is unpacked into"),
    ),
)

DEPOSIT = Mapping(
    noun="deposit",
    help="A file a curator hands in (`thaw vault deposit`): its licence or host forbids automatic download.",
    make=Deposit,
    fields=(
        Field(key="name", kind=NAME, help="how base, datasets and steps call it", required=True),
        Field(key="file", kind=LINE, help="the name the file has where it is found", required=True),
        Field(key="found_at", kind=LINE, help="where to get it: a page, a person, a tape", required=True),
        Field(key="why", kind=PROSE, help="why it cannot be fetched", required=True),
        Field(key="licence", kind=LICENCE, help="its licence, as an SPDX expression"),
        Field(key="sha256", kind=SHA256, help="the digest of the bytes, once known"),
        Field(key="size", kind=Integer(minimum=1), help="how many bytes they are, once known"),
        Field(key="unpack", kind=ABSOLUTE, help="the folder of the image the archive is unpacked into"),
    ),
)

STEP = Mapping(
    noun="step",
    help="One command of the build, run with no network in the environment being made.",
    make=Step,
    fields=(
        Field(
            key="run",
            kind=Text(means="shell commands", multiline=True, max_length=20_000),
            help="what /bin/sh executes, as root",
            required=True,
        ),
        Field(key="why", kind=PROSE, help="why it is needed"),
    ),
)
