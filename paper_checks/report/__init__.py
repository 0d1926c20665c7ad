"""The ledger for readers: one HTML page, a LaTeX document, and a letter to a paper's authors in Markdown or LaTeX."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any

PACKAGES = ("jinja2", "latex2mathml", "pylatexenc")


def require_packages(option: str) -> None:
    """ValueError, which names the package, where one that the report is made with is not installed."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"{option} needs the package {package}, which is not installed (the extra 'checks' has it)"
            )


def as_html(ledger: dict[str, Any]) -> str:
    """A page that needs nothing beside itself."""
    return str(import_module("paper_checks.report.pages").as_html(ledger))


def as_latex(ledger: dict[str, Any]) -> str:
    """A document for pdflatex or lualatex."""
    return str(import_module("paper_checks.report.pages").as_latex(ledger))


def errata_markdown(ledger: dict[str, Any], paper: str) -> str:
    """The letter as Markdown, with formulas as $...$."""
    return str(import_module("paper_checks.report.errata").as_markdown(ledger, paper))


def errata_latex(ledger: dict[str, Any], paper: str) -> str:
    """The letter as a LaTeX document."""
    return str(import_module("paper_checks.report.errata").as_latex(ledger, paper))
