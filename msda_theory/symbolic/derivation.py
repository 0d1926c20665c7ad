"""Steps of a derivation, each checked by algebra, and how they print.

A `Step` carries what it states and residuals, built from the two sides of the statement, that vanish if and only if it
is true.  It holds when every residual is reduced to exactly 0; it is refuted when a residual is not 0 at some integers.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import sympy as sp

from msda_theory.symbolic._algebra import reduced, refutation
from msda_theory.symbolic._printing import aligned, plain

Residual: TypeAlias = "sp.Expr | sp.MatrixBase | tuple[Residual, ...]"


@dataclass(frozen=True)
class Step:
    """One statement of a derivation.

    title : what is done      statement : an equation, or several      residual : 0 if and only if it is true
    source : the paper and the equation that print it, or what it corrects
    """

    title: str
    statement: sp.Basic | tuple[sp.Basic, ...]
    residual: Residual
    source: str

    @cached_property
    def residuals(self) -> tuple[sp.Expr, ...]:
        """Every residual in its reduced form."""
        return tuple(reduced(r) for r in _flat(self.residual))

    @property
    def holds(self) -> bool:
        """Whether every residual is reduced to exactly 0, for all values of the symbols."""
        return bool(self.residuals) and all(r == 0 for r in self.residuals)

    @property
    def statements(self) -> tuple[sp.Basic, ...]:
        return self.statement if isinstance(self.statement, tuple) else (self.statement,)

    def refutation(self) -> dict[sp.Basic, sp.Integer] | None:
        """Integers for the symbols and unspecified functions at which a residual is not 0: a proof that it fails."""
        points = (refutation(r) for r in self.residuals if r != 0)
        return next((point for point in points if point is not None), None)

    def latex_lines(self) -> list[str]:
        """The statement, one aligned equation a line."""
        return [aligned(s) for s in self.statements]

    def to_html(self) -> str:
        heading = f"{self.title} <small>{self.source}: {'holds' if self.holds else 'FAILS'}</small>"
        equations = html.escape(" \\\\ ".join(self.latex_lines()))
        return f"<li>{heading} $$\\begin{{aligned}} {equations} \\end{{aligned}}$$</li>"

    def __str__(self) -> str:
        mark = "holds" if self.holds else f"FAILS, residual {[r for r in self.residuals if r != 0]}"
        return f"{self.title}  [{self.source}]: {mark}"


@dataclass(frozen=True)
class Derivation:
    """A chain of steps; it holds when each of them does."""

    name: str
    steps: tuple[Step, ...]

    @property
    def holds(self) -> bool:
        return bool(self.steps) and all(step.holds for step in self.steps)

    @property
    def failures(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if not step.holds)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, title: str) -> Step:
        for step in self.steps:
            if step.title == title:
                return step
        raise KeyError(f"{title!r} is no step of {self.name!r}: needed is one of {[s.title for s in self.steps]}")

    def to_latex(self, document: bool = False) -> str:
        """Each step as a titled paragraph and an `align*`; with `document=True` a file that compiles (amsmath)."""
        body = [rf"\section*{{{plain(self.name)}}}"]
        for number, step in enumerate(self.steps, 1):
            lines = " \\\\\n  ".join(step.latex_lines())
            heading = rf"\paragraph{{{number}. {plain(step.title)}}} ({plain(step.source)})"
            body.append(f"{heading}\n\\begin{{align*}}\n  {lines}\n\\end{{align*}}")
        text = "\n\n".join(body) + "\n"
        if not document:
            return text
        preamble = "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\allowdisplaybreaks\n"
        return f"{preamble}\\begin{{document}}\n\n{text}\n\\end{{document}}\n"

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {'holds' if self.holds else 'FAILS'}", *(f"  {s}" for s in self.steps)])

    def _repr_html_(self) -> str:
        """A list of the steps, their equations for MathJax."""
        items = "".join(s.to_html() for s in self.steps)
        return f"<b>{html.escape(self.name)}</b><ol>{items}</ol>"


def _flat(residual: Residual) -> Iterator[sp.Expr]:
    if isinstance(residual, tuple | sp.MatrixBase):
        for part in residual:
            yield from _flat(part)
    else:
        yield sp.sympify(residual)
