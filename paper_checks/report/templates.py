"""The templates beside this file, each kind with its own escaping: what is not marked as safe is escaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from paper_checks.report import markup
from paper_checks.report.markup import CODE, Part
from paper_checks.report.prose import prose, sentence

Render = Callable[[Iterable[Part]], str]
#: LaTeX is full of braces, so its templates have other marks
_MARKS: dict[str, Any] = {
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "block_start_string": "<%",
    "block_end_string": "%>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}


def _environment(render: Render, **options: Any) -> Environment:
    folder = FileSystemLoader(Path(__file__).parent)
    made = Environment(loader=folder, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options)
    made.filters |= {
        "math": lambda text: render(markup.parts(text)),
        "prose": lambda text: render(prose(text)),
        "sentence": lambda text: render(sentence(text)),
        "only": lambda name: render([Part(CODE, f"python -m paper_checks --only '{name}'")]),
        "figure": figure,
        "exact": exact,
    }
    return made


def figure(value: Any) -> str:
    """A figure of the evidence as a string."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def exact(value: Any) -> str:
    """Rationals in lists of any depth, without the quotation marks that JSON needs."""
    return f"[{', '.join(map(exact, value))}]" if isinstance(value, list) else str(value)


def _latex(value: Any) -> str:
    return value if isinstance(value, markup.Latex) else markup.latex_text(str(value))


def _markdown(value: Any) -> str:
    return value if isinstance(value, markup.Markdown) else markup.markdown_text(str(value))


html = _environment(markup.html, autoescape=True)
latex = _environment(markup.latex, finalize=_latex, **_MARKS)
latex.filters["made"] = markup.Latex
markdown = _environment(markup.markdown, finalize=_markdown)
