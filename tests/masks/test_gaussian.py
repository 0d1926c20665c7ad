"""GMix against eq. (11) of Park et al. pixel by pixel, its limits, and the symmetry of the released kernel."""

from __future__ import annotations

import math
from itertools import pairwise, product

import pytest
import torch

from msda_theory import Beta
from msda_theory.masks import GMix
from tests import oracles
from tests.helpers import assert_close
from verify.tolerances import rounding

ALLOWED = rounding(torch.float64, 1.0, 32)


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.65, 0.99])
def test_the_first_line_of_eq_11(n: int, ratio: float) -> None:
    """a_ij = 1/N^2 sum_p exp(-pi (|i-p|^2 + |j-p|^2) / (2 (1-lambda) N^2)): the sum, before it becomes an integral."""
    pixels = list(product(range(n), repeat=2))

    def square(i: tuple[int, int], p: tuple[int, int]) -> int:
        return (i[0] - p[0]) ** 2 + (i[1] - p[1]) ** 2

    scale = -math.pi / (2 * (1 - ratio) * n * n)
    expected = [
        [sum(math.exp(scale * (square(i, p) + square(j, p))) for p in pixels) / n**2 for j in pixels] for i in pixels
    ]
    found = GMix((n, n), kernel="printed").second_moment(ratio).to_dense()
    assert_close(found, expected, ALLOWED)


def test_the_last_line_of_eq_11_is_a_limit() -> None:
    """(1-lambda) exp(-pi |i-j|^2 / (4 (1-lambda) N^2)): far from the border, for a bump much smaller than the image."""
    n, ratio, middle = 61, 0.99, 61 * 30 + 30
    found = GMix((n, n), kernel="printed").second_moment(ratio)[middle, middle + 3]
    assert float(found) == pytest.approx((1 - ratio) * math.exp(-math.pi * 9 / (4 * (1 - ratio) * n**2)), rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (4, 4), (1, 5)])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.3, 0.45, 0.499999])
def test_the_released_kernel_has_the_complement_symmetry(shape: tuple[int, int], ratio: float) -> None:
    """The law of M(lambda) is that of 1 - M(1-lambda).  (At lambda = 1/2 it jumps, and takes one of the two.)"""
    law = GMix(shape, kernel="released")
    left, right = law.atoms(ratio), law.atoms(1 - ratio)
    there = list(zip(left.probabilities.tolist(), map(tuple, left.masks.flatten(1).tolist()), strict=True))
    back = list(zip(right.probabilities.tolist(), map(tuple, (1 - right.masks).flatten(1).tolist()), strict=True))
    # exp(-c d^2) with c = pi/(s H W), s good to eps: c d^2 exp(-c d^2) eps / s, far below the digits compared
    found, expected = oracles.distribution(there), oracles.distribution(back)
    assert_close(sorted(found), sorted(expected), 2e-12, "masks")
    assert_close(sorted(found.values()), sorted(expected.values()), ALLOWED, "probabilities")


@pytest.mark.parametrize("kernel", ["printed", "released"])
@pytest.mark.parametrize("shape", [(3, 4), (16, 16)])
def test_sixteen_nodes_between_the_breaks_suffice(shape: tuple[int, int], kernel: str) -> None:
    """To 1e-10, as `expectation` has it, for a pixel and for two neighbours; one cell would need hundreds of nodes."""
    law = GMix(shape, kernel=kernel)
    assert all(0 < low < high < 1 for low, high in pairwise(law.breaks))
    assert kernel == "released" or min(law.breaks) > 0.5, "the printed kernel is analytic but at 1"
    coarse, fine = (Beta(1.0, 1.0).rule(nodes, law.breaks) for nodes in (16, 64))
    probe = torch.zeros(2, law.size, dtype=torch.float64)
    probe[0, 0], probe[1, :2] = 1.0, 1.0
    found, expected = (
        sum(m * law.second_moment(float(r)).quadratic_form(probe) for r, m in zip(rule.ratio, rule.mass, strict=True))
        for rule in (coarse, fine)
    )
    assert_close(found, expected, 1e-10)


def test_the_printed_kernel_has_not() -> None:
    law = GMix((4, 4), kernel="printed")
    assert (law.mean(0.3) - (1 - law.mean(0.7))).abs().max() > 0.1


def test_the_released_kernel_jumps_at_one_half_and_nowhere_else() -> None:
    law = GMix((3, 4), kernel="released")
    assert 0.5 in law.breaks
    assert (law.mean(0.5 - 1e-12) - law.mean(0.5)).abs().max() > 0.1
    assert (law.mean(0.5 + 1e-12) - law.mean(0.5)).abs().max() < 1e-9


def test_the_kernels_have_different_widths() -> None:
    """c = pi/(2 (1-lambda) H W) against pi/((1-lambda) H W) above one half: the released bump is the narrower."""
    printed, released = (GMix((4, 4), kernel=kernel) for kernel in ("printed", "released"))
    assert (released.mean(0.8) > printed.mean(0.8)).all()


@pytest.mark.parametrize("kernel", ["printed", "released"])
def test_at_ratio_one_only_the_pixel_p_itself_is_lost(kernel: str) -> None:
    masks = GMix((2, 3), kernel=kernel).atoms(1.0).masks.flatten(1)
    assert torch.equal(masks, 1 - torch.eye(6, dtype=torch.float64))


def test_at_ratio_zero_the_released_kernel_keeps_only_the_pixel_p() -> None:
    masks = GMix((2, 3), kernel="released").atoms(0.0).masks.flatten(1)
    assert torch.equal(masks, torch.eye(6, dtype=torch.float64))
