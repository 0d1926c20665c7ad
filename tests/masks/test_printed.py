"""The printed coefficients and their corrections against the mask laws, lists of masks and the formulas themselves."""

from __future__ import annotations

import math
from fractions import Fraction as Q
from itertools import product

import pytest
import sympy as sp
import torch
from linear_operator.operators import LinearOperator

from msda_theory.masks import SAMPLERS, CutMix, GMix, HMix
from msda_theory.masks.displacement import mean_by_displacement
from msda_theory.masks.printed import (
    cutmix_coefficients,
    gmix_image_coefficients,
    gmix_plane_coefficients,
    hmix_coefficients,
    interval_overlap,
)
from msda_theory.symbolic.coefficients import gmix_axis
from tests import oracles
from tests.helpers import assert_close
from verify.tolerances import rounding

ALLOWED = rounding(torch.float64, 1.0, 64)
SHAPES = [(3, 4), (4, 4), (1, 5), (6, 2)]
RATIOS = [Q(1, 8), Q(1, 2), Q(3, 4), Q(8, 9)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_overlap_of_an_axis_is_counted(sampler: str) -> None:
    for n in range(1, 9):
        for side in range(n if sampler == "printed" else n + 1):
            placed = oracles.intervals(n, side, sampler)
            counted = [[sum({j, k} <= covered for covered in placed) / len(placed) for k in range(n)] for j in range(n)]
            assert_close(interval_overlap(n, side, sampler), counted, ALLOWED, f"n={n}, side={side}")


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_corrected_forms_are_those_of_the_laws(shape: tuple[int, int], sampler: str) -> None:
    for ratio in map(float, RATIOS):
        cutmix = cutmix_coefficients(shape, ratio, sampler=sampler)
        assert_close(cutmix.to_dense(), CutMix(shape, sampler=sampler).second_moment(ratio).to_dense(), ALLOWED)
        for r in (0.0, 0.5, 1.0):
            hmix = hmix_coefficients(shape, ratio, r=r, sampler=sampler)
            assert_close(hmix.to_dense(), HMix(shape, r=r, sampler=sampler).second_moment(ratio).to_dense(), ALLOWED)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ratio", RATIOS)
def test_appendix_h_as_printed(shape: tuple[int, int], ratio: Q) -> None:
    """o_s(1-o_s)(v_j + v_k) + o_s a_jk,s + (1-o_s)^2, boxes listed in fractions; not the second moment of the law."""
    r, size = Q(1, 2), shape[0] * shape[1]
    sides = [oracles.side(n, ratio, r) for n in shape]
    o = ratio * size / (size - math.prod(sides))
    places = product(*(oracles.intervals(n, s, "printed") for n, s in zip(shape, sides, strict=True)))
    boxes = [[int(i in rows and j in columns) for i, j in product(*map(range, shape))] for rows, columns in places]
    both = [[Q(sum(b[j] * b[k] for b in boxes), len(boxes)) for k in range(size)] for j in range(size)]
    stated = [
        [o * (1 - o) * (both[j][j] + both[k][k]) + o * both[j][k] + (1 - o) ** 2 for k in range(size)]
        for j in range(size)
    ]
    printed = hmix_coefficients(shape, float(ratio), r=0.5, sampler="printed", as_printed=True).to_dense()
    assert_close(printed, [[float(a) for a in row] for row in stated], ALLOWED)
    if any(sides) and all(sides):
        law = HMix(shape, r=0.5, sampler="printed").second_moment(float(ratio)).to_dense()
        assert (printed - law).abs().max() > 1e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_line_3_of_eq_11(shape: tuple[int, int]) -> None:
    pixels, ratio, area = list(product(*map(range, shape))), 0.3, shape[0] * shape[1]
    for as_printed, factor, steepness in ((True, 1 - ratio, 1 / 4), (False, (1 - ratio) / 2, 1 / 2)):
        squares = [[(i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2 for j in pixels] for i in pixels]
        stated = factor * torch.exp(torch.tensor(squares).double() * -math.pi * steepness / ((1 - ratio) * area))
        assert_close(gmix_plane_coefficients(shape, ratio, as_printed=as_printed).to_dense(), stated, ALLOWED)
    assert (gmix_plane_coefficients(shape, 1.0).to_dense() == 0).all()
    printed = gmix_plane_coefficients(shape, ratio, as_printed=True).to_dense()
    assert torch.equal(gmix_plane_coefficients(shape, ratio).to_dense(), printed), "(11) unless the other is asked for"


@pytest.mark.parametrize("shape", [(3, 4), (8, 8), (2, 9)])
@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.9])
def test_gmix_on_the_image(shape: tuple[int, int], ratio: float) -> None:
    """As derived; and the law, a sum over the pixels, within kappa^2/6 of it at every pair."""
    found = gmix_image_coefficients(shape, ratio).to_dense()
    area = shape[0] * shape[1]
    j, k, n = sp.symbols("j k n")
    axis = sp.lambdify((j, k, n), gmix_axis(j, k, n, 2 * (1 - ratio), area), "math")
    pixels = list(product(*(range(1, n + 1) for n in shape)))
    stated = [[math.prod(axis(i, j, n) for i, j, n in zip(p, q, shape, strict=True)) for q in pixels] for p in pixels]
    assert_close(found, stated, ALLOWED)
    law = GMix(shape, kernel="printed").second_moment(ratio).to_dense()
    assert_close(found, law, math.pi / ((1 - ratio) * area) / 6)


@pytest.mark.parametrize(
    "operator",
    [
        cutmix_coefficients((5, 7), 0.4, sampler="inside"),
        hmix_coefficients((5, 7), 0.4, r=0.7, sampler="printed", as_printed=True),
        gmix_plane_coefficients((5, 7), 0.4),
        gmix_image_coefficients((5, 7), 0.4),
    ],
)
def test_operators(operator: LinearOperator) -> None:
    """Symmetric, float64; applied, and averaged by displacement, as their matrix is."""
    dense = operator.to_dense()
    assert dense.shape == (35, 35)
    assert dense.dtype == torch.float64
    assert_close(dense, dense.T, 0.0)
    v = torch.randn(35, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert_close(operator @ v, dense @ v, rounding(torch.float64, 8.0, 64))
    assert_close(mean_by_displacement(operator, (5, 7)), mean_by_displacement(dense, (5, 7)), ALLOWED)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: interval_overlap(0, 0, "clip"), "n=0"),
        (lambda: interval_overlap(3, -1, "clip"), "side=-1"),
        (lambda: interval_overlap(3, 4, "clip"), "side=4 on an axis of n=3"),
        (lambda: interval_overlap(3, 3, "printed"), "side=3 on an axis of n=3 pixels, sampler='printed'"),
        (lambda: interval_overlap(3, 1, "middle"), "sampler='middle'"),
        (lambda: cutmix_coefficients((3, 3), 0.0, sampler="printed"), "side=3"),
        (lambda: cutmix_coefficients((3, 3), 1.5, sampler="inside"), "ratio=1.5"),
        (lambda: cutmix_coefficients((3,), 0.5, sampler="inside"), r"shape=\(3,\)"),
        (lambda: hmix_coefficients((3, 3), 0.5, r=2.0, sampler="inside"), "r=2.0"),
        (lambda: gmix_plane_coefficients((3, 3), -1.0), "ratio=-1.0"),
        (lambda: gmix_image_coefficients((3, 3), 1.0), "ratio=1: needed"),
        (lambda: gmix_image_coefficients((3, 0), 0.5), r"shape=\(3, 0\)"),
    ],
)
def test_refused(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        call()
