"""The first layer's traces, the class of losses and the rescaled input's variance, each against hand calculations."""

from __future__ import annotations

import math

import pytest
import torch
from flint import fmpq

from msda_theory import losses, masks
from msda_theory.symbolic.first_layer import FIRST_LAYER_FAULTS, first_layer
from paper_checks.exact_cases import RATIOS
from paper_checks.findings import DEPENDS, HOLDS, Trial
from paper_checks.park2022 import first_layer as layer
from paper_checks.park2022 import loss_class as losses_of
from paper_checks.park2022 import rescaled_variance as rescaled
from verify.tiny_laws import bernoulli, mixup
from verify.tiny_problems import TinyProblem


@pytest.mark.parametrize(
    "check, verdict",
    [(layer.first_layer_identities, HOLDS), (losses_of.loss_class, DEPENDS), (rescaled.rescaled_variance, HOLDS)],
    ids=["layer", "class", "variance"],
)
def test_the_check_is_established_and_catches_its_fault(check, verdict):
    assert check(Trial(seed=3)).verdict == verdict
    assert not check(Trial(seed=3, faulty=True)).established


def test_the_two_gradients_of_the_layered_net_by_hand():
    """theta = [[-3/2, 0, 3/2], [-1/2, 3/2, 0]] at x = (1, 0, 2): z = (3/2, -1/2), g = c + S z = (11/6, 7/12)."""
    net, x = layer.LayeredNet.of(3), [fmpq(1), fmpq(0), fmpq(2)]
    assert net.theta == [[fmpq(-3, 2), 0, fmpq(3, 2)], [fmpq(-1, 2), fmpq(3, 2), 0]]
    assert net.inner(x) == [fmpq(11, 6), fmpq(7, 12)]
    assert net.parameter_gradient(x) == [[fmpq(11, 6), 0, fmpq(11, 3)], [fmpq(7, 12), 0, fmpq(7, 6)]]
    assert net.on_data(3, centred=True).gradient(x) == [fmpq(-73, 24), fmpq(7, 8), fmpq(11, 4)]


def test_the_traces_of_mixup_are_the_slope_along_the_sample():
    """With M = lambda 1 the half is E_D~(1-lambda)^2 mean((nabla f . x)^2) q/2, and E_D~(1-lambda)^2 = 1/6."""
    net, tiny, uniform = layer.LayeredNet.of(3), mixup(3), RATIOS[0]
    p = net.on_data(3, centred=True)
    squares = [sum(d * v for d, v in zip(p.gradient(x), x, strict=True)) ** 2 for x in p.x]
    halves = layer.exact_halves(net, p, tiny, uniform, Trial(), centred=True)
    assert halves.own == p.q / 2 * fmpq(1, 6) * sum(squares) / 3


def test_the_library_agrees_for_a_mask_law_that_is_not_symmetric_in_the_two_roles():
    """Bernoulli masks with seeds of their own; and the planted mask is far outside the tolerance."""
    for seed in range(3):
        gap, allowed = layer.library_gap(masks.Bernoulli(layer.SHAPE), Trial(seed))
        assert gap <= allowed
    gap, allowed = layer.library_gap(masks.Bernoulli(layer.SHAPE), Trial(0, faulty=True))
    assert gap > 1e6 * allowed


def test_each_step_is_broken_by_some_fault_and_refuted_at_integers():
    broken = {step.title for fault in FIRST_LAYER_FAULTS for step in first_layer(fault=fault).failures}
    assert broken == {step.title for step in first_layer()}
    for fault in FIRST_LAYER_FAULTS:
        assert all(step.refutation() is not None for step in first_layer(fault=fault).failures)


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match=r"fault='half'.*'outer', 'transpose', 'role', 'uncentred'"):
        first_layer(fault="half")


def test_the_bends_of_the_losses_outside_by_hand():
    """1/s_2^2 - 1/s_1^2 = 5; p(1-p) with p = 3/10; e^-f at log 2; 0, -2, -3 for the hinge; 0, -1, -1 for 0/1."""
    bends = losses_of.strangers()
    assert bends == {
        "cross-entropy, f the softmax output": 5,
        "cross-entropy, f the logits, labels of any sum": fmpq(21, 100),
        "gamma, log link": fmpq(1, 2),
        "hinge": 1,
        "0/1": 1,
    }


def test_a_loss_of_the_class_has_no_bend_whatever_h():
    assert losses_of.second_difference(lambda f, y: 7 * (f**4 - y * f), 2) == 0


def test_the_library_refuses_labels_that_leave_the_class():
    outputs = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"rows sum to"):
        losses.SoftmaxCrossEntropy().prepare(torch.full((4, 3), 0.5, dtype=torch.float64), outputs)


def test_the_shortfall_of_the_squared_loss_is_that_of_the_labels():
    """Var of a mixed label: y in {0, 1} half each, lambda uniform: E[y~^2] = 1/2 - (1/6)(1/2) = 5/12, by quadrature."""
    lam = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    mixed = (0 + lam**2 + (1 - lam) ** 2 + 1) / 4
    assert math.isclose(float(torch.trapezoid(mixed, lam)), 5 / 12, rel_tol=1e-9)
    assert all(gap == 0 for gap in losses_of.label_terms(Trial()))
    assert all(gap != 0 for gap in losses_of.label_terms(Trial(faulty=True)))


@pytest.mark.parametrize("law, lost, kept", [(mixup, fmpq(1, 6), fmpq(1, 2)), (bernoulli, fmpq(1, 3), fmpq(2, 3))])
def test_the_variance_of_one_pixel_by_hand(law, lost, kept):
    """lambda of density 2 lambda, x in {-1, 1}: (E(1-M)^2 + E M^2)/(2/3)^2 - 1, the means of the squares by hand."""
    one = [[fmpq(-1)], [fmpq(1)]]
    p = TinyProblem(one, [fmpq(0), fmpq(0)], [fmpq(1)], [[fmpq(0)]], fmpq(0), fmpq(1))
    mean, covariance = rescaled.enumerated(p, law(1), RATIOS[0], one[1])
    assert rescaled.mean_mask(law(1), RATIOS[0]) == [fmpq(2, 3)]
    assert mean == [1]
    assert covariance == [[(lost + kept) * fmpq(9, 4) - 1]]
    assert rescaled.printed(p, law(1), RATIOS[0], one[1], [fmpq(2, 3)], trial=Trial()) == covariance
