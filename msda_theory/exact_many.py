"""The exact n-Mixup loss (Park et al., App. B), by enumeration or with a standard error: the oracle for n samples.

    L = 1/m^n sum_{i_1..i_n} E_lambda [ h(f(x~)) - y~ . f(x~) ],  x~ = sum_k lambda_k x_{i_k}, y~ likewise

Everything is a sum over tuples of samples and quadrature nodes; no derivative of the network and no moment of the
ratios is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

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
from msda_theory.exact import (
    CHUNK_ELEMENTS,
    CHUNK_INPUTS,
    LARGEST_ENUMERATION,
    ExactLoss,
    monte_carlo,
    require_finite_loss,
)
from msda_theory.losses import Loss
from msda_theory.masks import NotEnumerableError
from msda_theory.quadrature import FIRST_ORDER, Array, refine
from msda_theory.simplex_ratios import Dirichlet, SimplexRule

METHODS = ("enumerate", "monte-carlo")
LEAST_ORDERS = (FIRST_ORDER, 2 * FIRST_ORDER, 4 * FIRST_ORDER)  # `refine` compares three rules, at the least


def n_mixup_loss(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    ratios: Dirichlet,
    *,
    method: str = "enumerate",
    rtol: float = 1e-6,
    samples: int = 100_000,
    seed: int | np.random.Generator | None = None,
) -> ExactLoss:
    """The n-Mixup loss of `model` on the data, over all m^n tuples (i_1, .., i_n), repeated samples included.

    Parameters
    ----------
    model : any `nn.Module` or callable, inputs (b, ...) to outputs (b,) or (b, K)
    x, y : inputs (m, ...), labels as `loss` takes them
    ratios : the law of the n mixing ratios
    method : "enumerate" sums over all tuples and the order^(n-1) nodes of a rule, the order doubled from 4 until the
        value moves by less than `rtol` of the terms' mean size: m^n (4^(n-1) + 8^(n-1) + 16^(n-1)) evaluations of the
        model, or more.  "monte-carlo" averages `samples` independent draws (tuple, ratios) and reports their standard
        error.  Neither replaces the other silently.
    seed : randomness of the Monte Carlo method

    Raises
    ------
    ValueError, TypeError
        for data, labels or a network that do not fit, before any work is done.
    NotEnumerableError, ToleranceError
        where m^n tuples times the nodes are too many (said before the first is evaluated), or `rtol` is not reached.
    """
    require_choice("method", method, METHODS)
    require_finite_positive("rtol", rtol)
    require_at_least("samples", samples, 2, "for a standard error")
    require_kind("loss", loss, Loss)
    require_kind("ratios", ratios, Dirichlet)
    require_data(x, y)
    require_eval_mode(model)
    if method == "enumerate":
        _require_affordable(len(x), ratios, LEAST_ORDERS)
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
        if method == "monte-carlo":
            result = monte_carlo(partial(_draw_losses, model, loss, x, labels, ratios), samples, x, seed)
        else:
            result = _enumerate(model, loss, x, labels, ratios, rtol)
    return require_finite_loss(result, loss)


def _require_affordable(m: int, ratios: Dirichlet, orders: tuple[int, ...]) -> int:
    """The evaluations at these orders of the rule, if they are allowed."""
    n = len(ratios)
    evaluations = m**n * sum(order ** (n - 1) for order in orders)
    if evaluations > LARGEST_ENUMERATION:
        raise NotEnumerableError(
            f"method='enumerate' needs {evaluations:.1e} evaluations of the model, for {m}^{n} = {m**n:.1e} tuples of "
            f"samples and {' + '.join(f'{order}^{n - 1}' for order in orders)} nodes of the ratios, allowed are "
            f"{LARGEST_ENUMERATION:.1e}; use fewer samples or ratios, or method='monte-carlo'"
        )
    return evaluations


def _enumerate(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, ratios: Dirichlet, rtol: float
) -> ExactLoss:
    evaluations, size = 0, 0.0

    def at(order: int) -> tuple[Array, float]:
        nonlocal evaluations, size
        evaluations += _require_affordable(len(x), ratios, (order,))
        blocks = list(_block_sums(model, loss, x, labels, ratios.rule(order)))
        value, size = (sum(column) for column in zip(*blocks, strict=True))
        return np.array(value), size

    value, error = refine(at, rtol, "the exact n-Mixup loss")
    rounding = 4 * torch.finfo(x.dtype).eps * size
    return ExactLoss(float(value), error + rounding, "enumerate", evaluations)


def _block_sums(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, rule: SimplexRule
) -> Iterator[tuple[float, float]]:
    """For each block of (node, i_1, .., i_n): its share of the loss, and of the mean size of its terms, in float64."""
    m, n = len(x), rule.ratios.shape[1]
    nodes, weights = (torch.from_numpy(values).to(x.device) for values in (rule.ratios, rule.weights))
    total = m**n * len(rule)
    block = max(1, min(CHUNK_ELEMENTS // x[0].numel(), CHUNK_INPUTS))
    for start in track(range(0, total, block), "exact n-Mixup loss"):
        rows = torch.arange(start, min(start + block, total), device=x.device)
        q, *indices = torch.unravel_index(rows, (len(rule), *[m] * n))
        smooth, linear = _mixed_losses(model, loss, x, labels, nodes[q], indices)
        w = weights[q] / m**n
        yield float(w @ (smooth - linear)), float(w @ (smooth.abs() + linear.abs()))


def _mixed_losses(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    ratios: Tensor,
    indices: list[Tensor],
) -> tuple[Tensor, Tensor]:
    """h(f(x~)) and y~ . f(x~) for tuples `indices`, n tensors (b,), mixed by ratios (b, n) in float64."""
    shares = ratios.to(x).reshape(*ratios.shape, *[1] * (x.ndim - 1))
    mixed, target = torch.zeros_like(x[indices[0]]), torch.zeros_like(labels[indices[0]], dtype=torch.float64)
    for k, i in enumerate(indices):
        mixed += shares[:, k] * x[i]
        target += ratios[:, k, None] * labels[i].double()
    f = outputs(model, mixed).double()
    return loss.h(f), (target * f).sum(-1)


def _draw_losses(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    ratios: Dirichlet,
    n: int,
    rng: np.random.Generator,
) -> Tensor:
    drawn = torch.from_numpy(ratios.sample(n, rng)).to(x.device)
    indices = [torch.from_numpy(rng.integers(len(x), size=n)).to(x.device) for _ in range(len(ratios))]
    smooth, linear = _mixed_losses(model, loss, x, labels, drawn, indices)
    return smooth - linear
