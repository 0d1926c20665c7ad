"""What a sweep over directions starts with; turned among the directions, so that fewer are left, and shorter ones.

A sum over directions of products of two slopes stays the same where an orthogonal matrix turns the directions.  Where
all slopes come, linearly, of slopes T (S, n) that the samples share, with T = Q R, Q (S, k) and R (k, n) upper
triangular, k = min(S, n), the rows of R stand for those of T: behind a layer of n units no more than n directions are
left, and row s of R starts with s zeros, which need not be multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory.jets._slopes import Recipe, Slopes

Made = dict[Recipe, Tensor]
#: numbers a direction, in units of S, up to which directions are turned: of more, few are zeros
WIDEST = 4


@dataclass(frozen=True)
class Given:
    """Slopes (S, b, ...) of one S; `back` takes turned directions to those as they were, and `short` says that the
    zeros with which turned slopes start are left out.
    """

    slopes: Made
    back: Tensor | None = None
    short: bool = False

    @classmethod
    def of(cls, recipes: Sequence[Recipe], found: Made, wanted: Sequence[Recipe], *, turn: bool) -> Given:
        """What the recipes, parents first, need of what is found; turned, if it may be, where the samples share it."""
        given = {parent: found[parent] for recipe in recipes for parent in recipe.parents if parent in found}
        if turn and len(given) == 1:
            (only,) = given
            if isinstance(only, Slopes) and (pair := turned(only)):
                back, rows = pair
                return cls({only: rows}, back, rows.ndim == 3 and _may_be_short(only, recipes, wanted))
        return cls(given)

    def groups(self, at_once: int | None) -> Iterator[slice]:
        """Of so many directions; one, empty, where there are none."""
        count = len(next(iter(self.slopes.values())))
        for start in range(0, count, at_once or max(count, 1)) or (0,):
            yield slice(start, start + (at_once or count))

    def along(self, group: slice) -> Made:
        return {recipe: slopes[group, ..., group.start * self.short :] for recipe, slopes in self.slopes.items()}

    def turned_back(self, slopes: Tensor) -> Tensor:
        """What is linear in the given slopes, direction by direction."""
        return slopes if self.back is None else torch.tensordot(self.back, slopes, 1)


def turned(slopes: Slopes) -> tuple[Tensor, Tensor] | None:
    """Q and the rows of R in the shape of the slopes, of shared ones that are kept; None where T stays as it is.

    That is where little would be saved, or where gradients are recorded: those of Q want T of full rank, and the zeros
    are zeros for this T alone.
    """
    kept = slopes.kept
    if kept is None or not slopes.shared or kept.requires_grad or kept.dtype not in (torch.float32, torch.float64):
        return None
    if kept[:1].numel() > WIDEST * len(kept):
        return None
    if slopes.turned is None:
        q, r = torch.linalg.qr(kept.flatten(1))
        slopes.turned = q, r.contiguous().view(len(r), *kept.shape[1:])
    return slopes.turned


def _may_be_short(slopes: Slopes, recipes: Sequence[Recipe], wanted: Sequence[Recipe]) -> bool:
    """Whether numbers that are missing at the start of the last axis are missed by no recipe, and in nothing wanted."""
    short: set[Recipe] = {slopes}
    for recipe in recipes:
        if short.intersection(recipe.parents):
            if not isinstance(recipe, Slopes) or recipe.zeros is None:
                return False
            if recipe.zeros == "stay":
                short.add(recipe)
    return short.isdisjoint(wanted)
