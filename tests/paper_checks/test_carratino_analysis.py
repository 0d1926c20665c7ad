"""The exact examples, the inequalities and the measurements behind the claims about the slides' analysis."""

from __future__ import annotations

import math

import pytest
import sympy as sp
import torch
from flint import arb, fmpq
from torch import Tensor

from msda_theory import Beta
from msda_theory.expansions.approximate_risk import CancellingTermsWarning, approximate_mixup_risk
from msda_theory.expansions.perturbed_erm import perturbed_data, prepared
from msda_theory.expansions.perturbed_square import completed_square
from msda_theory.expansions.perturbed_taylor import perturbed_terms
from msda_theory.folded_ratios import Folded
from msda_theory.losses import SoftmaxCrossEntropy
from paper_checks.carratino2022 import networks
from paper_checks.carratino2022.bounds import AXES, LINE, PREDICTIONS, harmonic_terms
from paper_checks.carratino2022.inequalities import explained_gap, hessian_ratios, trace_product_gap
from paper_checks.carratino2022.readings import ATOMS, bent_r2, constant_r1, least_squares_gaps
from paper_checks.carratino2022.tiny import Share, TinyMixup, curvature, curvature_inverse, entropy
from tests.helpers import assert_close
from verify.tolerances import rounding

UNIFORM_LAW = Beta(1.0, 1.0)
ALLOWED = rounding(torch.float64, 1.0, 200)


def tensors(data: TinyMixup) -> tuple[Tensor, Tensor]:
    x, y = (torch.tensor([[float(v) for v in row] for row in rows], dtype=torch.float64) for rows in (data.x, data.y))
    return x, y


def quadratic(a: float, b: float, offset: float = 0.0) -> torch.nn.Module:
    """f = (a x_1 x_2 + b x_1 (x_1 - 1) + offset, 0), x_2 = 0 on a line."""

    class Network(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            second = x[:, -1] if x.shape[1] > 1 else torch.zeros_like(x[:, 0])
            first = a * x[:, 0] * second + b * x[:, 0] * (x[:, 0] - 1) + offset
            return torch.stack([first, torch.zeros_like(first)], -1)

    return Network()


@pytest.mark.parametrize("data", [LINE, AXES])
def test_exact_covariances_against_the_library(data: TinyMixup) -> None:
    x, y = tensors(data)
    found = perturbed_data(x, y, UNIFORM_LAW)
    for pair, expected in (("xx", found.covariances().xx), ("xy", found.covariances().xy)):
        exact = [[[float(v) for v in row] for row in data.covariance(i, *pair).tolist()] for i in range(len(x))]
        assert_close(expected, torch.tensor(exact, dtype=torch.float64), ALLOWED)
    labels = [[float(v) for v in data.modified_label(i)] for i in range(len(x))]
    assert_close(found.y, torch.tensor(labels, dtype=torch.float64), ALLOWED)


@pytest.mark.parametrize("a", [1, 2, 5])
def test_exact_moments_against_the_library(a: int) -> None:
    share, theta = Share.of_beta(a), Folded(Beta(float(a), float(a)))
    assert_close(theta.mean, float(share.mean), ALLOWED)
    assert_close(theta.var, float(share.var), ALLOWED)
    assert_close(theta.moment(0, 2), float(share.square), ALLOWED)


def test_moves_sum_up_to_the_covariance() -> None:
    data = TinyMixup(AXES.x, AXES.y, Share.of_atoms(ATOMS))
    for i in range(3):
        moves = data.moves(i, ATOMS)
        total = sum((d * d.transpose() * p for p, d in moves[1:]), moves[0][1] * moves[0][1].transpose() * moves[0][0])
        assert total / fmpq(3) == data.covariance(i, "x", "x")


@pytest.mark.parametrize("p", PREDICTIONS)
def test_the_exact_pseudo_inverse(p: list[fmpq]) -> None:
    h, inverse = curvature(p), curvature_inverse(p)
    assert h * inverse * h == h
    assert inverse * h * inverse == inverse
    assert h * inverse == (h * inverse).transpose()


def test_entropy_of_two_equal_classes() -> None:
    assert entropy([fmpq(1, 2)] * 2).overlaps(arb(2).log())


def test_false_inequalities_are_not_proved() -> None:
    assert trace_product_gap(2) == 0
    assert trace_product_gap(2, factor=sp.S.Half) != 0
    assert explained_gap(2, power=1) != 0
    assert least_squares_gaps(curved=False) != {0}
    assert float(hessian_ratios(laplacians=True, seed=3).max()) > 1


def test_the_harmonic_example_in_the_library() -> None:
    x, y = tensors(AXES)
    _, r2 = harmonic_terms()
    risk = approximate_mixup_risk(quadratic(1.0, 0.0), SoftmaxCrossEntropy(), x, y, UNIFORM_LAW)
    assert_close(risk.r2, float(r2), ALLOWED)


@pytest.mark.parametrize("size", [1, 10])
def test_the_bent_example_in_the_library(size: int) -> None:
    x, y = tensors(AXES)
    risk = approximate_mixup_risk(quadratic(0.0, float(size)), SoftmaxCrossEntropy(), x, y, UNIFORM_LAW)
    assert_close(risk.r2, float(bent_r2(fmpq(size))), 10 * ALLOWED)


def test_the_constant_network_in_the_library() -> None:
    """R1 = -R3 = tr(K H+)/2, the same for both samples."""
    x, y = tensors(LINE)
    for p in PREDICTIONS:
        logit = math.log(float(p[0] / p[1]))
        with pytest.warns(CancellingTermsWarning):
            risk = approximate_mixup_risk(quadratic(0.0, 0.0, logit), SoftmaxCrossEntropy(), x, y, UNIFORM_LAW)
        expected = float(constant_r1(LINE, p))
        assert_close(risk.r1, expected, ALLOWED * expected)
        assert_close(risk.r3, -expected, ALLOWED * expected)


@pytest.mark.parametrize("data", networks.DATA)
def test_samplewise_terms_have_the_means_of_the_library(data: str) -> None:
    model, x, y = networks.trained(data, "start", 0)
    loss, points = prepared(model, networks.LOSS, x, y, networks.LAW)
    terms, square = perturbed_terms(model, loss, points), completed_square(model, loss, points)
    s = networks.sampled(data, "start", 0)
    for found, expected in ((s.r1, square.r1), (s.r2, terms.r2), (s.r3, square.r3)):
        assert_close(found.mean().detach(), expected.detach(), ALLOWED)


def test_training_is_seeded_and_lowers_its_loss() -> None:
    model, x, y = networks.trained("two-moons", "standard", 1)
    start, _, _ = networks.trained("two-moons", "start", 1)
    with torch.no_grad():
        assert networks.LOSS(model(x), y).mean() < networks.LOSS(start(x), y).mean() / 2
        assert (model(x).argmax(1) == y.argmax(1)).all()
