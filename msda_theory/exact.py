"""The exact MSDA loss (Park et al., eq. (4)), by enumeration or with a standard error: the oracle.

    L = 1/m^2 sum_ij E_lambda E_M [ h(f(x_ij)) - (w y_i + (1-w) y_j) . f(x_ij) ],   x_ij = M * x_i + (1-M) * x_j

Everything is a sum over pairs, masks and quadrature nodes; no derivative of the network and no moment of the mask
is used.  The judge shares no code with what it judges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._progress import track
from msda_theory._validation import (
    require_at_least,
    require_choice,
    require_data,
    require_eval_mode,
    require_finite_positive,
    require_kind,
)
from msda_theory.augmentation import Augmentation, MixTable
from msda_theory.losses import Loss
from msda_theory.masks import NotEnumerableError
from msda_theory.quadrature import Array

METHODS = ("enumerate", "monte-carlo")
LARGEST_ENUMERATION = 2**31
CHUNK_ELEMENTS = 2**22
CHUNK_INPUTS = 2**16


@dataclass(frozen=True)
class ExactLoss:
    """An MSDA loss with its error.

    `error` is that of quadrature (estimated, see `quadrature.refine`; zero where the average over the ratio is a
    finite sum) and of rounding for method "enumerate"; it is one standard error for "monte-carlo".
    `evaluations` counts the forward passes of single inputs.
    """

    value: float
    error: float
    method: str
    evaluations: int

    def __str__(self) -> str:
        return f"{self.value:.10g} +- {self.error:.1g} ({self.method}, {self.evaluations:,} evaluations)"


def exact_loss(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    *,
    method: str = "enumerate",
    rtol: float = 1e-6,
    samples: int = 100_000,
    seed: int | np.random.Generator | None = None,
) -> ExactLoss:
    """The MSDA loss of `model` on the data, over all m^2 ordered pairs (i = j included, as in eq. (4)).

    Parameters
    ----------
    model : any `nn.Module` or callable, inputs (n, ..., *shape) to outputs (n,) or (n, K)
    x, y : inputs (m, ..., *shape), labels as `loss` takes them
    method : "enumerate" sums over all pairs, quadrature nodes and masks, the nodes refined until the value moves by
        less than `rtol` of the terms' mean size; "monte-carlo" averages `samples` independent draws (pair, ratio,
        mask) and reports their standard error.  Neither replaces the other silently.
    seed : randomness of the Monte Carlo method

    Raises
    ------
    ValueError, TypeError
        for data, masks, labels or a network that do not fit, before any work is done.
    NotEnumerableError, ToleranceError
        where the enumeration is too large, or `rtol` is not reached.
    """
    require_choice("method", method, METHODS)
    require_finite_positive("rtol", rtol)
    require_at_least("samples", samples, 2, "for a standard error")
    require_kind("loss", loss, Loss)
    require_kind("augmentation", augmentation, Augmentation)
    require_data(x, y, augmentation.mask.shape)
    require_eval_mode(model)
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
        if method == "monte-carlo":
            rng = np.random.default_rng(seed)
            result = monte_carlo(lambda n: _draw_losses(model, loss, x, labels, augmentation, n, rng), samples, x)
        else:
            result = _enumerate(model, loss, x, labels, augmentation, rtol)
    return require_finite_loss(result, loss)


def require_finite_loss(result: ExactLoss, loss: Loss) -> ExactLoss:
    if not math.isfinite(result.value):
        raise ValueError(f"the exact loss is {result.value}: the model's outputs, or {loss!r} of them, overflow")
    return result


def monte_carlo(draw: Callable[[int], Tensor], samples: int, x: Tensor) -> ExactLoss:
    """The mean of `samples` losses of mixed inputs like those of x, and its standard error; draw(n) gives n losses."""
    block = max(2, min(CHUNK_ELEMENTS // x[0].numel(), CHUNK_INPUTS))
    sizes = [len(part) for part in torch.arange(samples).split(block)]
    values = torch.cat([draw(n) for n in track(sizes, "exact loss")])
    return ExactLoss(float(values.mean()), float(values.std() / samples**0.5), "monte-carlo", samples)


def pair_loss(model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, table: MixTable) -> Tensor:
    """The loss over all pairs and the masks of `table`: a 0-dim tensor, differentiable in the model's parameters."""
    return sum(value for value, _ in _block_sums(model, loss, x, labels, table.to(x)))  # type: ignore[return-value]


def _enumerate(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    augmentation: Augmentation,
    rtol: float,
) -> ExactLoss:
    evaluations, size = 0, 0.0

    def at(order: int) -> tuple[Array, float]:
        nonlocal evaluations, size
        table = augmentation.table(order)
        evaluations += _affordable(len(x) ** 2 * len(table), augmentation)
        sums = [0.0, 0.0]
        for value, size_now in _block_sums(model, loss, x, labels, table.to(x)):
            sums = [sums[0] + float(value), sums[1] + float(size_now)]
        size = sums[1]
        return np.array(sums[0]), size

    value, error = augmentation.converged(at, rtol, "the exact loss")
    rounding = 4 * torch.finfo(x.dtype).eps * size
    return ExactLoss(float(value), error + rounding, "enumerate", evaluations)


def _affordable(evaluations: int, augmentation: Augmentation) -> int:
    if evaluations > LARGEST_ENUMERATION:
        raise NotEnumerableError(
            f"method='enumerate' needs {evaluations:.1e} evaluations of the model for {augmentation.mask!r}, allowed "
            f"are {LARGEST_ENUMERATION:.1e}; use fewer samples, or method='monte-carlo'"
        )
    return evaluations


def _block_sums(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, table: MixTable
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each block of (first sample, mask) pairs: its share of the loss, and of the mean size of its terms.

    Sums are made in float64 whatever the inputs' dtype.
    """
    m = len(x)
    masks = table.masks.reshape(len(table), *[1] * (x.ndim - 1 - (table.masks.ndim - 1)), *table.masks.shape[1:])
    rows = torch.cartesian_prod(torch.arange(len(table)), torch.arange(m)).to(x.device)
    block = max(1, min(CHUNK_ELEMENTS // x.numel(), CHUNK_INPUTS // m))
    for rows_now in track(rows.split(block), "exact loss"):
        k, i = rows_now.unbind(1)
        mask = masks[k].unsqueeze(1)
        mixed = mask * x[i].unsqueeze(1) + (1 - mask) * x.unsqueeze(0)
        f = outputs(model, mixed.flatten(0, 1)).unflatten(0, (len(k), m)).double()
        first, second = table.first[k].double()[:, None], table.second[k].double()[:, None]
        y = labels.double()
        target = first.unsqueeze(-1) * y[i].unsqueeze(1) + second.unsqueeze(-1) * y.unsqueeze(0)
        smooth, linear = (first + second) * loss.h(f), (target * f).sum(-1)
        yield (smooth - linear).sum() / m**2, (smooth.abs() + linear.abs()).sum().detach() / m**2


def _draw_losses(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    augmentation: Augmentation,
    n: int,
    rng: np.random.Generator,
) -> Tensor:
    draw = augmentation.draw(n, rng)
    i, j = (torch.from_numpy(rng.integers(len(x), size=n)).to(x.device) for _ in range(2))
    lead = [1] * (x.ndim - 1 - len(augmentation.mask.shape))
    mask = draw.masks.to(x).reshape(n, *lead, *augmentation.mask.shape)
    weight = draw.label.to(x).unsqueeze(-1)
    f = outputs(model, mask * x[i] + (1 - mask) * x[j]).double()
    return loss(f, (weight * labels[i] + (1 - weight) * labels[j]).double())
