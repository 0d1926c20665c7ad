"""The exact MSDA loss from Sobol points, with control variates that take the network to be linear between samples.

A point of the unit cube is a draw: two samples, a ratio, and where the mask lies.  Samples are ordered by label and
loss, so that neighbours in the cube are alike.  Each of R replicates has points of its own scrambling, and its mean is
unbiased (Owen, 1995); the spread of the R means gives the standard error.

The controls (see _controls) are the loss of a mixture of the samples' outputs, and its first order in where the mask
lies, from gradients at the samples.  Each has mean zero by itself.  The coefficients for one half of the replicates are
fitted to the other half, which keeps the estimate unbiased; one that takes too little of the variance away is zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._sharding import in_parts
from msda_theory.augmentation import Augmentation
from msda_theory.exact_sobol._controls import Controls, input_gradients
from msda_theory.losses import Loss
from msda_theory.quadrature import Array

REPLICATES = 32
#: means that a replicate is kept as; each is of consecutive Sobol points, themselves a net, and serves the fit
BLOCKS = 8
#: share of the variance that a control must take away, in the fit, to be used
LEAST_GAIN = 0.1
CHUNK_ELEMENTS, CHUNK_INPUTS = 2**22, 2**14


@dataclass(frozen=True)
class SobolLoss:
    """value, its standard error, evaluations of the model; `slopes` are the controls' coefficients, a row each half."""

    value: float
    error: float
    evaluations: int
    slopes: Array


def sobol_loss(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    augmentation: Augmentation,
    samples: int,
    seed: int | np.random.Generator | None,
) -> SobolLoss:
    """The loss from at most `samples` points, for labels (m, K): as many replicates of 2^k as fit, 32 or more.

    `evaluations` are those of the points and of the samples, and the passes for gradients at the samples where they
    take no more than an eighth of the points' own.
    """
    x, labels, f = in_order(loss, x, labels, outputs(model, x).detach())
    gradients = input_gradients(model, x, f.shape[1], samples)
    controls = Controls(loss, x, labels, f, gradients, augmentation.mask.size, samples)
    size = 2 ** int(math.log2(samples // REPLICATES))
    generators = np.random.default_rng(np.random.default_rng(seed).integers(2**32, size=4)).spawn(samples // size)
    make = partial(_replicate, model, controls, x, augmentation, size)
    means = in_parts("exact loss", make, generators).numpy().reshape(len(generators), -1, 1 + controls.count)
    values, slopes = controlled(means)
    spread = float(values.std(ddof=1)) / math.sqrt(len(values))
    off = float((np.abs(slopes).mean(0) * controls.errors.numpy()).sum())
    passes = len(x) * (1 if gradients is None else f.shape[1] + 2)
    return SobolLoss(float(values.mean()), math.hypot(spread, off), size * len(values) + passes, slopes)


def in_order(loss: Loss, x: Tensor, labels: Tensor, f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All three by label and then by loss."""
    kind = labels.argmax(-1) if labels.shape[1] > 1 else labels[:, 0]
    order = torch.from_numpy(np.lexsort((loss(f, labels).cpu().numpy(), kind.cpu().numpy()))).to(x.device)
    return x[order], labels[order], f[order]


def controlled(means: Array) -> tuple[Array, Array]:
    """The replicates' means (R,) less the controls' by slopes (2, C), a row for either half of the replicates.

    means (R, blocks, 1 + C), of the loss and of the controls, whose expectation is zero.
    """
    half = len(means) // 2
    slopes = np.stack([paying_slopes(means[half:]), paying_slopes(means[:half])])
    each = np.repeat(slopes, [half, len(means) - half], axis=0)
    value, *controls = np.moveaxis(means.mean(1), -1, 0)
    return value - sum(slope * control for slope, control in zip(each.T, controls, strict=True)), slopes


def paying_slopes(means: Array) -> Array:
    """Least squares of the loss on the controls over all blocks, (C,), without those that take too little away."""
    value, *controls = (means - means.mean((0, 1))).reshape(-1, means.shape[-1]).T
    slopes, used = np.zeros(len(controls)), [k for k, control in enumerate(controls) if control.any()]

    def fitted(chosen: list[int]) -> tuple[Array, float]:
        columns = np.stack([controls[k] for k in chosen], 1) if chosen else np.zeros((len(value), 0))
        found = np.linalg.lstsq(columns, value, rcond=None)[0]
        return found, float(np.square(value - columns @ found).sum())

    while used:
        found, left = fitted(used)
        without = {k: fitted([other for other in used if other != k])[1] for k in used}
        least = min(without, key=lambda k: without[k])
        if left < (1 - LEAST_GAIN) * without[least]:
            slopes[used] = found
            return slopes
        used.remove(least)
    return slopes


def _replicate(
    model: Callable[[Tensor], Tensor],
    controls: Controls,
    x: Tensor,
    augmentation: Augmentation,
    size: int,
    rng: np.random.Generator,
) -> Tensor:
    """The means of the loss and of the controls over `size` Sobol points of a fresh scrambling, block by block."""
    points = torch.from_numpy(qmc.Sobol(2 + augmentation.uniforms, seed=rng).random(size))
    most = max(1, min(CHUNK_ELEMENTS // x[0].numel(), CHUNK_INPUTS))
    rows = torch.cat([_losses(model, controls, x, augmentation, some, rng) for some in points.split(most)])
    return rows.reshape(min(BLOCKS, size), -1, rows.shape[1]).mean(1).flatten().cpu()


def _losses(
    model: Callable[[Tensor], Tensor],
    controls: Controls,
    x: Tensor,
    augmentation: Augmentation,
    points: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """The loss and the controls at points (n, .) of the cube: (n, 1 + C)."""
    i, j = (points[:, :2] * len(x)).long().clamp(max=len(x) - 1).to(x.device).unbind(1)
    draw = augmentation.placed(points[:, 2:], rng)
    lead = [1] * (x.ndim - 1 - len(augmentation.mask.shape))
    mask = draw.masks.to(x).reshape(len(points), *lead, *augmentation.mask.shape)
    f = outputs(model, mask * x[i] + (1 - mask) * x[j]).double()
    labels, weight = controls.labels, draw.label.to(controls.labels).unsqueeze(-1)
    losses = controls.loss(f, weight * labels[i] + (1 - weight) * labels[j])
    return torch.cat([losses.unsqueeze(1), controls(i, j, draw.masks, draw.label)], 1)
