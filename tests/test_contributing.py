"""The worked examples of CONTRIBUTING.md, made word for word in a copy of the project, and tried."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 60  # lines of an example
COPIED = ("msda_theory", "verify", "paper_checks", "tests", "pyproject.toml")
STEP = re.compile(
    r"^`([^`\n]+)`, (a new file|at the end|after `[^`\n]+`):\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL
)
#: a section of CONTRIBUTING.md, and how its example is tried
SECTIONS = {
    "To add a mask law": [["pytest", "-q", "tests/masks/test_conformance.py", "-k", "VerticalConcat"]],
    "To add a claim": [["paper_checks", "--jobs", "1", "--only", "zhang2021:swapped-roles", "--record"]],
    "To add a paper": [["paper_checks", "--jobs", "1", "--only", "zhang2018:*", "--record"]],
}


@dataclass(frozen=True)
class Step:
    """`lines` go to `path`: "a new file", "at the end", or "after `...`", the line that begins so."""

    path: str
    where: str
    lines: str

    def take(self, root: Path) -> None:
        path = root / self.path
        if self.where == "a new file":
            assert not path.exists(), f"{self.path} is there already"
            path.parent.mkdir(exist_ok=True)
            path.write_text(self.lines, encoding="utf-8")
            return
        text = path.read_text(encoding="utf-8")
        path.write_text(self._joined(text), encoding="utf-8")

    def _joined(self, text: str) -> str:
        if self.where == "at the end":
            return f"{text}\n{self.lines}" if self.path.endswith(".toml") else text + self.lines
        begin = re.escape(self.where.removeprefix("after `").removesuffix("`"))
        found = re.findall(rf"^{begin}.*\n", text, flags=re.MULTILINE)
        assert found, f"{self.path} has no line that begins so: {self.where}"
        return text.replace(found[0], found[0] + self.lines, 1)


def example(section: str) -> list[Step]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return [Step(*groups) for groups in STEP.findall(body)]


def run(root: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=root, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with all three examples."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, root / name)
    for section in SECTIONS:
        for step in example(section):
            step.take(root)
    return root


@pytest.mark.parametrize("section", SECTIONS)
def test_an_example_is_short(section: str) -> None:
    lines = [line for step in example(section) for line in step.lines.splitlines()]
    assert 0 < len(lines) < LONGEST


@pytest.mark.parametrize("section", SECTIONS)
def test_an_example_does_what_its_section_says(section: str, project: Path) -> None:
    for words in SECTIONS[section]:
        said = " ".join(words).replace("--jobs 1 ", "").replace("-q ", "").replace("zhang2018:*", "'zhang2018:*'")
        assert f"python -m {said}`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        run(project, *words)


def test_recorded_examples_are_known_to_every_table(project: Path) -> None:
    run(project, "pytest", "-q", "tests/paper_checks/test_statements.py")


def test_the_examples_are_formatted_and_pass_the_linter(project: Path) -> None:
    files = [step.path for section in SECTIONS for step in example(section) if step.path.endswith(".py")]
    run(project, "ruff", "check", *files)
    run(project, "ruff", "format", "--check", *files)
