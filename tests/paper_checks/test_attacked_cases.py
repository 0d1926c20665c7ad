"""The batched formulas of the searches for violations against the library, one case at a time."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, softplus

import msda_theory as mt
from msda_theory.bounds import adversarial_loss_linear, adversarial_taylor, robust_radii
from paper_checks.attacked_cases import (
    added_by_attack,
    added_to_second_order,
    drift,
    linear,
    printed_reach,
    regularisers,
    relu,
    slope_regulariser,
)
from paper_checks.seen_laws import SHAPE, augmentations, mixed_moments, seen_moments
from tests.helpers import assert_close
from verify.tolerances import rounding

CASES, SAMPLES, SIZE, HIDDEN = 3, 5, 12, 4
TIGHT = rounding(torch.float64, 100.0, 200)
LEAK = 0.1


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(CASES, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, INNER, OUTER = drawn(SAMPLES, SIZE) + 0.5, drawn(HIDDEN, SIZE, seed=1), drawn(HIDDEN, seed=2)
BIAS, OFFSET = drawn(1, HIDDEN, seed=3), drawn(1, seed=4)


class Network:
    """Case k of the batch, on images."""

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, x: Tensor) -> Tensor:
        hidden = leaky_relu(x.flatten(1) @ INNER[self.k].T + BIAS[self.k], LEAK)
        return hidden @ OUTER[self.k] + OFFSET[self.k]


def test_outputs_gradients_and_labels_are_the_networks() -> None:
    cases = relu(X, INNER, OUTER, BIAS, OFFSET, leak=LEAK)
    for k in range(CASES):
        at = X[k].clone().requires_grad_()
        f = Network(k)(at)
        (slope,) = torch.autograd.grad(f.sum(), at)
        assert_close(cases.f[k], f, TIGHT, "f")
        assert_close(cases.slope[k], slope, TIGHT, "gradient")
        assert torch.equal(cases.y[k], (f > 0).double())


@pytest.mark.parametrize("law", [2, 8, 14], ids=lambda k: repr(augmentations()[k].mask))
def test_both_sides_are_the_librarys(law: int) -> None:
    augmentation = augmentations()[law]
    logits = torch.full((CASES, len(augmentations())), -1e3, dtype=torch.float64)
    logits[:, law] = 0
    first, second = mixed_moments(logits)
    assert_close(first[0], seen_moments()[0][law], 0.0, "moments")
    cases = relu(X, INNER, OUTER, BIAS, OFFSET, leak=LEAK)
    moved = drift(cases, first)
    cases = cases.labelled(moved < 0)
    added, attacked = regularisers(cases, first, second), added_to_second_order(cases, moved.abs())
    for k in range(CASES):
        x, y, network = X[k].reshape(-1, *SHAPE), cases.y[k], Network(k)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mt.ZeroHessianNotice)
            terms = mt.taylor_loss(network, mt.losses.Logistic(), x, y, augmentation)
        assert_close(added[k], terms.r1 + terms.r2, TIGHT, "R1 + R2")
        assert_close(slope_regulariser(cases, first)[k], terms.r1, TIGHT, "R1")
        radii = robust_radii(network, x, y, augmentation)
        assert_close(moved[k].abs(), radii.eta * cases.slope[k].norm(dim=1), TIGHT, "reach")
        expected = adversarial_taylor(network, x, y, radii.eta).mean() - terms.standard
        assert_close(attacked[k], expected, TIGHT, "l~_adv - l")


def test_printed_radii_are_the_librarys() -> None:
    cases = relu(X, INNER, OUTER, BIAS, OFFSET, leak=LEAK)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup(SHAPE))
    reach = printed_reach(cases, torch.tensor(1 / 3, dtype=torch.float64), cases.norms.amin(1, keepdim=True))
    for k in range(CASES):
        radii = robust_radii(Network(k), X[k].reshape(-1, *SHAPE), cases.y[k], augmentation)
        assert_close(reach[k], radii.eps * SIZE**0.5 * cases.slope[k].norm(dim=1), TIGHT, "eps_i sqrt(d) |grad f|")


def test_the_attack_is_the_exact_one_of_a_linear_model() -> None:
    weight = INNER[:, 0]
    cases = linear(X, weight, OFFSET)
    added = added_by_attack(cases, 0.7 * cases.slope.norm(dim=2))
    for k in range(CASES):
        attacked = adversarial_loss_linear(weight[k], X[k], cases.y[k], 0.7, bias=float(OFFSET[k]))
        standard = softplus(-cases.side[k] * cases.f[k])
        assert_close(added[k], (attacked - standard).mean(), TIGHT, "adversarial loss - l")
