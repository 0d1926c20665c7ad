"""The exact MSDA loss of inputs with one or two coordinates: all mixed points at once, as signed weights on a grid.

The loss is linear in the functions h(f(.)) and f(.) of a mixed point,

    L = sum_p [ mass_p h(f(x_p)) - sum_i label_pi y_i . f(x_p) ],

p over pairs, ratios and masks.  With the Lagrange polynomials l_n of a grid, g(x_p) = sum_n l_n(x_p) g(x_n) to the
accuracy of interpolation, so the loss is the same sum over the grid with weights sum_p mass_p l_n(x_p) and sum_p
label_pi l_n(x_p), which do not depend on the network: built once, they serve every step of a training.

The grid is a product of Chebyshev nodes, bent towards equal distances by Kosloff and Tal-Ezer's map (J. Comput. Phys.
104, 1993), which saves up to a factor pi/2 an axis for functions that are analytic near the real line (tanh, logistic).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._progress import track
from msda_theory._validation import require_at_least, require_data, require_eval_mode, require_kind
from msda_theory.augmentation import Augmentation, MixTable
from msda_theory.chebyshev import chebyshev, chebyshev_nodes, interpolation_weights
from msda_theory.exact import ExactLoss, require_finite_loss
from msda_theory.losses import Loss
from msda_theory.quadrature import FIRST_ORDER, LAST_ORDER, ToleranceError

LARGEST_DIMENSION = 2
#: where the coefficients of a function with singularities on the map's own ellipse end
MAP_ACCURACY = 1e-6
#: the share of the orders that shows how the terms fall off, between what limits they are taken to fall from one share
#: to the next, and how many times the error is taken to be what they leave: of 640 values for tanh and ReLU networks,
#: trained and not, at 16 to 64 nodes, none was off by 2.7 times as much, 4 by more than 1.3 times, half by a seventh
SHARE, FASTEST, SLOWEST, SAFETY = 0.25, 0.02, 0.4, 4.0
#: of the moments of a few samples' mixed points, which are at most 1
RATIO_TOLERANCE = 1e-12
LEAST_NODES = 8
BLOCK = 2**16


@dataclass(frozen=True)
class Axis:
    """One coordinate's interval, and the map of its points to [-1, 1], t = sin(bend z) / sin(bend)."""

    centre: float
    half: float
    nodes: int
    bend: float

    @staticmethod
    def over(values: Tensor, nodes: int, longest: float) -> Axis:
        """Nodes in proportion to the interval's length; one where all values agree."""
        low, high = float(values.min()), float(values.max())
        if low == high:
            return Axis(low, 0.0, 1, 1.0)
        nodes = max(LEAST_NODES, math.ceil(nodes * (high - low) / longest))
        bend = math.asin(1 / math.cosh(math.log(MAP_ACCURACY) / nodes))
        return Axis((low + high) / 2, (high - low) / 2, nodes, bend)

    def polynomials(self, values: Tensor) -> Tensor:
        """T_k(t), k below the number of nodes: (nodes, n) for values (n,)."""
        if self.half == 0:
            return torch.ones(1, len(values), dtype=torch.float64)
        return chebyshev(torch.sin(self.bend * (values - self.centre) / self.half) / math.sin(self.bend), self.nodes)

    def grid(self) -> tuple[Tensor, Tensor]:
        """The nodes (n,), and the matrix (n, n) that takes moments of T_k to weights on them, and values to the T_k."""
        if self.half == 0:
            return torch.tensor([self.centre], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
        points = self.centre + self.half * torch.asin(math.sin(self.bend) * chebyshev_nodes(self.nodes)) / self.bend
        return points, interpolation_weights(self.nodes, self.nodes)


@dataclass(frozen=True)
class WeightedGrid:
    """Points (n, *shape), their mass (n,), and their label weight for each sample (n, m), in float64.

    The mass is the sum of the label weights, as the weights of a pair's two labels add up to one.  `moments` (m, a, b)
    are those of T_a T_b that the label weights come from by `matrices` (a, a) and (b, b); n = ab.
    """

    points: Tensor
    mass: Tensor
    label: Tensor
    moments: Tensor
    matrices: tuple[Tensor, Tensor]

    def sum(self, loss: Loss, y: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
        """The loss for outputs f (n, K) on the grid, and the mean size of its terms."""
        labels, f = self._labels(loss, y, f), f.double()
        smooth, linear = self.mass * loss.h(f), ((self.label @ labels) * f).sum(-1)
        return (smooth - linear).sum(), (smooth.abs() + linear.abs()).sum().detach()

    def left_out(self, loss: Loss, y: Tensor, f: Tensor) -> float:
        """What the terms of orders that the grid has not add up to, if they fall as those of its highest orders do.

        The loss is the sum of c_ab mu_ab, c the coefficients of h(f) and f in T_a T_b and mu the moments.  As orders
        are counted a/nodes or b/nodes, the larger.
        """
        sizes = self.moments.shape[1:]
        terms = self._terms(loss, y, f).abs()
        orders = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float64) / n for n in sizes)).amax(-1)
        orders = orders.reshape(sizes).to(terms.device)
        highest = float(terms[orders >= 1 - SHARE].sum())
        before = float(terms[(orders >= 1 - 2 * SHARE) & (orders < 1 - SHARE)].sum())
        ratio = min(max(highest / before, FASTEST), SLOWEST) if before > 0 else SLOWEST
        return highest * ratio / (1 - ratio)

    def _terms(self, loss: Loss, y: Tensor, f: Tensor) -> Tensor:
        """c_ab mu_ab (a, b), of h(f) less those of the labels' part."""
        labels, f = self._labels(loss, y, f), f.double()
        first, second = self.matrices
        values = torch.cat([loss.h(f).unsqueeze(0), f.T]).unflatten(-1, self.moments.shape[1:])
        smooth, *linear = first @ values @ second.T
        by_output = torch.einsum("mab,mk->kab", self.moments, labels)
        return smooth * self.moments.sum(0) - (torch.stack(linear) * by_output).sum(0)

    @staticmethod
    def _labels(loss: Loss, y: Tensor, f: Tensor) -> Tensor:
        return loss.prepare(y, f.detach()[:1].expand(len(y), -1)).double()


class GridObjective:
    """L(theta) over all pairs of (x, y), all masks and ratios, for inputs of one or two coordinates.

    Parameters
    ----------
    x, y : inputs (m, ..., *shape) of at most two coordinates, labels as `loss` takes them
    nodes : of the grid on the longer side of the data's box; the other side has as many a length

    Called with a model, it returns a 0-dim tensor, differentiable in the model's parameters, from one pass of the grid.
    `exact(model)` adds the error.  Building takes m^2 (nodes of the ratio) evaluations of polynomials, and no model.

    Raises ValueError, TypeError for data that do not fit, NotEnumerableError and ToleranceError as `exact_loss` does.
    """

    def __init__(self, loss: Loss, x: Tensor, y: Tensor, augmentation: Augmentation, *, nodes: int = 64) -> None:
        require_kind("loss", loss, Loss)
        require_kind("augmentation", augmentation, Augmentation)
        require_data(x, y, augmentation.mask.shape)
        require_at_least("nodes", nodes, LEAST_NODES, "for an error of the grid")
        if x[0].numel() > LARGEST_DIMENSION:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, {x[0].numel()} coordinates a sample: a grid needs at most "
                f"{LARGEST_DIMENSION}; use exact_loss"
            )
        self.loss, self.x, self.y = loss, x, y
        points = x.detach().double().cpu()
        flat = points.flatten(1)
        longest = float((flat.amax(0) - flat.amin(0)).max())
        self.axes = [Axis.over(values, nodes, longest) for values in flat.unbind(1)]
        table = self._table(points, augmentation)
        samples = track(range(len(points)), "weights of the grid")
        moments = torch.stack([self._moments(points, s, table) for s in samples])
        self._grid = self._weighted(moments)

    def __len__(self) -> int:
        """Evaluations of the model for one value."""
        return len(self._grid.points)

    def __call__(self, model: Callable[[Tensor], Tensor]) -> Tensor:
        return self._grid.sum(self.loss, self.y, outputs(model, self._grid.points))[0].to(self.x.dtype)

    def exact(self, model: Callable[[Tensor], Tensor]) -> ExactLoss:
        """The loss and its error: four times what the orders beyond the grid's would add, plus rounding.

        Where f is analytic the terms fall geometrically with the order; a kink (ReLU) leaves an error of about
        1/nodes^2.  Half of the time what is stated is more than twenty-five times the error, in one case of ten more
        than a hundred and fifty times.
        """
        require_eval_mode(model)
        with torch.no_grad():
            f = outputs(model, self._grid.points)
            value, size = self._grid.sum(self.loss, self.y, f)
            beyond = self._grid.left_out(self.loss, self.y, f)
        rounding = (4 * torch.finfo(self.x.dtype).eps + RATIO_TOLERANCE) * float(size)
        return require_finite_loss(ExactLoss(float(value), SAFETY * beyond + rounding, "grid", len(self)), self.loss)

    def _table(self, points: Tensor, augmentation: Augmentation) -> MixTable:
        """As many nodes of the ratio as the moments of a few samples need, found by doubling them."""
        if augmentation.exact_in_ratio:
            return augmentation.table(1)
        few = sorted({0, len(points) // 2, len(points) - 1})
        order, before, table = FIRST_ORDER, None, augmentation.table(FIRST_ORDER)
        while order <= LAST_ORDER:
            moments = len(points) * torch.stack([self._moments(points, s, table) for s in few])
            if before is not None and float((moments - before).abs().max()) <= RATIO_TOLERANCE:
                return table
            order, before = 2 * order, moments
            table = augmentation.table(order)
        raise ToleranceError(
            f"the average over {augmentation.ratio!r} does not converge with {LAST_ORDER} nodes a cell; use exact_loss"
        )

    def _moments(self, x: Tensor, s: int, table: MixTable) -> Tensor:
        """sum_p label_ps T_a(p) T_b(p) / m^2 over the points p that have sample s in them: (nodes, ..)."""
        masks = table.masks.reshape(len(table), 1, *[1] * (x.ndim - table.masks.ndim), *table.masks.shape[1:])
        mixed = torch.stack([masks * x[s] + (1 - masks) * x, masks * x + (1 - masks) * x[s]])
        weights = torch.stack([table.first, table.second]).unsqueeze(-1).expand(-1, -1, len(x)) / len(x) ** 2
        blocks = zip(mixed.reshape(-1, x[0].numel()).split(BLOCK), weights.flatten().split(BLOCK), strict=True)
        return sum(self._block(points, share) for points, share in blocks)  # type: ignore[return-value]

    def _block(self, points: Tensor, weights: Tensor) -> Tensor:
        first, *rest = (axis.polynomials(column) for axis, column in zip(self.axes, points.unbind(1), strict=True))
        return (first * weights) @ (rest[0].T if rest else torch.ones(len(weights), 1, dtype=torch.float64))

    def _weighted(self, moments: Tensor) -> WeightedGrid:
        (nodes, first), *rest = (axis.grid() for axis in self.axes)
        second = rest[0][1] if rest else torch.ones(1, 1, dtype=torch.float64)
        label = (first.T @ moments @ second).flatten(1).T.contiguous()
        points = torch.cartesian_prod(nodes, *(other for other, _ in rest)).reshape(-1, *self.x.shape[1:])
        mass, label, moments, first, second = (
            part.to(self.x.device) for part in (label.sum(1), label, moments, first, second)
        )
        return WeightedGrid(points.to(self.x), mass, label, moments, (first, second))
