"""The closed forms of a_jk: derived, counted in fractions at every pair of pixels, enclosed, and sampled."""

from __future__ import annotations

from fractions import Fraction as Q
from itertools import product

import pytest
import sympy as sp
import torch
from flint import acb, arb

from msda_theory import symbolic
from msda_theory.masks import SAMPLERS, CutMix, GMix, HMix, MaskLaw, Stochastic
from msda_theory.symbolic.coefficients import (
    GMIX_FAULTS,
    HMIX_FAULTS,
    LIMIT_FAULTS,
    OVERLAP_FAULTS,
    STOCHASTIC_FAULTS,
    gmix_axis,
    gmix_plane_coefficient,
    hmix_coefficient_of,
    interval_overlap,
    printed_overlap,
    stochastic_coefficient_of,
)
from tests import oracles
from tests.helpers import assert_close
from verify.tolerances import bounded_mean, rounding

DERIVATIONS = {
    **{f"cutmix[{s}]": (symbolic.cutmix_coefficient, (s,), OVERLAP_FAULTS[s]) for s in SAMPLERS},
    **{f"limit[{s}]": (symbolic.cutmix_limit, (s,), LIMIT_FAULTS[s]) for s in SAMPLERS},
    "hmix": (symbolic.hmix_coefficient, (), HMIX_FAULTS),
    "stochastic": (symbolic.stochastic_coefficient, (), STOCHASTIC_FAULTS),
    "gmix": (symbolic.gmix_coefficient, (), GMIX_FAULTS),
}
PLANTED = [(name, fault) for name, (_, _, faults) in DERIVATIONS.items() for fault in faults]
SHAPES = [(3, 3), (2, 4), (3, 5)]
RATIOS = [Q(1, 8), Q(1, 3), Q(5, 9), Q(3, 4), Q(24, 25)]
ROUNDING = rounding(torch.float64, 1.0, 64)


def derived(name: str, fault: str | None = None) -> symbolic.Derivation:
    derive, arguments, _ = DERIVATIONS[name]
    return derive(*arguments, fault=fault)


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_step_holds_and_can_fail(name: str) -> None:
    derivation = derived(name)
    assert [str(step) for step in derivation if not step.holds] == []
    broken = {step.title for fault in DERIVATIONS[name][2] for step in derived(name, fault).failures}
    assert {step.title for step in derivation} == broken


@pytest.mark.parametrize("name, fault", PLANTED)
def test_every_fault_is_refuted_by_integers(name: str, fault: str) -> None:
    failures = derived(name, fault).failures
    assert failures
    assert [step.title for step in failures if step.refutation() is None] == []


@pytest.mark.parametrize("name", DERIVATIONS)
def test_latex_is_well_formed(name: str) -> None:
    text = derived(name).to_latex(document=True)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") - text.count(r"\left\lfloor") == text.count(r"\right") - text.count(r"\right\rfloor")
    equations = "".join(line for step in derived(name) for line in step.latex_lines())
    assert not any(python in equations for python in ("Derivative", "Symbol", "Max", "Min", "**", "None"))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sampler='middle': needed is one of 'printed', 'inside', 'clip', 'torus'"):
        interval_overlap(1, 1, 3, 2, "middle")
    with pytest.raises(ValueError, match=r"sampler='middle'"):
        symbolic.cutmix_coefficient("middle")
    with pytest.raises(ValueError, match=r"fault='pairs': needed is None or one of 'short'"):
        symbolic.cutmix_coefficient("torus", fault="pairs")


def fraction(value: sp.Expr) -> Q:
    exact = sp.Rational(value)
    return Q(int(exact.p), int(exact.q))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_axis_counted(sampler: str) -> None:
    """Every pair of pixels, side and size up to 7."""
    for n in range(1, 8):
        for side in range(n if sampler == "printed" else n + 1):
            placed = oracles.intervals(n, side, sampler)
            for j, k in product(range(n), repeat=2):
                counted = Q(sum(j in covered and k in covered for covered in placed), len(placed))
                assert fraction(interval_overlap(j + 1, k + 1, n, side, sampler)) == counted, (n, side, j, k)


def test_eq_10_is_the_sampler_that_it_is_named_after() -> None:
    for n, side in ((2, 1), (3, 0), (4, 1), (4, 3), (5, 2), (5, 3)):
        for j, k in product(range(1, n + 1), repeat=2):
            assert printed_overlap(j, k, n, side) == interval_overlap(j, k, n, side, "printed")
    assert printed_overlap(1, 1, 3, 2) != interval_overlap(1, 1, 3, 2, "inside")


def axis_of(shape: tuple[int, int], sides: tuple[int, int], sampler: str) -> list[list[list[Q]]]:
    return [
        [[fraction(interval_overlap(j, k, n, s, sampler)) for k in range(1, n + 1)] for j in range(1, n + 1)]
        for n, s in zip(shape, sides, strict=True)
    ]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_cutmix_hmix_and_stochastic_at_every_pair(shape: tuple[int, int], sampler: str) -> None:
    """Listed masks, closed forms and the library, three channels."""
    pixels, q, r = list(product(*map(range, shape))), Q(1, 4), Q(1, 2)
    for ratio in RATIOS:
        cut, hybrid = (tuple(oracles.side(n, ratio, share) for n in shape) for share in (Q(1), r))
        outside = ratio / (1 - (1 - ratio) * r)
        rows, columns = axis_of(shape, cut, sampler)
        small_rows, small_columns = axis_of(shape, hybrid, sampler)
        stated: dict[str, list[list[Q]]] = {"cutmix": [], "hmix": [], "stochastic": []}
        for j in pixels:
            box = [rows[j[0]][k[0]] * columns[j[1]][k[1]] for k in pixels]
            small = [small_rows[j[0]][k[0]] * small_columns[j[1]][k[1]] for k in pixels]
            v_j, v = (
                small_rows[j[0]][j[0]] * small_columns[j[1]][j[1]],
                [small_rows[k[0]][k[0]] * small_columns[k[1]][k[1]] for k in pixels],
            )
            stated["cutmix"].append(box)
            stated["stochastic"].append([stochastic_coefficient_of(q, (1 - ratio) ** 2, a) for a in box])
            mixed = [
                hmix_coefficient_of(exact(outside), exact(v_j), exact(b), exact(a))
                for a, b in zip(small, v, strict=True)
            ]
            stated["hmix"].append([fraction(a) for a in mixed])
        twins = {
            "cutmix": oracles.box(shape, sampler),
            "hmix": oracles.box(shape, sampler, r),
            "stochastic": oracles.either(q, oracles.mixup(len(pixels)), oracles.box(shape, sampler)),
        }
        laws = {
            "cutmix": CutMix(shape, sampler=sampler),
            "hmix": HMix(shape, r=0.5, sampler=sampler),
            "stochastic": Stochastic(shape, q=0.25, sampler=sampler),
        }
        for name, values in stated.items():
            assert oracles.second_moment(twins[name](ratio)) == values, (name, ratio)
            dense = laws[name].second_moment(float(ratio)).to_dense()
            assert_close(dense, [[float(a) for a in row] for row in values], ROUNDING, f"{name} at {ratio}")


def exact(value: Q) -> sp.Rational:
    return sp.Rational(value.numerator, value.denominator)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_grid_tends_to_the_continuum(sampler: str) -> None:
    """Points and sides that are multiples of 1/12: of n pixels, 1/n from the limit times at most 4."""
    points = [Q(k, 12) for k in range(1, 13)]
    for side, (u, v) in product((Q(2, 12), Q(6, 12), Q(10, 12)), product(points, repeat=2)):
        limit = fraction(interval_overlap(exact(u), exact(v), 1, exact(side), sampler, continuous=True))
        for n in (24, 240):
            grid = fraction(interval_overlap(*(int(t * n) for t in (u, v)), n, int(side * n), sampler))
            # an end of the positions moves by at most a pixel, of (1-side) n >= n/6 positions or of n
            assert abs(grid - limit) <= Q(12, n), (side, u, v, n)
            assert sampler == "inside" or grid == limit  # homogeneous: no pixel enters their closed forms


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (8, 8)])
@pytest.mark.parametrize("ratio", [Q(1, 4), Q(1, 2), Q(9, 10)])
def test_gmix_on_the_image_in_balls(shape: tuple[int, int], ratio: Q) -> None:
    """The closed form is the integral over an axis, and the sum over its pixels is within kappa^2/12 of it."""
    area, width = shape[0] * shape[1], 2 * (1 - exact(ratio))
    c = arb.pi() / arb(2 * area) / (arb(1) - arb(ratio.numerator) / ratio.denominator)
    for n in set(shape):
        for j, k in product(range(1, n + 1), repeat=2):
            closed = arb(str(sp.N(gmix_axis(j, k, n, width, area), 30)))

            def bump(p: acb, _: bool, j: int = j, k: int = k) -> acb:
                return (-c * ((j - p) ** 2 + (k - p) ** 2)).exp()

            integral = acb.integral(bump, acb(1) / 2, acb(n) + acb(1) / 2).real / n
            assert abs(float(integral - closed)) < 1e-14
            summed = sum((bump(acb(p), False).real for p in range(1, n + 1)), arb(0)) / n
            assert bool(abs(summed - integral) < c / 6)


@pytest.mark.parametrize("factor", [1, 2])
def test_gmix_on_the_plane_in_balls(factor: int) -> None:
    """A square of 8 N by 8 N holds all but exp(-64 pi) of a bump of width at most 2 (1-lambda) N^2 < N^2."""
    n, ratio = 5, Q(3, 5)
    width = factor * (1 - exact(ratio))
    c = arb.pi() / (arb(str(sp.N(width, 40))) * n**2)

    def axis(j: int, k: int) -> arb:
        def bump(p: acb, _: bool) -> acb:
            return (-c * ((j - p) ** 2 + (k - p) ** 2)).exp()

        return acb.integral(bump, acb(-4 * n), acb(5 * n)).real / n

    for (i1, i2), (j1, j2) in product(product((0, 2, 4), repeat=2), repeat=2):
        closed = gmix_plane_coefficient(sp.sqrt((i1 - j1) ** 2 + (i2 - j2) ** 2), width, n**2)
        assert abs(float(axis(i1, j1) * axis(i2, j2)) - float(closed)) < 1e-14


def closed_dense(shape: tuple[int, int], sides: tuple[int, int], sampler: str, pairs: torch.Tensor) -> torch.Tensor:
    """E[B_j B_k] at pairs of pixels ((j1, j2, k1, k2), ...), by the closed form as a numpy function."""
    j, k, n, s = sp.symbols("j k n s", integer=True, positive=True)
    evaluate = sp.lambdify((j, k, n, s), interval_overlap(j, k, n, s, sampler), "numpy")
    j1, j2, k1, k2 = (pairs + 1).double().T.numpy()
    return torch.from_numpy(evaluate(j1, k1, shape[0], sides[0]) * evaluate(j2, k2, shape[1], sides[1]))


def sampled(law: MaskLaw, ratio: float, pairs: torch.Tensor, draws: int) -> torch.Tensor:
    given = 1 - law.sample(torch.full((draws,), ratio, dtype=torch.float64), 7)
    j1, j2, k1, k2 = pairs.T
    return (given[:, j1, j2] * given[:, k1, k2]).mean(0)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", ["cutmix", "hmix", "stochastic"])
def test_sampled_boxes_at_64_by_64(name: str, sampler: str) -> None:
    """2000 masks, 400 pairs: a correct program fails once in 10^6 seeds (Bernstein, Bonferroni).  0 <= 1-M <= 1."""
    shape, ratio, draws, q, r = (64, 64), 0.5, 2000, 0.25, 0.7
    pairs = torch.randint(0, 64, (400, 4), generator=torch.Generator().manual_seed(3))
    law: CutMix | HMix | Stochastic = CutMix(shape, sampler=sampler)
    expected = closed_dense(shape, CutMix(shape, sampler=sampler).sides(ratio), sampler, pairs)
    if name == "stochastic":
        law = Stochastic(shape, q=q, sampler=sampler)
        expected = stochastic_coefficient_of(q, (1 - ratio) ** 2, expected)
    if name == "hmix":
        law = HMix(shape, r=r, sampler=sampler)
        one, other = pairs[:, :2], pairs[:, 2:]
        meetings = (torch.cat(ends, 1) for ends in ((one, one), (other, other), (one, other)))
        v_j, v_k, both = (closed_dense(shape, law.sides(ratio), sampler, meeting) for meeting in meetings)
        o = ratio / (1 - (1 - ratio) * r)
        expected = (1 - o) ** 2 + o * (1 - o) * (v_j + v_k) + o**2 * both
    allowed = [bounded_mean(float(a * (1 - a)), draws, comparisons=len(pairs)) for a in expected]
    assert_close(sampled(law, ratio, pairs, draws), expected, allowed, f"{name}, {sampler}")


def test_sampled_bumps_at_64_by_64() -> None:
    """The same for GMix; the closed form is the integral, kappa^2/6 from the sum over the pixels."""
    ratio, draws, area = 0.5, 2000, 64 * 64
    pairs = torch.randint(0, 64, (400, 4), generator=torch.Generator().manual_seed(3))
    j, k = sp.symbols("j k", real=True)
    evaluate = sp.lambdify(
        (j, k), gmix_axis(j, k, 64, sp.S.One, area), ["numpy", {"erf": lambda x: torch.erf(torch.as_tensor(x)).numpy()}]
    )
    j1, j2, k1, k2 = (pairs + 1).double().T.numpy()
    expected = torch.from_numpy(evaluate(j1, k1) * evaluate(j2, k2))
    bias = torch.pi / ((1 - ratio) * area) / 6
    allowed = [bias + bounded_mean(float(a * (1 - a)), draws, comparisons=len(pairs)) for a in expected]
    assert_close(sampled(GMix((64, 64), kernel="printed"), ratio, pairs, draws), expected, allowed, "GMix")
