"""The two files of pre-commit: what they run is there, and takes those arguments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG, MANIFEST = (
    yaml.safe_load((ROOT / name).read_text()) for name in (".pre-commit-config.yaml", ".pre-commit-hooks.yaml")
)
LOCAL = {hook["id"]: hook for repo in CONFIG["repos"] for hook in repo["hooks"]}
#: what each command is given in place of the committed files, to show that it runs and to change nothing
TRIED = {
    "ruff-check": ["paper_checks/hook.py"],
    "ruff-format": ["--check", "paper_checks/hook.py"],
    "mypy": ["--version"],
    "paper-checks": ["--list"],
}


def run(words: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=os.environ | environment
    )


def test_all_hooks_of_this_repository_are_local() -> None:
    assert [repo["repo"] for repo in CONFIG["repos"]] == ["local"]
    assert LOCAL.keys() == TRIED.keys()
    assert all(hook["language"] == "system" for hook in LOCAL.values())


@pytest.mark.parametrize("name", TRIED)
def test_a_hook_runs(name: str) -> None:
    program, *words = LOCAL[name]["entry"].split()
    folder, _, tool = program.rpartition("/")
    assert folder == ".venv/bin"  # as CONTRIBUTING.md sets up; here it may be another environment
    done = run([str(Path(sys.executable).parent / tool), *words, *TRIED[name]], ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_claims_are_checked_where_the_code_changes() -> None:
    pattern = re.compile(LOCAL["paper-checks"]["files"])
    assert all(
        pattern.search(path) for path in ("msda_theory/exact.py", "paper_checks/verdicts.toml", "verify/order.py")
    )
    assert not pattern.search("README.md") and not pattern.search("figures/style.py")


def hook() -> dict[str, Any]:
    (only,) = MANIFEST
    return dict(only)


def test_other_repositories_run_the_quick_profile_from_anywhere(tmp_path: Path) -> None:
    """As pre-commit does with "language: script": the file in its own clone, in the folder of the other repository."""
    assert hook()["language"] == "script" and not hook()["pass_filenames"]
    script = ROOT / hook()["entry"]
    assert os.access(script, os.X_OK) and script.read_text().startswith("#!/usr/bin/env python3\n")
    done = run([sys.executable, str(script), "--list"], tmp_path, PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    assert "claims were left out, as --quick does" in done.stdout


def test_it_checks_the_library_that_is_installed_and_not_its_own(tmp_path: Path) -> None:
    stand_in = tmp_path / "msda_theory"
    stand_in.mkdir()
    (stand_in / "__init__.py").write_text("raise ImportError('the installed one')\n")
    done = run([sys.executable, str(ROOT / hook()["entry"]), "--list"], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "the installed one; needed is an environment with msda_theory and its extra 'checks'" in done.stderr


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("pyproject.toml", True),
        ("requirements/dev-requirements.txt", True),
        ("constraints.txt", True),
        ("uv.lock", True),
        ("poetry.lock", True),
        ("src/model.py", False),
        ("notes.txt", False),
    ],
)
def test_it_runs_where_the_pinned_packages_change(path: str, matches: bool) -> None:
    assert bool(re.search(hook()["files"], path)) == matches
