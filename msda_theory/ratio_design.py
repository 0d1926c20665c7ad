"""How strongly Mixup regularises under a law of the ratio, and the laws that do so most, by Lemma 2 of Carratino et al.

With theta = max(lambda, 1 - lambda), thetabar and sigma^2 its mean and variance, gamma^2 = E (1-theta)^2, the
perturbation of sample i has E delta delta^T = sigma^2 (x_i - xbar)(x_i - xbar)^T + gamma^2 Sigma_xx, so that

    1/m sum_i tr Sigma_xx^(i) = (sigma^2 + gamma^2) tr Sigma_xx,       likewise for the labels.

R1 + R3 and R2 are linear in these covariances, and for the cross-entropy R3 = -1/2m sum_i sum_k K_kk^(i) / S_k with K =
Sigma_yx Sigma_xx+ Sigma_xy.  Since (1-theta)(theta - 1/2) >= 0,

    sigma^2 + gamma^2 <= thetabar (1 - thetabar) <= 1/4,

with equality on the left where theta is 1/2 or 1, and on the right where lambda is always 1/2.  To ask for strength
alone is therefore to ask for averages of pairs.  What a law can choose is its strength at a given thetabar, the share
of its own sample that a point keeps, on which x~ and y~ depend; there both 1/m sum_i tr Sigma_xx^(i) and 1/m sum_i tr
K^(i) grow with sigma^2.  More regularisation is not more accuracy: of that the analysis says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.table import Table
from scipy.optimize import brentq
from scipy.special import poch
from torch import Tensor

from msda_theory._shown import WIDTH, Shown
from msda_theory._validation import require_kind
from msda_theory.expansions.perturbed_erm import PerturbedData, perturbed_data
from msda_theory.ratios import Beta, Discrete, RatioLaw
from msda_theory.w_ratios import WShaped

MARGIN = 1e-3
LARGEST_LOG_A = 25.0  # beyond both margins


@dataclass(frozen=True)
class RatioStrength:
    """A law's moments, and what they come to on the data.

    kept, var, square : thetabar, sigma^2, gamma^2         strength : sigma^2 + gamma^2
    inputs : mean of tr Sigma_xx^(i), the traces in the bounds on R1 and R2
    explained : mean of tr K^(i), the label noise that the input noise explains linearly; R3 is -c/2 times it where the
        network gives each of c classes 1/c
    """

    law: str
    kept: float
    var: float
    square: float
    inputs: float
    explained: float

    @property
    def strength(self) -> float:
        return self.var + self.square


@dataclass(frozen=True)
class RatioComparison(Shown):
    """Laws of the ratio side by side; prints as a table, in a terminal and in a notebook."""

    rows: tuple[RatioStrength, ...]
    title: str

    def __getitem__(self, law: str) -> RatioStrength:
        """The row of a law, by the name it was given."""
        return next(row for row in self.rows if row.law == law)

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers and strings, for JSON."""
        return {"title": self.title, "laws": [{**asdict(row), "strength": row.strength} for row in self.rows]}

    def __rich__(self) -> Table:
        table = Table("law", title=self.title, title_justify="left", min_width=min(len(self.title), WIDTH))
        for name in ("E theta", "var theta", "E (1-theta)^2", "strength", "mean tr Sigma_xx", "mean tr K"):
            table.add_column(name, justify="right")
        for row in self.rows:
            values = (row.kept, row.var, row.square, row.strength, row.inputs, row.explained)
            table.add_row(row.law, *(f"{value:.5g}" for value in values))
        return table


def strongest_ratio_laws(kept: float) -> dict[str, RatioLaw]:
    """The strongest symmetric law with E max(lambda, 1-lambda) = `kept`, and the members of two families beside it.

    "two-point"  theta is 1/2 or 1: lambda = 1/2 with probability 2 (1 - kept), else 0 or 1.  The strongest of all laws,
                 of strength kept (1 - kept)
    "W"          WShaped(a, 1-a), the only one with the a + b = 1 of the slides.  Its variance is half of the two-point
                 law's, which the family comes near to as a + b falls, and does not reach
    "beta"       Beta(a, a), the only one

    Raises ValueError unless `kept` is larger than 1/2, where the ratio is always 1/2, and less than 1, where nothing is
    mixed, by 1e-3 at least.
    """
    if not 0.5 + MARGIN <= kept <= 1 - MARGIN:
        raise ValueError(f"kept={kept!r}: needed is a number in [{0.5 + MARGIN}, {1 - MARGIN}], the mean larger share")
    log_a = brentq(lambda s: _beta_kept(math.exp(s)) - kept, -LARGEST_LOG_A, LARGEST_LOG_A)
    a, mixed = math.exp(log_a), 2 * (1 - kept)
    two_point = Discrete((0.0, 0.5, 1.0), ((1 - mixed) / 2, mixed, (1 - mixed) / 2))
    return {"two-point": two_point, "W": WShaped(mixed, 1 - mixed), "beta": Beta(a, a)}


def _beta_kept(a: float) -> float:
    """E max(lambda, 1-lambda) = 1/2 + Gamma(a + 1/2) / (2 sqrt(pi) Gamma(a + 1)) for lambda ~ Beta(a, a)."""
    return 0.5 + 0.5 / (math.sqrt(math.pi) * float(poch(a + 0.5, 0.5)))


def compare_ratio_laws(laws: Mapping[str, RatioLaw], x: Tensor, y: Tensor) -> RatioComparison:
    """The laws' moments, and how strongly they regularise on inputs x (m, ...) and labels y, (m,) or (m, c) numbers.

    Class indices are no numbers to be averaged: give one-hot labels.  O(m d min(m, d)) for each law.

    Raises ValueError, TypeError for what does not fit.
    """
    if not laws:
        raise ValueError("laws is empty: needed is at least one law, as in {'uniform': Beta(1.0, 1.0)}")
    for law in laws.values():
        require_kind("laws", law, RatioLaw)
    rows = tuple(_strength(name, perturbed_data(x, y, law)) for name, law in laws.items())
    return RatioComparison(rows, f"{len(x)} samples, {x[0].numel()} inputs")


def _strength(name: str, data: PerturbedData) -> RatioStrength:
    spread = float(data.centred_x.square().sum(1).mean())
    inputs = (data.var + data.square) * spread
    return RatioStrength(name, data.mean, data.var, data.square, inputs, float(_explained(data).mean()))


def _explained(data: PerturbedData) -> Tensor:
    """tr K^(i) = sigma^2 (|b|^2 - |b - g|^2 / (1 + sigma^2 h / gamma^2)) + gamma^2 mean_j |g_j|^2, (m,).

    b are the centred labels, g their least-squares fit by the centred inputs, h = m times the leverage; by the
    Sherman-Morrison formula for Sigma_xx^(i).
    """
    b = data.centred_y
    left, values, _ = torch.linalg.svd(data.centred_x, full_matrices=False)
    left = left[:, values > values[0] * max(data.centred_x.shape) * torch.finfo(b.dtype).eps]
    fitted = left @ (left.mT @ b)
    leverage = len(b) * left.square().sum(1)
    relative = data.var / data.square if data.square > 0 else 0.0
    missed = (b - fitted).square().sum(1) / (1 + relative * leverage)
    return data.var * (b.square().sum(1) - missed) + data.square * fitted.square().sum(1).mean()
