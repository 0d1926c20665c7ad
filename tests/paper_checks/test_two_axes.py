"""The law of data that refutes Theorem 3.2: its loss against the library, its argument against a grid."""

from __future__ import annotations

import math

import pytest
import torch
from flint import fmpq

from msda_theory import Augmentation, Beta, masks, taylor_loss
from msda_theory.losses import Logistic
from paper_checks.zhang2021.two_axes import (
    AXIS,
    Counts,
    approximate_mixup_loss,
    counts,
    promised_probability,
    refuted,
    refuted_probability,
)
from tests.helpers import assert_close
from verify.tolerances import rounding


def data(c: Counts) -> tuple[torch.Tensor, torch.Tensor]:
    axis = [[(-1.0) ** k, 0.0] for k in range(c.axis)]
    x = torch.tensor([*axis, *[[0.0, 1.0]] * c.up, *[[0.0, -1.0]] * c.down], dtype=torch.float64)
    return x, torch.tensor([1] * (c.axis + c.up) + [0] * c.down)


@pytest.mark.parametrize("c", [Counts(2, 1, 0), Counts(4, 3, 1), Counts(5, 1, 4)])
def test_the_loss_is_the_librarys(c: Counts) -> None:
    """Also where e_1 and -e_1 are not equally many: on Theta both have theta . x = 0."""
    x, y = data(c)
    for t in (0.5, 5.0):
        expected = taylor_loss(lambda z, t=t: t * z[:, 1], Logistic(), x, y, _uniform()).total
        found = float(approximate_mixup_loss(c, fmpq(*t.as_integer_ratio())))
        assert_close(found, expected, rounding(torch.float64, 1 + t**2, 32))


@pytest.mark.parametrize("c", [Counts(2, 1, 0), Counts(31, 32, 1), Counts(30, 28, 6)])
def test_refuted_means_that_the_minimiser_has_less_than_its_standard_loss(c: Counts) -> None:
    x, y = data(c)
    grid = [k / 4 for k in range(1, 49)]
    losses = [taylor_loss(lambda z, t=t: t * z[:, 1], Logistic(), x, y, _uniform()) for t in grid]
    least = min(losses, key=lambda loss: loss.total)
    assert refuted(c) == (least.total < c.axis / c.size * math.log(2))
    if refuted(c):
        assert least.total < least.standard
        assert 1 < grid[losses.index(least)] <= 8


def test_the_probabilities_are_those_of_all_samples_with_both_ends_of_the_axis() -> None:
    size = 5
    both = 1 - 2 * (1 - AXIS / 2) ** size + (1 - AXIS) ** size
    assert sum((c.probability for c in counts(size)), fmpq(0)) == both
    assert refuted_probability(size) <= both


def test_the_promise_is_broken() -> None:
    chance = refuted_probability(32)
    assert bool(promised_probability(32, chance) > 1 - chance)


def _uniform() -> Augmentation:
    return Augmentation(Beta(1.0, 1.0), masks.Mixup((2,)))
