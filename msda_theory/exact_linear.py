"""The exact MSDA loss of an affine model, f(x) = W x + b, without a loop over pairs.

With p_i = W (M x_i) and q_j = W ((1-M) x_j) the output at x_ij is p_i + q_j + b, for any mask.  The labels' part of the
loss is linear in it and needs the means of p, q, y p and y q alone.  What is left, the mean of h(p_i + q_j + b) over
all pairs, is interpolated output by output on n x k Chebyshev nodes of (p, q),

    1/m^2 sum_ij h(p_i + q_j + b) = sum_ab u_a v_b h(P_a + Q_b + b),    u_a = 1/m sum_i l_a(p_i),  v_b likewise.

Where q is held, h is a function of one variable on an interval as long as that of p: n are the nodes that any interval
of that length takes, as the Chebyshev coefficients of h on it show, and k those of an interval as long as that of q.
With no more than t left on either, the error is no larger than (1 + |u|_1) (1 + |v|_1) t: in p it is (1 + |u|_1) t, and
what is interpolated in q is weighted by |u|_1, or the other way round.  Under Mixup p and q are multiples of W x_i, and
u is the same for all ratios.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory.augmentation import Augmentation, MixTable
from msda_theory.chebyshev import WINDOWS, chebyshev_moments, chebyshev_nodes, interpolation_weights, nodes_for
from msda_theory.losses import ElementwiseLoss, Loss
from msda_theory.quadrature import Array

#: numbers at a time, so that they stay in a processor's cache, and of them a mask's n x k values of h, as a guess
BLOCK, VALUES = 2**16, 2**11
#: the tolerance of the polynomial, in units of that of the loss: h is interpolated well below it
POLYNOMIAL = 0.01
#: half widths that nodes are sought for, to each halving
LEVELS = 4


def linear_loss(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, augmentation: Augmentation, rtol: float
) -> tuple[float, float, int]:
    """Value, error and evaluations of the model, for labels (m, K); the ratio's nodes are refined to `rtol`.

    The error is that of quadrature, of interpolation and of rounding.

    Raises ValueError where the loss couples the outputs or the model is not affine, ToleranceError where `rtol` is not
    reached.
    """
    if not isinstance(loss, ElementwiseLoss):
        raise ValueError(f"loss={loss!r} with method='linear': needed is one scalar loss an output (ElementwiseLoss)")
    weight, bias, gap = affine_parts(model, x, loss, labels)
    sums = PairSums(loss, x.double(), labels.double(), weight, bias, rtol)
    found = np.zeros(3)

    def at(order: int) -> tuple[Array, float]:
        found[:] = sums.over(augmentation.table(order).to(x.double()))
        return found[:1], float(found[1])

    _, error = augmentation.converged(at, rtol, "the exact loss")
    value, size, interpolation = found.tolist()
    rounding = 4 * torch.finfo(x.dtype).eps * size
    return value, error + interpolation + rounding + gap, x[0].numel() + 1 + 2 * len(x)


def affine_parts(
    model: Callable[[Tensor], Tensor], x: Tensor, loss: Loss, labels: Tensor
) -> tuple[Tensor, Tensor, float]:
    """W (K, d), b (K,) in float64, and what the loss at the data changes by when W x + b stands for f.

    W and b are f at the unit vectors and at 0.  ValueError unless f is W x + b at the data and half way between
    neighbours, to rounding: a kink or a curve anywhere near shows there.
    """
    d = x[0].numel()
    corners = torch.cat([x.new_zeros(1, d), torch.eye(d, dtype=x.dtype, device=x.device)]).reshape(-1, *x.shape[1:])
    f = outputs(model, corners).double()
    weight, bias = (f[1:] - f[0]).T, f[0]
    seen = torch.cat([x, (x + x.roll(1, 0)) / 2])
    there, flat = outputs(model, seen).double(), seen.flatten(1).double()
    fitted = flat @ weight.T + bias
    sizes = (flat.abs() @ weight.T.abs()) + (1 + flat.abs().sum(1, keepdim=True)) * f.abs().max()
    off = (there - fitted).abs()
    if bool((off > 8 * torch.finfo(x.dtype).eps * sizes).any()):
        raise ValueError(
            f"model: f differs from W x + b by up to {float(off.max()):.2g} on the data, W and b from f at 0 and at "
            f"the unit vectors: method='linear' needs an affine model; use method='enumerate'"
        )
    m = len(x)
    gap = (loss(there[:m], labels.double()) - loss(fitted[:m], labels.double())).abs().max()
    return weight, bias, float(gap)


class PairSums:
    """The loss of f = W x + b over all pairs, for any table of masks."""

    def __init__(
        self, loss: ElementwiseLoss, x: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, rtol: float
    ) -> None:
        self.loss, self.labels, self.weight, self.bias, self.rtol = loss, labels.mT, weight, bias, rtol
        self.x = x.flatten(1)
        self.outputs = weight @ self.x.mT  # (K, m)
        self._within, self._found = (math.inf, -math.inf), dict[int, tuple[int, float]]()

    def over(self, table: MixTable) -> tuple[float, float, float]:
        """Value, mean size of the terms, and the error of interpolation."""
        masks = table.masks.reshape(len(table), -1)
        constant = (masks == masks[:, :1]).all(1)
        total = np.zeros(3)
        for alike, kept in ((True, constant), (False, ~constant)):
            rows = kept.nonzero()[:, 0]
            rows = rows[masks[rows].sum(1).argsort()]  # those of a block take about as many nodes
            for block in rows.split(max(1, BLOCK // max(self.outputs.numel(), VALUES * len(self.bias)))):
                if len(block):
                    total += self._rows(masks[block], table.first[block], table.second[block], alike)
        value, size, error = total.tolist()
        return value, size, error

    def _rows(self, masks: Tensor, first: Tensor, second: Tensor, alike: bool) -> Array:
        p = masks[:, 0, None, None] * self.outputs if alike else self._own(masks)
        q = self.outputs - p
        linear = self._labelled(p, first, second)
        smooth, size, error = self._smooth(p, q, alike)
        mass = (first + second).unsqueeze(-1)
        found = torch.stack([(mass * smooth).sum() - linear.sum(), (mass * size).sum() + linear.abs().sum()])
        return np.append(found.cpu().numpy(), float((mass * error).sum()))

    def _own(self, masks: Tensor) -> Tensor:
        """W (M x_i) for masks (t, pixels), which the leading axes of x share: (t, K, m)."""
        kept = self.weight.unflatten(-1, (-1, masks.shape[1])) * masks[:, None, None]
        return (kept.flatten(2).flatten(0, 1) @ self.x.mT).unflatten(0, (len(masks), -1))

    def _labelled(self, p: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """E[(first y_i + second y_j) (p_i + q_j + b)] over pairs: (t, K)."""
        y, mean = self.labels, self.labels.mean(-1)
        own_p, mean_p = (p * y).mean(-1), p.mean(-1)
        own_q, mean_q = (self.outputs * y).mean(-1) - own_p, self.outputs.mean(-1) - mean_p
        at_first = own_p + mean * (mean_q + self.bias)
        at_second = own_q + mean * (mean_p + self.bias)
        return first.unsqueeze(-1) * at_first + second.unsqueeze(-1) * at_second

    def _smooth(self, p: Tensor, q: Tensor, alike: bool) -> tuple[Tensor, Tensor, Tensor]:
        """E[h(p_i + q_j + b)] over pairs, its size and its error: (t, K) each."""
        (mid_p, half_p), (mid_q, half_q) = self._interval(p), self._interval(q)
        centre, half = mid_p + mid_q + self.bias, half_p + half_q
        low, high = float((centre - half).min()), float((centre + half).max())
        wide_p, wide_q = float(half_p.max()), float(half_q.max())
        if alike:
            wide_p = wide_q = max(wide_p, wide_q)
        (n, tail), (k, other) = self._nodes(low, high, wide_p), self._nodes(low, high, wide_q)
        if alike:
            outputs = self.outputs.unsqueeze(0)
            u = v = self._weights(outputs, *self._interval(outputs), n)
        else:
            u, v = self._weights(p, mid_p, half_p, n), self._weights(q, mid_q, half_q, k)
        rows = half_p[..., None] * chebyshev_nodes(n).to(self.bias) + centre[..., None]
        columns = half_q[..., None] * chebyshev_nodes(k).to(self.bias)
        h = self.loss.scalar(rows[..., :, None] + columns[..., None, :], 0)
        value, size = bilinear(u, h, v), bilinear(u.abs(), h.abs(), v.abs())
        spread = (1 + u.abs().sum(-1)) * (1 + v.abs().sum(-1))
        return value, size, spread * max(tail, other) + max(n, k) * torch.finfo(torch.float64).eps * size

    def _nodes(self, low: float, high: float, half: float) -> tuple[int, float]:
        """As `nodes_for`; what was found within a longer [low, high], for a half width a little larger, serves."""
        if low < self._within[0] or high > self._within[1]:
            self._within = min(low, self._within[0]), max(high, self._within[1])
            self._found = {}
        low, high = self._within
        whole = (high - low) / 2
        level = math.floor(LEVELS * math.log2(whole / max(half, whole / WINDOWS))) if whole > 0 else 0
        if level not in self._found:
            half, rtol = whole / 2 ** (level / LEVELS), POLYNOMIAL * self.rtol
            self._found[level] = nodes_for(lambda f: self.loss.scalar(f, 0), low, high, half, rtol, self.bias)
        return self._found[level]

    @staticmethod
    def _interval(values: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and half width over the samples: (t, K, m) to (t, K) each."""
        low, high = values.amin(-1), values.amax(-1)
        return (low + high) / 2, (high - low) / 2

    @staticmethod
    def _weights(values: Tensor, centre: Tensor, half: Tensor, n: int) -> Tensor:
        """1/m sum_i l_a(values_i) on each interval: (t, K, m) to (t, K, n)."""
        scale = 1 / torch.where(half > 0, half, 1.0).unsqueeze(-1)
        moments = chebyshev_moments(torch.addcmul(-centre.unsqueeze(-1) * scale, values, scale), n)
        return moments @ interpolation_weights(n, n).to(moments) / values.shape[-1]


def bilinear(u: Tensor, h: Tensor, v: Tensor) -> Tensor:
    """u^T h v for u and v (.., n) and h (..., n, n); leading axes of u and v may be 1."""
    return (u * (h @ v.unsqueeze(-1)).squeeze(-1)).sum(-1)
