"""R~, the shared cosine of Theorems 3.2 and B.1, as both print it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from paper_checks.findings import Trial


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


def planted(formula: Formula, trial: Trial) -> Formula:
    """R~ at p_tau for p_tau/2: the formula at 2 p_tau."""

    def doubled(c: Constants) -> Tensor:
        return formula(replace(c, p=2 * c.p))

    return trial.plant(formula, doubled)
