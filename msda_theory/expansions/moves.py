"""The moves v of a sample under an augmentation, as directions whose squares sum to their second moment.

A sample moves by v = N * (r - x_i).  With c = E[r] (or 0, as the paper has it), C = E[(r-c)(r-c)^T], A = E[N N^T],

    E[v]     =  E[N] * (c - x_i)
    E[v v^T] =  A * C + diag(c - x_i) A diag(c - x_i)

so that directions are the columns of a factor of A * C, the same for every sample, and those of a factor of A times
c - x_i.  Both factors are complete: a term that is a sum over them is exact.  Or the moves are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from msda_theory.augmentation import Augmentation, SeenMoments

#: directions that go through a network together; groups that a standard error is taken over
LARGEST_GROUP, LEAST_GROUPS = 64, 8


@dataclass(frozen=True)
class Directions:
    """v_is = offset_s + factor_s * away_i; a part that is None is zero.  offset, factor (S, d), away (m, d)."""

    offset: Tensor | None
    factor: Tensor | None
    away: Tensor

    def __len__(self) -> int:
        part = self.offset if self.offset is not None else self.factor
        return 0 if part is None else len(part)

    def of(self, rows: slice, some: slice) -> Tensor:
        """Some of the directions for some of the samples: (s, n or 1, d)."""
        offset = None if self.offset is None else self.offset[some].unsqueeze(1)
        if self.factor is None:
            assert offset is not None
            return offset
        own = self.factor[some].unsqueeze(1) * self.away[rows]
        return own if offset is None else own + offset


@dataclass(frozen=True)
class Moves:
    """drifts (1, m, d), E[v]; sum_s v_is v_is^T over `directions` is E[v v^T].

    Where they were drawn, both are estimates, and drifts may be (g, m, d), the mean of each of g groups of draws.
    `labels` says how the label moves beside each of the directions, as (S, m, K).
    """

    drifts: Tensor
    directions: tuple[Directions, ...]
    drawn: bool = False
    labels: Directions | None = None

    def groups(self, largest: Callable[[Directions], int] = lambda _: 0) -> list[tuple[Directions, slice]]:
        """All directions in parts that go through a network at once: of `LARGEST_GROUP`, or `largest` if more."""
        return [
            (directions, some)
            for directions in self.directions
            for some in self._parts(len(directions), max(LARGEST_GROUP, largest(directions)))
        ]

    def shares(self) -> Tensor:
        """The share of the directions that each group has."""
        sizes = torch.tensor([some.stop - some.start for _, some in self.groups()], dtype=torch.float64)
        return sizes / sizes.sum()

    def _parts(self, count: int, largest: int) -> list[slice]:
        parts = max(LEAST_GROUPS if self.drawn else 1, -(-count // largest))
        edges = [count * k // parts for k in range(parts + 1)]
        return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def exact_moves(moments: SeenMoments, x: Tensor, *, centred: bool = False) -> Moves:
    """For moments of N; `centred` takes the mean of the data as zero, as the paper does."""
    first, second = moments.first.to(x), moments.second
    return moves_of(x, second, second, first, centred=centred)


def moves_about_means(first: Tensor, second: Tensor, x: Tensor) -> Moves:
    """From the mean mixed point x_i + first * (c - x_i): no drift, and the covariance of N for its second moment."""
    return moves_of(x, second, second - torch.outer(first, first), torch.zeros_like(first))


def moves_of(x: Tensor, shared: Tensor, own: Tensor, first: Tensor, *, centred: bool = False) -> Moves:
    """E[v] = first * (c - x_i) and E[v v^T] = shared * C + diag(c - x_i) own diag(c - x_i), the moments of a mask's
    pixels (d,) and (d, d), repeated over the leading axes of a sample, along which one mask is shared.
    """
    flat = x.flatten(1)
    precise = flat.detach().to("cpu", torch.float64)
    mean = torch.zeros_like(precise[0]) if centred else precise.mean(0)
    about = precise - mean
    copies = flat.shape[1] // len(first)
    scatter = shared.to(about).repeat(copies, copies) * (about.T @ about / len(about))
    away = (-about).to(flat)
    return Moves(
        (first.to(flat).repeat(copies) * away).unsqueeze(0),
        (
            Directions(_factor(scatter).to(flat), None, away),
            Directions(None, _factor(own.to(about)).repeat(1, copies).to(flat), away),
        ),
    )


def drawn_moves(
    augmentation: Augmentation, x: Tensor, count: int, seed: int | np.random.Generator | None = None
) -> Moves:
    """`count` draws of (partner, mask, role), the same for every sample; the role by the label weight it has.

    The drift is exact with label="nominal".
    """
    rng = np.random.default_rng(seed)
    flat = x.flatten(1)
    draw = augmentation.draw(count, rng)
    leads = torch.from_numpy(rng.random(count)) < draw.label
    masks = draw.masks.flatten(1)
    copies = flat.shape[1] // masks.shape[1]
    given = torch.where(leads.unsqueeze(-1), 1 - masks, masks).to(flat).repeat(1, copies)
    offset = given * flat[torch.from_numpy(rng.integers(len(flat), size=count)).to(flat.device)]
    moves = Moves(flat[:0], (Directions(count**-0.5 * offset, count**-0.5 * given, -flat),), drawn=True)
    if augmentation.label == "nominal":
        drifts = augmentation.seen_first_moment().to(flat).repeat(copies) * (flat.mean(0) - flat)
        return replace(moves, drifts=drifts.unsqueeze(0))
    means = [offset[some].mean(0) - given[some].mean(0) * flat for _, some in moves.groups()]
    return replace(moves, drifts=torch.stack(means))


def moves_with_labels(
    x: Tensor, points: tuple[Tensor, Tensor], y: Tensor, weights: tuple[Tensor, Tensor], partners: Tensor
) -> Moves:
    """Drawn moves N_s * (r_s - x_i) and, of the label, w_s (y_rs - y_i), less their means n * (E[r] - x_i), .. .

    x (m, d) and y (m, K); points are N (S, d) and n (d,), weights w (S, 1) and its mean (1,), partners r_s (S,).  The
    mean being known, sum_s v v^T is without bias.
    """
    return Moves(
        torch.zeros_like(x).unsqueeze(0), (_deviations(x, *points, partners),), True, _deviations(y, *weights, partners)
    )


def _deviations(values: Tensor, share: Tensor, mean: Tensor, partners: Tensor) -> Directions:
    scale = len(share) ** -0.5
    offset = share * values[partners] - mean * values.mean(0)
    return Directions(scale * offset, scale * (share - mean), -values)


def _factor(matrix: Tensor) -> Tensor:
    """Rows f_s with sum_s f_s f_s^T = matrix, symmetric and positive semidefinite; what is rounding is left out."""
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > len(values) * torch.finfo(values.dtype).eps * values[-1].clamp_min(0)
    return (vectors[:, kept] * values[kept].sqrt()).T.contiguous()
