"""The page that goes with a preserved recipe, for somebody who finds it in twenty years and has no Thaw."""

from __future__ import annotations

from instantiator.curate.preserve.index import FILE, Index
from instantiator.recipe.model import Recipe


def render_readme(recipe: Recipe, index: Index) -> str:
    """What it is, what lies where, and how it is built again with Thaw and without."""
    name = recipe.id
    proof = (
        f"Run {index.run} was repeated and judged; its record, inputs and outputs are among the objects."
        if index.run
        else "No verified run goes with it."
    )
    return f"""\
# {recipe.title} ({name}), preserved

All that is needed to build this software's environment again without a network, and to check that it still gives what
it gave. Licence of the software: {recipe.licence}. Home page: {recipe.homepage}

- `recipe/{name}/`: the recipe as its curator wrote it, its data and tests, and `recipe.lock.yaml`.
- `LOCK.json`: the lock: every package, wheel and source by name, version and sha256.
- `objects/ab/cdef…`: {len(index.objects)} files named by their sha256 (`ab` + `cdef…`): packages, wheels, sources, the
  tools of the build, and a verified run.
- `{FILE}`: says of every object what it is.

{proof}
The image that is built has the ID {index.image}.

With Thaw: `thaw preserve import THIS_FOLDER`. It checks every byte, takes it in, builds the image, compares its ID and
repeats the run.

Without Thaw: the packages are ordinary Debian packages ({recipe.base.debian or "see LOCK.json"},
{recipe.architecture}). Give them their names from `LOCK.json`, make a local archive of them (`dpkg-scanpackages`), and
install them with `mmdebstrap --variant=custom`. Then install the wheels with pip, unpack the sources, run the `steps`
of the lock.
"""
