"""The table of mutants, of a project of one function and results that are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mutmut import configuration
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.file_mutation import mutate_file_contents

from benchmarks import mutation

SOURCE = """def area(a, b, c):
    return a * b + 2 * c


def name():
    raise ValueError("not mutated")
"""
SETTINGS = """[tool.mutmut]
source_paths = ["shapes"]
do_not_mutate_patterns = ['\\braise \\w+']
"""
KILLED, SURVIVED, LATE, REJECTED, NOT_TRIED = 1, 0, 36, 37, None
REASON = """[[survivor]]
module = '''shapes/plane.py'''
function = '''area'''
was = '''return a * b + 2 * c'''
became = '''return a * b - 2 * c'''
reason = "c is 0 in all that is known"
"""
Report = Callable[..., int]


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The exit code of a run in which the mutants, in mutmut's order, came to these ends."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configuration, "_config", None)
    path = Path("shapes/plane.py")
    (Path("mutants") / path).parent.mkdir(parents=True)
    path.parent.mkdir()
    path.write_text(SOURCE)
    Path("pyproject.toml").write_text(SETTINGS)
    made = mutate_file_contents(str(path), SOURCE)
    (Path("mutants") / path).write_text(made.code)

    def run(*ends: int | None, reasons: str = "", words: tuple[str, ...] = ()) -> int:
        data = SourceFileMutationData(path=path)
        data.exit_code_by_key = dict(zip((f"shapes.plane.{name}" for name in made.mutant_names), ends, strict=True))
        data.save()
        Path("reasons.toml").write_text(reasons)
        return mutation.main(["--reasons", "reasons.toml", *words])

    return run


def test_a_survivor_with_a_reason_passes(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    """The four mutants are those of the sum, of both products and of the 2; three of four caught are too few."""
    assert report(SURVIVED, KILLED, LATE, REJECTED, reasons=REASON) == 1
    captured = capsys.readouterr()
    assert "| `shapes/plane.py` | 4 | 1 | 2 | 1 | 75.0% |\n| all | 4 | 1 | 2 | 1 | 75.0% |" in captured.out
    assert "of the others the tests kill 66.7%, 1 by running past their time." in captured.out
    assert "- area: `return a * b + 2 * c` became `return a * b - 2 * c`. c is 0 in all that is known\n" in captured.out
    assert captured.err == "3 of 4 mutants are caught: needed are 95%\n"


def test_all_killed_passes_and_is_written(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KILLED, KILLED, KILLED, KILLED, words=("--out", "table.md")) == 0
    captured = capsys.readouterr()
    assert Path("table.md").read_text() == captured.out and captured.err == ""
    assert "| all | 4 | 0 | 4 | 0 | 100.0% |" in captured.out


def test_a_survivor_without_a_reason_is_named(
    report: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is said is the entry that is missing, but for its reason; an empty reason is none."""
    monkeypatch.setattr(mutation, "NEEDED", 0.5)
    assert report(SURVIVED, KILLED, KILLED, KILLED, reasons=REASON) == 0
    for reasons in ("", REASON.replace("c is 0 in all that is known", "")):
        capsys.readouterr()
        assert report(SURVIVED, KILLED, KILLED, KILLED, reasons=reasons) == 1
        captured = capsys.readouterr()
        assert captured.err == "a survivor without a reason:\n" + REASON.replace("c is 0 in all that is known", "")
        assert "No reason is given" in captured.out


def test_a_reason_without_a_survivor_is_named(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KILLED, KILLED, KILLED, KILLED, reasons=REASON) == 1
    assert capsys.readouterr().err.startswith(
        "a reason without a survivor:\n[[survivor]]\nmodule = '''shapes/plane.py'''"
    )


def test_a_run_that_did_not_end_does_not_pass(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KILLED, KILLED, KILLED, NOT_TRIED) == 1
    assert "1 mutants were not tried" in capsys.readouterr().err


def test_nothing_to_report_is_refused(tmp_path: Path, report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--reasons", "absent.toml"], "no such file"),
        (["--reasons", "r.toml"], "no mutants here"),
    ):
        Path("r.toml").touch()
        with pytest.raises(SystemExit) as stop:
            mutation.main(words)
        assert stop.value.code == 2 and message in capsys.readouterr().err
