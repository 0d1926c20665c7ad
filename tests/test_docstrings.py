"""Every example in a docstring of the library runs, and the reference is made from the docstrings without a warning."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import warnings
from html.parser import HTMLParser
from pathlib import Path

import pdoc
import pdoc.render
import pytest

import msda_theory as mt

MODULES = [found.name for found in pkgutil.walk_packages(mt.__path__, "msda_theory.")]
#: as README.md has it
REFERENCE = ("msda_theory", "msda_theory.symbolic")
SHOWN = (
    mt.audit,
    mt.compare,
    mt.exact_loss,
    mt.odds_moment,
    mt.taylor_loss,
    mt.bounds.rademacher_complexity,
    mt.bounds.robust_radii,
    mt.bounds.shared_constants,
    mt.training.Mix,
)


def examples(name: str) -> list[doctest.DocTest]:
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runner = doctest.DocTestRunner()
    for test in examples(name):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out


def test_the_main_functions_have_an_example() -> None:
    tested = {test.name for name in MODULES for test in examples(name)}
    for function in SHOWN:
        assert f"{function.__module__}.{function.__qualname__}" in tested


class Identifiers(HTMLParser):
    """The ids of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.update(value for name, value in attributes if name == "id" and value)


def test_the_reference_is_made_without_a_warning(tmp_path: Path) -> None:
    pdoc.render.configure(docformat="numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc(*REFERENCE, output_directory=tmp_path)
    assert set(mt.__all__) <= Identifiers(tmp_path / "msda_theory.html").found | modules(tmp_path)
    assert "theorem1" in Identifiers(tmp_path / "msda_theory" / "symbolic.html").found


def modules(folder: Path) -> set[str]:
    """The modules of the library that have a page of their own."""
    return {page.stem for page in (folder / "msda_theory").glob("*.html")}


def test_readme_names_the_command() -> None:
    readme = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
    assert f"python -m pdoc -d numpy -o out/api {' '.join(REFERENCE)}" in readme
