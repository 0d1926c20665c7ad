"""Text with formulas, `$...$` and `$$...$$`, and code in backquotes: in parts, and as HTML, LaTeX and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from latex2mathml.converter import convert
from markupsafe import Markup, escape
from pylatexenc.latexencode import UnicodeToLatexEncoder

TEXT, CODE, INLINE, DISPLAY = "text", "code", "inline", "display"
_PART = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>.+?)\$|`(?P<code>.+?)`", re.DOTALL)
_encoder = UnicodeToLatexEncoder(unknown_char_policy="unihex", unknown_char_warning=False)


@dataclass(frozen=True)
class Part:
    kind: str
    text: str


class Latex(str):
    """A string that is LaTeX already."""


class Markdown(str):
    """A string that is Markdown already."""


def parts(text: str) -> list[Part]:
    """Split a text at its formulas and its code."""
    found, start = [], 0
    for match in _PART.finditer(text):
        found.append(Part(TEXT, text[start : match.start()]))
        found += [Part(kind, part) for kind, part in match.groupdict().items() if part is not None]
        start = match.end()
    return [part for part in (*found, Part(TEXT, text[start:])) if part.text]


def html(pieces: Iterable[Part]) -> Markup:
    """Formulas as MathML, which browsers render by themselves."""
    return Markup("").join(_html(p) for p in pieces)


def _html(part: Part) -> Markup:
    if part.kind == TEXT:
        return escape(part.text)
    if part.kind == CODE:
        return Markup("<code>{}</code>").format(part.text)
    formula = Markup(mathml(part.text, part.kind))
    return Markup('<span class="display">{}</span>').format(formula) if part.kind == DISPLAY else formula


def mathml(formula: str, kind: str = INLINE) -> str:
    """MathML of a formula.  Raises ValueError where a command of it is not known."""
    made = convert(" ".join(formula.split()), display="block" if kind == DISPLAY else "inline")
    if unknown := re.findall(r"\\[A-Za-z]+", made):
        raise ValueError(f"no MathML for {', '.join(unknown)} in {formula!r}")
    return made


def latex(pieces: Iterable[Part]) -> Latex:
    return Latex("".join(_latex(p) for p in pieces))


def _latex(part: Part) -> str:
    wrapped = {
        CODE: f"\\texttt{{{latex_text(part.text)}}}",
        INLINE: f"${part.text}$",
        DISPLAY: f"\n\\fit{{{part.text}}}\n",
    }
    return wrapped.get(part.kind) or latex_text(part.text)


def latex_text(text: str) -> Latex:
    """Plain text with its special characters escaped; one that LaTeX has no name for shows as U+ and its number."""
    return Latex(_encoder.unicode_to_latex(text))


def markdown(pieces: Iterable[Part]) -> Markdown:
    return Markdown("".join(_markdown(p) for p in pieces))


def _markdown(part: Part) -> str:
    wrapped = {CODE: f"`{part.text}`", INLINE: f"${part.text}$", DISPLAY: f"\n\n$${part.text}$$\n\n"}
    return wrapped.get(part.kind) or markdown_text(part.text)


def markdown_text(text: str) -> Markdown:
    """Plain text with the characters escaped that Markdown would read."""
    return Markdown(re.sub(r"([\\`*_~\[\]<>|#$])", r"\\\1", text))
