"""Derivatives of a network's outputs along the directions r - x_i to all partners r, of any order.

A derivative of order j along a direction is the j-th derivative of a function of one number: forward differentiation
nested j times, at the cost of 2^j evaluations, and no tensor of d^j entries is formed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp

from msda_theory._model import outputs
from msda_theory.derivatives import CHUNK_ELEMENTS, explained
from msda_theory.expansions.second_order import ZeroHessianNotice


def output_derivatives(model: Callable[[Tensor], Tensor], x: Tensor, order: int, rows: Tensor) -> Tensor:
    """d^k/da^k f(x_i + a (r - x_i)) at a = 0 for k = 0, .., order, i among `rows`, all r: (order+1, rows, m, K).

    Raises TransformRefusedError where torch cannot differentiate the model, ValueError where a derivative is not
    finite.
    """
    pairs = torch.cartesian_prod(rows, torch.arange(len(x), device=x.device))
    block = max(1, CHUNK_ELEMENTS // (x[0].numel() * 2**order))

    def towards(i: Tensor, r: Tensor) -> Tensor:
        start, move = x[i], x[r] - x[i]
        return derivatives_at_zero(lambda a: outputs(model, start + a * move), order, x)

    with explained():
        found = torch.cat([towards(*now.unbind(1)) for now in pairs.split(block)], 1)
    found = found.unflatten(1, (len(rows), len(x)))
    _require_finite_derivatives(found, rows)
    return found


def derivatives_at_zero(g: Callable[[Tensor], Tensor], order: int, like: Tensor) -> Tensor:
    """g(0), g'(0), .. of a function of one number, tensors (...) its values: (order+1, ...)."""
    one = torch.ones((), dtype=like.dtype, device=like.device)

    def raised(lower: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def higher(a: Tensor) -> Tensor:
            values, slopes = jvp(lower, (a,), (one,))[:2]
            return torch.cat([values, slopes[-1:]])

        return higher

    def value(a: Tensor) -> Tensor:
        return g(a).unsqueeze(0)

    stacked: Callable[[Tensor], Tensor] = value
    for _ in range(order):
        stacked = raised(stacked)
    return stacked(torch.zeros_like(one))


def taylor_coefficients(derivatives: Tensor) -> Tensor:
    """Derivatives (J+1, ...) over 0!, 1!, .., J!."""
    factorials = torch.tensor([float(math.factorial(k)) for k in range(len(derivatives))])
    return derivatives / factorials.to(derivatives).reshape(-1, *[1] * (derivatives.ndim - 1))


@dataclass(frozen=True)
class Kinks:
    """What tells a network with kinks, over all pairs seen so far; (J+1,) each.

    sizes : the largest derivative of each order    gaps : how far, at a = 1, the Taylor polynomial is from f(r)
    """

    sizes: Tensor
    gaps: Tensor

    @staticmethod
    def none(order: int) -> Kinks:
        return Kinks(*torch.zeros(2, order + 1, dtype=torch.float64))

    def joined(self, derivatives: Tensor, f: Tensor) -> Kinks:
        """With the derivatives (J+1, rows, m, K) of more samples, f (m, K) the outputs at the partners."""
        gaps = taylor_coefficients(derivatives).cumsum(0) - f
        found = (values.abs().flatten(1).amax(1).double().cpu() for values in (derivatives, gaps))
        return Kinks(*(torch.maximum(a, b) for a, b in zip((self.sizes, self.gaps), found, strict=True)))

    def tell(self, f: Tensor) -> None:
        """A notice, for the caller of the caller, where derivatives vanish but those below them do not lead to f(r)."""
        vanishing = [k for k in range(2, len(self.sizes)) if self.sizes[k] == 0]
        if vanishing and self.gaps[vanishing[0] - 1] > 1e3 * torch.finfo(f.dtype).eps * (1 + float(f.abs().max())):
            message = (
                f"the network's derivatives of order {vanishing[0]} are zero at every sample (a ReLU network?): from "
                f"there on the terms come from the loss alone, and the expansion misses the kinks"
            )
            warnings.warn(message, ZeroHessianNotice, stacklevel=3)


def _require_finite_derivatives(derivatives: Tensor, rows: Tensor) -> None:
    bad = ~torch.isfinite(derivatives)
    if bool(bad.any()):
        lowest, i = (int(n) for n in bad.nonzero()[0, :2])
        raise ValueError(
            f"order={len(derivatives) - 1}: the model's derivative of order {lowest} along r - x is not finite at "
            f"sample {int(rows[i])}; needed is order < {lowest}, or a network that is as often differentiable at the "
            f"data"
        )
