"""Controls for the loss at a mixed point: what a network that is linear between two samples would give.

With a = v . M the share of x_i in the mixed point, v the pixels' parts in the variance of the data, and w the label
weight,

    c_1 = h(g) - (w y_i + (1-w) y_j) . g,    g = a f_i + (1-a) f_j,
    c_2 = (h'(g) - w y_i - (1-w) y_j) . [a J_i + (1-a) J_j] ((M - a) * (x_i - x_j)),

c_2 the first order of what c_1 leaves out, J the gradients of the outputs at the samples.  From each its mean over all
pairs is taken off, at the same mask and label weight: what is left has mean zero, for any network and any mask law.  No
network runs for that mean.  It is linear in M - a and in w but for E[h(g)] and E[h'(g) . [..] * (x_i - x_j)], functions
of a, which are interpolated at Chebyshev nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory.chebyshev import chebyshev, interpolation_weights
from msda_theory.losses import Loss

#: numbers of nodes, each with all of those before, tried until the error of interpolation is below this share of what
#: Monte Carlo with as many draws leaves of a variable of the size of the largest |E[h(g)]|
NODES, ACCURACY = (16, 48, 144), 0.01
#: of h(g) at all pairs and nodes, of products with gradients there, and of gradients kept; beyond, there is no control
LARGEST_PAIRS, LARGEST_PRODUCTS, LARGEST_GRADIENTS = 2**28, 2**36, 2**25
#: the share of the evaluations that gradients may take, of which each is one
GRADIENTS_SHARE = 1 / 8
CHUNK_ELEMENTS, GRADIENT_ELEMENTS = 2**20, 2**16


def input_gradients(model: Callable[[Tensor], Tensor], x: Tensor, outputs_each: int, samples: int) -> Tensor | None:
    """J (m, K, d) of x (m, ..); None where it is not worth its cost, or f has no gradients in x."""
    m, numbers = len(x), x.numel() * outputs_each
    dear = m * (outputs_each + 1) > GRADIENTS_SHARE * samples
    too_large = numbers > LARGEST_GRADIENTS or m * numbers * NODES[0] > LARGEST_PRODUCTS
    if dear or too_large or not _few_pairs(m, outputs_each):
        return None
    parts = []
    for some in x.detach().split(max(1, GRADIENT_ELEMENTS // x[0].numel())):
        with torch.enable_grad():
            leaf = some.clone().requires_grad_()
            try:
                f = outputs(model, leaf)
                rows = [torch.autograd.grad(f[:, k].sum(), leaf, retain_graph=True)[0] for k in range(outputs_each)]
            except RuntimeError:  # f was had without gradients before; it does not depend on x in a way torch knows
                return None
        parts.append(torch.stack(rows, 1).flatten(2))
    return torch.cat(parts)


def _few_pairs(m: int, outputs_each: int) -> bool:
    return m**2 * outputs_each * NODES[0] <= LARGEST_PAIRS


class Controls:
    """c_1, and c_2 where there are gradients, of the data x (m, ..), labels and f (m, K), J (m, K, d) or None.

    `count` is 0 where the pairs are too many; `errors` are those of interpolation, one a control.
    """

    def __init__(
        self, loss: Loss, x: Tensor, labels: Tensor, f: Tensor, gradients: Tensor | None, pixels: int, samples: int
    ) -> None:
        self.loss, self.labels, self.f, self.gradients = loss, labels.double(), f.double(), gradients
        self.x = x.flatten(1)
        variance = self.x.double().var(0, unbiased=False).reshape(-1, pixels).sum(0)
        self.pixels = variance / variance.sum() if bool(variance.any()) else torch.ones_like(variance) / pixels
        self.count, self.errors = 0, torch.zeros(0, dtype=torch.float64)
        if _few_pairs(*f.shape):
            self.count = 1 if gradients is None else 2
            self._interpolate(ACCURACY / samples**0.5)

    def __call__(self, i: Tensor, j: Tensor, masks: Tensor, weight: Tensor) -> Tensor:
        """c - E[c] (n, count) for samples i and j (n,), masks (n, *shape), label weights (n,)."""
        if self.count == 0:
            return self.f.new_zeros(len(i), 0)
        kept = masks.flatten(1).to(self.pixels)
        a, w = (kept @ self.pixels).clamp(0, 1).unsqueeze(1), weight.to(self.f).unsqueeze(1)
        g, y = a * self.f[i] + (1 - a) * self.f[j], w * self.labels[i] + (1 - w) * self.labels[j]
        basis = chebyshev(2 * a[:, 0] - 1, len(self._smooth)).mT
        columns = [self.loss(g, y) - basis @ self._smooth + self._label_mean(a, w)]
        if self.gradients is not None:
            mean = basis @ self._slope - (w + a - 1) * self._own_slope - (w - a) * self._met_slope
            moved = (kept - a).repeat(1, self.x.shape[1] // kept.shape[1])
            columns.append(self._first_order(i, j, a, self.loss.h1(g) - y, moved) - (moved * mean).sum(1))
        return torch.stack(columns, 1)

    def _first_order(self, i: Tensor, j: Tensor, a: Tensor, residual: Tensor, moved: Tensor) -> Tensor:
        gradients = self.gradients
        assert gradients is not None
        total = []
        size = max(1, CHUNK_ELEMENTS // gradients[0].numel())
        for some in torch.arange(len(i), device=i.device).split(size):
            first, second, share = i[some], j[some], a[some]
            along = sum(
                torch.einsum("nk,nkd->nd", (part * residual[some]).to(gradients), gradients[index])
                for part, index in ((share, first), (1 - share, second))
            )
            total.append((along * moved[some].to(self.x) * (self.x[first] - self.x[second])).sum(1).double())
        return torch.cat(total)

    def _label_mean(self, a: Tensor, w: Tensor) -> Tensor:
        """E[(w y_i + (1-w) y_j) . g]."""
        own, met = (self.labels * self.f).sum(1).mean(), self.labels.mean(0) @ self.f.mean(0)
        return ((w * a + (1 - w) * (1 - a)) * own + (w * (1 - a) + (1 - w) * a) * met)[:, 0]

    def _interpolate(self, rtol: float) -> None:
        known: dict[Fraction, tuple[Tensor, Tensor]] = {}
        for n in NODES:
            angles = [Fraction(2 * k + 1, 2 * n) for k in range(n // 2)]
            for angle in angles:
                if angle not in known:
                    known[angle] = self._pair_means((1 + math.cos(math.pi * angle)) / 2)
            smooth, slope = map(torch.stack, zip(*(known[angle] for angle in angles), strict=True))
            weights = interpolation_weights(n, n).to(self.f)
            self._smooth = weights @ torch.cat([smooth, smooth.flip(0)])  # roles exchanged, a for 1-a
            self._slope = weights @ torch.cat([slope, -slope.flip(0)])
            tails = torch.stack([values[-n // 4 :].abs().sum() for values in (self._smooth, self._slope)])
            self.errors = tails[: self.count].cpu()
            if float(self.errors.max()) <= rtol * float(smooth.abs().max()):
                break
        if self.gradients is not None:
            own, gradients = self.x.double(), self.gradients.double()
            labelled = torch.einsum("mk,mkd->md", self.labels, gradients)
            self._own_slope = (labelled * (own - own.mean(0))).mean(0)
            with_label = self.labels.T @ own / len(own) * gradients.mean(0)
            self._met_slope = (with_label - self.labels.mean(0)[:, None] * (gradients * own[:, None]).mean(0)).sum(0)

    def _pair_means(self, a: float) -> tuple[Tensor, Tensor]:
        """E[h(g)], and E[h'(g) . [a J_i + (1-a) J_j] * (x_i - x_j)] (d,), over all pairs."""
        m, x, gradients = len(self.f), self.x, self.gradients
        f = self.f.to(x)
        smooth, slope = self.f.new_zeros(()), self.f.new_zeros(x.shape[1])
        for rows in torch.arange(m, device=f.device).split(max(1, CHUNK_ELEMENTS // f.numel())):
            g = (a * f[rows].unsqueeze(1) + (1 - a) * f).flatten(0, 1)
            smooth += self.loss.h(g).double().sum()
            if gradients is not None:
                h1 = self.loss.h1(g).unflatten(0, (len(rows), m))
                own = h1.sum(1).unsqueeze(-1) * x[rows].unsqueeze(1) - torch.einsum("bmk,md->bkd", h1, x)
                met = torch.einsum("bmk,bd->mkd", h1, x[rows]) - h1.sum(0).unsqueeze(-1) * x.unsqueeze(1)
                slope += a * (gradients[rows] * own).sum((0, 1)) + (1 - a) * (gradients * met).sum((0, 1))
        return smooth / m**2, slope / m**2
