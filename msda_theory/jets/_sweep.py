"""Making what recipes describe: for a few directions at a time, so that their slopes stay in a cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory.jets._given import Given, Made
from msda_theory.jets._slopes import Bend, Recipe, Slopes, Total

_widths: ContextVar[list[int] | None] = ContextVar("widths", default=None)


@contextmanager
def watched() -> Iterator[list[int]]:
    """How many numbers a sample and direction the slopes have that are made meanwhile, shared ones aside."""
    widths: list[int] = []
    token = _widths.set(widths)
    try:
        yield widths
    finally:
        _widths.reset(token)


def made(wanted: Sequence[Recipe], at_once: int | None = None) -> list[Tensor]:
    """The tensors of some recipes: slopes (S, b, ...), totals and bends; `at_once` directions go together (None: all).

    No slopes live longer than they are needed.
    """
    recipes = _needed(wanted)
    found = {recipe: recipe.kept for recipe in (*recipes, *wanted) if recipe.kept is not None}
    along = [r for r in recipes if isinstance(r, Slopes | Total) and r.kept is None]
    _make_shared([r for r in along if r.shared], found)
    _sweep([r for r in along if not r.shared], found, [r for r in wanted if isinstance(r, Slopes)], at_once)
    for step in _steps([r for r in recipes if isinstance(r, Bend)], wanted):
        found[step.recipe] = step.recipe.make(*step.before(found))
    return [found[recipe] for recipe in wanted]


def _needed(wanted: Sequence[Recipe]) -> list[Recipe]:
    """The recipes behind those that are wanted, parents first; none behind one that is kept."""
    seen, open_ = set(wanted), list(wanted)
    while open_:
        recipe = open_.pop()
        new = [] if recipe.kept is not None else [parent for parent in recipe.parents if parent not in seen]
        seen.update(new)
        open_ += new
    return sorted(seen, key=lambda recipe: recipe.number)


def _make_shared(recipes: Sequence[Recipe], found: Made) -> None:
    """Once and for all, along all directions together."""
    for recipe in recipes:
        found[recipe] = recipe.make(*(found[parent] for parent in recipe.parents))
        recipe.keep(found[recipe])


def _sweep(recipes: Sequence[Recipe], found: Made, wanted: Sequence[Recipe], at_once: int | None) -> None:
    """Slopes and totals that differ from sample to sample, a group of directions after the other."""
    if not recipes:
        return
    steps, widths = _steps(recipes), _widths.get()
    given = Given.of(recipes, found, wanted, turn=widths is None)
    collected: dict[Recipe, list[Tensor]] = {recipe: [] for recipe in recipes if recipe in wanted}
    for group in given.groups(at_once):
        here = given.along(group)
        for step in steps:
            recipe, before = step.recipe, step.before(here)
            if isinstance(recipe, Total):
                found[recipe] = recipe.added_to(found[recipe], *before) if recipe in found else recipe.make(*before)
                continue
            here[recipe] = new = recipe.make(*before)
            if widths is not None:
                widths.append(new[:1, :1].numel())
            if recipe in collected:
                collected[recipe].append(new)
    found |= {recipe: given.turned_back(torch.cat(parts)) for recipe, parts in collected.items()}


@dataclass(frozen=True)
class _Step:
    """A recipe, and its parents, each with whether it is the last that needs it."""

    recipe: Recipe
    parents: tuple[tuple[Recipe, bool], ...]

    def before(self, found: Made) -> list[Tensor]:
        """The parents' tensors; those that nothing else needs are let go."""
        return [found.pop(parent) if last else found[parent] for parent, last in self.parents]


def _steps(recipes: Sequence[Recipe], wanted: Sequence[Recipe] = ()) -> list[_Step]:
    needed, steps = set(wanted), []
    for recipe in reversed(recipes):
        parents = []
        for parent in reversed(recipe.parents):
            parents.append((parent, parent not in needed))
            needed.add(parent)
        steps.append(_Step(recipe, tuple(reversed(parents))))
    return steps[::-1]
