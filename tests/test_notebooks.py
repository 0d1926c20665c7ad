"""Each notebook is in jupytext's normal form and runs to its end, showing tables and figures."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
SECONDS = 300  # for the slowest cell, on a machine that is busy

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    return jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")


def kinds(notebook: NotebookNode) -> list[set[str]]:
    """What each cell shows, by MIME type."""
    outputs = [cell.get("outputs", []) for cell in notebook.cells]
    return [{kind for output in shown for kind in output.get("data", {})} for shown in outputs]


def test_there_are_five() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_", "4_", "5_"]


@every_notebook
def test_the_script_is_in_normal_form(path: Path) -> None:
    assert jupytext.writes(read(path), fmt="py:percent") == path.read_text(encoding="utf-8")


@every_notebook
def test_runs_and_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that raises is an error here.  A result shows its table once, and figures are drawn."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = read(path)
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()
    shown = kinds(notebook)
    assert any("text/html" in cell for cell in shown), "a table"
    assert any("image/png" in cell for cell in shown), "a figure"
    for cell in notebook.cells:
        tables = [o for o in cell.get("outputs", []) if "text/html" in o.get("data", {})]
        assert len(tables) <= 1
