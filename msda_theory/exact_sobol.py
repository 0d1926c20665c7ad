"""The exact MSDA loss from Sobol points, with a control variate that takes the network to be linear between samples.

A point of the unit cube is a draw: two samples, a ratio, and where the mask lies.  Samples are ordered by label and
loss, so that neighbours in the cube are alike.  Each of R replicates has points of its own scrambling, and its mean is
unbiased (Owen, 1995); the spread of the R means gives the standard error.

The control is the loss of a f(x_i) + (1-a) f(x_j) in place of f(x_ij), a the mean share of x_i at this ratio (near
enough: a polynomial in the ratio).  No network runs for it, its mean over all pairs and ratios is a sum of h, and
networks trained by mixing are near it.  Its coefficient for one half of the replicates is fitted to the other half,
which keeps the estimate unbiased, and is zero where the variance there does not fall enough to pay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.polynomial import Polynomial
from scipy.stats import qmc
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._sharding import in_parts
from msda_theory.augmentation import Augmentation
from msda_theory.losses import Loss
from msda_theory.quadrature import Array, ToleranceError, refine

REPLICATES = 32
#: means that a replicate is kept as; each is of consecutive Sobol points, themselves a net, and serves the fit
BLOCKS = 8
#: share of the variance that the control must take away, in the fit, to be used
LEAST_GAIN = 0.1
#: the error of the control's mean, in units of the standard error; and in units of the loss, below which none is asked
CONTROL_ERROR, CONTROL_FLOOR = 0.1, 1e-10
#: numbers of h for the control's mean over all pairs at one rule; above it the control is not used
LARGEST_CONTROL = 2**28
#: ratios at which the mean share is computed, and the degree of the polynomial in the ratio that stands for it
SHARES, SHARE_DEGREE = 64, 5
CHUNK_ELEMENTS, CHUNK_INPUTS = 2**22, 2**14


@dataclass(frozen=True)
class SobolLoss:
    """value, its standard error, evaluations of the model; `slopes` are the coefficients of the control."""

    value: float
    error: float
    evaluations: int
    slopes: tuple[float, float]


def sobol_loss(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    augmentation: Augmentation,
    samples: int,
    seed: int | np.random.Generator | None,
) -> SobolLoss:
    """The loss from at most `samples` points, for labels (m, K): as many replicates of 2^k as fit, 32 or more."""
    known = Known(loss, x, labels, outputs(model, x).detach(), augmentation)
    size = 2 ** int(math.log2(samples // REPLICATES))
    generators = np.random.default_rng(np.random.default_rng(seed).integers(2**32, size=4)).spawn(samples // size)
    make = partial(_replicate, model, known, augmentation, size)
    means = in_parts("exact loss", make, generators).numpy().reshape(len(generators), -1, 2)
    values, error, slopes = controlled(means, known.control_mean)
    spread = float(values.std(ddof=1)) / math.sqrt(len(values))
    return SobolLoss(float(values.mean()), math.hypot(spread, error), size * len(values) + len(x), slopes)


def controlled(
    means: Array, control_mean: Callable[[float], tuple[float, float] | None]
) -> tuple[Array, float, tuple[float, float]]:
    """The replicates' means (R,) less slope times what their control is off by; the error of that; each half's slope.

    means (R, blocks, 2), of the loss and of the control; control_mean(tolerance) gives the control's mean and its
    error, or None where it cannot be had, and is called only if the control is used.
    """
    half = len(means) // 2
    parts = (means[:half], means[half:])
    slopes = (paying_slope(parts[1]), paying_slope(parts[0]))
    plain = means[..., 0].mean(1)
    if not any(slopes):
        return plain, 0.0, slopes
    slope = np.repeat(slopes, [len(part) for part in parts])
    control = means[..., 1].mean(1)
    spread = float((plain - slope * (control - control.mean())).std(ddof=1)) / math.sqrt(len(means))
    tolerance = max(CONTROL_ERROR * spread, CONTROL_FLOOR * abs(float(plain.mean())))
    known = control_mean(tolerance / max(map(abs, slopes)))
    if known is None:
        return plain, 0.0, (0.0, 0.0)
    return plain - slope * (control - known[0]), float(np.abs(slope).mean()) * known[1], slopes


def paying_slope(means: Array) -> float:
    """Least squares of the loss on the control over all blocks; 0 where the variance falls by too little."""
    value, control = (means - means.mean((0, 1))).reshape(-1, 2).T
    square = float(control @ control)
    if not square > 0:
        return 0.0
    slope = float(value @ control) / square
    return slope if (value - slope * control).var() < (1 - LEAST_GAIN) * value.var() else 0.0


class Known:
    """The data, in an order that is smooth in label and loss, the model's outputs there, and the mean shares."""

    def __init__(self, loss: Loss, x: Tensor, labels: Tensor, f: Tensor, augmentation: Augmentation) -> None:
        kind = labels.argmax(-1) if labels.shape[1] > 1 else labels[:, 0]
        order = torch.from_numpy(np.lexsort((loss(f, labels).cpu().numpy(), kind.cpu().numpy()))).to(x.device)
        self.loss, self.x, self.labels, self.f = loss, x[order], labels[order], f[order]
        self.law = augmentation.ratio
        ratios = (np.arange(SHARES) + 0.5) / SHARES
        shares = [float(augmentation.mask.mean(ratio).mean()) for ratio in ratios]
        self.share = Polynomial.fit(ratios, shares, SHARE_DEGREE)

    def __len__(self) -> int:
        return len(self.x)

    def control(self, i: Tensor, j: Tensor, ratio: Tensor) -> Tensor:
        """l(a f_i + (1-a) f_j, w y_i + (1-w) y_j), w the ratio and a the mean share there, for (n,) each."""
        share = torch.from_numpy(self.share(ratio.numpy())).to(self.f)
        f, y = (
            w[:, None] * values[i] + (1 - w[:, None]) * values[j]
            for w, values in ((share, self.f), (ratio.to(self.f), self.labels))
        )
        return self.loss(f, y).double()

    def control_mean(self, tolerance: float) -> tuple[float, float] | None:
        """Its mean over all pairs and ratios, and an error; None where it takes too much, or does not converge."""
        m = len(self)

        def at(order: int) -> tuple[Array, float]:
            rule = self.law.rule(order)
            if m**2 * self.f.shape[1] * len(rule.ratio) > LARGEST_CONTROL:
                raise ToleranceError(f"more than {LARGEST_CONTROL} numbers")
            nodes = zip(rule.ratio.tolist(), rule.mass.tolist(), strict=True)
            value = sum(mass * self._pair_mean(ratio) for ratio, mass in nodes)
            return np.array(value), 1.0

        try:
            value, error = refine(at, tolerance, "the control's mean")
        except ToleranceError:
            return None
        return float(value), error

    def _pair_mean(self, ratio: float) -> float:
        m = len(self)
        rows = torch.arange(m, device=self.x.device)
        total = 0.0
        for some in rows.split(max(1, CHUNK_ELEMENTS // (m * self.f.shape[1]))):
            i, j = torch.cartesian_prod(some, rows).unbind(1)
            total += float(self.control(i, j, torch.full((len(i),), ratio, dtype=torch.float64)).sum())
        return total / m**2


def _replicate(
    model: Callable[[Tensor], Tensor], known: Known, augmentation: Augmentation, size: int, rng: np.random.Generator
) -> Tensor:
    """The means of the loss and of the control over `size` Sobol points of a fresh scrambling, block by block."""
    points = torch.from_numpy(qmc.Sobol(2 + augmentation.uniforms, seed=rng).random(size))
    most = max(1, min(CHUNK_ELEMENTS // known.x[0].numel(), CHUNK_INPUTS))
    pairs = torch.cat([_losses(model, known, augmentation, some, rng) for some in points.split(most)])
    return pairs.reshape(min(BLOCKS, size), -1, 2).mean(1).flatten().cpu()


def _losses(
    model: Callable[[Tensor], Tensor],
    known: Known,
    augmentation: Augmentation,
    points: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """The loss and the control at points (n, .) of the cube: (n, 2)."""
    x = known.x
    i, j = (points[:, :2] * len(x)).long().clamp(max=len(x) - 1).to(x.device).unbind(1)
    draw = augmentation.placed(points[:, 2:], rng)
    lead = [1] * (x.ndim - 1 - len(augmentation.mask.shape))
    mask = draw.masks.to(x).reshape(len(points), *lead, *augmentation.mask.shape)
    weight = draw.label.to(x).unsqueeze(-1)
    f = outputs(model, mask * x[i] + (1 - mask) * x[j]).double()
    losses = known.loss(f, (weight * known.labels[i] + (1 - weight) * known.labels[j]).double())
    return torch.stack([losses, known.control(i, j, draw.ratio)], 1)
