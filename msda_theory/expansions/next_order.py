"""How far a second-order expansion can be believed: the size of the next order against this one.

With the moves shortened to a share eps, the loss is phi(eps) = phi(0) + phi1 eps + phi2 eps^2 + phi3 eps^3 + ...:

    about the data:         phi(eps) = E[ w l(x_i + eps (1-M) * (r-x_i), y_i) + (1-w) l(r + eps M * (x_i-r), y_r) ]
    about the mean points:  phi(eps) = E[ l(m_i + eps delta, ybar_i + eps eta) ],

delta and eta the deviations of the mixed point and label from their means (`mean_point`).  phi2 is the second order of
the expansion.  phi3 = E[phi'''(0)] / 6 is estimated from independent draws of pair, ratio and mask, with its standard
error, by three nested forward derivatives along each drawn move.  The radius of trust is the eps at which both orders
have the same size, |phi2| / |phi3|.  The augmentation itself is eps = 1: with a radius below 1, or a ratio
|phi3| / |phi2| above 1, the orders do not fall off and the second says little.  It is a rule of thumb: nothing is said
of the orders after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp

from msda_theory._model import outputs
from msda_theory._progress import track
from msda_theory.augmentation import Augmentation
from msda_theory.derivatives import CHUNK_ELEMENTS
from msda_theory.expansions.leading import LEADS_FROM, LeadingMeans, leading_means
from msda_theory.expansions.mean_point import MeanPointLoss, mean_points
from msda_theory.expansions.second_order import TaylorLoss, is_affine
from msda_theory.losses import Loss

DRAWS, SEED = 512, 0
Curve = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class NextOrder:
    """The third order |phi3| with its standard error, beside the second |phi2|."""

    third: float
    error: float
    second: float

    @property
    def ratio(self) -> float:
        """|third| / |second|; inf where the second order vanishes and the third does not, nan where both do."""
        return _share(abs(self.third), abs(self.second))

    @property
    def ratio_error(self) -> float:
        """Standard error of the ratio; the second order is not estimated."""
        return _share(self.error, abs(self.second))

    @property
    def radius(self) -> float:
        """The share of the move at which both orders have the same size."""
        return _share(abs(self.second), abs(self.third))


@dataclass(frozen=True)
class Trust:
    """The next order about the data and about the mean points; without them, `reason` says why there is none."""

    data: NextOrder | None
    mean_points: NextOrder | None
    reason: str = ""


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.inf if part else math.nan


def radius_of_trust(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    theory: TaylorLoss,
    mean_point: MeanPointLoss,
) -> Trust:
    """The third order beside the second of both expansions, from `DRAWS` draws that are the same in every call.

    None where the network is piecewise linear, whose derivatives miss its kinks, or torch refuses the third one.
    """
    with torch.no_grad():
        if theory.r3 == mean_point.r3 == 0 and not is_affine(model, x):
            return Trust(None, None, "none, the network is piecewise linear: its derivatives miss the kinks")
        labels, draw = loss.prepare(y, outputs(model, x)), draw_pairs(x, augmentation)
        try:
            data = third_about_data(model, loss, x, labels, draw)
            mean = third_about_mean_points(model, loss, x, labels, leading_means(augmentation), draw)
        except (RuntimeError, NotImplementedError) as error:
            return Trust(None, None, f"none, torch cannot differentiate the model three times: {error}".split("\n")[0])
    return Trust(NextOrder(*data, theory.r2 + theory.r3), NextOrder(*mean, mean_point.second))


@dataclass(frozen=True)
class Draw:
    """n independent pairs: samples i and j, masks (n, ..., *shape), ratio (n, 1) and label weight w (n, 1) of i."""

    i: Tensor
    j: Tensor
    masks: Tensor
    ratio: Tensor
    weight: Tensor

    def parts(self, size: int) -> list[Draw]:
        """The same draws, `size` at a time."""
        each = [part.split(size) for part in (self.i, self.j, self.masks, self.ratio, self.weight)]
        return [Draw(*parts) for parts in zip(*each, strict=True)]


def draw_pairs(x: Tensor, augmentation: Augmentation, n: int = DRAWS, seed: int = SEED) -> Draw:
    rng = np.random.default_rng(seed)
    i, j = (torch.from_numpy(rng.integers(len(x), size=n)).to(x.device) for _ in range(2))
    drawn = replace(augmentation, label="nominal").draw(n, rng)
    ratio, shape = drawn.label.unsqueeze(-1), augmentation.mask.shape
    weight = ratio if augmentation.label == "nominal" else drawn.masks.flatten(1).mean(1, keepdim=True)
    masks = drawn.masks.reshape(n, *[1] * (x.ndim - 1 - len(shape)), *shape)
    return Draw(i, j, masks.to(x), ratio.to(x), weight.to(x))


def third_about_data(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, draw: Draw
) -> tuple[float, float]:
    """phi3 of the expansion about the data and its standard error, for x (m, ...) and labels (m, K)."""

    def curve(draw: Draw) -> Curve:
        first, second = x[draw.i], x[draw.j]
        own, others = labels[draw.i], labels[draw.j]
        w = draw.weight.squeeze(-1)

        def along(eps: Tensor) -> Tensor:
            as_first = loss(outputs(model, first + eps * (1 - draw.masks) * (second - first)), own)
            as_second = loss(outputs(model, second + eps * draw.masks * (first - second)), others)
            return w * as_first + (1 - w) * as_second

        return along

    return _third_order(curve, draw, x)


def third_about_mean_points(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, moments: LeadingMeans, draw: Draw
) -> tuple[float, float]:
    """phi3 of the expansion about the mean mixed points and its standard error."""
    points, mean_labels = mean_points(x, labels, moments)

    def curve(draw: Draw) -> Curve:
        mixed = draw.masks * x[draw.i] + (1 - draw.masks) * x[draw.j]
        target = draw.weight * labels[draw.i] + (1 - draw.weight) * labels[draw.j]
        leading = torch.where(draw.ratio.squeeze(-1) >= LEADS_FROM, draw.i, draw.j)
        point, label = points[leading], mean_labels[leading]
        return lambda eps: loss(outputs(model, point + eps * (mixed - point)), label + eps * (target - label))

    return _third_order(curve, draw, x)


def _third_order(curve: Callable[[Draw], Curve], draw: Draw, x: Tensor) -> tuple[float, float]:
    """Mean and standard error of curve'''(0) / 6, a curve gives one loss a draw; so many draws at a time."""
    parts = draw.parts(max(1, CHUNK_ELEMENTS // (8 * x[0].numel())))
    zero = x.new_zeros(())
    thirds = [_derivative(_derivative(_derivative(curve(part))))(zero) for part in track(parts, "third order")]
    values = torch.cat(thirds).double() / 6
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


def _derivative(curve: Curve) -> Curve:
    return lambda eps: jvp(curve, (eps,), (torch.ones_like(eps),))[1]
