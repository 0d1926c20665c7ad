"""What README.md tells a newcomer to type is what CI runs."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import msda_theory as mt
from paper_checks import record
from paper_checks.__main__ import _parser as paper_checks_parser
from verify.audit import parser as audit_parser
from verify.settings import parser as verify_parser

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "pictures" / "verdicts.svg"


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


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_python_of_the_readme_runs(capsys):
    """One block after the other; the last is a test of a mixer."""
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, names)
    assert names["exact"].method == "enumerate"
    shown = capsys.readouterr().out
    assert "default form" in shown and "printed form" in shown
    audit = names["test_labels_are_weighed_by_the_area_that_was_cut"]
    law = mt.masks.CutMix((16, 24), sampler="clip")
    names["mixer"] = mt.training.Mix(mt.Augmentation(mt.Beta(1.0, 1.0), law, label="realised"), classes=7)
    audit()
    names["mixer"] = mt.training.Mix(mt.Augmentation(mt.Beta(1.0, 1.0), law), classes=7)
    with pytest.raises(AssertionError):
        audit()


def test_commands_have_arguments_that_exist():
    commands = [shlex.split(line, comments=True) for block in blocks("sh")[1:] for line in joined(block)]
    parsed = {name: [c[c.index(name) + 1 :] for c in commands if name in c] for name in ("paper_checks", "verify")}
    assert all(parsed.values())
    for words in parsed["paper_checks"]:
        paper_checks_parser().parse_args(words)
    for words in parsed["verify"]:
        (audit_parser if "--audit" in words else verify_parser)().parse_args(words)


def joined(block: str) -> list[str]:
    return block.replace("\\\n", " ").splitlines()


def test_the_ci_snippet_installs_what_there_is_and_runs_the_claims():
    (snippet,) = blocks("yaml")
    steps = yaml.safe_load(snippet)["jobs"]["claims"]["steps"]
    runs = [shlex.split(step["run"]) for step in steps if "run" in step]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert runs[-2][-1].strip(".[]") in extras
    options = paper_checks_parser().parse_args(runs[-1][3:])
    kept = next(step["with"]["path"] for step in steps if "upload" in step.get("uses", ""))
    assert kept.split() == [str(options.json), str(options.junit)]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "NOTATION.md"])
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    assert all((ROOT / link).exists() for link in links)


def test_the_picture_of_the_verdicts_shows_the_recorded_ones():
    """Texts of one height are one row."""
    rows = defaultdict(list)
    for text in ElementTree.parse(PICTURE).iter("{http://www.w3.org/2000/svg}text"):
        rows[text.get("y")].append("".join(text.itertext()).replace("\xa0", " "))
    shown = [re.split(r"[\s│]+", "".join(cells).strip(" │\n")) for cells in rows.values()]
    recorded = record.read()
    verdicts = {cells[0]: cells[1:] for cells in shown if cells[0] in recorded}
    assert len(verdicts) == 16
    for claim, cells in verdicts.items():
        assert cells[:-1] == [*recorded[claim].values(), "caught"]
