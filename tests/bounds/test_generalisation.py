"""Bounds on network classes and masked classes, against enumeration, exact masks and arithmetic by hand."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from flint import fmpq

from msda_theory import Augmentation, Beta, masks
from msda_theory.bounds import (
    contraction_constant,
    generalisation_gap,
    masked_covariance,
    masked_glm_bound,
    masked_network_bound,
    network_bound,
)
from msda_theory.losses import Logistic, Poisson, Squared
from verify.expected_complexity import ellipsoid_complexity, list_complexity, moments
from verify.small_gap import SmallGap
from verify.tiny_laws import cutmix
from verify.tiny_problems import BetaInt, tilted_moments, two_role_moments
from verify.tolerances import rounding

CLOSE = rounding(torch.float64, 1.0, 1000)
POINTS = torch.tensor([[2.0, 0.0], [1.0, 3.0], [0.0, 1.0], [4.0, 1.0]], dtype=torch.float64)
KERNEL = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64) / 4
SHAPE = (2, 3)


def law():
    mean, covariance = moments(POINTS.unsqueeze(0))
    return mean[0], covariance[0]


def enumerated(matrix, points, intercept=0.0):
    """E_S E_xi over samples of two, by loops over samples and signs."""
    inverse, total = torch.linalg.inv(matrix), 0.0
    for first, second, sign in product(points, points, (1, -1)):
        u = first + sign * second
        total += math.sqrt(float(u @ inverse @ u)) + intercept * (1 + sign)
    return total / (2 * 2 * len(points) ** 2)


def test_oracle_is_the_loop_over_samples_and_signs():
    _, covariance = law()
    found = ellipsoid_complexity(torch.linalg.inv(covariance).unsqueeze(0), POINTS.unsqueeze(0), 0.5)
    assert float(found) == pytest.approx(enumerated(covariance, POINTS, 0.5), rel=1e-12)


def test_oracle_of_a_list_finds_the_box():
    """Functions +-x_1 +-x_2 on the points: the support function of the box is |u_1| + |u_2|."""
    corners = torch.tensor(list(product((1.0, -1.0), repeat=2)), dtype=torch.float64)
    found = list_complexity((POINTS @ corners.T).unsqueeze(0), torch.ones(1, 4, dtype=torch.bool))
    sums = [float((a + s * b).abs().sum()) / 2 for a, b, s in product(POINTS, POINTS, (1, -1))]
    assert float(found) == pytest.approx(sum(sums) / len(sums), rel=1e-12)


@pytest.mark.parametrize("intercept", [0.0, 0.7])
def test_network_bound_is_above_the_complexity_by_less_than_half(intercept):
    mean, covariance = law()
    exact, bound = (
        enumerated(covariance, POINTS, intercept),
        network_bound(1.0, covariance, mean, 2, intercept=intercept),
    )
    assert exact <= bound <= 1.5 * exact


def test_network_bound_is_reached_by_one_sample_of_equal_lengths():
    """x = +-1: |x| = 1 for n = 1, and the intercept adds its all."""
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    assert network_bound(9.0, one, zero, 1, intercept=0.5) == pytest.approx(3.5, rel=CLOSE)


def test_printed_network_bound_by_hand():
    """Sigma = diag(1, 4, 0), mu = (1, 2, 5): rank 2, |Sigma^(+/2) mu|^2 = 2, whatever mu has in the kernel."""
    covariance = torch.diag(torch.tensor([1.0, 4.0, 0.0], dtype=torch.float64))
    mean = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    printed = network_bound(3.0, covariance, mean, 12, as_printed=True)
    assert printed == pytest.approx(2 * math.sqrt(3 * 4 / 12), rel=CLOSE)


def test_a_constant_feature_needs_a_bounded_mean_output():
    mean = torch.full((2,), 0.5, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"mean leaves the range.*mean = 0 and intercept"):
        network_bound(1.0, KERNEL, mean, 4)
    bound = network_bound(1.0, KERNEL, torch.zeros_like(mean), 4, intercept=2.0)
    assert bound == pytest.approx((1 + 2) / 2, rel=CLOSE)


@pytest.mark.parametrize("intercept", [-1.0, math.inf, math.nan])
def test_intercept_must_be_bounded(intercept):
    mean, covariance = law()
    with pytest.raises(ValueError, match=r"intercept=.*finite number >= 0"):
        network_bound(1.0, covariance, mean, 4, intercept=intercept)


def test_masked_network_bound_is_the_plain_one_without_a_mask():
    mean, covariance = law()
    plain, masked = (
        network_bound(2.0, covariance, mean, 5),
        masked_network_bound(2.0, covariance, covariance, mean, 5),
    )
    assert masked == plain


def test_masked_network_bound_has_the_trace_and_as_printed_the_rank():
    """A third of the covariance: the trace is 3 times the rank, and the printed 2 covers 4."""
    mean, covariance = law()
    square = float(mean @ torch.linalg.solve(covariance, mean))
    derived = masked_network_bound(1.0, covariance / 3, covariance, mean, 1)
    printed = masked_network_bound(1.0, covariance / 3, covariance, mean, 1, as_printed=True)
    assert derived == pytest.approx(math.sqrt(3 * (2 + square)), rel=1e-12)
    assert printed == pytest.approx(2 * math.sqrt(2 + 3 * square), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_masked_network_bound_is_above_the_complexity(seed):
    generator = torch.Generator().manual_seed(seed)
    mean, covariance = law()
    shares = torch.rand(3, 2, generator=generator, dtype=torch.float64)
    masked = shares.T @ shares / 3 * covariance
    assert enumerated(masked, POINTS) <= masked_network_bound(1.0, masked, covariance, mean, 2)


def test_masked_bounds_are_infinite_where_a_pixel_is_never_replaced():
    sigma, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    masked = torch.diag(torch.tensor([0.25, 0.0], dtype=torch.float64))
    assert math.isinf(masked_network_bound(1.0, masked, sigma, zero, 9))
    assert math.isinf(masked_glm_bound(1.0, 1.0, sigma, masked, 9))
    assert masked_network_bound(1.0, masked, sigma, zero, 9, as_printed=True) == pytest.approx(2 / 3, rel=CLOSE)
    assert masked_glm_bound(1.0, 1.0, sigma, masked, 9, as_printed=True) == pytest.approx(math.sqrt(6) / 3, rel=CLOSE)


def test_masked_glm_bound_does_not_change_with_the_unit_of_the_loss():
    """A -> c A: gamma -> c gamma, rho -> c^2 rho, the same class."""
    _, covariance = law()
    derived, printed = (
        [masked_glm_bound(c * 0.3, c**2 * 0.2, covariance, covariance / 6, 7, as_printed=p) for c in (1.0, 16.0)]
        for p in (False, True)
    )
    assert derived[1] == pytest.approx(derived[0], rel=1e-12)
    assert printed[1] == pytest.approx(printed[0] / 2, rel=1e-12)


def test_masked_glm_bound_by_hand():
    """gamma^2/rho = 8 and gamma/rho = 4, so both levels are 2; the trace is 3 times the rank, 2 (6 + 2) / 4 = 4."""
    _, covariance = law()
    for printed in (False, True):
        found = masked_glm_bound(2.0, 0.5, covariance, covariance / 3, 4, as_printed=printed)
        assert found == pytest.approx(2, rel=1e-12)


def test_a_second_moment_may_be_of_another_precision():
    """A^+ is in float64, the trace of A^+ C too."""
    _, covariance = law()
    for printed in (False, True):
        single, double = (
            masked_network_bound(1.0, covariance / 3, c, torch.zeros(2, dtype=c.dtype), 4, as_printed=printed)
            for c in (covariance.float(), covariance)
        )
        assert single == pytest.approx(double, rel=rounding(torch.float32, 1.0, 100))
    single = masked_glm_bound(2.0, 0.5, covariance.float(), covariance / 3, 4, as_printed=True)
    assert single == pytest.approx(2, rel=rounding(torch.float32, 1.0, 100))


def test_masked_glm_bound_is_above_the_complexity_of_a_line():
    """x = +-1, a = rho^(1/2) |theta| exactly: s^(3/2)/6 <= gamma / rho^(1/2), n = 2: E|xi_1 + xi_2| / 2 = 1/2."""
    one = torch.ones(1, 1, dtype=torch.float64)
    gamma, rho = 5.0, 0.4
    longest = (6 * gamma / math.sqrt(rho)) ** (1 / 3)
    assert longest / 2 <= masked_glm_bound(gamma, rho, one, one / 6, 2) <= 2 * longest


def test_masked_covariance_of_mixup_is_a_share_of_it():
    _, covariance = law()
    augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((2,)))
    for printed in (False, True):
        found = masked_covariance(augmentation, covariance, as_printed=printed)
        torch.testing.assert_close(found, covariance / 6, rtol=CLOSE, atol=0)


@pytest.mark.parametrize("printed", [False, True])
def test_masked_covariance_of_cutmix_against_its_atoms(printed):
    """Both roles under D as derived, the first role under D~ as printed, in rationals."""
    tiny, ratio = cutmix(*SHAPE, "inside"), BetaInt(1, 2)
    oracle = tilted_moments(tiny, ratio.tilted_density) if printed else two_role_moments(tiny, ratio)
    expected = np.array([[float(fmpq(v)) for v in row] for row in oracle.second])
    augmentation = Augmentation(Beta(1.0, 2.0), masks.CutMix(SHAPE, sampler="inside"))
    ones = torch.ones(6, 6, dtype=torch.float64)
    found = masked_covariance(augmentation, ones, as_printed=printed).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_the_two_laws_of_a_box_differ():
    augmentation = Augmentation(Beta(1.0, 1.0), masks.CutMix(SHAPE, sampler="inside"))
    ones = torch.ones(6, 6, dtype=torch.float64)
    gap = masked_covariance(augmentation, ones) - masked_covariance(augmentation, ones, as_printed=True)
    assert float(gap.abs().max()) > 0.01


def test_single_precision_is_kept():
    augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((2,)))
    assert masked_covariance(augmentation, torch.eye(2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, c: masked_covariance(Augmentation(Beta(1.0, 1.0), masks.Mixup((3,))), c), "covariance has shape"),
        (
            lambda m, c: masked_network_bound(1.0, torch.eye(3).double(), c, torch.zeros(3).double(), 4),
            "covariance has",
        ),
        (lambda m, c: masked_glm_bound(1.0, 1.0, c, torch.eye(3).double(), 4), "second_moment has shape"),
        (lambda m, c: network_bound(0.0, c, m, 4), "gamma=0.0"),
        (lambda m, c: network_bound(1.0, c, m, 0), "n=0"),
        (lambda m, c: network_bound(1.0, c, torch.zeros(3).double(), 4), "u has shape"),
        (lambda m, c: masked_glm_bound(1.0, -2.0, c, c, 4), "rho=-2.0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*law())


@pytest.mark.parametrize(
    ("loss", "labels"), [(Logistic(), (0.0, 1.0)), (Squared(), (-2.0, 3.0)), (Poisson(), (0.0, 4.0))]
)
def test_contraction_constant_against_a_grid(loss, labels):
    t = torch.linspace(-1.5, 1.5, 2001, dtype=torch.float64)
    values = [loss(t.unsqueeze(1), torch.full((2001, 1), y, dtype=torch.float64)) for y in labels]
    steepest = max(float((v.diff() / t.diff()).abs().max()) for v in values)
    constant = contraction_constant(loss, 1.5, labels)
    assert steepest <= constant + CLOSE and constant <= steepest * 1.01


def test_generalisation_gap_by_hand():
    """2 * 3 * 0.1 + 2 * 3 * 2 sqrt(log(e^8) / (2 * 4)) = 0.6 + 12."""
    assert generalisation_gap(0.1, 3.0, 2.0, 4, math.exp(-8)) == pytest.approx(12.6, rel=CLOSE)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, math.nan])
def test_delta_is_a_probability(delta):
    with pytest.raises(ValueError, match="delta"):
        generalisation_gap(0.1, 1.0, 1.0, 4, delta)


def test_small_gap_by_hand():
    """No slope, |level| <= 1, y = +-2: sup (L - L_1) = 4 for every sample of one, and P(0), P(4) = 1/2 for two."""
    gap = SmallGap(((fmpq(0), fmpq(-2)), (fmpq(0), fmpq(2))), fmpq(0), fmpq(1))
    assert gap.mean_supremum(1) == 4
    assert gap.mean_supremum(2) == 2
    assert gap.exceeds(2, 3.0) == fmpq(1, 2)


def test_small_gap_against_a_grid():
    gap = SmallGap(tuple((fmpq(s), fmpq(y)) for s, y in ((0, -1), (1, 2), (3, 0))), fmpq(1, 2), fmpq(1, 3))
    s, y = (np.array([float(atom[i]) for atom in gap.centred]) for i in (0, 1))
    slope, level = np.meshgrid(np.linspace(-0.5, 0.5, 401), np.linspace(-1 / 3, 1 / 3, 3), indexing="ij")
    losses = [(slope * a + level - b) ** 2 for a, b in zip(s, y, strict=True)]
    mean = np.mean([np.max(sum(losses) / 3 - (losses[i] + losses[j]) / 2) for i, j in product(range(3), repeat=2)])
    assert float(gap.mean_supremum(2)) == pytest.approx(mean, abs=1e-4)
