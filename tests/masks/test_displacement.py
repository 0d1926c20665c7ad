"""Coefficients by displacement, against loops over pairs of pixels and against what must be so."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic, interval_cover
from msda_theory.masks.displacement import by_displacement, mean_by_displacement
from tests.helpers import assert_close
from tests.masks.cases import CASES, Case
from tests.oracles import Number
from verify.tolerances import rounding

#: but for those whose second moment is an estimate
IMAGES = [case for case in CASES if len(case.law.shape) == 2 and not case.fields]
#: at most 9 * 16 pairs are averaged, each coefficient after at most 32 operations
ALLOWED = rounding(torch.float64, 1.0, 9 * 16 + 32)


def naive(case: Case, ratio: Number) -> list[list[float]]:
    """The mean over pairs, pair by pair and mask by mask."""
    height, width = case.law.shape
    pixels = list(product(range(height), range(width)))
    found: dict[tuple[int, int], list[Number]] = {}
    for (j, (j1, j2)), (k, (k1, k2)) in product(enumerate(pixels), repeat=2):
        a = sum(p * (1 - mask[j]) * (1 - mask[k]) for p, mask in case.twin(ratio))
        found.setdefault((k1 - j1, k2 - j2), []).append(a)
    means = {shift: float(sum(values) / len(values)) for shift, values in found.items()}
    return [[means[x, y] for y in range(1 - width, width)] for x in range(1 - height, height)]


@pytest.mark.parametrize("case", IMAGES, ids=str)
def test_mean_over_pairs(case: Case) -> None:
    for ratio in case.ratios[:3]:
        assert_close(by_displacement(case.law, float(ratio)), naive(case, ratio), ALLOWED, f"{case} at {ratio}")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_box_averages_each_axis_for_itself(sampler: str) -> None:
    """CutMix of a one-row image is one axis; an H x W image is the product of two."""
    height, width, ratio = 9, 16, 1 - (4 / 12) ** 2  # sides 3 and 5
    both = CutMix((height, width), sampler=sampler)
    means = []
    for n, length in zip((height, width), both.sides(ratio), strict=True):
        cover = interval_cover(n, length, sampler)
        moment = cover.T @ cover / len(cover)
        means.append(torch.stack([moment.diagonal(x).mean() for x in range(1 - n, n)]))
    assert_close(by_displacement(both, ratio), torch.outer(*means), ALLOWED, sampler)


@pytest.mark.parametrize(
    "law",
    [
        CutMix((5, 12), sampler="inside"),
        HMix((6, 5), r=0.7, sampler="clip"),
        GMix((4, 7), kernel="printed"),
        Stochastic((5, 5), q=0.25, sampler="printed"),
    ],
    ids=repr,
)
def test_the_middle_is_the_mean_of_the_diagonal_and_a_pair_has_no_order(law: MaskLaw) -> None:
    found = by_displacement(law, 0.4)
    height, width = law.shape
    dense = law.second_moment(0.4).to_dense()
    assert found.shape == (2 * height - 1, 2 * width - 1)
    assert found.dtype == torch.float64
    assert_close(found[height - 1, width - 1], dense.diagonal().mean(), ALLOWED, "no displacement")
    assert_close(found[0, 0], dense[0, -1], ALLOWED, "corner to corner")
    assert_close(found[0, -1], dense[width - 1, -width], ALLOWED, "the other two corners")
    assert_close(found, found.flip(0, 1), ALLOWED, "there and back")


def test_laws_without_geometry() -> None:
    flat = torch.full((5, 9), 0.36, dtype=torch.float64)
    assert_close(by_displacement(Mixup((3, 5)), 0.4), flat, ALLOWED, "Mixup")
    flat[2, 4] = 0.6
    assert_close(by_displacement(Bernoulli((3, 5)), 0.4), flat, ALLOWED, "Bernoulli")


@pytest.mark.parametrize(
    "law, ratio, kind, said",
    [
        (Mixup((2,)), 0.5, ValueError, r"shape \(2,\): needed are images"),
        (Mixup((2, 3, 2)), 0.5, ValueError, r"shape \(2, 3, 2\): needed are images"),
        (Mixup((2, 3)), 1.5, ValueError, "ratio=1.5"),
        (CutMix, 0.5, TypeError, "law is the class CutMix"),
    ],
)
def test_refused(law: object, ratio: float, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        by_displacement(law, ratio)


def test_any_matrix() -> None:
    """A plain tensor, or an operator, over the pixels of the shape; of no other size."""
    law = HMix((3, 4), r=0.5, sampler="inside")
    dense = law.second_moment(0.4).to_dense()
    assert_close(mean_by_displacement(dense, (3, 4)), by_displacement(law, 0.4), ALLOWED, "dense")
    with pytest.raises(ValueError, match=r"matrix has shape \(12, 12\): needed is d x d with the d = 6 pixels"):
        mean_by_displacement(dense, (2, 3))
