"""Theorems 3.2 and B.1 on one sample: both sides, for the search for violations and again by the library.

A row of free parameters is a centred data set, two parameters theta near each other (the set), tau and a ratio; labels
are those that the first theta predicts, so that it lies in Theta, and rows where the second does not are left out.
p^ is the share of samples with |cos(x_i, grad f)| >= tau for both, and p = min(1, 2 p^) the largest p_tau with
p^ >= p_tau/2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msda_theory import Augmentation, Discrete, masks, taylor_loss
from msda_theory.bounds import adversarial_taylor, shared_constants
from msda_theory.losses import Logistic

THETAS = 2


@dataclass(frozen=True)
class Constants:
    """p, tau and the constants of one theta, broadcast over rows and thetas."""

    p: Tensor
    tau: Tensor
    kappa: Tensor
    kappa_1: Tensor
    kappa_2: Tensor
    tau_1: Tensor
    tau_2: Tensor


Formula = Callable[[Constants], Tensor]


def theorem32(c: Constants) -> Tensor:
    """R~ as Theorem 3.2 prints it."""
    first = c.p * c.kappa_1 / (2 * c.kappa_2 - c.p * (c.kappa_2 - c.kappa_1))
    second = (4 * c.kappa * c.p / (2 - c.p + 4 * c.kappa * c.p)).sqrt()
    return torch.minimum(first, second) * c.tau


def theorem_b1(c: Constants) -> Tensor:
    """R~ as Theorem B.1 prints it, (2-p)/4 tau''^2 read as (2-p) tau''^2 / 4."""
    return _b1(c, (2 - c.p) / 4 * c.tau_2**2)


def theorem_b1_below(c: Constants) -> Tensor:
    """The same, read as (2-p) / (4 tau''^2)."""
    return _b1(c, (2 - c.p) / (4 * c.tau_2**2))


def _b1(c: Constants, bad: Tensor) -> Tensor:
    square = c.p * c.kappa * c.tau_1**2
    linear = c.p * c.kappa_1 * c.tau_1
    second = (square / (bad + square)).sqrt()
    return torch.minimum(second, linear / (linear + (2 - c.p) * c.kappa_2 * c.tau_2)) * c.tau


@dataclass(frozen=True)
class Family:
    """Linear f = theta . x, or with `hidden` units f = beta . relu(W x), on `samples` points in R^size."""

    samples: int
    size: int
    formula: Formula
    hidden: int = 0

    @property
    def weights(self) -> int:
        return self.hidden * (self.size + 1) if self.hidden else self.size

    @property
    def parameters(self) -> int:
        return self.samples * self.size + THETAS * self.weights + 2

    def data(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x (b, m, d) centred, theta (b, k, weights), tau (b,) and lambda (b,), both in (0, 1)."""
        count = self.samples * self.size
        x = rows[:, :count].reshape(-1, self.samples, self.size)
        theta = rows[:, count:-2].reshape(-1, THETAS, self.weights)
        theta = torch.cat([theta[:, :1], theta[:, :1] + theta[:, 1:] / 8], 1)
        return x - x.mean(1, keepdim=True), theta, torch.sigmoid(rows[:, -2]), torch.sigmoid(rows[:, -1])

    def gradient(self, x: Tensor, theta: Tensor) -> Tensor:
        """grad f at each sample, (b, k, m, d)."""
        if not self.hidden:
            return theta.unsqueeze(2).expand(-1, -1, self.samples, -1)
        inner = theta[..., : self.hidden * self.size].unflatten(-1, (self.hidden, self.size))
        on = torch.einsum("bkhd,bmd->bkmh", inner, x) > 0
        return torch.einsum("bkmh,bkh,bkhd->bkmd", on.to(x), theta[..., -self.hidden :], inner)

    def model(self, theta: Tensor) -> nn.Module:
        """The network of one theta (weights,), as the library takes it."""
        if not self.hidden:
            layers: list[nn.Module] = [_layer(theta.unsqueeze(0))]
        else:
            inner = theta[: self.hidden * self.size].unflatten(-1, (self.hidden, self.size))
            layers = [_layer(inner), nn.ReLU(), _layer(theta[-self.hidden :].unsqueeze(0))]
        return nn.Sequential(*layers)

    def sides(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """mean l~_adv(R~ min|x| E[1-lambda]) - L_std and R1 + R2, at the theta of the set with the worse margin."""
        x, theta, tau, ratio = self.data(rows)
        gradient = self.gradient(x, theta)
        f = (gradient * x.unsqueeze(1)).sum(-1)
        inside = (f * f[:, :1] > 0).all(2).all(1)  # all thetas predict the labels of the first
        residual, curvature = torch.sigmoid(-f.abs()), torch.sigmoid(f) * torch.sigmoid(-f)
        slope, norms = gradient.norm(dim=-1), x.norm(dim=2)
        good = (f.abs() / (slope * norms.unsqueeze(1)) >= tau[:, None, None]).all(1, keepdim=True)
        share = good.to(x).mean(2)
        constants = Constants(
            (2 * share).clamp_max(1),
            tau.unsqueeze(1),
            curvature.amin(2),
            residual.amin(2),
            residual.amax(2),
            slope.masked_fill(~good, torch.inf).amin(2),
            slope.amax(2),
        )
        usable = inside.unsqueeze(1) & (share > 0)
        cosine = torch.where(usable, self.formula(constants), torch.nan)
        first = 2 * ratio * (1 - ratio)
        reach = (cosine * (norms.amin(1) * first).unsqueeze(1)).unsqueeze(2) * slope
        attacked = (reach * residual + reach**2 / 2 * curvature).mean(2)
        moves = torch.einsum("bkid,bjd->bkij", gradient, x) - f.unsqueeze(-1)
        second = first[:, None, None] / 4 * curvature * moves.square().mean(3)
        mixed = (first[:, None, None] * residual * f.abs() + second).mean(2)
        worse = (attacked / mixed).nan_to_num(nan=-torch.inf).argmax(1, keepdim=True)
        return attacked.gather(1, worse).squeeze(1), mixed.gather(1, worse).squeeze(1)

    def again(self, row: Tensor) -> tuple[float, float, float]:
        """The sides of one row by the library, least over the set of L~_mix - mean l~_adv, with R~ as printed, with
        the R~ of the sample, and with R~ as printed and the factor d of the printed l~_adv."""
        x, theta, tau, ratio = (v[0] for v in self.data(row.unsqueeze(0)))
        models = [self.model(v) for v in theta]
        augmentation = Augmentation(Discrete((float(ratio),), (1.0,)), masks.Mixup((self.size,)))
        y = (models[0](x).squeeze(1) > 0).to(x)
        constants = shared_constants(models, x, y, float(tau))
        printed = constants.printed_cosine(min(1.0, 2 * constants.share)) / constants.cosine()
        radius = constants.radius(augmentation.ratio)
        margins = []
        for size, as_printed in ((printed * radius, False), (radius, False), (printed * radius, True)):
            attacked = [adversarial_taylor(m, x, y, size, as_printed=as_printed).mean() for m in models]
            mixed = [taylor_loss(m, Logistic(), x, y, augmentation).total for m in models]
            margins.append(min(a - float(b) for a, b in zip(mixed, attacked, strict=True)))
        return margins[0], margins[1], margins[2]


def _layer(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype).requires_grad_(False)
    layer.weight.copy_(weight)
    return layer
