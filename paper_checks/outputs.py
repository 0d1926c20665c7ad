"""The files that a run writes: which were asked for, whether they can be written, and what goes into them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from paper_checks import report, views
from paper_checks.statements import papers
from paper_checks.views import Ledger
from verify.files import require_writable, write_atomically

View = Callable[[Ledger], str]

VIEWS: dict[str, View] = {
    "json": views.as_json,
    "junit": views.as_junit,
    "markdown": views.as_markdown,
    "svg": views.as_svg,
    "html": report.as_html,
    "latex": report.as_latex,
}
ERRATA: dict[str, Callable[[Ledger, str], str]] = {".md": report.errata_markdown, ".tex": report.errata_latex}
#: the works that have authors to write to
PAPERS = tuple(name for name in papers() if name != "peers")


def add_options(parser: argparse.ArgumentParser) -> None:
    for name in VIEWS:
        parser.add_argument(f"--{name}", type=Path, metavar="F", help=f"write the ledger as {name}")
    parser.add_argument(
        "--errata",
        nargs="+",
        metavar=("PAPER", "F"),
        help="a letter to the authors of one paper, on what does not hold, to .md or .tex files "
        "(default errata-PAPER.md and .tex); without --only and --from, that paper's claims alone are checked",
    )


def planned(options: argparse.Namespace) -> dict[Path, View]:
    """What to write where.

    Raises ValueError, before any work, for a file that cannot be written, a paper that is none, or a missing package.
    """
    plan = {path: (name, view) for name, view in VIEWS.items() if (path := getattr(options, name)) is not None}
    if options.errata:
        plan |= {path: ("errata", view) for path, view in _errata(*options.errata).items()}
    for path, (name, _) in plan.items():
        require_writable(path, f"--{name}")
        if name in ("html", "latex", "errata"):
            report.require_packages(f"--{name}")
    return {path: view for path, (_, view) in plan.items()}


def _errata(paper: str, *files: str) -> dict[Path, View]:
    if paper not in PAPERS:
        raise ValueError(f"--errata {paper}: needed is one of {', '.join(PAPERS)}")
    paths = [Path(f) for f in files or (f"errata-{paper}{ending}" for ending in ERRATA)]
    for path in paths:
        if path.suffix not in ERRATA:
            raise ValueError(f"--errata {paper} {path}: needed is a file name that ends in {' or '.join(ERRATA)}")
    return {path: _letter(ERRATA[path.suffix], paper) for path in paths}


def _letter(view: Callable[[Ledger, str], str], paper: str) -> View:
    return lambda data: view(data, paper)


def write(plan: Mapping[Path, View], data: Ledger) -> None:
    """Write each view, the JSON first: the others can be made from it again."""
    for path, view in plan.items():
        write_atomically(path, view(data))
