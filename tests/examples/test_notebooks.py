"""The notebooks: committed without outputs, compiled, and their code is what `.ci/run` executes."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_they_are_there_and_the_readme_names_each():
    readme = (FOLDER.parents[1] / "README.md").read_text()
    assert len(NOTEBOOKS) >= 3 and all(path.stem in readme for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs_and_begins_with_a_title(path):
    notebook = json.loads(path.read_text())
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == "markdown" and notebook["cells"][0]["source"][0].startswith("# ")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            compile("".join(cell["source"]), path.name, "exec")
    assert len({cell["id"] for cell in notebook["cells"]}) == len(kinds)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"  # no name of somebody's own environment
