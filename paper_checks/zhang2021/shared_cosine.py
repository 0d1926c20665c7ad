"""Theorems 3.2 and B.1 on one sample: both sides, for the search for violations and again by the library.

A row of free parameters is a data set, two networks near each other (the set), the place of tau below one of the
cosines, and what the augmentation leaves free.  With the seen deviations z_i = n * (x_i - xbar), n = E[N], labels are
such that the first network has all (2 y_i - 1) grad f_i . z_i > 0, and rows where the second does not are left out.
p^ is the share of samples with |cos(z_i, grad f)| >= tau for both, and p = min(1, 2 p^) the largest p_tau with
p^ >= p_tau/2.  For Mixup and centred data all this is as printed: z_i is a number times x_i.  `AsPrinted` takes it so
for data with any mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from msda_theory import Augmentation, Discrete, masks, taylor_loss
from msda_theory.bounds import adversarial_taylor, shared_constants
from msda_theory.bounds.radii import seen_deviations
from msda_theory.losses import Logistic
from paper_checks import attacked_networks
from paper_checks.attacked_cases import (
    Cases,
    added_to_second_order,
    centred,
    regularisers,
    split,
)
from paper_checks.zhang2021.shared_formulas import Constants, Formula

THETAS = 2
#: of each search for violations in few coordinates
EFFORT = {"trials": 1000, "ascents": 16, "steps": 100}


@dataclass(frozen=True)
class Drawn:
    """x (b, m, d), theta (b, k, p), the `place` of tau (b, 2); E[N] (b, d) or (b, 1) and E[N N^T] (b, d, d)."""

    x: Tensor
    theta: Tensor
    place: Tensor
    first: Tensor
    second: Tensor


@dataclass(frozen=True)
class Family:
    """Linear f = theta . x, or f = beta . relu(W x) with `hidden` units, on `samples` points in R^size, centred; Mixup
    at one ratio."""

    formula: Formula
    hidden: int = 0
    samples: int = 4
    size: int = 2
    leak = 0.0

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the parameters of one network."""
        return attacked_networks.shapes(self.hidden, self.size)

    @property
    def weights(self) -> int:
        return attacked_networks.count(self.shapes)

    @property
    def free(self) -> int:
        """How many parameters the augmentation has."""
        return 1

    @property
    def parameters(self) -> int:
        return self.samples * self.size + THETAS * self.weights + 2 + self.free

    def drawn(self, rows: Tensor) -> Drawn:
        x, theta, place, ratio = self.split(rows)
        share = 2 * torch.sigmoid(ratio) * torch.sigmoid(-ratio)
        return Drawn(centred(x), theta, place, share, share.unsqueeze(2).expand(-1, self.size, self.size) / 2)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x, theta, the second near the first, the place of tau, and the parameters of the augmentation."""
        x, theta, place, free = split(rows, (self.samples, self.size), (THETAS, self.weights), (2,), (self.free,))
        return x, torch.cat([theta[:, :1], theta[:, :1] + theta[:, 1:] / 8], 1), place, free

    def deviations(self, drawn: Drawn) -> Tensor:
        """z_i, (b, m, d)."""
        return drawn.first.unsqueeze(1) * centred(drawn.x)

    def network(self, x: Tensor, theta: Tensor) -> Cases:
        """The networks of theta (b, p) on x (b, m, d)."""
        return attacked_networks.on_data(x, split(theta, *self.shapes), self.leak)

    def model(self, theta: Tensor) -> nn.Module:
        """The network of one theta (p,), as the library takes it."""
        parts = [part.squeeze(0) for part in split(theta.unsqueeze(0), *self.shapes)]
        return attacked_networks.module(parts, self.leak)

    def sides(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """mean l~_adv(R~ min|z|) - L_std and R1 + R2, at the theta of the set with the worse margin."""
        drawn = self.drawn(rows)
        first, second = (v.repeat_interleave(THETAS, 0) for v in (drawn.first, drawn.second))
        cases = self.network(drawn.x.repeat_interleave(THETAS, 0), drawn.theta.flatten(0, 1))
        deviations = self.deviations(drawn)
        product = (_of_each(cases.slope) * deviations.unsqueeze(1)).sum(3)
        cases = cases.labelled((product[:, :1] > 0).expand_as(product).flatten(0, 1))
        inside = (product * product[:, :1] > 0).all(2).all(1, keepdim=True)
        lengths = deviations.norm(dim=2)
        slope = _of_each(cases.slope.norm(dim=2))
        cosines = (product.abs() / (slope * lengths.unsqueeze(1))).amin(1)
        tau = threshold(cosines, drawn.place)
        good = (cosines >= tau).unsqueeze(1)
        cosine = self.formula(_constants(cases, slope, good, tau))
        cosine = torch.where(inside & good.any(2), cosine, torch.nan)
        reach = (cosine * lengths.amin(1, keepdim=True)).unsqueeze(2) * slope
        attacked = _of_each(added_to_second_order(cases, reach.flatten(0, 1)))
        mixed = _of_each(regularisers(cases, first, second))
        worse = (attacked / mixed).nan_to_num(nan=-torch.inf).argmax(1, keepdim=True)
        return attacked.gather(1, worse).squeeze(1), mixed.gather(1, worse).squeeze(1)

    def again(self, row: Tensor) -> float:
        """`by_library` of one row."""
        x, theta, place, ratio = (v[0] for v in self.split(row.unsqueeze(0)))
        augmentation = Augmentation(Discrete((float(torch.sigmoid(ratio)),), (1.0,)), masks.Mixup((self.size,)))
        return self.by_library(x - x.mean(0), theta, place, augmentation)

    def by_library(self, x: Tensor, theta: Tensor, place: Tensor, augmentation: Augmentation) -> float:
        """The least of L~ - mean l~_adv by the library, at the larger of R~ as printed and R~ of the sample.

        x (m, d), theta (k, p); the set is the networks that agree with the first on the labels.
        """
        z, slope = seen_deviations(x, augmentation), self.network(x.expand(len(theta), -1, -1), theta).slope
        cosines = cosine_similarity(slope, z, dim=2)
        alike = (cosines * cosines[0] > 0).all(1)
        tau = threshold(cosines[alike].abs().amin(0), place)
        y, images = (cosines[0] > 0).to(x), x.unflatten(1, augmentation.mask.shape)
        models = [self.model(v) for v in theta[alike]]
        constants = shared_constants(models, images, y, augmentation, float(tau))
        printed = constants.printed_cosine(min(1.0, 2 * constants.share))
        radius = max(printed, constants.cosine()) * constants.smallest_deviation
        attacked = [float(adversarial_taylor(model, images, y, radius).mean()) for model in models]
        mixed = [taylor_loss(model, Logistic(), images, y, augmentation).total for model in models]
        return min(total - mean for total, mean in zip(mixed, attacked, strict=True))


class AsPrinted(Family):
    """The hypotheses as printed: data with any mean, networks in Theta, the cosines of x_i and grad f."""

    def drawn(self, rows: Tensor) -> Drawn:
        return replace(super().drawn(rows), x=self.split(rows)[0])

    def deviations(self, drawn: Drawn) -> Tensor:
        return drawn.first.unsqueeze(1) * drawn.x


def threshold(cosines: Tensor, place: Tensor) -> Tensor:
    """tau (..., 1): sigmoid(a) times that of the cosines (..., m) which a share sigmoid(b) exceeds, `place` (a, b)."""
    a, b = place.sigmoid().split(1, dim=-1)
    rank = (b * cosines.shape[-1]).long().clamp_max(cosines.shape[-1] - 1)
    return a * cosines.sort(dim=-1, descending=True).values.gather(-1, rank)


def _of_each(values: Tensor) -> Tensor:
    """(b k, ...) as (b, k, ...)."""
    return values.unflatten(0, (-1, THETAS))


def _constants(cases: Cases, slope: Tensor, good: Tensor, tau: Tensor) -> Constants:
    """Of each network, from the slopes (b, k, m) and the good samples (b, 1, m)."""
    curvature, residual = _of_each(cases.curvature), _of_each(cases.residual)
    return Constants(
        (2 * good.to(slope).mean(2)).clamp_max(1),
        tau,
        curvature.amin(2),
        residual.amin(2),
        residual.amax(2),
        slope.masked_fill(~good, torch.inf).amin(2),
        slope.amax(2),
    )
