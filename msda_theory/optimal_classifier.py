"""The pointwise optimal classifier of mixed data: Park et al., App. E, after Chidambaram et al., 2022.

Finite classes X_1..X_k and a finite table of masks make finitely many mixed points M s + (1-M) t.  Under the cross
entropy, the constant that is best on the ball B_eps(x) is the mean label of the mixed points inside,

    h_eps^i(x) = (xi^ii + sum_{j!=i} xi_lambda^ij + xi^ji - xi_lambda^ji) / sum_qj xi^qj        (Theorem 6)

where xi^ij is the probability that (s, t) is in X_i x X_j and the mixed point in B_eps(x), and xi_lambda^ij the same
weighted by the label of s.  The paper prints both without the ball.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._validation import require_data, require_finite, require_finite_positive, require_kind
from msda_theory.augmentation import MixTable

#: most numbers that the mixed points may take
LARGEST_MIXED = 2**27
#: distances below this many eps of the largest entry are those of equal points (a mixed point is rounded three times),
#: and so with shares of a label
COINCIDENT_EPS = 64


@dataclass(frozen=True)
class ClassMeasures:
    """xi and xi_lambda of the pairs of classes: (..., k, k), for a batch of points and one radius."""

    mass: Tensor
    labelled: Tensor

    def classifier(self) -> Tensor:
        """h_eps, (..., k); NaN at a point that has no mixed point in its ball."""
        labels = self.labelled.sum(-1) + (self.mass - self.labelled).sum(-2)
        return labels / self.mass.sum((-2, -1)).unsqueeze(-1)

    def certain_class(self) -> Tensor:
        """The class that Theorem 7 gives, (...), or -1 where its assumption does not hold.

        Class i is certain where no mixed point near x is made without it, and it has more than half of the label of
        every kind (i, j) and (j, i), j != i, by more than rounding.  Its share of h_eps is then above 1/2 as well.
        """
        k = self.mass.shape[-1]
        same = torch.eye(k, dtype=torch.bool, device=self.mass.device)
        with_i = same.unsqueeze(-1) | same.unsqueeze(-2)  # (i, s's class, t's class)
        mass, first = self.mass.unsqueeze(-3), self.labelled.unsqueeze(-3)
        own = torch.where(same.unsqueeze(-1), first, mass - first)
        larger = (own > mass * (0.5 + COINCIDENT_EPS * torch.finfo(mass.dtype).eps)) | (
            same.unsqueeze(-1) & same.unsqueeze(-2)
        )
        certain = torch.where(with_i, (mass == 0) | larger, mass == 0).all(-1).all(-1)
        certain &= (self.mass.sum((-2, -1)) > 0).unsqueeze(-1)
        return torch.where(certain.any(-1), certain.int().argmax(-1), -1)


@dataclass(frozen=True)
class MixedPoints:
    """All mixed points (n, d) of equally likely samples; their classes and the average labels of the two samples, (n,).

    first + second is the probability of a mixed point.
    """

    points: Tensor
    classes: tuple[Tensor, Tensor]
    first: Tensor
    second: Tensor
    k: int

    @staticmethod
    def of(x: Tensor, y: Tensor, table: MixTable) -> MixedPoints:
        """Samples x (m, ...) of classes y (m,), integers from 0, and the masks of `Augmentation.table(order)`.

        A ratio law with a density is replaced by the nodes of the table, unless the masks are 0 or 1 and so finite.
        Raises TypeError or ValueError for unfit samples, classes, or too many mixed points.
        """
        _require_classes(x, y, table)
        m, masks = len(x), table.masks.to(x)
        if m * m * masks.shape[0] * x[0].numel() > LARGEST_MIXED:
            raise ValueError(
                f"x holds {m} samples of {x[0].numel()} numbers and table {len(table)} masks: their mixed points take "
                f"{m * m * len(table) * x[0].numel():.2g} numbers, allowed are {LARGEST_MIXED:.2g}; use fewer samples"
            )
        mixed = torch.cat([_mixed(s, x, masks) for s in x])
        first, second = (w.to(x).repeat(m * m) / m**2 for w in (table.first, table.second))
        classes = y.repeat_interleave(m * len(table)), y.repeat_interleave(len(table)).repeat(m)
        return MixedPoints(mixed, classes, first, second, k=int(y.max()) + 1)

    def measures(self, at: Tensor, eps: float) -> ClassMeasures:
        """xi and xi_lambda of the open balls of radius `eps` about the points `at`, (b, ...)."""
        require_finite_positive("eps", eps)
        return self._within(self._distances(at) < eps)

    def limit(self, at: Tensor) -> ClassMeasures:
        """The same as eps -> 0: of the mixed points that are equal to x but for rounding.

        It exists, since h_eps does not change below the distance to the nearest other mixed point.
        """
        size = max(float(self.points.abs().max()), float(at.abs().max()))
        equal = COINCIDENT_EPS * torch.finfo(self.points.dtype).eps * size
        return self._within(self._distances(at) <= equal * self.points.shape[1] ** 0.5)

    def _distances(self, at: Tensor) -> Tensor:
        require_kind("at", at, Tensor)
        if at.ndim < 2 or at[0].numel() != self.points.shape[1]:
            raise ValueError(f"at has shape {tuple(at.shape)}: needed is a batch of {self.points.shape[1]} numbers")
        require_finite("at", at)
        return _distances(at.flatten(1).to(self.points), self.points)

    def _within(self, inside: Tensor) -> ClassMeasures:
        pair = self.classes[0] * self.k + self.classes[1]
        empty = torch.zeros(len(inside), self.k**2).to(self.points)
        first, second = (
            empty.index_add(1, pair, inside * weight).unflatten(1, (self.k, self.k))
            for weight in (self.first, self.second)
        )
        return ClassMeasures(first + second, first)


def distance_to_other_mixtures(x: Tensor, y: Tensor, table: MixTable) -> Tensor:
    """For each sample, the distance to the nearest mixed point of two samples that are both of other classes: (m,).

    Zero where mixed labels contradict the sample's own: for Mixup, where it lies on a segment between samples of other
    classes, a collinearity after Chidambaram et al.  Mixed points are made one first sample at a time.
    """
    _require_classes(x, y, table)
    nearest = torch.full((len(x),), torch.inf, dtype=x.dtype, device=x.device)
    masks, flat = table.masks.to(x), x.flatten(1)
    for s, its_class in zip(x, y, strict=True):
        mixed = _mixed(s, x, masks)
        own = y.repeat_interleave(len(masks)).unsqueeze(0) == y.unsqueeze(1)
        distances = _distances(flat, mixed).masked_fill(own, torch.inf).amin(1)
        nearest = torch.where(y == its_class, nearest, torch.minimum(nearest, distances))
    return nearest


def _mixed(s: Tensor, x: Tensor, masks: Tensor) -> Tensor:
    """M s + (1-M) t for every t of x and every mask, (m * K, d); masks broadcast over the leading axes of a sample."""
    shaped = masks.reshape(len(masks), *[1] * (s.ndim - masks.ndim + 1), *masks.shape[1:])
    return (x.unsqueeze(1) + shaped * (s - x.unsqueeze(1))).flatten(0, 1).flatten(1)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Of every pair, without the cancellation of the matrix product."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _require_classes(x: Tensor, y: Tensor, table: MixTable) -> None:
    require_kind("table", table, MixTable)
    require_data(x, y, tuple(table.masks.shape[1:]))
    if y.ndim != 1 or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool or int(y.min()) < 0:
        raise ValueError(f"y has shape {tuple(y.shape)}, {y.dtype}: needed are classes (m,), integers from 0")
