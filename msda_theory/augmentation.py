"""An augmentation: a law of the mixing ratio, a mask law and a label rule; and what one sample sees of it.

The MSDA loss of Park et al., eq. (4), averages l(M x_i + (1-M) x_j, w y_i + (1-w) y_j) over pairs, ratios and masks.
Losses h(f) - y f are affine in y, so sample i meets every partner r in two roles:

    as the first of the pair,  with weight w:    it is moved by N = 1-M towards r and keeps its label,
    as the second of the pair, with weight 1-w:  it is moved by N = M   towards r and keeps its label.

`Augmentation.seen()` gives the first two moments of N over both roles.  They are what a second-order expansion
about x_i needs, for any mask law.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_choice, require_kind
from msda_theory.averages import averaged_moment, is_finite_sum, law_parts, ratio_rule, second_role
from msda_theory.masks import MaskLaw, NotEnumerableError, SecondMoment
from msda_theory.quadrature import Array, refine
from msda_theory.ratios import RatioLaw

LABEL_RULES = ("nominal", "realised")
MOMENT_RTOL = 1e-13
LARGEST_DENSE = 4096
LARGEST_TABLE = 2**27
#: rounding moves 1 - (1 - M), and quadrature nodes mirrored at 1/2, by less; a loss moves no further if masks do
SAME = 2.0**-46


@dataclass(frozen=True)
class MixTable:
    """Distinct masks (K, *shape) and the average label weights of the two samples of a pair at each, (K,).

    sum_k first_k g(M_k) = E[w g(M)] and sum_k second_k g(M_k) = E[(1-w) g(M)].
    """

    masks: Tensor
    first: Tensor
    second: Tensor

    def __len__(self) -> int:
        return len(self.masks)

    def to(self, other: Tensor) -> MixTable:
        return MixTable(self.masks.to(other), self.first.to(other), self.second.to(other))

    def without_mirrored(self) -> MixTable:
        """For sums over all ordered pairs of samples: M of (i, j) mixes what 1 - M of (j, i) does, the label weights
        exchanged, so that of two such masks one is kept, with the weights of both.

        Masks that agree to SAME are one.  Half of the masks are left of Bernoulli masks, and of Mixup where the ratio
        is symmetric.
        """
        flat = self.masks.flatten(1)
        side = torch.where((flat - 0.5).abs() > SAME, (flat - 0.5).sign(), 0.0)
        mirrored = side.gather(1, side.abs().argmax(1, keepdim=True)) > 0
        kept, swap = torch.where(mirrored, 1 - flat, flat), mirrored[:, 0]
        _, at, index = np.unique((kept / SAME).round().numpy(), axis=0, return_index=True, return_inverse=True)
        first, second = self.first.where(~swap, self.second), self.second.where(~swap, self.first)
        return _summed(kept[torch.from_numpy(at)], torch.from_numpy(index), first, second, self.masks.shape[1:])


@dataclass(frozen=True)
class SeenMoments:
    """Moments of N, the share of the partner that a sample sees, with the label weight of its role.

    first : (d,)   E[N_j]      second : (d, d)   E[N_j N_k]      error : quadrature error, absolute
    """

    first: Tensor
    second: Tensor
    error: float


@dataclass(frozen=True)
class MixDraw:
    """n draws: masks (n, *shape), label weights w (n,) of the first sample, and the ratios (n,)."""

    masks: Tensor
    label: Tensor
    ratio: Tensor


@dataclass(frozen=True)
class Augmentation:
    """ratio x mask x label rule.

    label="nominal" weighs the first sample's label by lambda, as the papers do; label="realised" by the mean of the
    mask that was drawn, as released code does after clipping its box.
    """

    ratio: RatioLaw
    mask: MaskLaw
    label: str = "nominal"

    def __post_init__(self) -> None:
        require_kind("ratio", self.ratio, RatioLaw)
        require_kind("mask", self.mask, MaskLaw)
        require_choice("label", self.label, LABEL_RULES)

    @property
    def exact_in_ratio(self) -> bool:
        """True where the average over the ratio is a finite sum, so that no quadrature is made."""
        return is_finite_sum(self.mask)

    def converged(self, evaluate: Callable[[int], tuple[Array, float]], rtol: float, what: str) -> tuple[Array, float]:
        """An average over the ratio and its error: evaluated once where it is a finite sum, else refined."""
        return (evaluate(1)[0], 0.0) if self.exact_in_ratio else refine(evaluate, rtol, what)

    def table(self, order: int) -> MixTable:
        """All masks with their weights, `order` quadrature nodes between the breaks of the mask law.

        Raises NotEnumerableError where the mask law has too many atoms.
        """
        nodes = list(self.nodes(order))
        self._require_affordable(sum(law.count(ratio) for law, ratio, _, _ in nodes), order)
        masks, first, second = [], [], []
        for law, ratio, w_first, w_second in nodes:
            atoms = law.atoms(ratio)
            mass = (w_first + w_second) * atoms.probabilities
            label = self._first_weight(atoms.masks, torch.tensor(w_first / (w_first + w_second), dtype=torch.float64))
            masks.append(atoms.masks.flatten(1))
            first.append(mass * label)
            second.append(mass * (1 - label))
        return _merged(torch.cat(masks), torch.cat(first), torch.cat(second), self.mask.shape)

    def seen(self) -> SeenMoments:
        """Moments of N over both roles, averaged over the ratio and kept; ToleranceError if they do not converge.

        With E[M] = mu and a_jk = E[(1-M_j)(1-M_k)], the second role's E[M_j M_k] is mu_j + mu_k - 1 + a_jk, so

            E[N_j]     = E[ lambda (1-mu_j) + (1-lambda) mu_j ]
            E[N_j N_k] = E[ a_jk + (1-lambda)(mu_j + mu_k - 1) ]

        for the nominal label rule.  (msda_theory.symbolic derives both.)
        """
        return self._seen

    @cached_property
    def _seen(self) -> SeenMoments:
        require_dense(self.mask)
        moments = self._seen_nominal if self.label == "nominal" else self._seen_realised
        packed, error = self.converged(lambda n: (moments(n), 1.0), MOMENT_RTOL, f"the moments of {self.mask!r}")
        values = torch.from_numpy(packed)
        return SeenMoments(values[0], values[1:], error)

    def seen_first_moment(self) -> Tensor:
        """E[N_j] over both roles as `seen()` has it (d,), for any image size, the nominal label rule."""
        if self.label != "nominal":
            raise ValueError(f"label={self.label!r}: needed is label='nominal'; seen().first has both")
        values, _ = self.converged(lambda n: (self._first_nominal(n), 1.0), MOMENT_RTOL, f"E[N] of {self.mask!r}")
        return torch.from_numpy(values)

    def second_moment(self) -> SecondMoment:
        """The coefficients E_D[a_jk] averaged over the ratio, for any image size, applied without being formed.

        The paper's E_D~[a_jk] is `Augmentation(ratio.tilted(), mask).second_moment()`  (Park et al., eqs. (8)-(9)).

        Raises ToleranceError where the average over the ratio does not converge.
        """
        return averaged_moment(self.ratio, self.mask)

    def seen_second_moment(self) -> SecondMoment:
        """A_jk = E_D[a_jk + (1-lambda)(mu_j + mu_k - 1)], what a sample sees over both roles, as `seen()` has it, for
        any image size, applied without being formed.

        Raises ValueError for label="realised", for which the averages over mask and label do not separate, and
        ToleranceError where the average over the ratio does not converge.
        """
        if self.label != "nominal":
            raise ValueError(
                f"label={self.label!r}: the structured second moment needs label='nominal'; seen().second has both, "
                f"for up to d = {LARGEST_DENSE} pixels"
            )
        return averaged_moment(self.ratio, self.mask, second_role)

    def draw(self, n: int, seed: int | np.random.Generator | None = None) -> MixDraw:
        """`n` independent (mask, label weight) draws, float64."""
        rng = np.random.default_rng(seed)
        ratio = torch.from_numpy(self.ratio.sample(n, rng))
        masks = self.mask.sample(ratio, rng)
        return MixDraw(masks, self._first_weight(masks, ratio), ratio)

    @property
    def uniforms(self) -> int:
        """How many uniform numbers a draw `placed` takes: one for the ratio, and the mask's."""
        return 1 + self.mask.uniforms

    def placed(self, uniform: Tensor, seed: int | np.random.Generator | None = None) -> MixDraw:
        """The (mask, label weight) draws where uniform numbers (n, `uniforms`) in [0, 1) put them, float64.

        What a law does not place it draws from the generator.  Points of low discrepancy make draws of low discrepancy.
        """
        rng = np.random.default_rng(seed)
        ratio = torch.from_numpy(self.ratio.placed(uniform[:, 0].double().numpy(), rng))
        masks = self.mask.placed(ratio, uniform[:, 1:], rng)
        return MixDraw(masks, self._first_weight(masks, ratio), ratio)

    def nodes(self, order: int) -> Iterator[tuple[MaskLaw, float, float, float]]:
        """(mask law, ratio, E[lambda; node], E[1-lambda; node]) of every node that has weight."""
        for probability, law in law_parts(self.mask):
            rule = ratio_rule(self.ratio, law, order).scaled(probability)
            for node in zip(rule.ratio, rule.first, rule.second, strict=True):
                if node[1] + node[2] > 0:
                    yield law, float(node[0]), float(node[1]), float(node[2])

    def _require_affordable(self, count: int, order: int) -> None:
        if count * self.mask.size > LARGEST_TABLE:
            raise NotEnumerableError(
                f"{self.mask!r} has {count:.2g} masks of {self.mask.size} pixels with {order} nodes between its "
                f"breaks, {count * self.mask.size:.2g} numbers in all, allowed are {LARGEST_TABLE:.2g}; use a smaller "
                f"shape, or method='monte-carlo'"
            )

    def _first_weight(self, masks: Tensor, ratio: Tensor) -> Tensor:
        """w: the ratio, or the mean of the mask that was drawn."""
        return ratio if self.label == "nominal" else masks.flatten(1).mean(1)

    def _first_nominal(self, order: int) -> Array:
        first = torch.zeros(self.mask.size, dtype=torch.float64)
        for law, ratio, w_first, w_second in self.nodes(order):
            mean = law.mean(ratio).flatten()
            first += w_first * (1 - mean) + w_second * mean
        return first.numpy()

    def _seen_nominal(self, order: int) -> Array:
        packed = torch.zeros(self.mask.size + 1, self.mask.size, dtype=torch.float64)
        for law, ratio, w_first, w_second in self.nodes(order):
            mean = law.mean(ratio).flatten()
            packed[0] += w_first * (1 - mean) + w_second * mean
            packed[1:] += (w_first + w_second) * law.second_moment(ratio).to_dense()
            packed[1:] += w_second * (mean + mean.unsqueeze(-1) - 1)
        return packed.numpy()

    def _seen_realised(self, order: int) -> Array:
        table = self.table(order)
        kept = table.masks.flatten(1)
        given = 1 - kept
        first = table.first @ given + table.second @ kept
        second = given.T @ (table.first.unsqueeze(-1) * given) + kept.T @ (table.second.unsqueeze(-1) * kept)
        return torch.cat([first.unsqueeze(0), second]).numpy()


def _merged(masks: Tensor, first: Tensor, second: Tensor, shape: tuple[int, ...]) -> MixTable:
    distinct, index = torch.unique(masks, dim=0, return_inverse=True)
    return _summed(distinct, index, first, second, shape)


def _summed(distinct: Tensor, index: Tensor, first: Tensor, second: Tensor, shape: tuple[int, ...]) -> MixTable:
    """The weights of the masks that are distinct[index]."""
    weights = torch.zeros(2, len(distinct), dtype=torch.float64)
    weights.index_add_(1, index, torch.stack([first, second]))
    return MixTable(distinct.reshape(-1, *shape), weights[0], weights[1])


def require_dense(mask: MaskLaw) -> None:
    if mask.size > LARGEST_DENSE:
        raise ValueError(
            f"mask={mask!r} has d = {mask.size} pixels: the averaged second moment is kept as a d x d matrix, up to "
            f"d = {LARGEST_DENSE} ({8 * LARGEST_DENSE**2 / 2**20:.0f} MiB); at one ratio, mask.second_moment(ratio) is "
            f"structured and has no such limit"
        )
