"""The derivation's terms, differentiated by sympy, against `taylor_loss`, differentiated by torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
import torch

from msda_theory import Augmentation, Beta, masks, taylor_loss
from msda_theory.expansions import printed_moments
from msda_theory.losses import Logistic, Loss, Poisson, SoftmaxCrossEntropy, Squared
from msda_theory.masks import MaskLaw
from msda_theory.symbolic import lambdify_regularisers
from verify import tolerances

COORDINATES = sp.symbols("x1:5")
ONE = (
    COORDINATES[0] * COORDINATES[1] ** 2 / 3
    - COORDINATES[2] * COORDINATES[3]
    + COORDINATES[0] ** 3 / 5
    + COORDINATES[3],
)
TWO = (*ONE, COORDINATES[1] ** 2 - COORDINATES[0] * COORDINATES[2] * COORDINATES[3] / 2 + COORDINATES[2])
U = sp.symbols("u1 u2")

LOSSES: list[tuple[Loss, tuple[sp.Expr, ...], sp.Expr, tuple[sp.Symbol, ...]]] = [
    (Logistic(), ONE, sp.log(1 + sp.exp(U[0])), U[:1]),
    (Squared(), ONE, U[0] ** 2 / 2, U[:1]),
    (Poisson(), ONE, sp.exp(U[0]), U[:1]),
    (SoftmaxCrossEntropy(), TWO, sp.log(sp.exp(U[0]) + sp.exp(U[1])), U),
]
LAWS: list[MaskLaw] = [
    masks.Mixup((2, 2)),
    masks.Bernoulli((2, 2)),
    masks.CutMix((2, 2), sampler="clip"),
    masks.HMix((2, 2), r=0.6, sampler="inside"),
    masks.GMix((2, 2), kernel="printed"),
    masks.GMix((2, 2), kernel="released"),
    masks.Stochastic((2, 2), q=0.3, sampler="torus"),
]


def network(outputs: tuple[sp.Expr, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The polynomials once more, in torch."""
    functions = [sp.lambdify(COORDINATES, f, modules=torch) for f in outputs]
    return lambda z: torch.stack([f(*z.flatten(1).unbind(-1)) for f in functions], -1)


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize(
    ("loss", "outputs", "h", "arguments"), LOSSES, ids=lambda v: repr(v) if isinstance(v, Loss) else ""
)
@pytest.mark.parametrize("as_printed", [False, True], ids=["default", "printed"])
def test_terms_agree_to_rounding(
    law: MaskLaw,
    loss: Loss,
    outputs: tuple[sp.Expr, ...],
    h: sp.Expr,
    arguments: tuple[sp.Symbol, ...],
    as_printed: bool,
) -> None:
    """Uncentred data, alpha unlike beta; the printed form takes E[r] = 0, whatever the data's mean."""
    draw = np.random.default_rng(3)
    x, augmentation = draw.normal(0.4, 0.8, (7, 4)), Augmentation(Beta(0.7, 2.0), law)
    y = draw.random((7, len(outputs)))
    y = y / y.sum(1, keepdims=True) if len(outputs) > 1 else y
    moments = printed_moments(augmentation) if as_printed else augmentation.seen()
    derived = lambdify_regularisers(outputs, sp.Lambda(arguments, h), COORDINATES, centred=as_printed)
    stated = derived(x, y, moments.first.numpy(), moments.second.numpy())
    images = torch.from_numpy(x).reshape(7, 2, 2)
    theory = taylor_loss(network(outputs), loss, images, torch.from_numpy(y), augmentation, as_printed=as_printed)
    found = (theory.standard, theory.r1, theory.r2, theory.r3)
    scale = max(1.0, *(abs(v) for v in found))
    tolerance = tolerances.rounding(torch.float64, scale, 16 * 16)
    assert found == pytest.approx(stated, rel=0, abs=tolerance)
