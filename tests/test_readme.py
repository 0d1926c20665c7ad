"""What README.md tells a newcomer to type is what CI runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def first_block(markdown: str) -> list[str]:
    block = re.search(r"^```sh\n(.*?)^```", markdown, flags=re.MULTILINE | re.DOTALL)
    assert block is not None, "README.md has no ```sh block"
    return block[1].splitlines()


def print_commands(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / ".ci" / "run", "--print-commands"], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def readme_with(tmp_path):
    """A function that lays a README.md of the given text beside a copy of .ci/run."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")

    def lay(text: str) -> Path:
        (tmp_path / "README.md").write_text(text, encoding="utf-8")
        return tmp_path

    return lay


def test_first_block_is_one_command_for_the_job_and_one_for_the_tests():
    commands = first_block((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(commands) == 2
    job, tests = commands
    assert "python -m paper_checks" in job
    assert "--json ledger.json" in job, "the ledger that CI checks afterwards"
    assert "pytest" in tests
    for command in commands:  # either may be the first that a newcomer types
        assert command.startswith("python3 -m venv .venv && ")
        assert " -c constraints.txt " in command


def test_ci_runs_exactly_these_commands():
    printed = print_commands(ROOT)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.splitlines() == first_block((ROOT / "README.md").read_text(encoding="utf-8"))


def test_ci_takes_the_first_block_and_no_other(readme_with):
    root = readme_with("# x\n\n```python\nno\n```\n\n```sh\na && b\nc 'd  e' $F\n```\n\n```sh\nno\n```\n")
    assert print_commands(root).stdout == "a && b\nc 'd  e' $F\n"


@pytest.mark.parametrize("block", ["", "```sh\none\n```\n", "```sh\none\ntwo\nthree\n```\n"])
def test_ci_refuses_a_readme_without_exactly_two_commands(readme_with, block):
    printed = print_commands(readme_with(f"# x\n\n{block}"))
    assert printed.returncode == 1
    assert printed.stdout == ""
    assert "needed are two" in printed.stderr


def test_the_python_of_the_readme_runs(capsys):
    block = re.search(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert block is not None
    names: dict[str, object] = {}
    exec(block[1], names)
    assert names["exact"].method == "enumerate"
    shown = capsys.readouterr().out
    assert "default form" in shown and "printed form" in shown
