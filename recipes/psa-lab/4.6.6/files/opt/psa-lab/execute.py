"""Execute a notebook from its first cell to its last: execute.py NOTEBOOK EXECUTED; exit status 1 where a cell fails.

The notebook is written in any case, with what its cells gave. What it writes into the folder it runs in is moved
into the folder `files` beside it.
"""

import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def main(source: Path, target: Path) -> int:
    """Execute `source` in an empty folder and write `target`."""
    notebook = nbformat.read(source, as_version=4)
    folder = Path.cwd() / "files"
    folder.mkdir()
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    failure = ""
    try:
        client.execute()
    except CellExecutionError as error:
        failure = f"a cell of {source.name} failed: {error.ename}: {error.evalue}"
    nbformat.write(notebook, target)
    if any(folder.iterdir()):
        shutil.copytree(folder, target.parent / "files")
    print(failure or f"{sum(cell.cell_type == 'code' for cell in notebook.cells)} cells executed")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
