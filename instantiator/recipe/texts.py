"""The texts of the recipe language: what each has to look like, in words and as a pattern."""

from __future__ import annotations

from instantiator.recipe.kinds import Text

LINE = Text(means="a line of text")
PROSE = Text(means="text", multiline=True, max_length=5000)
ARGUMENT = Text(means="an argument", multiline=True, exact=True, empty=True, max_length=100_000)
NAME = Text(
    means="a name of small letters, digits and single hyphens",
    pattern=r"[a-z0-9]+(?:-[a-z0-9]+)*",
    number=False,
)
DATASET_NAME = Text(
    means="a name of small letters, digits and single . _ -",
    pattern=r"[a-z0-9]+(?:[._-][a-z0-9]+)*",
    number=False,
)
IDENTIFIER = Text(
    means="a name of small letters, digits and _ that begins with a letter",
    pattern=r"[a-z][a-z0-9_]*",
    number=False,
)
VARIABLE = Text(
    means="the name of an environment variable: letters, digits and _, no digit first",
    pattern=r"[A-Za-z_][A-Za-z0-9_]*",
    number=False,
)
URL = Text(
    means="an http, https or ftp URL",
    pattern=r"(?:https?|ftp)://[^\s/?#]+(?:[/?#]\S*)?",
    number=False,
    max_length=2000,
)
SHA256 = Text(
    means="64 small hexadecimal digits, as sha256sum prints them", pattern=r"[0-9a-f]{64}", number=False
)
SHA256 = Text(
    means="64 small hexadecimal digits, as sha256sum prints them", pattern=r"[0-9a-f]{64}", number=False
)
INSIDE = Text(
    means="a path inside the folder: no leading / or ~, no .., no \\",
    pattern=r"(?![/~])(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\\]+",
    number=False,
)
ABSOLUTE = Text(
    means="an absolute path of the image, without ..",
    pattern=r"/(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\\]*",
    number=False,
)
REGEX = Text(means="a regular expression (Python syntax)", exact=True, regex=True, number=False)
LICENCE = Text(
    means="an SPDX expression, LicenseRef-... included",
    pattern=r"\(*[A-Za-z0-9][A-Za-z0-9.:+-]*\)*(?: (?:AND|OR|WITH) \(*[A-Za-z0-9][A-Za-z0-9.:+-]*\)*)*",
    number=False,
)
_VERSION_CLAUSE = r" ?(?:===?|>=|<=|~=|!=|<|>) ?[0-9A-Za-z.*+!_-]+"
_PYTHON_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._, -]+\])?"
REQUIREMENT = Text(
    means="a Python requirement such as osve==2.9.0",
    pattern=rf"{_PYTHON_NAME}(?:{_VERSION_CLAUSE}(?:,{_VERSION_CLAUSE})*)?",
    number=False,
)
WHEEL = Text(
    means="one wheel as name==version", pattern=rf"{_PYTHON_NAME}==[0-9][0-9A-Za-z.+!_-]*", number=False
)
PACKAGE = Text(
    means="the name of a Debian package",
    pattern=r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:=[0-9A-Za-z.+:~-]+)?",
    number=False,
)
