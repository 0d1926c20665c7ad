"""Eq. (6): the adversarial loss of a ReLU network, and the l~_adv printed below it.

Inside the cone of x_i where f is linear the attack meets a linear function, and all is as in Lemma 3.2; the cone's
distance from x_i, the reach, is computed exactly.  Beyond it, the exact attack in the plane shows what is missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from flint import arb, ctx, fmpq
from torch import Tensor, nn

from msda_theory.bounds import adversarial_taylor
from msda_theory.losses import Logistic
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from paper_checks.zhang2021.adversarial_lemma import NEAR
from verify.disc_attack import worst_points
from verify.tiny_adversary import BITS, length, order, second_order, worst_loss
from verify.tiny_layers import Piece, TinyLayer, TinyLayers, rationals, singly
from verify.tiny_relu import Matrix
from verify.tolerances import rounding

UNITS, SAMPLES = 5, 6


@dataclass(frozen=True)
class PlaneProblem:
    """A bias-free two-layer ReLU network on samples in the plane, each inside its linear piece, labels 0 and 1."""

    network: TinyLayers
    x: Matrix
    pieces: list[Piece]

    @property
    def y(self) -> list[int]:
        return [i % 2 for i in range(len(self.x))]

    @property
    def reach(self) -> float:
        """The distance from the samples to the nearest kink."""
        squares = [piece.reach_squared for piece in self.pieces if piece.reach_squared is not None]
        return float(arb(min(squares)).sqrt())

    def mean(self, loss: Callable[[arb, arb, int], arb], eta: fmpq) -> arb:
        """The mean of a loss of (f, eta |grad f|, y) in balls."""
        terms = zip(self.x, self.pieces, self.y, strict=True)
        values = [loss(arb(self.network(x)), eta * length(piece.gradient), y) for x, piece, y in terms]
        return sum(values, arb(0)) / len(values)


def plane_problem(seed: int) -> PlaneProblem:
    rng = np.random.default_rng(seed)
    network = TinyLayers([TinyLayer(rationals(UNITS, 2, rng), singly(UNITS))], rationals(1, UNITS, rng)[0])
    x = rationals(SAMPLES, 2, rng)
    return PlaneProblem(network, x, [network.piece(v) for v in x])


def remainder_order(p: PlaneProblem, factor: int, scale: fmpq | int = 1) -> float:
    """The order of the exact mean loss less (6), the second-order term times `factor`, (6) taken at scale * eta."""

    def gap(eta: fmpq) -> arb:
        expansion = p.mean(lambda f, t, y: second_order(f, t, y, factor), scale * eta)
        return p.mean(worst_loss, eta) - expansion

    return order(gap)


@claim("zhang2021:eq6", fault="the factor 1/2 of the second-order term dropped")
def adversarial_loss_of_networks(trial: Trial) -> Finding:
    p = plane_problem(trial.seed)
    factor = trial.plant(1, 2)
    as_expansion = remainder_order(p, factor)
    other_size = remainder_order(p, factor, fmpq(1, 2))
    below = remainder_order(p, 2 * factor)
    apart = _gap_at(p, factor)
    inside, beyond, library, allowed = _float_gaps(p, factor)
    figures: dict[str, str | float] = {
        "order of the exact loss less (6), attack of the same size": as_expansion,
        "exact loss less (6) at eps sqrt(d) = 2^-k, at most half the reach": apart.str(6),
        "order with eps_mix = eps/2 in (6)": other_size,
        "order with l~_adv as printed below (6), d = 2": below,
        "reach: distance from the samples to the nearest kink": p.reach,
    }
    corrected = Corrected(
        "with eps for eps_mix and delta^2/2 for delta^2 d/2 in l~_adv, (6) is the second-order expansion of the "
        "adversarial loss, wherever each x_i is interior to a linear piece, almost everywhere that is; up to "
        "eps sqrt(d) = min_i (distance from x_i to the boundary of its piece) the exact loss is that of the linear "
        "pieces, the mean of log(1 + e^u) - y u at u = f + sgn(g-y) eps sqrt(d) |grad f|, and the remainder of order 3",
        verdict_of(abs(as_expansion - 3) < NEAR and max(inside, library) <= allowed),
        Evidence(
            "deterministic",
            {
                "order of the remainder, in balls": as_expansion,
                "exact attack less the linear pieces, at 0.9 of the reach": inside,
                "the library's (6) less its enclosure there": library,
                "allowed": allowed,
                "exact attack less the linear pieces, at four times the reach": beyond,
            },
        ),
    )
    reason = (
        "'can be written as': as an equation it is false, inside one linear piece too, and for an attack of size eps "
        "its eps_mix must be eps; as the second-order expansion, like Lemma 3.2, it is right at almost every x_i. The "
        "l~_adv printed below it has delta^2 d/2 for delta = eps sqrt(d), d times the term of (6)"
    )
    second = abs(as_expansion - 3) < NEAR and abs(below - 2) < NEAR and abs(other_size - 1) < NEAR
    verdict = DEPENDS if second and not apart.contains(0) else FAILS
    return Finding(verdict, reason, Evidence("enclosure", figures), corrected)


def _gap_at(p: PlaneProblem, factor: int) -> arb:
    eta = fmpq(1, 2 ** math.ceil(math.log2(2 / p.reach)))
    with ctx.workprec(BITS):
        return p.mean(worst_loss, eta) - p.mean(lambda f, t, y: second_order(f, t, y, factor), eta)


def _float_gaps(p: PlaneProblem, factor: int) -> tuple[float, float, float, float]:
    """The exact attack in the plane less the loss of the linear pieces, at 0.9 and at 4 times the reach; the library's
    (6) less its enclosure at the first; and what rounding allows."""
    model, x, y = _in_torch(p.network), _floats(p.x), torch.tensor(p.y, dtype=torch.float64).unsqueeze(1)
    gaps = []
    for radius in (0.9 * p.reach, 4 * p.reach):
        exact = Logistic()(model(worst_points(model, Logistic(), x, y, radius)), y).mean()
        gaps.append(abs(float(exact) - float(p.mean(worst_loss, fmpq(*radius.as_integer_ratio())))))
    eta = fmpq(*(0.9 * p.reach).as_integer_ratio())
    expansion = p.mean(lambda f, t, y: second_order(f, t, y, factor), eta)
    library = abs(float(adversarial_taylor(model, x, y, 0.9 * p.reach).mean()) - float(expansion))
    return gaps[0], gaps[1], library, rounding(torch.float64, float(p.mean(worst_loss, fmpq(1))), 8 * UNITS)


def _in_torch(network: TinyLayers) -> nn.Sequential:
    inner, outer = nn.Linear(2, UNITS).double(), nn.Linear(UNITS, 1).double()
    model = nn.Sequential(inner, nn.ReLU(), outer).requires_grad_(False)
    inner.weight.copy_(_floats(network.layers[0].W))
    outer.weight.copy_(_floats([network.last]))
    inner.bias.zero_()
    outer.bias.zero_()
    return model


def _floats(rows: Matrix) -> Tensor:
    return torch.tensor([[int(v.p) / int(v.q) for v in row] for row in rows], dtype=torch.float64)
