"""The exact MSDA loss (Park et al., eq. (4)), by enumeration or with a standard error: the oracle.

    L = 1/m^2 sum_ij E_lambda E_M [ h(f(x_ij)) - (w y_i + (1-w) y_j) . f(x_ij) ],   x_ij = M * x_i + (1-M) * x_j

Everything is a sum over pairs, masks and quadrature nodes; no derivative of the network and no moment of the mask
is used.  The judge shares no code with what it judges.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._sharding import in_parts, total
from msda_theory._validation import (
    require_at_least,
    require_choice,
    require_data,
    require_eval_mode,
    require_finite_positive,
    require_kind,
)
from msda_theory.augmentation import Augmentation, MixTable
from msda_theory.exact_linear import linear_loss
from msda_theory.exact_sobol import REPLICATES, sobol_loss
from msda_theory.losses import Loss
from msda_theory.masks import NotEnumerableError
from msda_theory.quadrature import FIRST_ORDER, Array

METHODS = ("enumerate", "linear", "sobol", "monte-carlo")
LEAST_SAMPLES = {"sobol": 2 * REPLICATES}
LARGEST_ENUMERATION = 2**31
OR_SOBOL = ", or method='sobol', whose error is mostly smaller for as many evaluations"
CHUNK_ELEMENTS = 2**22
CHUNK_INPUTS = 2**14


@dataclass(frozen=True)
class ExactLoss:
    """An MSDA loss with its error.

    `error` is that of quadrature (estimated, see `quadrature.refine`; zero where the average over the ratio is a
    finite sum) and of rounding for method "enumerate", with that of interpolation for "linear" and "grid"; it is one
    standard error for "sobol" and "monte-carlo".
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
        less than `rtol` of the terms' mean size.  "linear" does the same without a loop over pairs, for affine models
        and losses that are a sum over outputs (see exact_linear).  "monte-carlo" averages `samples` independent draws
        (pair, ratio, mask) and reports their standard error; "sobol" puts them on Sobol points and takes controls of
        mean zero off (see exact_sobol), with the standard error of 32 or more replicates.  None replaces another
        silently.
    seed : randomness of the methods that draw

    Raises
    ------
    ValueError, TypeError
        for data, masks, labels or a network that do not fit, before any work is done.
    NotEnumerableError, ToleranceError
        where the enumeration is too large, or `rtol` is not reached.

    For f(x) = x, two samples -1 and 1 and labels alike, the loss is -E[x~^2]/2 = -(1 + E[(2 lambda - 1)^2])/4:

    >>> from msda_theory import Augmentation, Beta, losses, masks
    >>> x = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    >>> mixup = Augmentation(Beta(1.0, 1.0), masks.Mixup((1,)))
    >>> round(exact_loss(lambda x: x, losses.Squared(), x, x, mixup).value, 12)
    -0.333333333333
    """
    require_choice("method", method, METHODS)
    require_finite_positive("rtol", rtol)
    require_at_least("samples", samples, LEAST_SAMPLES.get(method, 2), "for a standard error")
    require_kind("loss", loss, Loss)
    require_kind("augmentation", augmentation, Augmentation)
    require_data(x, y, augmentation.mask.shape)
    require_eval_mode(model)
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
        if method == "linear":
            value, error, evaluations = linear_loss(model, loss, x, labels, augmentation, rtol)
            result = ExactLoss(value, error, method, evaluations)
        elif method == "sobol":
            drawn = sobol_loss(model, loss, x, labels, augmentation, samples, seed)
            result = ExactLoss(drawn.value, drawn.error, method, drawn.evaluations)
        elif method == "monte-carlo":
            result = monte_carlo(partial(_draw_losses, model, loss, x, labels, augmentation), samples, x, seed)
        else:
            result = _enumerate(model, loss, x, labels, augmentation, rtol)
    return require_finite_loss(result, loss)


def require_finite_loss(result: ExactLoss, loss: Loss) -> ExactLoss:
    if not math.isfinite(result.value):
        raise ValueError(f"the exact loss is {result.value}: the model's outputs, or {loss!r} of them, overflow")
    return result


def monte_carlo(
    draw: Callable[[int, np.random.Generator], Tensor],
    samples: int,
    x: Tensor,
    seed: int | np.random.Generator | None,
) -> ExactLoss:
    """The mean of `samples` losses of mixed inputs like those of x, and its standard error; draw(n, rng) gives n.

    A block of draws has a generator of its own, so that it is the same wherever it is made.
    """
    block = max(2, min(CHUNK_ELEMENTS // x[0].numel(), CHUNK_INPUTS))
    sizes = [min(block, samples - start) for start in range(0, samples, block)]
    entropy = np.random.default_rng(seed).integers(2**32, size=4)
    parts = list(zip(sizes, np.random.default_rng(entropy).spawn(len(sizes)), strict=True))

    def made(part: tuple[int, np.random.Generator]) -> Tensor:
        values = draw(*part)
        return torch.stack([values.mean(), (values - values.mean()).square().sum()])

    means, squares = in_parts("exact loss", made, parts).T.tolist()
    mean = total([n * value for n, value in zip(sizes, means, strict=True)]) / samples
    between = [n * (value - mean) * (value - mean) for n, value in zip(sizes, means, strict=True)]
    variance = total([*squares, *between]) / (samples - 1)
    return ExactLoss(mean, (variance / samples) ** 0.5, "monte-carlo", samples)


def pair_loss(model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, table: MixTable) -> Tensor:
    """The loss over all pairs and the masks of `table`: a 0-dim tensor, differentiable in the model's parameters."""
    return _block_sums(model, loss, x, labels, table.to(x))[:, 0].sum()


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
        with _sobol_named():
            table = augmentation.table(order)
        evaluations += _affordable(len(x) ** 2 * len(table), augmentation, model, x)
        sums = _block_sums(model, loss, x, labels, table.to(x))
        value, size = map(total, sums.T.tolist())
        return np.array(value), size

    value, error = augmentation.converged(at, rtol, "the exact loss")
    rounding = 4 * torch.finfo(x.dtype).eps * size
    return ExactLoss(float(value), error + rounding, "enumerate", evaluations)


@contextmanager
def _sobol_named() -> Iterator[None]:
    """Where masks cannot be listed, the error names Sobol points too."""
    try:
        yield
    except NotEnumerableError as error:
        raise NotEnumerableError(f"{error}{OR_SOBOL}") from None


def _affordable(evaluations: int, augmentation: Augmentation, model: Callable[[Tensor], Tensor], x: Tensor) -> int:
    if evaluations > LARGEST_ENUMERATION:
        each = seconds_each(model, x)
        raise NotEnumerableError(
            f"method='enumerate' needs {evaluations:.1e} evaluations of the model for {augmentation.mask!r}, about "
            f"{evaluations * each:.2g} s at the {each:.1e} s that one of the data has just taken, allowed are "
            f"{LARGEST_ENUMERATION:.1e}; use fewer samples, or method='sobol' or method='monte-carlo'"
        )
    return evaluations


def enumeration_cost(model: Callable[[Tensor], Tensor], x: Tensor, augmentation: Augmentation) -> tuple[int, float]:
    """Evaluations that method="enumerate" needs, and the seconds that they take here, by a short timing of the model.

    For a continuous average over the ratio these are the first three rules, the least that show an error.

    Raises NotEnumerableError where the mask law has no list of masks.
    """
    orders = [1] if augmentation.exact_in_ratio else [FIRST_ORDER, 2 * FIRST_ORDER, 4 * FIRST_ORDER]
    with _sobol_named():
        counts = [law.count(ratio) for order in orders for law, ratio, _, _ in augmentation.nodes(order)]
    evaluations = len(x) ** 2 * sum(counts)
    with torch.no_grad():
        return evaluations, evaluations * seconds_each(model, x)


def seconds_each(model: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """For one input in a batch like x: the least of three passes."""
    start = [time.perf_counter()]
    for _ in range(3):
        float(outputs(model, x).sum())  # waits for the device
        start.append(time.perf_counter())
    return min(after - before for before, after in pairwise(start)) / len(x)


def _block_sums(model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, table: MixTable) -> Tensor:
    """A row for each block of (first sample, mask) pairs: its share of the loss, and of the mean size of its terms.

    Sums are made in float64 whatever the inputs' dtype.
    """
    m = len(x)
    masks = table.masks.reshape(len(table), *[1] * (x.ndim - 1 - (table.masks.ndim - 1)), *table.masks.shape[1:])
    rows = torch.cartesian_prod(torch.arange(len(table)), torch.arange(m)).to(x.device)
    block = max(1, min(CHUNK_ELEMENTS // x.numel(), CHUNK_INPUTS // m))

    def block_sum(rows_now: Tensor) -> Tensor:
        k, i = rows_now.unbind(1)
        mask = masks[k].unsqueeze(1)
        mixed = mask * x[i].unsqueeze(1) + (1 - mask) * x.unsqueeze(0)
        f = outputs(model, mixed.flatten(0, 1)).unflatten(0, (len(k), m)).double()
        first, second = table.first[k].double()[:, None], table.second[k].double()[:, None]
        y = labels.double()
        target = first.unsqueeze(-1) * y[i].unsqueeze(1) + second.unsqueeze(-1) * y.unsqueeze(0)
        smooth, linear = (first + second) * loss.h(f), (target * f).sum(-1)
        return torch.stack([(smooth - linear).sum(), (smooth.abs() + linear.abs()).sum().detach()]) / m**2

    return in_parts("exact loss", block_sum, rows.split(block))


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
