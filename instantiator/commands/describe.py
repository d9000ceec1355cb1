"""A recipe in words, and as data."""

from __future__ import annotations

from instantiator.curate.catalog_status import Status
from instantiator.curate.lock import is_locked
from instantiator.image.errors import LockMissing
from instantiator.image.lock import read_lock
from instantiator.recipe.model import Citation, Parameter, Recipe, Thread


def recipe_to_json(recipe: Recipe, status: Status) -> dict[str, object]:
    """A recipe as data."""
    return {
        **status.to_json(),
        "name": recipe.name,
        "version": recipe.version,
        "title": recipe.title,
        "description": recipe.description.strip(),
        "mission": list(recipe.mission),
        "homepage": recipe.homepage,
        "licence": recipe.licence,
        "citations": [_cite(citation) for citation in recipe.citations],
        "missing": list(recipe.missing),
        "retired": recipe.retired,
        "superseded_by": recipe.superseded_by,
        "locked": is_locked(recipe),
        "image": _image_of(recipe),
        "threads": [_thread_to_json(thread) for thread in recipe.threads],
        "datasets": [
            {"name": d.name, "title": d.title, "origin": d.origin.strip(), "licence": d.licence}
            for d in recipe.datasets
        ],
        "smoke": [test.name for test in recipe.smoke],
    }


def _thread_to_json(thread: Thread) -> dict[str, object]:
    return {
        "name": thread.name,
        "title": thread.title,
        "help": thread.help.strip(),
        "inputs": [{"name": i.name, "type": i.type.value, "help": i.help} for i in thread.inputs],
        "parameters": [
            {"name": p.name, "type": p.type.value, "unit": p.unit, "default": p.default, "help": p.help}
            for p in thread.parameters
        ],
        "outputs": [{"name": o.name, "path": o.path, "rule": o.compare.rule} for o in thread.outputs],
    }


def _image_of(recipe: Recipe) -> str | None:
    try:
        lock = read_lock(recipe)
    except LockMissing:
        return None
    return lock.image.id if lock.image else None


def _cite(citation: Citation) -> str:
    if citation.doi:
        return f"doi:{citation.doi}"
    return citation.ascl or citation.ads or ""


def describe_recipe(recipe: Recipe, status: Status) -> str:
    """A recipe for people."""
    lines = [
        f"{recipe.title} ({recipe.id})",
        f"  status    {status.describe()}",
        *[f"            {detail}" for detail in status.details],
        *([f"  retired   {recipe.retired}"] if recipe.retired else []),
        *([f"  instead   {recipe.superseded_by}"] if recipe.superseded_by else []),
        f"  missions  {', '.join(recipe.mission)}",
        f"  licence   {recipe.licence}",
        f"  cite      {', '.join(_cite(citation) for citation in recipe.citations)}",
        f"  locked    {'yes' if is_locked(recipe) else 'no'}, image {_image_of(recipe) or 'not built'}",
        "",
        *[f"  {line}" for line in _wrap(recipe.description)],
    ]
    for thread in recipe.threads:
        lines += ["", f"  thread {thread.name}: {thread.title}"]
        lines += [f"    input     {item.name} ({item.type}) {item.help}" for item in thread.inputs]
        lines += [f"    parameter {_describe_parameter(parameter)}" for parameter in thread.parameters]
        lines += [
            f"    output    {output.name}: {output.path} ({output.compare.rule})" for output in thread.outputs
        ]
    if recipe.datasets:
        lines += ["", "  datasets"]
        lines += [f"    {dataset.name}: {dataset.title}" for dataset in recipe.datasets]
    return "\n".join(lines)


def _describe_parameter(parameter: Parameter) -> str:
    unit = f" [{parameter.unit}]" if parameter.unit else ""
    default = f" = {parameter.default}" if parameter.default is not None else ""
    return f"{parameter.name} ({parameter.type}){unit}{default} {parameter.help}"


def _wrap(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(" ".join(text.split()), 100)
