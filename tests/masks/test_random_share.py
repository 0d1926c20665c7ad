"""HMix with a random r: averages over r against mpmath's quadrature, and its two limits."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import pytest
import torch

from msda_theory import Augmentation, Beta, Discrete, ToleranceError
from msda_theory.masks import HMix, Mixup, RandomHMix, Stochastic
from msda_theory.masks._boxes import box_sides
from tests import oracles
from tests.helpers import assert_close
from verify.tolerances import bounded_mean

SHAPE = (2, 3)


def average_over_r(a: float, b: float, ratio: float, entry: str) -> list[list[float]]:
    """E_r of HMix's E[M] or E[(1-M)(1-M)^T], r ~ Beta(a, b): cell by cell of the sides, by mpmath."""
    edges = sorted({(k / n) ** 2 / (1 - ratio) for n in SHAPE for k in range(1, n + 1)} | {0.0, 1.0})
    edges = [mpmath.mpf(edge) for edge in edges if edge <= 1]
    total: list[list[float]] = []
    for left, right in pairwise(edges):
        r = float((left + right) / 2)
        covers = oracles.box(SHAPE, "inside", oracles.Fraction(r))(oracles.Fraction(ratio))
        boxes = [(float(p), [1.0 if m == 0 else 0.0 for m in mask]) for p, mask in covers]

        def weighed(power: int, left: mpmath.mpf = left, right: mpmath.mpf = right) -> float:
            def integrand(t: mpmath.mpf) -> mpmath.mpf:
                density = t ** (a - 1) * (1 - t) ** (b - 1) / mpmath.beta(a, b)
                return (ratio / (1 - (1 - ratio) * t)) ** power * density

            with mpmath.workdps(30):
                return float(mpmath.quad(integrand, [left, (left + right) / 2, right]))

        one, o, square = weighed(0), weighed(1), weighed(2)
        pixels = range(len(boxes[0][1]))
        if entry == "mean":
            part = [[sum(p * o * (1 - box[j]) for p, box in boxes) for j in pixels]]
        else:  # (1-o+oB_j)(1-o+oB_k)
            part = [
                [
                    sum(
                        p * (one - 2 * o + square + (o - square) * (box[j] + box[k]) + square * box[j] * box[k])
                        for p, box in boxes
                    )
                    for k in pixels
                ]
                for j in pixels
            ]
        total = (
            [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(total, part, strict=True)] if total else part
        )
    return total


@pytest.mark.parametrize(("a", "b", "ratio"), [(1.0, 1.0, 0.02), (0.3, 0.3, 0.4), (2.0, 0.7, 0.9)])
def test_moments_are_averages_over_r(a: float, b: float, ratio: float) -> None:
    law = RandomHMix(SHAPE, r=Beta(a, b), sampler="inside")
    mean, second = (torch.tensor(average_over_r(a, b, ratio, k), dtype=torch.float64) for k in ("mean", "second"))
    assert_close(law.mean(ratio), mean.reshape(SHAPE), 1e-10, "mean")
    assert_close(law.second_moment(ratio).to_dense(), second, 1e-10, "second moment")


@pytest.mark.parametrize("ratio", [0.3, 0.7])
def test_as_g_falls_the_law_tends_to_stochastic(ratio: float) -> None:
    """The distance is of the order of g: r lies away from 0 and 1 with a probability of the order of g."""
    limit = Stochastic(SHAPE, q=0.5, sampler="inside").second_moment(ratio).to_dense()
    gaps = [
        float((RandomHMix(SHAPE, r=Beta(g, g), sampler="inside").second_moment(ratio).to_dense() - limit).abs().max())
        for g in (1e-2, 1e-3, 1e-4)
    ]
    for coarse, fine in pairwise(gaps):
        assert 9 < coarse / fine < 11


def test_an_r_near_one_makes_cutmix_and_one_near_zero_mixup() -> None:
    """E|r - its limit| = 1/201, and |d o/d r| is at most (1-lambda)/lambda."""
    near_one = RandomHMix(SHAPE, r=Beta(200.0, 1.0), sampler="inside").mean(0.7)
    assert_close(near_one, HMix(SHAPE, r=1.0, sampler="inside").mean(0.7), 1 / 201, "r -> 1")
    near_zero = RandomHMix(SHAPE, r=Beta(1.0, 200.0), sampler="inside").mean(0.7)
    assert_close(near_zero, Mixup(SHAPE).mean(0.7), 1 / 201, "r -> 0")


def test_a_law_of_r_that_the_nodes_miss_is_refused() -> None:
    with pytest.raises(ToleranceError, match=r"over r at ratio 0\.3.*miss where r lies"):
        RandomHMix(SHAPE, r=Beta(1e9, 1.0), sampler="inside").mean(0.3)


def test_samples_reproduce_the_moments() -> None:
    law, draws = RandomHMix(SHAPE, r=Beta(0.5, 0.5), sampler="inside"), 20_000
    for ratio in (0.2, 0.6):
        given = 1 - law.sample(torch.full((draws,), ratio, dtype=torch.float64), seed=4).flatten(1)
        expected = law.second_moment(ratio).to_dense()
        halfwidth = [bounded_mean(m * (1 - m), draws, comparisons=72) for m in expected.flatten().tolist()]
        assert_close(given.T @ given / draws, expected, torch.tensor(halfwidth).reshape(6, 6), f"at {ratio}")


def test_what_a_sample_sees_is_the_same_structured_or_not() -> None:
    augmentation = Augmentation(
        Discrete((0.3, 0.8), (0.4, 0.6)), RandomHMix((2, 2), r=Beta(1.0, 1.0), sampler="inside")
    )
    assert_close(augmentation.seen_second_moment().to_dense(), augmentation.seen().second, 1e-11, "seen")


def test_r_must_be_a_law() -> None:
    with pytest.raises(TypeError, match=r"r.*RatioLaw"):
        RandomHMix(SHAPE, r=0.5, sampler="inside")  # type: ignore[arg-type]


def test_sides_are_the_same_one_by_one_and_together() -> None:
    ratios = torch.linspace(0, 1, 41, dtype=torch.float64).numpy()
    together = box_sides((7, 12), ratios, ratios[::-1])
    singly = [box_sides((7, 12), float(a), float(b)).tolist() for a, b in zip(ratios, ratios[::-1], strict=True)]
    assert together.tolist() == singly
